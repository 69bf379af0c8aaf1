"""The claims of the mini suite's next version: rows with intervals where there are weights, and reasons where not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from mini_recipe import train_mini
from mini_recipe.config import VERSIONS
from mini_recipe.data import grammar_data

from vapbench.core.case import Case, ClipSpec
from vapbench.suites.mini import reader, writer
from vapbench.suites.mini.cases import grammar_cases

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, as a module."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("mini_claims")


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Two cases of a condition of training, two of a held-out one."""
    known = grammar_cases()
    monkeypatch.setattr(writer, "grammar_cases", lambda: known[:2] + known[-2:])
    monkeypatch.setenv("VAPBENCH_CACHE", str(tmp_path))
    return reader.load_grammar(ClipSpec(frames=13, fps=8, height=64, width=64))


def test_what_is_not_trained_is_a_reason_and_never_a_number(claims: Any, tmp_path: Path) -> None:
    bench = claims.Bench(tmp_path, tmp_path, None, "cpu")
    rows = [bench.row(ask) for _, asks in claims.CLAIMS.values() for ask in asks]
    assert all(row.mean is row.low is row.met is None and "is not trained" in row.reason for row in rows)
    assert {row.total for row in rows} == {14, 56, 24}  # of a category, seen, zero-shot
    said = claims.table("Title", rows[:1])
    assert "not measured: stage i2v is not trained" in said


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_without_a_trained_stage_is_refused(
    claims: Any, tmp_path: Path, there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, to = tmp_path / "nicht da", tmp_path / "claims"
    if there:
        out.mkdir()
    monkeypatch.setattr(sys, "argv", ["mini_claims.py", str(out), "--to", str(to)])
    with pytest.raises(SystemExit) as ended:
        claims.main()
    assert ended.value.code == 2 and not to.exists()
    said = capsys.readouterr().err
    assert f"vapbench train mini --version 2 --out '{out}'" in said
    assert ("nothing is trained here" if there else "no such folder") in said


def test_a_lora_counts_when_every_condition_of_training_has_its_own(claims: Any, tmp_path: Path) -> None:
    bench = claims.Bench(tmp_path, tmp_path, None, "cpu")
    trained = [tmp_path / "i2v", *(tmp_path / "lora" / name for name in claims.TRAINED)]
    for folder in trained[:-1]:
        folder.mkdir(parents=True)
        (folder / "card.json").touch()
    assert bench.lacking("lora") == "stage lora is not trained: 1 of 28 adapters are missing"
    trained[-1].mkdir()
    (trained[-1] / "card.json").touch()
    assert bench.lacking("lora") == ""


def test_an_aim_is_reached_by_the_mean_over_every_case_with_its_interval(
    claims: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = import_module("mini_claims_asked")
    ids = list(asked.KNOWN)
    scores = {"vap": {name: 60.0 + 5 * (place // 2 % 3) for place, name in enumerate(ids)}}
    scores["told"] = {name: value + 2 + place // 2 % 4 for place, (name, value) in enumerate(scores["vap"].items())}
    scores["base"] = {name: 40.0 + place // 2 % 5 for place, name in enumerate(ids)}

    def of_group(bench: Any, ask: Any, run: str) -> dict[str, float]:
        return {name: scores[run][name] for name in bench.ids(ask.group) if name in scores[run]}

    monkeypatch.setattr(claims.Bench, "values", of_group)
    bench = claims.Bench(tmp_path, tmp_path, None, "cpu")
    behind = [bench.row(ask) for ask in asked.CLAIMS["seen"][1] if ask.minus]
    assert [(row.n, row.clusters, row.met) for row in behind] == [(14, 7, True)] * 4
    assert all(1 < row.low < row.mean < row.high < 6 for row in behind)
    ahead = bench.row(asked.CLAIMS["zero-shot"][1][-1])
    assert (ahead.n, ahead.total, ahead.clusters) == (24, 24, 12)
    assert ahead.low < ahead.mean < 25 and ahead.met is False
    assert "not reached" in claims.table("Title", [ahead])
    del scores["vap"][ids[-1]]
    incomplete = bench.row(replace(asked.CLAIMS["zero-shot"][1][-1], least=1))
    assert (incomplete.n, incomplete.total, incomplete.met) == (23, 24, None)


def test_claims_are_kept_beside_those_measured_before(claims: Any, tmp_path: Path) -> None:
    rows = [claims.Row("base", "score", 2, 2, 1, 50.0, 40.0, 60.0)]
    claims.keep(tmp_path, "curve", rows)
    claims.keep(tmp_path, "seen", rows)
    claims.keep(tmp_path, "curve", rows * 2)
    found = json.loads((tmp_path / "claims.json").read_text())
    assert {name: len(kept) for name, kept in found.items()} == {"seen": 1, "curve": 2}
    assert (tmp_path / "claims.md").read_text().count("50.0 [40.0, 60.0]") == 3


@pytest.mark.parametrize("limit", [1, 3, 41, 80])
def test_a_limit_is_a_number_of_cases(claims: Any, tmp_path: Path, limit: int) -> None:
    assert len(claims.Bench(tmp_path, tmp_path, limit, "cpu").kept) == limit


def test_what_methods_are_shown_is_what_the_claim_says(claims: Any, cases: Sequence[Case]) -> None:
    asked = import_module("mini_claims_asked")
    two = asked.two_references(cases)
    assert [case.references for case in two[:2]] == [
        (cases[0].reference, cases[1].reference),
        (cases[1].reference, cases[0].reference),
    ]
    assert [case.reference.video for case in asked.own_control(cases)] == [case.target for case in cases]
    worn = asked.nearest_trained(cases[-2:])
    assert {case.condition for case in worn} <= {
        case.condition for case in asked.KNOWN.values() if case.category == "camera" and not case.zero_shot
    }
    assert [case.id for case in worn] == [case.id for case in cases[-2:]]


@pytest.mark.slow
def test_from_smoke_weights_to_rows_and_figures_and_a_second_call_makes_no_clip(tmp_path: Path) -> None:
    out, to = tmp_path / "out", tmp_path / "claims"
    data = grammar_data()
    shown = {name: specs[:1] for name, specs in data.shown().items()}
    config = VERSIONS[2]().seeded(0).smoke()
    config = replace(config, data=replace(data, training=data.training[:8], shown=lambda: shown))
    stages = ("vae", "text", "semantic", "base", "i2v", "expert", "vap", "expert_160", "single")
    train_mini(out, config=config, only=stages, quiet=True, require_gate=False)
    wanted = ("zero-shot", "curve", "single", "two-references")
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent), "VAPBENCH_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, str(BENCHMARKS / "mini_claims.py"), str(out), *wanted, "--to", str(to), "--limit", "4"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    found = json.loads((to / "claims.json").read_text())
    assert list(found) == list(wanted)
    measured = [row for name, rows in found.items() for row in rows if name != "curve"]
    assert all(0 < row["n"] == row["total"] and row["mean"] is not None for row in measured), measured
    assert all(row["low"] <= row["mean"] <= row["high"] for row in measured if row["low"] is not None)
    assert [row["mean"] is None for row in found["curve"]] == [True, True, True, False, True]
    assert not [row for rows in found.values() for row in rows if row["met"] is not None]  # a few cases settle nothing
    assert {path.stem for path in to.glob("*.png")} == set(wanted)
    before = {path: path.stat().st_size for path in to.glob("runs/mini@2/*/generations.jsonl")}
    assert len(before) == 7  # base, vap, told, expert_160, single, single-told, vap-two
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert again.stdout == done.stdout
    assert before == {path: path.stat().st_size for path in before}

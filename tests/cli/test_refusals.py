"""Requests that cannot be meant are refused before anything is loaded or written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.refusals import refuses
from vapbench.cli import app
from vapbench.errors import DataError, ErrorKind, UsageError, VapbenchError
from vapbench.results.run import RunFolder

ROOT = Path(__file__).parents[2]


def refusal(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    if isinstance(done.exception, VapbenchError):
        return str(done.exception)
    assert done.exit_code == 2, done.output
    return " ".join(re.sub(r"[│╭╰─]", " ", done.output).split())


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("vap:steps=-3", "vap: steps=-3: input should be greater than or equal to 1"),
        ("vap:steps=0", "steps=0: input should be greater"),
        ("vap:steps=1001", "steps=1001: input should be less than or equal to 1000"),
        ("vap:steps=2.5", "steps=2.5: input should be a valid integer"),
        ("vap:steps=", "steps= has no value"),
        ("vap:weights=", "weights= has no value"),
        ("vap:steps=3,steps=4", "steps is given twice"),
        ("vap:guidance=nan", "guidance=nan: input should be a finite number"),
        ("vap:guidance=inf", "finite"),
        ("vap:guidance=-1", "guidance=-1: input should be greater than or equal to 0"),
        ("i2v:guidance=-1", "greater than or equal to 0"),
        ("i2v-wan:weights=x,guidance=-1", "greater than or equal to 0"),
        ("vace-depth:guidance=-1", "greater than or equal to 0"),
        ("vace-depth:strength=-1", "greater than or equal to 0"),
        ("lora:strength=nan", "finite"),
        ("vap:frames=0", "greater than or equal to 1"),
        ("vap:height=7", "multiple of 2"),
        ("vap:width=60000,height=60000", "60000x60000 is more than"),
        ("vap:references=0", "greater than or equal to 1"),
        ("vap:dtype=int8", "'bfloat16', 'float16' or 'float32'"),
    ],
)
def test_a_parameter_out_of_its_range(method: str, said: str, tmp_path: Path) -> None:
    assert said in refusal("run", "-m", method, "--results", str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metric", "semantic_alignment[judge]:frames=0"), "frames=0: input should be greater"),
        (("--metric", "semantic_alignment[judge]:timeout=nan"), "finite"),
        (("--metric", "semantic_alignment[judge]:base_url="), "base_url= has no value"),
        (("--seed", "-1"), "--seed -1: a seed is a whole number from 0"),
        (("--seed", str(2**63)), "a seed is a whole number from 0"),
        (("--memory", "nan"), "--memory"),
        (("--case-timeout", "inf"), "no finite number"),
        (("--max-failures", "nan"), "--max-failures nan"),
    ],
)
def test_an_option_out_of_its_range(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert said in refusal("run", "-m", "noise", *options, "--limit", "1", "--results", str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(ROOT / "results" / "mini" / "frozen", tmp_path / "mini" / "frozen")))


@pytest.mark.parametrize("schema", [2, "1.1", None, [1]])
def test_a_manifest_of_a_later_version_is_refused(schema: object, run: RunFolder) -> None:
    manifest = json.loads(run.manifest_path.read_text(encoding="utf-8"))
    # A later version may have changed everything else as well.
    run.manifest_path.write_text(json.dumps({"schema": schema, "identity": manifest["identity"]["suite"]}))
    with refuses(DataError, ErrorKind.CONFLICT, "schema", "manifest.json"):
        run.manifest()
    results = str(run.path.parents[1])
    assert "this version reads 1" in refusal("show", "frozen", "--results", results)
    for words in ("report", "table", "list runs", "status", "compare frozen i2v"):
        done = CliRunner().invoke(app, [*words.split(), "--results", results])
        assert "this version reads 1" in done.stderr.replace("\n", " "), words
    before = run.manifest_path.read_bytes()
    assert "this version reads 1" in refusal("run", "-m", "frozen", "--limit", "1", "--results", results)
    assert "this version reads 1" in CliRunner().invoke(app, ["check", str(run.path)]).output
    assert run.manifest_path.read_bytes() == before


def test_rows_of_a_later_version_are_refused(run: RunFolder) -> None:
    with run.generations_path.open("a") as handle:
        handle.write('{"schema": 2, "clip": {}}\n')
    for words in (["report"], ["status"], ["show", "frozen"]):
        assert "has schema 2, this version reads 1" in refusal(*words, "--results", str(run.path.parents[1]))


@pytest.mark.parametrize(
    "words",
    [
        ("run", "-m", "frozen", "--task", "all"),
        ("generate", "-m", "frozen", "-t", "all"),
        ("score", "vap", "--task=all"),
        ("plan", "-m", "frozen", "-tall"),
        ("probe", "-m", "frozen", "--task", "all"),
        ("report", "--task", "all"),
        ("table", "--task", "all"),
        ("check", "metric", "--task", "all"),
        ("check", "judge", "vap", "--task", "all"),
        ("study", "plan", "--task", "all"),
    ],
)
def test_a_second_task_is_refused_and_never_the_one_that_counts(words: tuple[str, ...]) -> None:
    with refuses(UsageError, ErrorKind.CONFLICT, "task", "run it again with --task zero-shot"):
        CliRunner().invoke(app, [*words, "--task", "zero-shot"], catch_exceptions=False)


def test_a_refusal_is_a_usage_error() -> None:
    done = CliRunner().invoke(app, ["run", "-m", "vap:steps=-3"])
    assert isinstance(done.exception, UsageError)

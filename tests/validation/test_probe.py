"""``vapbench probe`` on methods whose answer is known: what reads, what ignores, and what a report says of it."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.refusals import refuses
from tests.validation.planted import planted
from vapbench.cli import app
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.page.media import plays
from vapbench.report.ranking import units_of
from vapbench.results.run import RunFolder
from vapbench.running.run import choose
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.writer import write_vap_data
from vapbench.validation.probe.cells import BOTH, Cell
from vapbench.validation.probe.difficulty import Point, caption_mismatch, slope_of, structural_dissimilarity
from vapbench.validation.probe.effects import Effect, effects_of, summarise_cells
from vapbench.validation.probe.results import Outputs
from vapbench.validation.probe.unchanged import UNCHANGED, change
from vapbench.validation.probe.words import verdict as in_words

CORE = [Cell(reference, caption) for reference in ("own", "wrong") for caption in ("own", "without")]  # type: ignore[arg-type]
SIX = ["--task", "camera", "--limit", "6", "--cells", "core", "-q"]


def vapbench(*words: str) -> Result:
    done = CliRunner().invoke(app, list(words))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def vap_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mini suite as a copy of VAP-Data."""
    folder = tmp_path_factory.mktemp("data") / "mini"
    write_vap_data(folder)
    return folder


@pytest.fixture(scope="module")
def said(results: Path) -> dict[str, dict[str, Any]]:
    """The planted methods and the frozen floor, probed once."""
    methods = [planted(results, name) for name in ("deaf-to-reference", "deaf-to-caption")]
    asked = [word for method in (*methods, "frozen") for word in ("-m", method)]
    told = vapbench("probe", *asked, *SIX, "--results", str(results), "--json")
    return {method["method"]: method for method in json.loads(told.stdout)["methods"]}


def effect(said: dict[str, dict[str, Any]], method: str, name: str) -> dict[str, Any]:
    return next(found for found in said[method]["effects"] if found["name"] == name)


@pytest.mark.parametrize(
    ("method", "reference", "caption"),
    [
        ("deaf-to-reference", "unchanged", "reads"),
        ("deaf-to-caption", "reads", "unchanged"),
        ("frozen", "unchanged", "unchanged"),
    ],
)
def test_whoever_ignores_one_of_the_two_is_caught(
    said: dict[str, dict[str, Any]], method: str, reference: str, caption: str
) -> None:
    for name, verdict in (("reference", reference), ("caption", caption)):
        found = effect(said, method, name)
        assert found["verdict"] == verdict
        assert found["clear"] == (verdict == "reads")
        if verdict == "reads":
            assert found["difference"]["low"] > 0
        else:
            assert found["difference"]["mean"] == 0
    assert effect(said, method, "interaction")["difference"]["mean"] == pytest.approx(0, abs=1e-9)


def test_the_effect_is_a_column_of_the_ordinary_run(said: dict[str, dict[str, Any]], results: Path) -> None:
    told = vapbench("report", "--results", str(results), "--task", "camera", "--json").stdout
    (table,) = [table for table in json.loads(told) if table["task"] == "camera"]
    place = [column["metric"] for column in table["columns"]].index("reference_effect")
    shown = {row["label"]: row["cells"][place] for row in table["rows"]}
    assert shown["frozen"]["mean"] == shown["deaf-to-reference"]["mean"] == 0
    assert shown["deaf-to-caption"]["low"] > 0


def test_the_papers_table_shows_effect_and_leakage_beside_alignment(
    said: dict[str, dict[str, Any]], results: Path
) -> None:
    told = vapbench("table", "--results", str(results), "--task", "camera").stdout
    (head,) = re.findall(r"^\| Method \|.*$", told, re.MULTILINE)
    titles = [title.strip() for title in head.strip("| ").split("|")]
    assert titles[-2:] == ["Reference effect ↑", "Reference leakage (pixels) ↓"]
    (still,) = re.findall(r"^\| frozen \|.*\| +(\S+) \|$", told, re.MULTILINE)
    assert float(still.replace("\N{MINUS SIGN}", "-")) == pytest.approx(0, abs=2), (
        "a still video shows nothing of its reference"
    )
    assert "missing beside alignment" not in told


def test_the_same_command_resumes_and_runs_lie_apart(said: dict[str, dict[str, Any]], results: Path) -> None:
    run = results / "probe" / "mini" / "frozen"
    rows = (run / "generations.jsonl").read_bytes()
    assert len(RunFolder(run).current()) == 6 * 3
    vapbench("probe", "-m", "frozen", *SIX, "--results", str(results))
    assert (run / "generations.jsonl").read_bytes() == rows
    listed = json.loads(vapbench("list", "runs", "--results", str(results), "--json").stdout)
    assert not [row for row in listed if "/probe/" in row["name"]], "no table of ordinary runs holds counterfactuals"


def test_the_words_say_what_the_numbers_say(said: dict[str, dict[str, Any]], results: Path) -> None:
    method = str(results / "deaf-to-reference")
    told = vapbench("probe", "-m", method, *SIX, "--results", str(results)).stdout
    assert "mini-camera/index.html" in told
    assert "ignores its reference: the output is unchanged with a wrong one; follows its caption." in told
    assert "wrong reference, caption without effect" in told
    assert re.search(r"caption mismatch from 0\.\d\d to [01]\.\d\d: ", told), "a slope is said of what was seen"


def test_figure_page_and_rows_are_written_and_say_the_same(said: dict[str, dict[str, Any]], results: Path) -> None:
    folder = results / "probe" / "mini-camera"
    rows = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
    assert (rows["schema"], rows["column"]) == (1, "semantic_alignment[embedding]")
    figure = (folder / "probe.svg").read_text(encoding="utf-8")
    assert rows["drawn"] == "cases within these conditions" and rows["drawn"] in figure, "3 conditions are not drawn"
    assert (folder / "probe.pdf").read_bytes().startswith(b"%PDF") and (folder / "probe.png").stat().st_size > 1000
    page = (folder / "index.html").read_text(encoding="utf-8")
    for method in rows["methods"]:
        for text in (figure, page):
            assert method["method"] in text
    assert 'src="probe.png"' in page and "img-src 'self'" in html.unescape(page)
    links = [unquote(link) for link in re.findall(r'<video src="([^"]+)"', page)]
    # Six cases, four cells of each: a reference, and an output of every method.
    assert len(links) == 6 * 4 * (1 + len(rows["methods"]))
    assert all(plays(folder / link) for link in links)


def test_a_dry_run_says_the_cost_and_writes_nothing(tmp_path: Path) -> None:
    words = ["probe", "-m", "vap", "--task", "camera", "--results", str(tmp_path / "runs"), "--dry-run"]
    told = vapbench(*words).stdout
    assert "to make   14" in told and f"to make   {14 * 9}" in told
    assert "captions  without the effect: 14 of 14 cases" in told
    assert not (tmp_path / "runs").exists()
    facts = json.loads(vapbench(*words, "--json").stdout)
    assert [run["videos"] for run in facts["runs"]] == [14, 14 * 9, 14]


def test_the_cost_of_the_published_protocol_needs_no_data() -> None:
    told = vapbench("probe", "-m", "vap", "--suite", "vap-data", "--task", "all", "--dry-run").stdout
    assert "cells     10 of every case" in told and "together 480 videos, about " in told
    words = ["probe", "-m", "vap", "--suite", "vap-data", "--task", "all", "--cells", "core", "--dry-run", "--json"]
    facts = json.loads(vapbench(*words).stdout)
    assert (facts["cells"], facts["runs"][0]["videos"]) == (4, 48)
    # The guide's table is what the command prints.
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "probe.md").read_text(encoding="utf-8")
    for method, column in (("vap", 3), ("i2v", 5)):
        for cells in ("core", "balanced", "full"):
            row = re.search(rf"^\| `{cells}`, .*$", guide, re.MULTILINE)
            words = ["probe", "-m", method, "--suite", "vap-data", "--cells", cells, "--dry-run"]
            assert row and f"about {row[0].split('|')[column].strip()} device hours" in vapbench(*words).stdout


def test_without_captions_the_empty_one_stands_in_their_place(tmp_path: Path, vap_data: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(vap_data, data)
    words = ["probe", "-m", "frozen", "--suite", "vap-data", "--data", str(data), "--task", "camera", "--limit", "2"]
    words += ["--metric", "semantic_alignment[embedding]", "--results", str(tmp_path / "runs")]
    told = vapbench(*words, "--dry-run").stdout
    assert "without the effect: 0 of 2 cases" in told
    assert "wrong-empty" in told and "wrong-without" not in told
    table = data / "probe_captions.csv"
    assert "2 cases, 2 without" in vapbench(*words, "--write-captions", str(table)).stdout
    text = table.read_text(encoding="utf-8").splitlines()
    lines = [line if index == 0 else line.removesuffix(",,") + ",A scene.," for index, line in enumerate(text)]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert "without the effect: 2 of 2 cases" in vapbench(*words, "--dry-run").stdout


def test_a_suite_without_a_column_that_sees_the_reference_asks_for_one(vap_data: Path) -> None:
    words = ["probe", "-m", "frozen", "--suite", "vap-data", "--data", str(vap_data), "--task", "camera"]
    with refuses(UsageError, ErrorKind.MISSING, "metric", "--metric"):
        vapbench(*words)
    with refuses(UsageError, ErrorKind.CONFLICT, "metric", "dynamic_degree[dis]"):
        vapbench(*words, "--metric", "dynamic_degree[dis]")
    with refuses(UsageError, ErrorKind.INVALID, "metric", "reference_leakage"):
        vapbench(*words, "--metric", "reference_leakage")


def test_videos_that_others_made_are_named_after_the_counterfactuals(tmp_path: Path) -> None:
    cases = choose("mini", None, "camera", 2).cases
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for number, case in enumerate(cases):
        for suffix in ("", "--wrong-own", "--own-without"):
            frames = np.full((13, 64, 64, 3), 40 * number + 8 * len(suffix), np.uint8)
            write_video(outputs / f"{case.id}{suffix}.mp4", Clip(frames, 8))
    words = ["probe", "-m", f"folder:path={outputs}", *SIX[:2], "--limit", "2", *SIX[4:], "--results", str(tmp_path)]
    (method,) = json.loads(vapbench(*words, "--json").stdout)["methods"]
    cells = {(cell["cell"]["reference"], cell["cell"]["caption"]): cell for cell in method["cells"]}
    assert cells["wrong", "own"]["compared"] == 2 and cells["wrong", "own"]["unchanged"] == 0
    (reference,) = (effect for effect in method["effects"] if effect["name"] == "reference")
    assert reference["said"] == "reference: not known, for 0 of 2 cases have every score that it takes"
    assert cells["wrong", "without"]["score"] is None and sum(cells["wrong", "without"]["lost"].values()) == 2


def test_a_folder_without_any_of_its_videos_is_refused_with_what_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (case,) = choose("mini", None, "camera", 1).cases
    words = ["probe", "-m", f"folder:path={tmp_path / 'empty'}", "--task", "camera", "--limit", "1"]
    with refuses(DataError, ErrorKind.MISSING, "path", tmp_path / "empty", f"{case.id}.mp4", f"{case.id}--"):
        vapbench(*words, "--results", str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def outputs(**values: float) -> dict[Cell, Outputs]:
    """Eight cases of eight conditions; each cell has its value, a little different from case to case."""
    names = dict(zip(("oo", "ow", "wo", "ww"), CORE, strict=True)) | {"both": BOTH}
    return {
        names[name]: Outputs({f"c{i}": value + 0.1 * i for i in range(8)}, {f"c{i}": 5.0 for i in range(8)})
        for name, value in values.items()
    }


def effects(made: dict[Cell, Outputs]) -> dict[str, Effect]:
    units = units_of({f"c{i}": f"condition{i}" for i in range(8)})
    summaries = summarise_cells(made, units, (0.0, 100.0))
    return {effect.name: effect for effect in effects_of(made, summaries, "without", units)}


def test_effects_are_the_contrasts_they_say() -> None:
    found = effects(outputs(oo=80.0, ow=60.0, wo=30.0, ww=20.0, both=85.0))
    means = {name: effect.difference.mean for name, effect in found.items() if effect.difference}
    assert means["reference"] == pytest.approx((80 + 60) / 2 - (30 + 20) / 2)
    assert means["caption"] == pytest.approx((80 + 30) / 2 - (60 + 20) / 2)
    assert means["interaction"] == pytest.approx((80 - 30) - (60 - 20))
    assert means["two references"] == pytest.approx(5)


def test_a_cell_without_scores_leaves_its_effects_unknown() -> None:
    made = outputs(oo=80.0, ow=60.0, wo=30.0)
    found = effects({**made, CORE[3]: Outputs({}, {}, lost={"nobody wrote it": 8})})
    assert {effect.verdict for effect in found.values()} == {"unknown"}
    assert all(effect.difference is None for effect in found.values())


def test_without_an_interval_nothing_is_found() -> None:
    units = units_of({"c0": "condition0", "c1": "condition1"})
    made = {
        cell: Outputs({"c0": value, "c1": value + spread}, {"c0": 5.0, "c1": 5.0})
        for cell, value, spread in zip((*CORE, BOTH), (98.0, 97.0, 3.0, 2.0, 20.0), (1, 2, 4, 8, 16), strict=True)
    }
    told = effects_of(made, summarise_cells(made, units, (0.0, 100.0)), "without", units)
    assert {effect.name: in_words(effect).partition(": ")[0] for effect in told if effect.name != "interaction"} == {
        "reference": "whether it reads its reference is not clear",
        "caption": "whether it follows its caption is not clear",
        "two references": "whether it gains from a second reference is not clear",
    }
    assert all("too few" in in_words(effect) for effect in told if effect.name != "interaction")


def test_a_large_effect_whose_interval_holds_0_is_not_clear() -> None:
    made = outputs(oo=50.0, ow=50.0, wo=50.0, ww=50.0)
    made[CORE[2]] = made[CORE[3]] = Outputs({f"c{i}": 95.0 * (i % 2) for i in range(8)}, made[CORE[2]].changes)
    reference = effects(made)["reference"]
    assert reference.difference and reference.difference.low is not None and not reference.clear
    assert "is not clear" in in_words(reference) and "not towards" not in in_words(reference)


def test_unchanged_is_told_by_pixels(tmp_path: Path) -> None:
    frames = np.broadcast_to(np.linspace(20, 230, 32, dtype=np.uint8)[:, None, None], (4, 32, 32, 3))
    for name, moved in (("a", 0), ("same", 0), ("near", 1), ("far", 9)):
        write_video(tmp_path / f"{name}.mp4", Clip((frames + moved).astype(np.uint8), 8))
    first = (tmp_path / "a.mp4", "a")
    assert change(first, (tmp_path / "same.mp4", "b")) == 0
    assert 0 < change(first, (tmp_path / "near.mp4", "c")) <= UNCHANGED * 1.3
    assert change(first, (tmp_path / "far.mp4", "d")) > 5


def test_slopes_are_within_cases() -> None:
    rng = np.random.default_rng(1)
    points = [
        Point(x, 10.0 * case - 40 * x + float(rng.normal(0, 0.5)), case, f"condition{case % 6}")
        for case in range(12)
        for x in (0.1 + case / 40, 0.4 + case / 40)
    ]
    slope = slope_of(points)
    assert slope.estimate and slope.estimate.low is not None and slope.estimate.high is not None
    assert slope.estimate.low < -40 < slope.estimate.high < 0
    # Cases of one x say nothing, and lend the interval no degrees of freedom.
    alone = [Point(0.3, 5.0, f"alone{n}", f"another{n}") for n in range(20)]
    assert slope_of([*points, *alone]) == slope
    assert slope_of([]).estimate is None
    assert slope_of([Point(0.5, y, "c", "d") for y in (1.0, 2.0)]).reason == "it does not differ"


def test_captions_mismatch_by_their_words() -> None:
    assert caption_mismatch("A red fox runs.", "a RED fox, runs") == 0
    assert caption_mismatch("a b", "b c") == pytest.approx(2 / 3)
    assert caption_mismatch("", "a b") == caption_mismatch(None, None) == 1


def test_structure_is_of_edges_and_not_of_colours() -> None:
    case, other = benchmark_cases()[0], benchmark_cases()[30]
    a, b = case.target.render()[0], other.target.render()[0]
    assert structural_dissimilarity(a, a) == pytest.approx(0, abs=1e-9)
    for alike in (255 - a, (a * 0.5).astype(np.uint8), a[..., ::-1].copy()):
        assert structural_dissimilarity(a, alike) < 0.1 < 0.3 < structural_dissimilarity(a, b)


@pytest.mark.slow
def test_known_answers_on_the_mini_suite(tmp_path: Path) -> None:
    """The order and intervals clear of 0, not the digits: the suite's weights will be trained anew."""
    asked = [word for method in ("vap", "i2v:captions=plain", "frozen", "noise") for word in ("-m", method)]
    words = ["probe", *asked, "--task", "camera", "--cells", "core", "-q", "--results", str(tmp_path), "--json"]
    told = {method["method"].partition("~")[0]: method for method in json.loads(vapbench(*words).stdout)["methods"]}
    assert effect(told, "vap", "reference")["verdict"] == "reads"
    assert effect(told, "vap", "reference")["difference"]["low"] > 10
    # The base told in words draws the effect, and owes it to the words alone.
    assert effect(told, "i2v", "reference")["verdict"] == "unchanged"
    assert effect(told, "i2v", "caption")["verdict"] == "reads"
    for name in ("frozen", "noise"):
        assert {effect(told, name, kind)["verdict"] for kind in ("reference", "caption")} == {"unchanged"}
        assert all(effect(told, name, kind)["difference"]["mean"] == 0 for kind in ("reference", "caption"))

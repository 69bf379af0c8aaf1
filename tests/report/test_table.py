"""Specification of tables: what is counted, what is ranked, what a reader is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.model import Cell, TableModel
from vapbench.report.read.columns import _differences
from vapbench.report.read.read_runs import read_summary
from vapbench.report.render.json import to_json
from vapbench.report.tables.summary import summarise
from vapbench.results.keys import params8
from vapbench.results.rows import Failure, GenerationRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter

from .conftest import METRIC, Case, Runs

pytestmark = pytest.mark.usefixtures("metric_data")
OUT_OF_MEMORY = Failure("OutOfMemoryError", "no room\nat all", "Traceback …")


def cases(*values: float) -> dict[str, Case]:
    """One case per value, two to a condition."""
    return {f"case-{i}": Case(f"condition-{i // 2}", (value,)) for i, value in enumerate(values)}


def only_cell(tables: list[TableModel]) -> Cell:
    (table,) = tables
    ((cell,),) = table.cells
    return cell


def test_a_complete_run(runs: Runs) -> None:
    (table,) = summarise([runs.write("vap", cases(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))], "camera")
    assert table.title == "mini · camera · 6 cases x 1 seed"
    assert [column.header for column in table.columns] == ["flicker ↑"]
    cell = table.cells[0][0]
    assert cell.mean == pytest.approx(0.35)
    assert cell.low is not None and cell.high is not None and cell.low < 0.35 < cell.high
    assert (cell.n, cell.total, cell.conditions, cell.complete) == (6, 6, 3, True)
    assert "score interval with t or bootstrap-t, by case within conditions (statistics 3)" in table.footers[0]
    assert "With 3 conditions, fewer than 6, cases are taken as drawn and conditions as given" in table.footers[1]
    # Six cases with a variance of 0.035, five degrees of freedom: t reaches 2.570582 * sqrt(0.035 / 6).
    assert cell.high - 0.35 >= 2.570581 * (0.035 / 6) ** 0.5


def test_every_planned_case_is_accounted_for(runs: Runs) -> None:
    run = runs.write(
        "vap",
        {
            "fine": Case("a", (0.5,)),
            "crashed": Case("a", generation=OUT_OF_MEMORY),
            "inapplicable": Case("b", generation="no LoRA for b"),
            "not-generated": Case("b", generation=""),
            "not-scored": Case("c", (None,)),
            "unscorable": Case("c", ("the case has no caption",)),
            "score-failed": Case("d", (OUT_OF_MEMORY,)),
        },
    )
    cell = only_cell(summarise([run], "all"))
    assert (cell.n, cell.failed, cell.unscored, cell.missing, cell.total) == (1, 2, 2, 2, 7)
    assert cell.mean == 0.5, "no failure ever becomes a number"
    assert cell.reason == "OutOfMemoryError: no room", "the commonest reason, on one line"
    assert cell.account() == ("1 of 7 cases: 2 failed, 2 unscored, 2 missing (most often: OutOfMemoryError: no room)")
    assert not cell.complete


def test_one_of_several_reasons_does_not_speak_for_all(runs: Runs) -> None:
    fine = {"fine": Case("c", (0.5,))}
    run = runs.write("lora", fine | {f"case-{name}": Case(name, generation=f"no LoRA for {name}") for name in "ab"})
    assert only_cell(summarise([run], "all")).account() == "1 of 3 cases: 2 unscored (most often: no LoRA for a)"
    alike = runs.write("vap", fine | {f"case-{name}": Case(name, generation="no reference") for name in "ab"})
    assert only_cell(summarise([alike], "all")).account() == "1 of 3 cases: 2 unscored (no reference)"


def test_no_score_at_all_is_no_number(runs: Runs) -> None:
    cell = only_cell(summarise([runs.write("vap", {"a": Case("a", ("no caption",))})], "all"))
    assert cell.mean is None and cell.n == 0 and cell.unscored == 1


def test_a_run_without_any_video_says_why_in_the_columns_of_others(runs: Runs) -> None:
    lora = runs.write("alpha", {"a": Case("held-out", generation="no LoRA for held-out"), "b": Case("c", (None,))})
    (table,) = summarise([lora, runs.write("beta", {"a": Case("held-out"), "b": Case("c")})], "all")
    cell = table.cells[0][0]
    assert (cell.n, cell.unscored, cell.missing, cell.total) == (0, 1, 1, 2)
    assert cell.reason == "no LoRA for held-out"


def test_columns_stand_in_the_order_that_is_asked_for(runs: Runs) -> None:
    first, second = (runs.write("vap", cases(0.1), metric=metric) for metric in ("aaa", "bbb"))
    assert first == second
    for order, expected in (((), ["aaa", "bbb"]), (["bbb"], ["bbb", "aaa"])):
        (table,) = summarise([first], "all", order=order)
        assert [column.metric for column in table.columns] == expected


def test_seeds_are_averaged_within_a_case_and_all_needed(runs: Runs) -> None:
    run = runs.write(
        "vap",
        {
            "a": Case("a", (0.0, 1.0)),
            "b": Case("b", (1.0, 1.0)),
            "torn": Case("c", (1.0, OUT_OF_MEMORY)),
        },
    )
    cell = only_cell(summarise([run], "all"))
    assert cell.mean == 0.75 and cell.n == 2 and cell.failed == 1
    summary = read_summary(run)
    (key,) = summary.scores
    assert summary.case_means(key) == {"a": 0.5, "b": 1.0}
    assert [summary.outcome(key, case).value for case in ("a", "b", "torn")] == [0.5, 1.0, None]


def test_a_score_of_another_video_does_not_count(runs: Runs) -> None:
    run = runs.write("vap", {"a": Case("a", (0.5,)), "b": Case("b", (0.7,))})
    with RunWriter(run) as writer:
        writer.append(GenerationRow("a-0", "a", "a", "camera", 0, "ok", "a.mp4", "another hash"))
    cell = only_cell(summarise([run], "all"))
    assert (cell.mean, cell.n, cell.missing, cell.reason) == (0.7, 1, 1, "not scored yet")


def test_a_metric_whose_every_score_is_of_another_caption_is_no_column(runs: Runs) -> None:
    fields = {"fields": {"prompt": "as it is now"}}
    run = runs.write("vap", {name: Case(name, (0.5,), extra=fields) for name in "ab"})
    manifest = json.loads(run.manifest_path.read_text())
    manifest["metrics"][METRIC] = {"needs": ["prompt"]}
    run.manifest_path.write_text(json.dumps(manifest))
    assert read_summary(run).scores == {}
    (table,) = summarise([run], "all")
    assert table.columns == ()


def test_a_regenerated_case_counts_once(runs: Runs) -> None:
    run = runs.write("vap", {"a": Case("a", (0.5,)), "b": Case("b", (0.7,))})
    with RunWriter(run) as writer:
        failed = GenerationRow("new-key", "a", "a", "camera", 0, "failed", attempts=(OUT_OF_MEMORY,))
        writer.append(failed)
    assert only_cell(summarise([run], "all")).failed == 1


def test_videos_need_not_be_there(runs: Runs) -> None:
    run = runs.write("vap", cases(0.1, 0.2))
    for video in run.videos.iterdir():
        video.unlink()
    assert only_cell(summarise([run], "all")).n == 2


def test_definitions_never_share_a_column(runs: Runs) -> None:
    run = runs.write("vap", cases(0.1, 0.2))
    runs.write("vap", cases(0.3, 0.4), version=2)
    runs.write("vap", cases(0.5, 0.6), version=2, params={"size": 64})
    (table,) = summarise([run], "all")
    means = {column.title: cell.mean for column, cell in zip(table.columns, table.cells[0], strict=True)}
    assert means == pytest.approx({"flicker v1": 0.15, "flicker v2": 0.35, "flicker v2 size=64": 0.55})


def test_places_follow_the_displayed_digits(runs: Runs) -> None:
    table = summarise(
        [
            runs.write("third", cases(0.1, 0.1)),
            runs.write("first", cases(0.9, 0.90001)),
            runs.write("also-first", cases(0.9, 0.9)),
        ],
        "all",
    )[0]
    assert [line[0].place for line in table.cells] == [3, 1, 1]


def test_lower_can_be_better(runs: Runs, metric_data: Callable[..., None]) -> None:
    metric_data(METRIC, higher_is_better=False)
    table = summarise([runs.write("a", cases(0.1, 0.2)), runs.write("b", cases(0.8, 0.9))], "all")[0]
    assert table.columns[0].arrow == "↓" and [line[0].place for line in table.cells] == [1, 2]


def test_the_incomplete_is_shown_and_never_ranked(runs: Runs) -> None:
    torn = {**cases(0.9, 0.9), "case-1": Case("condition-0", generation=OUT_OF_MEMORY)}
    folders = [runs.write("torn", torn), runs.write("a", cases(0.1, 0.2)), runs.write("b", cases(0.2, 0.3))]
    table = summarise(folders, "all")[0]
    assert [line[0].place for line in table.cells] == [None, 2, 1]
    assert table.cells[0][0].mean == 0.9


def test_floors_and_ceilings_frame_the_table_and_never_win(runs: Runs) -> None:
    names = ["frozen", "vap", "i2v", "ground-truth"]
    folders = [runs.write(name, cases(0.5, number / 10)) for number, name in enumerate(names)]
    table = summarise(folders, "all")[0]
    assert [row.label for row in table.rows] == ["ground-truth", "vap", "i2v", "frozen"]
    assert [line[0].place for line in table.cells] == [None, 2, 1, None]


def test_a_method_with_fewer_cases_is_not_compared(runs: Runs) -> None:
    folders = [runs.write("all-of-it", cases(0.1, 0.2, 0.3)), runs.write("part", cases(0.9))]
    table = summarise(folders, "all")[0]
    assert [line[0].place for line in table.cells] == [None, None]
    assert "part planned 1 of the 3 cases of this table and is not ranked." in table.footers
    assert table.title.endswith("1 to 3 cases x 1 seed")


def test_a_metric_that_is_not_installed_is_shown_plainly(runs: Runs) -> None:
    folders = [runs.write(name, cases(0.1, 0.2), metric="gone[x]") for name in ("a", "b")]
    (column,), cells = summarise(folders, "all")[0].columns, summarise(folders, "all")[0].cells
    assert (column.header, column.higher_is_better, column.text(0.125)) == ("gone[x]", None, "0.12")
    assert [line[0].place for line in cells] == [None, None]


def test_one_table_per_task_and_suite(runs: Runs) -> None:
    mixed = {
        "a": Case("a", (0.1,)),
        "b": Case("b", (0.2,)),
        "c": Case("c", (0.3,), category="style", tasks=("all", "style")),
    }
    tables = summarise([runs.write("vap", mixed), runs.write("vap", cases(0.1, 0.2), suite="other")])
    assert [(table.suite, table.task) for table in tables] == [
        ("mini", "all"),
        ("mini", "style"),
        ("mini", "camera"),
        ("other", "camera"),
    ]


def test_two_runs_of_a_method_are_told_apart_by_their_parameters(runs: Runs) -> None:
    few = runs.write("vap", cases(0.1), folder="vap~1", parameters={"steps": 20, "guidance": 6.0})
    many = runs.write("vap", cases(0.1), folder="vap~2", parameters={"steps": 50, "guidance": 6.0})
    assert [row.label for row in summarise([few, many], "all")[0].rows] == ["vap steps=20", "vap steps=50"]


def test_equal_runs_of_two_places_are_told_apart_by_their_folders(runs: Runs) -> None:
    here = runs.write("vap", cases(0.1))
    there = RunFolder(runs.root / "there" / "mini" / "vap")
    shutil.copytree(here.path, there.path)
    labels = [row.label for row in summarise([here, there], "all")[0].rows]
    assert len(set(labels)) == 2 and labels[1] == "vap [there/mini/vap]"


def test_an_unknown_task_is_refused_with_a_suggestion(runs: Runs) -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "task", "Did you mean camera?"):
        summarise([runs.write("vap", cases(0.1))], "camra")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "manifest.json", "no run folder"):
        summarise([RunFolder(tmp_path)], "all")


def test_json_holds_everything_and_is_valid(runs: Runs) -> None:
    torn = {**cases(0.1, 0.2), "x": Case("x", generation=OUT_OF_MEMORY)}
    data = json.loads(json.dumps(to_json(summarise([runs.write("vap", torn)], "all")[0]), allow_nan=False))
    cell = data["rows"][0]["cells"][0]
    assert data["columns"][0]["arrow"] == "↑"
    assert (cell["n"], cell["failed"], cell["complete"], cell["text"]["mean"]) == (2, 1, False, "15.0")


def test_minus_zero_is_zero(runs: Runs) -> None:
    column = summarise([runs.write("vap", cases(0.1))], "all")[0].columns[0]
    assert (column.text(-0.0001), column.text(-0.25)) == ("0.0", "\N{MINUS SIGN}25.0")


def test_a_run_is_called_by_its_folder_and_described_by_its_method(runs: Runs) -> None:
    run = runs.write("frozen", cases(0.1), folder="mymethod~0123abcd")
    (row,) = summarise([run], "all")[0].rows
    assert (row.label, row.method, row.kind) == ("mymethod", "frozen", "floor")


def test_a_runs_label_says_what_it_has_otherwise_than_the_default() -> None:
    default = {"steps": 20, "reference": "own", "rope": "before"}
    others = [{**default, "reference": "shuffled"}, {**default, "rope": "shared"}]
    assert _differences([default, *others], default) == ["", "reference=shuffled", "rope=shared"]
    # Without a run of the defaults every one says what differs among them.
    assert _differences(others) == ["reference=shuffled,rope=before", "reference=own,rope=shared"]


def test_a_runs_label_always_says_what_is_not_at_its_default(runs: Runs) -> None:
    run = runs.write("ken-burns", cases(0.1), folder="ken-burns~0", parameters={"zoom": 2.0, "pan": 0.0})
    manifest = json.loads(run.manifest_path.read_text())
    manifest["card"]["changed"] = {"zoom": 2.0}
    run.manifest_path.write_text(json.dumps(manifest))
    assert [row.label for row in summarise([run], "all")[0].rows] == ["ken-burns zoom=2.0"], "alone"
    plain = runs.write("ken-burns", cases(0.1), parameters={"zoom": 1.0, "pan": 0.0})
    assert {row.label for row in summarise([run, plain], "all")[0].rows} == {"ken-burns", "ken-burns zoom=2.0"}
    named = runs.write("mine", cases(0.1), parameters={"path": "/home/me/mine", "panel": "last"})
    manifest = json.loads(named.manifest_path.read_text())
    manifest["card"]["changed"] = {"path": "/home/me/mine", "panel": "last", "weights": "/data/large/weights-2"}
    named.manifest_path.write_text(json.dumps(manifest))
    assert [row.label for row in summarise([named], "all")[0].rows] == ["mine panel=last,weights=weights-2"]


def test_a_run_of_before_changes_were_kept_is_told_by_its_folders_digits(runs: Runs) -> None:
    from vapbench.methods import usual_parameters

    usual = usual_parameters("vap", "mini")
    changed = {"steps": 7}
    run = runs.write("vap", cases(0.1), folder=f"vap~{params8(changed)}", parameters={**usual, **changed})
    assert [row.label for row in summarise([run], "all")[0].rows] == ["vap steps=7"]
    other = runs.write("vap", cases(0.1), folder="vap~01234567", parameters={**usual, **changed})
    assert [row.label for row in summarise([other], "all")[0].rows] == ["vap"], "the digits are of something else"


def test_a_columns_title_always_says_what_is_not_at_its_default(runs: Runs) -> None:
    name = "torchmetrics:image.PeakSignalNoiseRatio"
    run = runs.write("vap", cases(0.1), metric=name, params={"against": "image"})
    (column,) = summarise([run], "all")[0].columns
    assert column.title.endswith(" against=image")
    judged = runs.write("i2v", cases(0.1), metric="semantic_alignment[judge]", params={"model": "m", "rubric": "1"})
    assert "model" not in summarise([judged], "all")[0].columns[0].title, "a judge's column is told by its definition"


def test_columns_are_chosen_as_a_command_line_spells_them(runs: Runs) -> None:
    for metric, params in (("psnr", {}), ("psnr", {"size": 64, "crop": True}), ("flow[a]", {}), ("flow[b]", {})):
        run = runs.write("vap", cases(0.1), metric=metric, params=params)

    def columns(*names: str) -> list[str]:
        tables = summarise([run], "all", names)
        return [f"{column.metric} {dict(column.params)}".replace(" {}", "") for column in tables[0].columns]

    assert columns("psnr") == ["psnr"]
    assert columns("psnr:crop=true,size=64") == ["psnr {'crop': True, 'size': 64}"]
    assert columns("flow") == ["flow[a]", "flow[b]"]
    assert columns("flow[b]", "psnr") == ["flow[b]", "psnr"]
    assert columns("nothing") == []

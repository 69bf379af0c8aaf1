"""The reference effect of probes that are kept with results, as a column of tables."""

from __future__ import annotations

from pathlib import Path

import pytest

import vapbench as vb
from tests.leaderboard.test_evidence import identity_of, write_probe
from tests.refusals import refuses
from vapbench.errors import ErrorKind, UsageError
from vapbench.report.model import TableModel
from vapbench.report.read.probes import EFFECT
from vapbench.report.render.formats import render
from vapbench.report.tables.arrange import tabulate
from vapbench.report.tables.layout import Layout, read_layout
from vapbench.report.tabulate import table_of
from vapbench.results.run import RunFolder
from vapbench.results.sets import SetResult, videos_digest, write_result

from .conftest import Case, Runs

ROOT = Path(__file__).parents[2]
ALIGNMENT = "semantic_alignment[embedding]"


@pytest.fixture
def folders(runs: Runs) -> list[RunFolder]:
    """Two runs of the tasks all and camera, and a probe of one of them on camera."""
    half = ["camera", "style"]
    made = {
        f"case-{i}": Case(f"condition-{i // 2}", (0.5,), half[i // 8], ("all", half[i // 8]), extra={"target": "t.mp4"})
        for i in range(16)
    }
    found = [runs.write(name, made, metric=ALIGNMENT) for name in ("vap", "i2v")]
    write_probe(runs.root, {"vap": identity_of(found[0].path)})
    return found


def effects(model: TableModel) -> dict[str, dict[str, float | None]]:
    """Title of each effect column -> row -> what is shown."""
    return {
        column.title: {row.label: line[place].mean for row, line in zip(model.rows, model.cells, strict=True)}
        for place, column in enumerate(model.columns)
        if column.metric == EFFECT
    }


def test_a_kept_probe_stands_beside_alignment_and_says_of_which_task_it_is(folders: list[RunFolder]) -> None:
    whole, camera, style = tabulate(folders, Layout())
    assert effects(camera) == {"Reference effect": {"vap": 56.0, "i2v": None}}
    assert effects(whole) == {"Reference effect, camera": {"vap": 56.0, "i2v": None}}
    assert effects(style) == {}
    shown = render(whole, Layout(), "markdown")
    assert "a probe of 12 cases of the task camera" in shown and "not probed: vapbench probe" in shown
    assert "0 of 0 cases" not in shown
    wide = render(whole, Layout(style="wide"), "markdown")
    assert "16/16" in wide, "the cases of a part are not those of the table"


def test_a_run_that_was_probed_itself_keeps_its_own_number(folders: list[RunFolder]) -> None:
    write_probe_of_i2v(folders[1])
    camera = tabulate(folders, Layout(task="camera"))[0]
    assert effects(camera) == {"Reference effect": {"vap": 56.0, "i2v": 0.25}}
    place = [column.metric for column in camera.columns].index(EFFECT)
    assert all(line[place].place is None for line in camera.cells), "the column ranks nobody"


@pytest.mark.parametrize("damage", [b"{", b"\xff\xfe\xff", b"[]"])
def test_a_damaged_probe_is_named_once_and_the_tables_stand(
    folders: list[RunFolder], damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = folders[0].path.parent.parent / "probe" / "mini-camera" / "probe.json"
    path.write_bytes(damage)
    tables = tabulate(folders, Layout())
    assert len(tables) == 3 and not any(map(effects, tables))
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith(f"Left out: {path}") and f"--results {path.parents[2]}" in said


def test_the_column_can_be_asked_for_by_name(folders: list[RunFolder], tmp_path: Path) -> None:
    named = read_layout(None, columns=[EFFECT], task="camera")
    assert [column.metric for column in table_of(folders, named).models[0].columns] == [EFFECT]
    (folders[0].path.parent.parent / "probe" / "mini-camera" / "probe.json").unlink()
    with refuses(UsageError, ErrorKind.UNKNOWN, "metric", "reference_effect"):
        table_of(folders, named)


def test_the_papers_table_says_what_is_missing_beside_alignment(folders: list[RunFolder]) -> None:
    def said(task: str, **layout: str) -> str:
        (model,) = tabulate(folders, Layout(task=task, **layout))  # type: ignore[arg-type]
        return render(model, Layout(task=task, **layout), "markdown")  # type: ignore[arg-type]

    missing = "missing beside alignment: "
    assert f"{missing}reference leakage" in said("camera")
    assert f"{missing}reference effect (vapbench probe), reference leakage" in said("style")
    assert missing not in said("camera", style="wide")


def test_the_committed_rows_have_their_effect() -> None:
    committed = vb.load_runs(ROOT / "results" / "mini")
    for table in (vb.table(committed, "camera"), vb.table(committed, "camera", style="paper")):
        data = table.to_dataframe()
        of = data[data["metric"] == EFFECT].set_index("method")["mean"]
        assert of["vap"] > 50 and abs(of["i2v"]) < 1 and of["frozen"] == 0
    assert "Reference effect, camera" in vb.table(committed, "all", style="paper").to_markdown()


def write_probe_of_i2v(folder: RunFolder) -> None:
    """Its own reference effect on the task camera, as ``vapbench probe`` keeps it."""
    planned = folder.manifest().cases
    rows = [row for row in folder.current() if "camera" in planned[row.case].tasks]
    write_result(
        folder,
        SetResult(
            metric=EFFECT,
            version=1,
            params={"of": ALIGNMENT, "contrast": "without"},
            weights="",
            task="camera",
            reference="others",
            value=0.25,
            low=0.1,
            high=0.4,
            n=8,
            cases=8,
            clusters=4,
            note="",
            videos=videos_digest([(row.case, row.seed, str(row.sha256)) for row in rows]),
            title="Reference effect",
            higher_is_better=True,
            unit="%",
            digits=1,
        ),
    )

"""Counterfactual cases: what a method is shown, what it is judged by, and that nothing else tells the two apart."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from tests.refusals import refuses
from vapbench.core.video import read_video
from vapbench.errors import DataError, ErrorKind, NotApplicable
from vapbench.files.parsing import read_csv
from vapbench.methods import resolve
from vapbench.running.run import Selection, choose
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.conditions import CONDITIONS
from vapbench.suites.mini.oracle import plain_caption, rendered_depth
from vapbench.validation.probe.captions import Captions, write_captions
from vapbench.validation.probe.cells import OWN, Cell, Counterfactual, cells_of, counterfactuals
from vapbench.validation.probe.edited import Edit, Edited, edited
from vapbench.validation.probe.plans import Probe, Setting, known_captions, set_up


@pytest.fixture(scope="module")
def camera() -> Selection:
    return choose("mini", None, "camera", 4)


@pytest.fixture
def full(camera: Selection, tmp_path: Path) -> dict[tuple[str, Cell], Counterfactual]:
    made = counterfactuals(camera, cells_of("full", "without"), known_captions(camera, None, None), tmp_path)
    return {(each.own.id, each.cell): each for each in made}


def test_the_default_is_balanced_and_every_case_has_every_cell(full: dict[tuple[str, Cell], Counterfactual]) -> None:
    assert len(cells_of("core", "without")) == 4
    assert len(cells_of("balanced", "without")) == 10
    assert len(cells_of("full", "without")) == 24
    assert cells_of("balanced", "empty")[0] == OWN
    assert set(cells_of("core", "without")) < set(cells_of("balanced", "without")) < set(cells_of("full", "without"))
    assert len(full) == 4 * 23, "the own cell is the ordinary case"


def test_only_reference_and_caption_differ_from_the_own_case(full: dict[tuple[str, Cell], Counterfactual]) -> None:
    for (_, cell), each in full.items():
        assert not each.lacking
        assert (
            each.shown.model_copy(update={"references": each.own.references, "caption": each.own.caption}) == each.own
        )
        assert each.judged.model_copy(update={"id": each.own.id}) == each.own
        assert each.judged.id == f"{each.own.id}--{cell.name}"
        assert (each.shown.references == each.own.references) == (cell.reference == "own")
        assert (each.shown.caption == each.own.caption) == (cell.caption == "own")


def test_references_are_what_their_cell_says(full: dict[tuple[str, Cell], Counterfactual]) -> None:
    for (_, cell), each in full.items():
        if cell.reference == "none":
            assert each.shown.references == ()
            continue
        shown = each.shown.reference.video
        condition = Path(shown.source if isinstance(shown, Edited) else shown.path).parent.name
        category = CONDITIONS[condition].category
        assert category == each.own.category
        assert (condition == each.own.condition) == (cell.reference != "wrong")
        assert each.own.target and shown.sha256 != each.own.target.sha256
        if cell.reference == "another":
            assert shown.sha256 != each.own.reference.video.sha256


def test_mini_captions_lose_or_change_the_effect_and_nothing_else(full: dict[tuple[str, Cell], Counterfactual]) -> None:
    conditions = {case.id: case.condition for case in benchmark_cases()}
    for (_, cell), each in full.items():
        own, shown = each.own.caption or "", each.shown.caption or ""
        names = re.findall(r"mini_\w+", shown)
        if cell.caption == "without":
            assert not names and own.startswith(shown)
        if cell.caption == "wrong":
            donor = conditions[each.donor]
            assert names == [donor] and shown == own.replace(each.own.condition, donor)


def test_plain_captions_follow_the_caption_that_is_shown(full: dict[tuple[str, Cell], Counterfactual]) -> None:
    for known, case in zip(benchmark_cases(), choose("mini", None, "all").among, strict=True):
        assert plain_caption(case) == clip_captions(known.target).plain
    for (_, cell), each in full.items():
        said = plain_caption(each.shown)
        assert "mini_" not in said
        if cell.caption in ("without", "empty"):
            assert said == each.shown.caption
        if cell.caption == "wrong":
            assert said != plain_caption(each.own)


def test_the_renderer_tells_the_depth_of_the_reference_that_is_shown(
    full: dict[tuple[str, Cell], Counterfactual],
) -> None:
    each = next(each for (_, cell), each in full.items() if cell == Cell("wrong", "own"))
    assert not np.array_equal(rendered_depth(each.shown), rendered_depth(each.own))
    still = next(each for (_, cell), each in full.items() if cell == Cell("still", "own"))
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "reference"):
        rendered_depth(still.shown)


def test_edited_references_are_files_without_loss_made_when_they_are_shown(
    full: dict[tuple[str, Cell], Counterfactual], tmp_path: Path
) -> None:
    own = next(iter(full.values())).own
    frames = own.reference.video.read().frames
    edits: dict[Edit, np.ndarray] = {
        "reversed": frames[::-1],
        "still": np.repeat(frames[:1], len(frames), axis=0),
    }
    for edit, wanted in edits.items():
        video = next(each.shown.reference.video for (_, cell), each in full.items() if cell == Cell(edit, "own"))
        assert isinstance(video, Edited) and not video.path.exists(), "laying a probe out writes nothing"
        before = video.sha256
        video.make()
        assert np.array_equal(read_video(video.path).frames, wanted)
        again = edited(own.reference.video, video.edit, tmp_path)
        assert before == pickle.loads(pickle.dumps(video)).sha256 == again.sha256


def probe_of(camera: Selection, folder: Path, method: str = "frozen", **more: object) -> tuple[Setting, Probe]:
    setting = set_up(camera, [method], {}, None, "balanced", [0], folder, **more)  # type: ignore[arg-type]
    return setting, setting.probes[0]


def test_keys_hold_what_is_shown_and_the_manifest_says_what_it_is(camera: Selection, tmp_path: Path) -> None:
    setting, probe = probe_of(camera, tmp_path)
    keys = {job.case.id: job.key for job in probe.counterfactual.jobs}
    assert len(set(keys.values())) == 4 * 9
    case = camera.cases[0]
    entry = probe.counterfactual.manifest_cases()[f"{case.id}--wrong-own"]
    assert entry["provenance"]["probe_case"] == case.id
    assert entry["provenance"]["probe_reference"] == "wrong"
    assert probe.counterfactual.manifest_card()["notes"] == [], "they are no imported videos"

    table = tmp_path / "captions.csv"
    table.write_text(f"case,without_effect\n{case.id},A shape.\n", encoding="utf-8")
    setting, probe = probe_of(camera, tmp_path, captions=table)
    changed = {job.case.id for job in probe.counterfactual.jobs if keys[job.case.id] != job.key}
    assert setting.without == 1
    # The other cases have no caption without the effect now, and the wrong one is that of the donor.
    assert all(name.endswith(("-without", "-wrong")) for name in changed) and f"{case.id}--own-without" in changed


def test_a_table_of_captions_is_written_completed_and_read(camera: Selection, tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    assert write_captions(table, camera.cases, {}) == 4
    header, rows = read_csv(table)
    assert header == ["case", "condition", "caption", "without_effect", "wrong_effect"]
    assert [row["caption"] for _, row in rows] == [case.caption for case in camera.cases]
    known = {case.id: Captions("A scene.", None) for case in camera.cases}
    assert write_captions(table, camera.cases, known) == 0
    assert known_captions(camera, None, table) == known
    assert known_captions(camera, tmp_path, None) != known
    table.rename(tmp_path / "probe_captions.csv")
    assert known_captions(camera, tmp_path, None) == known, "beside the data it needs no option"


@pytest.mark.parametrize(
    ("text", "kind", "field", "named"),
    [
        ("case,without_effect\nno-such,x\n", ErrorKind.UNKNOWN, "case", "captions.csv:2: there is no case 'no-such'"),
        ("case\nx\n", ErrorKind.MISSING, "without_effect", "captions.csv"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    camera: Selection, tmp_path: Path, text: str, kind: ErrorKind, field: str, named: str
) -> None:
    table = tmp_path / "captions.csv"
    table.write_text(text, encoding="utf-8")
    with refuses(DataError, kind, field, named):
        known_captions(camera, None, table)
    with refuses(DataError, ErrorKind.MISSING, "captions", "--write-captions"):
        known_captions(camera, None, tmp_path / "absent.csv")


def test_what_there_is_not_is_said_and_never_made_up(camera: Selection, tmp_path: Path) -> None:
    alone = [case for case in camera.among if case.condition == camera.cases[0].condition][:1]
    selection = Selection(camera.suite, camera.task, tuple(alone), tuple(alone))
    made = counterfactuals(selection, cells_of("balanced", "without"), {}, tmp_path)
    lacking = {each.cell.name: each.lacking for each in made}
    assert "one condition" in lacking["wrong-own"]
    assert "no second reference" in lacking["another-own"]
    assert "nobody wrote" in lacking["own-without"]
    assert not lacking["none-own"] and not lacking["own-empty"]


def test_a_long_id_stays_a_name(camera: Selection, tmp_path: Path) -> None:
    case = camera.cases[0].model_copy(update={"id": "x" * 160})
    selection = Selection(camera.suite, camera.task, (case,), camera.among)
    ids = [each.judged.id for each in counterfactuals(selection, cells_of("full", "empty"), {}, tmp_path)]
    assert len(set(ids)) == 23 and all(len(name) <= 160 for name in ids)


def test_two_references_are_asked_of_methods_that_take_several(camera: Selection, tmp_path: Path) -> None:
    assert probe_of(camera, tmp_path)[1].both is None
    _, probe = probe_of(camera, tmp_path, "vap:steps=2")
    assert probe.both and probe.both.method.parameters["references"] == 2
    assert probe.both.method.parameters["steps"] == 2
    assert {job.case.id.rpartition("--")[2] for job in probe.both.jobs} == {"both-own"}


def test_vap_without_a_reference_says_so(camera: Selection) -> None:
    without = camera.cases[0].model_copy(update={"references": ()})
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "references", "0 reference"):
        resolve("vap", suite="mini").method.shown(without)  # type: ignore[attr-defined]
    wan = resolve("vap-wan", suite="vap-data").method
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "references", "0 reference"):
        wan.shown(without)  # type: ignore[attr-defined]
    assert len(wan.shown(camera.cases[0])) == 1  # type: ignore[attr-defined]

"""From runs to a study nobody can see through: blinded media, checks, a protocol that opens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.command import vapbench
from tests.refusals import refuses
from tests.study.conftest import media_id
from vapbench.cli import app
from vapbench.core.clip import Clip
from vapbench.core.video import pad_video, probe, read_video, write_video
from vapbench.errors import DataError, ErrorKind, IdentityError, UsageError, VapbenchError
from vapbench.files.atomic import file_sha256
from vapbench.results.rows import GenerationRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter
from vapbench.study.design.assign import Design
from vapbench.study.design.blinding import BlindSpec, common_spec, conform
from vapbench.study.design.explore import changed
from vapbench.study.design.planning import Planned, Wanted, session_minutes, session_roles, sketch_study, write_study
from vapbench.study.design.sources import Sources, from_runs, from_table
from vapbench.study.folder import StudyFolder
from vapbench.study.leaks import find_leaks, protocol_leaks
from vapbench.study.protocol import MediaFacts

CASES = 6
FORMATS = {"alpha": (48, 32, 8.0, 16), "beta": (64, 48, 16.0, 40), "gamma": (48, 32, 8.0, 18)}
"""Width, height, fps and frames of each method's videos."""


def picture(width: int, height: int, frames: int, hue: int) -> np.ndarray:
    ramp = np.linspace(0, 200, width)[None, None, :, None] + 5 * np.arange(frames)[:, None, None, None]
    tint = np.array([hue, 255 - hue, 128])
    return np.broadcast_to((ramp + tint) % 256, (frames, height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three methods with formats of their own, and the cases' files."""
    root = tmp_path_factory.mktemp("runs")
    media = root / "media"
    media.mkdir()
    planned: dict[str, dict[str, Any]] = {}
    for number in range(CASES):
        for kind in ("reference", "target"):
            clip = Clip(picture(48, 32, 16, 40 * number + (7 if kind == "target" else 0)), 8.0)
            write_video(media / f"{kind}-{number}.mp4", clip)
        planned[f"case-{number}"] = {
            "condition": f"condition-{number % 3}",
            "category": "style",
            "tasks": ["all"],
            "seeds": [0],
            "fields": {"prompt": "p", "reference": str(number), "image": "i"},
            "media": str(media),
            "caption": f"Scene {number}.",
            "reference": f"reference-{number}.mp4",
            "image": f"target-{number}.mp4",
            "target": f"target-{number}.mp4",
        }
    for place, (method, (width, height, fps, frames)) in enumerate(FORMATS.items()):
        run = RunFolder(root / "results" / "mini" / method)
        with RunWriter(run) as writer:
            writer.begin({"suite": "mini", "name": method, "version": 1}, planned, {"seeds": [0]})
            for number, case in enumerate(planned):
                video = f"{case}__s0__00000000.mp4"
                # Busier from method to method, so that bitrates would tell them apart.
                noise = np.random.default_rng(number).integers(0, 1 + 40 * place, (frames, height, width, 3))
                write_video(
                    run.videos / video, Clip((picture(width, height, frames, 90) // 2 + noise).astype("u1"), fps)
                )
                sha = file_sha256(run.videos / video)
                condition = planned[case]["condition"]
                writer.append(GenerationRow(case, case, condition, "style", 0, "ok", video=video, sha256=sha))
            writer.end({}, "cpu")
    return root / "results"


@pytest.fixture(scope="module")
def sources(results: Path) -> Sources:
    return from_runs(results, "mini", list(FORMATS), None, None)


def wanted(**changes: object) -> Wanted:
    fields = {"id": "test", "kind": "pair", "questions": ("semantic", "overall"), "votes_per_cell": 2, "raters": 8}
    return Wanted(**(fields | {"seed": 1} | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def planned(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return write_study(sources, wanted(), StudyFolder(tmp_path_factory.mktemp("study") / "test"))


def test_every_candidate_has_one_format_and_a_trial_one_size(planned: Planned) -> None:
    protocol = planned.protocol
    assert planned.spec == BlindSpec(48, 32, 8.0, 16)
    trials = [tuple(case.candidates.values()) for case in protocol.cases] + [c.candidates for c in protocol.checks]
    for trial in trials:
        facts = [protocol.media[name] for name in trial]
        assert len({fact.size for fact in facts}) == 1
        for name, fact in zip(trial, facts, strict=True):
            path = planned.folder.media_path(protocol, name)
            info = probe(path)
            assert (info.width, info.height, info.fps, info.frames) == (48, 32, 8.0, 16)
            assert path.stat().st_size == fact.size
            assert len(read_video(path)) == 16
    assert planned.leaks == ()
    assert planned.folder.open() == protocol


def test_nothing_a_rater_may_receive_names_a_method(planned: Planned) -> None:
    names = [name.encode() for name in FORMATS]
    for path in (planned.folder.path / "media").iterdir():
        assert len(path.stem) == 32
        assert not any(name in path.read_bytes() for name in names)
    text = planned.folder.protocol_path.read_bytes()
    assert not any(name in text for name in names)
    key = planned.folder.key(planned.protocol)
    assert sorted(key.names().values()) == sorted(FORMATS)
    times = [p.stat().st_mtime_ns for c in planned.protocol.cases for p in
             (planned.folder.media_path(planned.protocol, m) for m in c.candidates.values())]  # fmt: skip
    assert len(times) == CASES * 3


def test_gold_and_training_come_from_ground_truth_with_one_right_answer(planned: Planned) -> None:
    checks = planned.protocol.checks
    assert {check.question for check in checks} == {"semantic", "overall"}
    assert sum(check.kind == "training" for check in checks) == 4
    assert all(check.feedback for check in checks if check.kind == "training")
    for check in (check for check in checks if check.kind != "identical"):
        right, wrong = (read_video(planned.folder.media_path(planned.protocol, name)) for name in check.candidates)
        difference = np.abs(right.frames.astype(int) - wrong.frames.astype(int)).mean()
        assert difference > 5
    assert len(Design(planned.protocol).cells) == 2 * CASES * 3


def test_pairs_of_one_video_come_from_ground_truth_and_expect_no_side(planned: Planned) -> None:
    same = [check for check in planned.protocol.checks if check.kind == "identical"]
    assert [check.question for check in same] == ["semantic"] * 3 + ["overall"] * 3
    shown = {name for case in planned.protocol.cases for name in case.candidates.values()}
    for check in same:
        assert check.expected is None
        assert check.candidates[0] == check.candidates[1]
        assert check.candidates[0] not in shown
    # Enough in a session for a side to show.
    assert planned.protocol.session.identical * len(planned.protocol.questions) >= 3


def test_another_design_of_the_same_videos_encodes_nothing(
    sources: Sources, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr("vapbench.study.design.blinding.write_video", refuse)
    again = write_study(sources, wanted(votes_per_cell=1, raters=3), StudyFolder(planned.folder.path.parent / "again"))
    assert again.folder.open() == again.protocol
    assert not set(again.protocol.media) & set(planned.protocol.media)


def test_a_forecast_lays_out_the_same_design_and_writes_nothing(
    sources: Sources, planned: Planned, tmp_path: Path
) -> None:
    sketch = sketch_study(sources, wanted(), StudyFolder(tmp_path / "none"))
    assert not list(tmp_path.iterdir())
    assert session_roles(sketch.protocol) == session_roles(planned.protocol)
    assert session_minutes(sketch.protocol) == session_minutes(planned.protocol)
    assert sketch.spec == planned.spec and sketch.protocol.raters == planned.protocol.raters


def test_sessions_make_up_for_the_votes_that_will_not_count(sources: Sources, tmp_path: Path) -> None:
    nobody = sketch_study(sources, wanted(attrition=0, exclusion=0), StudyFolder(tmp_path)).protocol
    some = sketch_study(sources, wanted(attrition=0.4, exclusion=0.2), StudyFolder(tmp_path)).protocol
    cells = CASES * 3
    assert nobody.session.trials == -(-cells * 2 // 8)
    assert some.session.trials * 8 * 0.8 * 0.8 >= cells * 2 > (some.session.trials - 1) * 8 * 0.8 * 0.8


def test_best_of_n_checks_show_as_many_as_a_trial(sources: Sources, tmp_path: Path) -> None:
    planned = write_study(sources, wanted(kind="best_of_n", questions=("semantic",)), StudyFolder(tmp_path))
    assert {len(check.candidates) for check in planned.protocol.checks} == {3}
    assert {check.kind for check in planned.protocol.checks} == {"gold", "training"}
    assert not planned.protocol.ties
    assert len(Design(planned.protocol).cells) == CASES


def test_one_condition_leaves_no_wrong_answer_and_is_not_counted_as_if_it_did(sources: Sources, tmp_path: Path) -> None:
    alike = replace(sources, cases=tuple(replace(case, condition="same") for case in sources.cases))
    planned = write_study(alike, wanted(questions=("semantic",)), StudyFolder(tmp_path))
    assert {check.kind for check in planned.protocol.checks} == {"identical"}
    (note,) = planned.notes
    assert note == "All ground truth is of one condition: the question semantic has no gold and no training trials."
    roles = session_roles(planned.protocol)
    assert (roles["gold"], roles["training"], roles["identical"]) == (0, 0, 3)


def test_an_opened_study_is_not_planned_again(sources: Sources, tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    first = write_study(sources, wanted(questions=("overall",)), folder)
    second = write_study(sources, wanted(questions=("overall",)), folder)
    assert len(list((tmp_path / "media").iterdir())) == len(second.protocol.media)
    assert not set(first.protocol.media) & set(second.protocol.media)
    folder.open()
    with refuses(IdentityError, ErrorKind.CONFLICT, "protocol"):
        write_study(sources, wanted(), folder)


def test_a_video_changed_since_is_left_out_and_said(results: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(results, tmp_path / "r")
    video = next((tmp_path / "r/mini/beta/videos").glob("case-2__*"))
    video.write_bytes(b"other")
    found = from_runs(tmp_path / "r", "mini", ["alpha", "beta"], "all", None)
    assert len(found.cases) == CASES - 1
    assert found.left_out == {"case-2": "no current video of beta"}
    manifest = tmp_path / "r/mini/alpha/manifest.json"
    data = json.loads(manifest.read_text())
    data["cases"]["case-3"]["fields"]["prompt"] = "another"
    manifest.write_text(json.dumps(data))
    found = from_runs(tmp_path / "r", "mini", ["alpha", "beta"], None, 0)
    assert found.left_out["case-3"] == "the runs were made for different versions of the case"


@pytest.mark.parametrize(
    ("methods", "task", "error", "kind", "field", "named"),
    [
        (["alpha", "betta"], None, UsageError, ErrorKind.UNKNOWN, "run", "'betta'"),
        (["alpha", "betta"], None, UsageError, ErrorKind.UNKNOWN, "run", "Did you mean beta"),
        (["alpha"], None, UsageError, ErrorKind.MISSING, "method", "two methods"),
        (["alpha", "alpha"], None, UsageError, ErrorKind.CONFLICT, "method", "twice"),
        (
            ["alpha", "beta"],
            "camera",
            DataError,
            ErrorKind.MISSING,
            "cases",
            "generate --suite mini --method alpha --method beta",
        ),
    ],
)
def test_what_cannot_be_planned_is_said(
    results: Path,
    methods: list[str],
    task: str | None,
    error: type[VapbenchError],
    kind: ErrorKind,
    field: str,
    named: str,
) -> None:
    with refuses(error, kind, field, named):
        from_runs(results, "mini", methods, task, None)


def test_only_known_questions_are_planned(sources: Sources, tmp_path: Path) -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "question", "'sematic'", "semantic"):
        sketch_study(sources, wanted(questions=("sematic",)), StudyFolder(tmp_path))


@pytest.mark.parametrize("more", [("--task", "camera"), ("--seed", "1"), ("--suite", "vap-data"), ("-m", "vap")])
def test_what_a_table_says_itself_is_not_asked_for(tmp_path: Path, more: tuple[str, str]) -> None:
    (tmp_path / "videos.csv").write_text("case,condition,reference,a,b\n")
    done = vapbench("study", "plan", "--table", tmp_path / "videos.csv", *more)
    assert done.returncode == 2
    assert f"leave out {more[0].replace('-m', '--method').replace('----', '--')}" in done.stderr


def test_a_table_of_files_is_a_source_too(results: Path, tmp_path: Path) -> None:
    media = results.parent / "media"
    for name in ("reference-0", "target-0", "reference-1", "target-1"):
        (tmp_path / f"{name}.mp4").write_bytes((media / f"{name}.mp4").read_bytes())
    table = tmp_path / "videos.csv"
    rows = ["case,condition,category,prompt,reference,target,ours,theirs"]
    rows += ["one,x,style,=1+1,reference-0.mp4,target-0.mp4,target-0.mp4,target-1.mp4"]
    rows += ["two,y,,,reference-1.mp4,target-1.mp4,target-1.mp4,"]
    table.write_text("\n".join(rows))
    found = from_table(table)
    assert [(case.id, case.category) for case in found.cases] == [("one", "style")]
    assert found.left_out == {"two": "no video of theirs"}
    assert [method.name for method in found.methods] == ["ours", "theirs"]
    here = table.parent
    table.write_text(
        f"\ufeffCase;CONDITION; Reference;ours;theirs\r\none;x;REFERENCE-0.mp4;{here}/target-0.mp4;target-1.mp4\r\n"
    )
    again = from_table(table)
    assert again.cases[0].reference == here / "reference-0.mp4"
    assert [method.videos for method in again.methods] == [
        {"one": here / "target-0.mp4"},
        {"one": here / "target-1.mp4"},
    ]
    for bad, kind in (("../x.mp4", ErrorKind.INVALID), ("none.mp4", ErrorKind.MISSING)):
        table.write_text("\n".join([rows[0], f"one,x,,,{bad},,target-0.mp4,target-1.mp4"]))
        with refuses(DataError, kind, "path", "videos.csv:2", bad):
            from_table(table)
    table.write_text("\n".join([rows[0], rows[1].replace("style", "stile")]))
    with refuses(DataError, ErrorKind.UNKNOWN, "category", "'stile'", "concept, style, motion, camera"):
        from_table(table)
    table.write_text("\n".join([rows[0], rows[1], rows[1]]))
    with refuses(DataError, ErrorKind.CONFLICT, "case", "videos.csv:3", "one"):
        from_table(table)
    for name, field in (("../one,x", "case"), ("one,x/y", "condition")):
        table.write_text("\n".join([rows[0], rows[1].replace("one,x", name)]))
        with refuses(DataError, ErrorKind.INVALID, field, "videos.csv:2"):
            from_table(table)
    with refuses(DataError, ErrorKind.MISSING, "none.csv", "case,condition,reference"):
        from_table(tmp_path / "none.csv")
    table.write_text("case,condition\na,b")
    with refuses(DataError, ErrorKind.MISSING, "columns", "column reference"):
        from_table(table)


def facts(**changes: float) -> MediaFacts:
    fields = {"width": 64, "height": 64, "frames": 16, "fps": 8.0, "size": 1000} | changes
    return MediaFacts.model_validate({"sha256": "0" * 64, "suffix": ".mp4", **fields})


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ({"width": 66}, "width"),
        ({"height": 48}, "height"),
        ({"fps": 16.0, "frames": 32}, "fps"),
        ({"frames": 18}, "frame count"),
        ({"frames": 18}, "duration"),
        ({"size": 1001}, "bitrate"),
    ],
)
def test_the_lint_names_what_gives_a_method_away(changes: dict[str, float], by: str) -> None:
    groups = [{"a": facts(), "b": facts(), "c": facts(**changes)} for _ in range(10)]
    assert by in {leak.by for leak in find_leaks(groups) if leak.who == "c"}
    assert not [leak for leak in find_leaks(groups) if leak.who != "c"]


def test_a_file_that_is_always_the_largest_is_a_leak_even_where_sizes_overlap() -> None:
    groups = [{"a": facts(size=1000 * n), "b": facts(size=1000 * n + 1000)} for n in range(1, 11)]
    (first, *_) = find_leaks(groups)
    assert str(first) == "a is identifiable by bitrate: the smallest in 10 of 10 trials"
    mixed = [{"a": facts(size=1000 + 500 * (n % 2)), "b": facts(size=1500 - 500 * (n % 2))} for n in range(10)]
    assert find_leaks(mixed) == ()


def test_a_study_that_leaks_does_not_open(sources: Sources, tmp_path: Path) -> None:
    planned = write_study(sources, wanted(), StudyFolder(tmp_path))
    (code, *_), media = planned.protocol.methods, dict(planned.protocol.media)
    for case in planned.protocol.cases:
        path = planned.folder.media_path(planned.protocol, case.candidates[code])
        pad_video(path, path.stat().st_size + 100)
        known = media[case.candidates[code]]
        media[case.candidates[code]] = known.model_copy(
            update={"size": path.stat().st_size, "sha256": file_sha256(path)}
        )
    leaky = planned.protocol.model_copy(update={"media": media})
    planned.folder.save(leaky, planned.key)
    with refuses(DataError, ErrorKind.CONFLICT, "media", f"{code} is identifiable by bitrate"):
        planned.folder.open()
    assert not planned.folder.opening_path.exists()
    assert protocol_leaks(leaky, planned.key.names())[0].who in FORMATS


def test_conforming_keeps_time_and_crops_instead_of_squeezing() -> None:
    frames = np.zeros((32, 40, 100, 3), dtype=np.uint8)
    frames += np.arange(32, dtype=np.uint8)[:, None, None, None]
    done = conform(Clip(frames, 16.0), BlindSpec(40, 20, 8.0, 16))
    assert done.frames.shape == (16, 20, 40, 3)
    assert [int(frame.mean()) for frame in done.frames] == list(range(1, 33, 2))
    wide = np.zeros((4, 20, 60, 3), dtype=np.uint8)
    wide[:, :, 20:40] = 255
    assert conform(Clip(wide, 8.0), BlindSpec(20, 20, 8.0, 4)).frames.min() == 255


def test_a_clip_too_short_to_judge_is_named(tmp_path: Path) -> None:
    write_video(tmp_path / "short.mp4", Clip(picture(32, 32, 2, 0), 8.0))
    with refuses(DataError, ErrorKind.LIMIT, "seconds", "short.mp4", "0.25 s"):
        common_spec([tmp_path / "short.mp4"])


def test_the_command_plans_and_says_what_it_can_find_out(results: Path, tmp_path: Path) -> None:
    arguments = ["study", "plan", "-m", "alpha", "-m", "beta", "--results", results, "--studies", tmp_path / "studies"]
    done = vapbench(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Blinded to 48x32, 8 fps, 16 frames (2 s)" in done.stdout
    assert "64x48, 16 fps, 40 frames" in done.stdout
    assert "\n7 raters x " in done.stdout, "with fewer than five that count there would be no interval"
    assert f"vapbench study serve {tmp_path}/studies/mini\n" in done.stdout
    assert StudyFolder(tmp_path / "studies/mini").protocol().id == "mini"
    assert media_id("x") not in done.stdout


def test_designs_stand_side_by_side_and_nothing_is_written(results: Path, tmp_path: Path) -> None:
    command = ["study", "plan", "--results", str(results), "--suite", "mini", "-m", "alpha", "-m", "beta"]
    command += ["--raters", "8"]
    command += ["--studies", str(tmp_path / "studies"), "--design", "raters=16,question=semantic", "--json"]
    document = json.loads(CliRunner().invoke(app, [*command, "--design", "kind=best_of_n,attrition=0.5"]).output)
    assert [each["design"] for each in document] == ["", "raters=16,question=semantic", "kind=best_of_n,attrition=0.5"]
    assert [each["raters"] for each in document] == [8, 16, 8]
    assert [each["questions"] for each in document] == [["semantic", "overall"], ["semantic"], ["semantic", "overall"]]
    assert (document[0]["kind"], document[2]["kind"]) == ("pair", "best_of_n")
    assert not (tmp_path / "studies").exists()
    shown = CliRunner().invoke(app, [name for name in command if name != "--json"]).output
    assert "raters for 0.8 at 60:40" in shown and "raters=16,question=semantic" in shown
    # Few trials and as many checks: the session that is too short is marked.
    assert any(each["check_share"] > 1 / 3 for each in document) and " !" in shown


@pytest.mark.parametrize(
    ("design", "kind", "field", "named"),
    [
        ("rater=3", ErrorKind.UNKNOWN, "rater", "Did you mean raters?"),
        ("raters=0", ErrorKind.INVALID, "raters", "'0'"),
        ("kind=triple", ErrorKind.INVALID, "kind", "'triple'"),
        ("attrition=1", ErrorKind.INVALID, "attrition", "'1'"),
    ],
)
def test_a_design_that_says_nothing_is_refused(design: str, kind: ErrorKind, field: str, named: str) -> None:
    with refuses(UsageError, kind, field, named):
        changed(wanted(), design)

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import moving_clip
from tests.refusals import refuses
from tests.videos import turned
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind, NotApplicable
from vapbench.methods import resolve_folder
from vapbench.methods.folder import Folder, write_manifest_template
from vapbench.methods.preflight import Problem, look, refuse_none
from vapbench.running.plan import plan_run

NAMED = "a folder of frames is read where it is called after a case"


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    (tmp_path / "outs" / "deep").mkdir(parents=True)
    return tmp_path / "outs"


def test_videos_are_found_by_the_cases_name_and_taken_byte_for_byte(
    outputs: Path, make_case: Callable[..., Case]
) -> None:
    case = make_case()
    video = outputs / "deep" / f"{case.id}.mp4"
    write_video(video, moving_clip())
    method = Folder(outputs)
    assert method.generate(case, 0) == video
    assert method.inputs(case) == (video,)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "case"):
        method.generate(make_case(1), 0)


def test_animated_pictures_frames_and_videos_of_other_names_are_found(
    outputs: Path, make_case: Callable[..., Case]
) -> None:
    cases = [make_case(number) for number in range(4)]
    apng, frames, bare, both = (outputs / case.id for case in cases)
    pictures = [Image.fromarray(frame) for frame in moving_clip().frames]
    pictures[0].save(apng.with_name(f"{apng.name}.png"), save_all=True, append_images=pictures[1:], duration=125)
    frames.mkdir()
    for number, picture in enumerate(pictures):
        picture.save(frames / f"{number}.png")
    for path in (bare, both.with_name(f"{both.name}.mp4.part"), outputs / "other.bin"):
        write_video(path.with_name("x.mp4"), moving_clip())
        path.with_name("x.mp4").rename(path)
    write_video(both.with_name(f"{both.name}.mp4"), moving_clip())
    method = Folder(outputs)
    method.prepare_cases(cases)
    assert [method.video(case.id) for case in cases] == [
        outputs / f"{apng.name}.png",
        frames,
        bare,
        outputs / f"{both.name}.mp4",
    ]
    found = look(method, cases, [0])
    assert found.missing == []
    copy = f"{both.name}.mp4.part"
    assert [(one.kind, one.file, one.text) for one in found.problems if one.kind != "differs"] == [
        ("no case", "other.bin", ""),
        ("not read", copy, f"named after {both.name}; its video is another file"),
    ]


def test_a_caption_is_never_a_file_name(outputs: Path, make_case: Callable[..., Case]) -> None:
    case = make_case(caption="a cat")
    write_video(outputs / "a cat.mp4", moving_clip())
    assert Folder(outputs).inputs(case) == ()


def test_a_manifest_decides(outputs: Path, make_case: Callable[..., Case]) -> None:
    one, two = make_case(0), make_case(1)
    write_video(outputs / "x.mp4", moving_clip())
    write_video(outputs / f"{two.id}.mp4", moving_clip())
    write_video(outputs / f"{one.id}.mp4", moving_clip())
    (outputs / "manifest.csv").write_text(f"case,video\n{one.id},x.mp4\n{two.id},\n")
    assert Folder(outputs).video(one.id) == outputs / "x.mp4"
    assert Folder(outputs).video(two.id) == outputs / f"{two.id}.mp4"


@pytest.mark.parametrize(
    ("text", "line", "kind", "field"),
    [
        ("case,file\na,b.mp4\n", "", ErrorKind.MISSING, "video"),
        ("case,video\na,gone.mp4\n", ":2", ErrorKind.MISSING, "video"),
        ("case,video\na,x.mp4\na,x.mp4\n", ":3", ErrorKind.CONFLICT, "case"),
        ("case,video,seed\na,x.mp4,one\n", ":2", ErrorKind.INVALID, "seed"),
        ("case,video,date\na,x.mp4,3.11.2025\n", ":2", ErrorKind.INVALID, "date"),
        ("case,video,watermark\na,x.mp4,maybe\n", ":2", ErrorKind.INVALID, "watermark"),
        (f"case,video,effect\na,x.mp4,{'e' * 201}\n", ":2", ErrorKind.LIMIT, "effect"),
        ("case,video\na,../x.mp4\n", ":2", ErrorKind.INVALID, "video"),
        ("case,video\na,/etc/x.mp4\n", ":2", ErrorKind.INVALID, "video"),
    ],
)
def test_a_wrong_manifest_is_named_with_line_and_column(
    outputs: Path, text: str, line: str, kind: ErrorKind, field: str
) -> None:
    write_video(outputs / "x.mp4", moving_clip())
    (outputs / "manifest.csv").write_text(text)
    with refuses(DataError, kind, field) as caught:
        Folder(outputs).video("a")
    assert str(caught.value).startswith(f"{outputs / 'manifest.csv'}{line}: ")


def test_two_files_for_one_case_are_not_guessed_between(outputs: Path) -> None:
    for place in (outputs, outputs / "deep"):
        write_video(place / "a--b--c.mp4", moving_clip())
    with refuses(DataError, ErrorKind.CONFLICT, "video"):
        Folder(outputs).video("a--b--c")


def test_several_seeds_of_a_case(outputs: Path, make_case: Callable[..., Case]) -> None:
    one, two = make_case(0), make_case(1)
    for name in (f"{one.id}__s0.mp4", f"{one.id}_seed3.mov", f"seed3/{two.id}.webm", f"{two.id}__s5__0a1b2c3d.mkv"):
        (outputs / name).parent.mkdir(exist_ok=True)
        (outputs / name).write_bytes(name.encode())
    method = Folder(outputs)
    method.prepare_cases([one, two])
    assert (method.seeds([one]), method.seeds([two]), method.seeds([one, two])) == ([0, 3], [3, 5], [0, 3, 5])
    assert method.video(one.id, 3) == outputs / f"{one.id}_seed3.mov"
    assert method.video(two.id, 3) == outputs / "seed3" / f"{two.id}.webm"
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "case", "seed 5", "(there: 0, 3)"):
        method.generate(one, 5)
    resolved = resolve_folder(outputs)
    plan = plan_run("mini", "camera", resolved, [one, two], [0, 3], outputs.parent / "r")
    assert [(job.case.id, job.seed) for job in plan.jobs] == [(one.id, 0), (one.id, 3), (two.id, 0), (two.id, 3)]
    # Seeds that are asked of every method of a run, and that this one has nothing of, are not tried.
    assert plan_run("mini", "camera", resolved, [one], [0, 1, 2], outputs.parent / "r").seeds == (0,)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffcase,video\r\n{one},a b.mp4\r\n{two},é.mp4\r\n",
        "Case;Video\n{one};a b.mp4\n{two};é.mp4\n",
        "VIDEO\t case \na b.mp4\t{one}\né.mp4\t{two}\n",
        "case,video\n{one},{here}/a b.mp4\n{two},{here}/é.mp4\n",
        "case,video\n{ONE},./a b.mp4\n{two},e\u0301.mp4\n,\n",
        "case,video,seed\n{one},a b.mp4,\n{two},é.mp4,0\n",
        "case,video,seed\n{one},a b.mp4,\n{two},é.mp4,0.0\n",
        "sep=;\r\ncase;video\r\n{one};a b.mp4\r\n{two};é.mp4\r\n",
    ],
)
def test_a_manifest_is_read_as_spreadsheets_write_it(outputs: Path, make_case: Callable[..., Case], text: str) -> None:
    one, two = make_case(0), make_case(1)
    for name in ("a b.mp4", "e\u0301.mp4"):
        (outputs / name).write_bytes(b"x")
    written = text.format(one=one.id, ONE=one.id.upper(), two=two.id, here=outputs)
    (outputs / "Manifest.CSV").write_bytes(written.encode())
    method = Folder(outputs)
    method.prepare_cases([one, two])
    assert method.video(one.id) == outputs / "a b.mp4"
    assert method.video(two.id) == outputs / "e\u0301.mp4"
    assert look(method, [one, two], [0], seconds=0).missing == []


def test_rows_of_a_manifest_that_lead_nowhere_are_named_by_line(outputs: Path, make_case: Callable[..., Case]) -> None:
    one, two = make_case(0), make_case(1)
    write_video(outputs / "x.mp4", moving_clip())
    (outputs / "manifest.csv").write_text(f"case,video\n{one.id},gone.mp4\n{two.id},x.mp4\nx{two.id},x.mp4\n")
    method = Folder(outputs)
    method.prepare_cases([one, two])
    found = look(method, [one, two], [0])
    gone = f"no such video {outputs}/gone.mp4; correct the row, or leave video blank."
    assert found.problems == [
        Problem("manifest", "manifest.csv:2", gone, one.id, 0),
        Problem("manifest", "manifest.csv:4", f"no case is called 'x{two.id}'", nearest=two.id),
    ]


def test_a_folders_content_is_its_identity_and_its_place_is_not(outputs: Path, make_case: Callable[..., Case]) -> None:
    case = make_case()
    write_video(outputs / f"{case.id}.mp4", moving_clip())
    before = plan_run("mini", "camera", resolve_folder(outputs), [case], [0], outputs.parent / "r")
    moved = outputs.rename(outputs.parent / "moved")
    after = plan_run("mini", "camera", resolve_folder(moved), [case], [0], outputs.parent / "r")
    assert (before.identity, before.jobs[0].key) == (after.identity, after.jobs[0].key)
    write_video(moved / f"{case.id}.mp4", moving_clip(7))
    changed = plan_run("mini", "camera", resolve_folder(moved), [case], [0], outputs.parent / "r")
    assert changed.identity == after.identity
    assert changed.jobs[0].key != after.jobs[0].key


def test_the_preflight_has_a_line_for_every_problem_file(outputs: Path, make_case: Callable[..., Case]) -> None:
    cases = [make_case(number) for number in range(8)]
    ids = [case.id for case in cases]
    write_video(outputs / f"{ids[0]}.mp4", moving_clip())
    (outputs / f"{ids[1]}.mp4").touch()
    whole = (outputs / f"{ids[0]}.mp4").read_bytes()
    (outputs / f"{ids[2]}.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (outputs / f"{ids[3]}.mov").write_bytes(b"no video at all" * 99)
    write_video(outputs / f"{ids[4]}.MP4", moving_clip(frames=9, height=64, width=64, fps=24))
    for suffix in (".mp4", ".mov"):
        write_video(outputs / f"{ids[5]}{suffix}", moving_clip())
    (outputs / f"{ids[6]}.mp4").symlink_to("/nowhere/x.mp4")
    write_video(outputs / f"my-{ids[7]}.mp4", moving_clip())
    for name in ("notes.txt", f"{ids[7]}.flv", "._x.mp4", "deep/0.png", "deep/1.png"):
        (outputs / name).write_bytes(b"x")
    method = Folder(outputs)
    method.prepare_cases([*cases, make_case(9)])
    write_video(outputs / "deep" / f"{make_case(9).id}.mp4", moving_clip())
    found = look(method, cases, [0])
    assert (found.found, found.missing, found.outside, found.hidden) == (7, [ids[7]], 1, ["._x.mp4"])
    told = {one.file: (one.kind, one.text, one.nearest) for one in found.problems}
    assert len(told) == len(found.problems)
    assert "truncated or damaged" in told[f"{ids[2]}.mp4"][1]
    assert "not a readable video" in told[f"{ids[3]}.mov"][1]
    assert {name: one for name, one in told.items() if name not in (f"{ids[2]}.mp4", f"{ids[3]}.mov")} == {
        f"{ids[1]}.mp4": ("damaged", "the file is empty; fetch or write it again.", ""),
        f"{ids[6]}.mp4": ("damaged", "a link to /nowhere/x.mp4, which is not there; correct the link.", ""),
        f"{ids[5]}.mov": ("ambiguous", f"or {ids[5]}.mp4, for {ids[5]} seed 0", ""),
        f"my-{ids[7]}.mp4": ("no case", "", ids[7]),
        f"{ids[4]}.MP4": ("differs", "9 frames, 64x64, 24 fps instead of 5 frames, 32x48, 8 fps", ""),
        "notes.txt": ("not read", "", ""),
        f"{ids[7]}.flv": ("not read", f"named after {ids[7]}; convert it to MP4", ""),
        "deep/": ("not read", f"2 images; {NAMED}", ""),
    }
    # Without time to decode, headers alone tell most of it.
    assert look(method, cases, [0], seconds=0).not_decoded == 2


def test_folders_of_frames_are_read_if_called_after_a_case(outputs: Path, make_case: Callable[..., Case]) -> None:
    cases = [make_case(number) for number in range(3)]
    write_video(outputs / f"{cases[1].id}.mp4", moving_clip())
    for name in (f"{cases[0].id}__s0", cases[1].id, "thumbnails"):
        (outputs / name).mkdir()
        for number in range(3):
            (outputs / name / f"{number}.png").write_bytes(b"x")
    method = Folder(outputs)
    method.prepare_cases(cases)
    found = look(method, cases, [0])
    broken = outputs / f"{cases[0].id}__s0" / "0.png"
    assert found.missing == [cases[2].id]
    assert [(one.kind, one.file, one.text) for one in found.problems] == [
        ("damaged", f"{cases[0].id}__s0", f"{broken}: not a readable image but a text file; replace it."),
        ("not read", "thumbnails/", f"3 images; {NAMED}"),
        ("not read", f"{cases[1].id}/", f"3 images; {NAMED}"),
    ]
    for number in range(3):
        Image.new("RGB", (48, 32), (number, 0, 0)).save(broken.with_name(f"{number}.png"))
    assert method.generate(cases[0], 0) == broken.parent
    told = look(method, cases, [0]).problems[0]
    assert (told.kind, told.text) == ("differs", "3 frames instead of 5 frames")
    assert method.generate(cases[1], 0) == outputs / f"{cases[1].id}.mp4"


@pytest.mark.parametrize(
    ("files", "kind", "field", "named"),
    [
        ([], ErrorKind.MISSING, "path", ("outs is empty;", "vidu_orbit--t0--r0.mp4")),
        ([".DS_Store"], ErrorKind.MISSING, "path", ("outs is empty (1 hidden file aside)",)),
        (["0.png", "1.png"], ErrorKind.MISSING, "path", ("(2 .png)", "a folder of frames", "such as vidu")),
        (["all.zip"], ErrorKind.MISSING, "path", ("(1 .zip)", "convert them")),
        (["x.mp4"], ErrorKind.UNKNOWN, "case", ("of its 1 video", "vidu_orbit--t0--r0.mp4")),
        (["vidu_orbit--t0--r0__s3.mp4"], ErrorKind.MISSING, "seeds", ("seed 0", "seeds 3")),
    ],
)
def test_a_folder_without_any_video_of_a_case_says_what_it_holds(
    outputs: Path,
    make_case: Callable[..., Case],
    files: list[str],
    kind: ErrorKind,
    field: str,
    named: tuple[str, ...],
) -> None:
    (outputs / "deep").rmdir()
    for name in files:
        (outputs / name).write_bytes(b"x")
    case = make_case()
    method = Folder(outputs)
    method.prepare_cases([case])
    with refuses(DataError, kind, field, *named):
        refuse_none(method, look(method, [case], [0]), [case], "mini")


@pytest.mark.parametrize(
    ("name", "named"),
    [("outs.zip", "an archive"), ("one.MP4", "a single video"), ("x.txt", "is no folder"), ("gone", "no such folder")],
)
def test_what_is_no_folder_gets_one_sentence(tmp_path: Path, name: str, named: str) -> None:
    if name != "gone":
        (tmp_path / name).write_bytes(b"x")
    command = {"outs.zip": f"vapbench score {tmp_path / 'outs'}", "one.MP4": f"vapbench score {tmp_path}"}
    with refuses(DataError, ErrorKind.MISSING, "path", tmp_path / name, named, command.get(name, "")):
        Folder(tmp_path / name).video("a")


def test_a_folder_of_several_methods_asks_for_one(outputs: Path, make_case: Callable[..., Case]) -> None:
    cases = [make_case(0), make_case(1)]
    (outputs / "deep").rmdir()
    for method, count in {"mine": 2, "theirs": 1}.items():
        for case in cases[:count]:
            (outputs / "all" / method).mkdir(parents=True, exist_ok=True)
            write_video(outputs / "all" / method / f"{case.id}.mp4", moving_clip())
    folder = Folder(outputs)
    folder.prepare_cases(cases)
    with refuses(
        DataError,
        ErrorKind.CONFLICT,
        "path",
        "mine (2 cases), theirs (1 case)",
        f"vapbench score {outputs / 'all' / 'mine'}",
    ):
        look(folder, cases, [0])


def test_one_folder_for_each_condition_case_or_seed_is_no_folder_of_methods(
    outputs: Path, make_case: Callable[..., Case]
) -> None:
    cases = [make_case(number) for number in range(3)]
    names = [f"vidu_orbit/{cases[0].id}.mp4", f"{cases[1].id}/out.mp4", "vidu_orbit/t2--r2.mp4"]
    names += [f"seed1/{case.id}.mp4" for case in cases]
    for name in names:
        (outputs / name).parent.mkdir(exist_ok=True)
        write_video(outputs / name, moving_clip())
    folder = Folder(outputs)
    folder.prepare_cases(cases)
    found = look(folder, cases, folder.seeds(cases))
    assert (found.found, found.problems, found.seeds) == (3, [], [0, 1])


def test_the_last_of_three_panels(
    outputs: Path, make_case: Callable[..., Case], caplog: pytest.LogCaptureFixture
) -> None:
    case = make_case()
    panels = [np.full((3, 32, 48, 3), level, np.uint8) for level in (0, 100, 200)]
    write_video(outputs / f"{case.id}.mp4", Clip(np.concatenate(panels, axis=2), 8))
    cropped = Folder(outputs, panel="last").generate(case, 0)
    assert isinstance(cropped, Clip)
    assert cropped.frames.shape == (3, 32, 48, 3)
    assert abs(int(cropped.frames.mean()) - 200) < 4
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert isinstance(Folder(outputs).generate(case, 0), Path)
    assert "panel=last" in caplog.text
    told = [look(Folder(outputs, panel), [case], [0]).problems[0].text for panel in ("all", "last")]
    assert told == [
        "3 frames, 32x144 instead of 5 frames, 32x48; three panels? see --panel last",
        "3 frames instead of 5 frames",
    ]


def test_a_width_that_does_not_divide_is_refused(outputs: Path, make_case: Callable[..., Case]) -> None:
    case = make_case()
    write_video(outputs / f"{case.id}.mp4", moving_clip(width=50))
    with refuses(DataError, ErrorKind.INVALID, "panel"):
        Folder(outputs, panel="last").generate(case, 0)
    (problem,) = look(Folder(outputs, panel="last"), [case], [0]).problems
    assert (problem.kind, "width 50 does not divide by 3" in problem.text) == ("damaged", True)


def test_the_template_lists_every_case(outputs: Path, make_case: Callable[..., Case]) -> None:
    cases = [make_case(0), make_case(1)]
    write_video(outputs / "deep" / f"{cases[0].id}.mp4", moving_clip())
    path = outputs / "manifest.csv"
    write_manifest_template(Folder(outputs), cases, path)
    assert path.read_text() == f"case,video\n{cases[0].id},deep/{cases[0].id}.mp4\n{cases[1].id},\n"
    assert Folder(outputs).video(cases[1].id) is None
    write_video(outputs / f"{cases[1].id}.mp4", moving_clip())
    assert Folder(outputs).video(cases[1].id) == outputs / f"{cases[1].id}.mp4"


def test_the_run_is_named_after_the_folder(tmp_path: Path) -> None:
    assert Folder(tmp_path / "My outputs (v2)").label == "My-outputs-v2-"


def test_provenance_is_in_the_manifest_and_under_the_table(outputs: Path) -> None:
    from typer.testing import CliRunner

    from vapbench.cli import app
    from vapbench.suites import find_suite

    cases = [case for case in find_suite("mini").cases(None) if case.category == "camera"][:3]
    for number, case in enumerate(cases[:2]):
        write_video(outputs / (f"{number}.mp4" if number else f"{case.id}.mp4"), moving_clip())
    rows = [f"{cases[0].id},,Vidu,<b>Orbit</b>,2025-11-09,yes", f"{cases[1].id},1.mp4,Vidu,,2025-11-03,no"]
    text = "\n".join(["case,video,service,effect,date,watermark", *rows, f"{cases[2].id},,Kling,,,", ""])
    (outputs / "manifest.csv").write_text(text)
    results = outputs.parent / "results"
    command = f"score {outputs} --name vidu --task camera --limit 3 --metric temporal_flickering --results {results}"
    scored = CliRunner().invoke(app, command.split())
    assert scored.exit_code == 0, scored.output
    manifest = json.loads((results / "mini" / "vidu" / "manifest.json").read_text())
    assert manifest["cases"][cases[0].id]["provenance"] == {
        "service": "Vidu",
        "effect": "<b>Orbit</b>",
        "date": "2025-11-09",
        "watermark": "yes",
    }
    # A case without a video has no origin.
    assert "provenance" not in manifest["cases"][cases[2].id]
    note = (
        "vidu: Imported videos: service Vidu (2); effect <b>Orbit</b> (1), not told (1); "
        "made 2025-11-03 to 2025-11-09; 1 of 2 with a watermark."
    )
    assert note in scored.output
    # A corrected manifest is taken over, and nothing is made or scored anew.
    (outputs / "manifest.csv").write_text(text.replace("Vidu,,", "Vidu,Orbit,"))
    again = CliRunner().invoke(app, command.split())
    assert "effect <b>Orbit</b> (1), Orbit (1)" in again.output
    sessions = json.loads((results / "mini" / "vidu" / "manifest.json").read_text())["sessions"]
    assert len(sessions) == 2
    assert sessions[1]["counts"]["scored"]["ok"] == 0


def test_a_turned_clip_has_its_displayed_size_when_time_is_up(outputs: Path, make_case: Callable[..., Case]) -> None:
    case = make_case()
    write_video(outputs / f"{case.id}.mp4", Clip(moving_clip().frames.swapaxes(1, 2), 8))
    turned(outputs / f"{case.id}.mp4", (0, 1, -1, 0))
    found = look(Folder(outputs), [case], [0], seconds=-1)
    assert found.not_decoded == 1
    assert found.problems == [], "it is stored as 32x48, and shown as 48x32"

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import moving_clip
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import DataError, NotApplicable
from vapbench.methods.folder import Folder, write_manifest_template


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
    with pytest.raises(NotApplicable, match="no video for this case in"):
        method.generate(make_case(1), 0)


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
    ("text", "message"),
    [
        ("case,file\na,b.mp4\n", "needs the columns case and video"),
        ("case,video\na,gone.mp4\n", r"manifest\.csv:2: no such video"),
        ("case,video\na,x.mp4\na,x.mp4\n", r"manifest\.csv:3: a is listed twice"),
        ("case,video,date\na,x.mp4,3.11.2025\n", r"manifest\.csv:2: the date '3\.11\.2025' is none"),
        ("case,video,watermark\na,x.mp4,maybe\n", r"manifest\.csv:2: watermark is 'maybe'; write yes or no"),
        (f"case,video,effect\na,x.mp4,{'e' * 201}\n", r"manifest\.csv:2: effect has more than 200 characters"),
        ("case,video\na,../x.mp4\n", r"manifest\.csv:2: .*is not a path inside the folder"),
        ("case,video\na,/etc/x.mp4\n", r"manifest\.csv:2: .*is not a path inside the folder"),
    ],
)
def test_a_wrong_manifest_gets_one_sentence(outputs: Path, text: str, message: str) -> None:
    write_video(outputs / "x.mp4", moving_clip())
    (outputs / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        Folder(outputs).video("a")


def test_two_files_for_one_case_are_not_guessed_between(outputs: Path) -> None:
    for place in (outputs, outputs / "deep"):
        write_video(place / "a--b--c.mp4", moving_clip())
    with pytest.raises(DataError, match=r"named after a--b--c; say which in manifest\.csv"):
        Folder(outputs).video("a--b--c")


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


def test_a_width_that_does_not_divide_is_refused(outputs: Path, make_case: Callable[..., Case]) -> None:
    case = make_case()
    write_video(outputs / f"{case.id}.mp4", moving_clip(width=50))
    with pytest.raises(DataError, match="width 50 does not divide by 3"):
        Folder(outputs, panel="last").generate(case, 0)


def test_the_template_lists_every_case(outputs: Path, make_case: Callable[..., Case]) -> None:
    cases = [make_case(0), make_case(1)]
    write_video(outputs / "deep" / f"{cases[0].id}.mp4", moving_clip())
    path = write_manifest_template(Folder(outputs), cases)
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

"""Specification of first_frame_psnr where the case has no image of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from tests.command import vapbench
from tests.conftest import SPEC, moving_clip
from tests.refusals import refuses
from vapbench.core.case import Case, Media, Reference
from vapbench.core.video import read_video, write_video
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Score
from vapbench.metrics.first_frame_psnr import FirstFramePsnr
from vapbench.metrics.view import ClipView
from vapbench.results.run import RunFolder
from vapbench.suites.gallery import load

NAME = "move_left--a--b"


def remuxed(source: Path, target: Path) -> Path:
    """The same stream in another container."""
    import av

    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return target


def page(folder: Path) -> Path:
    """A case of the project page; its released output."""
    for number, side in enumerate(["ours", "ref"]):
        (folder / side).mkdir(parents=True)
        write_video(folder / side / f"{NAME}.mp4", moving_clip(number))
    return folder / "ours" / f"{NAME}.mp4"


def score(video: Path, case: Case) -> Score:
    return FirstFramePsnr().score(ClipView(read_video(video), case, torch.device("cpu")), case)


def test_a_released_output_is_not_compared_with_its_own_first_frame(tmp_path: Path) -> None:
    output = page(tmp_path / "page")
    (case,) = load(tmp_path / "page", SPEC)
    for same in (output, Path(shutil.copy(output, tmp_path / "x.mp4")), remuxed(output, tmp_path / "x.mkv")):
        with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "image"):
            score(same, case)


def test_a_ground_truth_begins_with_its_cases_image(tmp_path: Path) -> None:
    output = page(tmp_path / "page")
    (case,) = load(tmp_path / "page", SPEC)
    assert [note.kind for note in case.notes] == ["image-from-output"]
    for same in (output, remuxed(output, tmp_path / "x.mkv")):
        assert score(same, case.model_copy(update={"target": Media(path=output), "notes": ()})).value == 60.0


def test_another_video_that_begins_alike_is_compared(tmp_path: Path) -> None:
    output = page(tmp_path / "page")
    (case,) = load(tmp_path / "page", SPEC)
    clip = read_video(output)
    shorter = ClipView(type(clip)(clip.frames[:3], 8.0), case, torch.device("cpu"))
    assert FirstFramePsnr().score(shorter, case).value == 60.0


def test_a_picture_is_an_image_of_its_own(tmp_path: Path) -> None:
    from PIL import Image

    output = page(tmp_path / "page")
    Image.fromarray(read_video(output).frames[0]).save(tmp_path / "first.png")
    case = Case(
        id="a",
        condition="b",
        references=(Reference(video=Media(path=output)),),
        image=Media(path=tmp_path / "first.png"),
        clip=SPEC,
    )
    assert score(output, case).value == 60.0


def test_scoring_the_gallery_says_why_there_is_no_number(tmp_path: Path) -> None:
    page(tmp_path / "page")
    command = ("score", tmp_path / "page", "--suite", "gallery", "--data", tmp_path / "page")
    options = ("--metric", "first_frame_psnr", "--metric", "temporal_flickering", "--results", tmp_path / "r")
    done = vapbench(*command, *options)
    assert done.returncode == 0, done.stderr
    assert "0 of 1 case: 1 unscored (the case's first frame was taken from this very video" in done.stdout
    assert "1 of 1 case has a first frame that was taken from their released output." in " ".join(done.stdout.split())
    (row,) = RunFolder(tmp_path / "r/gallery/page").scores("first_frame_psnr").values()
    assert (row.status, row.value) == ("unscored", None)

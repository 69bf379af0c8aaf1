"""Stills upright, pictures that move, and folders of frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import moving_clip
from tests.refusals import refuses
from tests.videos import HERE, psnr
from vapbench.core.images import frame_files
from vapbench.core.video import FOLDER_FPS, probe, read_first_frame, read_video
from vapbench.errors import DataError, ErrorKind


def test_a_picture_is_turned_as_its_exif_says() -> None:
    frame = read_first_frame(HERE / "exif6.jpg").astype(int)
    right = frame[:, frame.shape[1] // 2 + 4 :]
    assert right[..., 0].mean() > 150 > right[..., 2].mean(), "the red half is on the right"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_every_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = moving_clip().frames[0]
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright.swapaxes(0, 1), 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    frame = read_first_frame(path)
    assert frame.shape == upright.shape
    assert psnr(frame, upright) > 25


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 32 * 48).reshape(32, 48).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert np.array_equal(read_first_frame(tmp_path / "a.png")[..., 1], grey >> 8)


def test_animated_webp_is_a_video(tmp_path: Path) -> None:
    clip = read_video(HERE / "anim.webp")
    assert (clip.frames.shape, clip.fps) == ((13, 64, 64, 3), 8)
    assert psnr(clip.frames, read_video(HERE / "good.mp4").frames) > 30
    assert np.array_equal(read_first_frame(HERE / "anim.webp"), clip.frames[0])
    named = shutil.copyfile(HERE / "anim.webp", tmp_path / "a.mp4")
    assert np.array_equal(read_video(Path(named)).frames, clip.frames), "bytes decide, not the name"


def test_animated_png_gives_its_very_frames(tmp_path: Path) -> None:
    clip = moving_clip()
    first, *rest = map(Image.fromarray, clip.frames)
    cover = Image.new("RGB", first.size)
    first.save(tmp_path / "a.png", save_all=True, append_images=rest, duration=125)
    cover.save(tmp_path / "b.png", save_all=True, append_images=[first, *rest], duration=125, default_image=True)
    for name in ("a.png", "b.png"):
        back = read_video(tmp_path / name)
        assert np.array_equal(back.frames, clip.frames), name
        assert back.fps == 8


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
@pytest.mark.parametrize(
    ("times", "fps", "notes"),
    [
        ([120] * 6, 8.333333, []),
        ([120] * 5 + [900], 8.333333, []),
        ([0] * 6, 10, ["10 ms or less"]),
        ([10] * 6, 10, ["10 ms or less"]),
        ([100, 200, 50, 50, 100, 400], 10, ["variable frame rate"]),
    ],
    ids=["even", "held at its end", "none", "too short", "uneven"],
)
def test_an_animation_has_the_rate_that_browsers_show(
    tmp_path: Path, suffix: str, times: list[int], fps: float, notes: list[str]
) -> None:
    frames = [Image.fromarray(frame) for frame in moving_clip(frames=len(times)).frames]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times)
    info = probe(path)
    assert (info.frames, info.fps) == (len(times), fps)
    # FFmpeg itself shows a GIF's frame for 100 ms where the file says none.
    expected = [] if suffix == ".gif" and not any(times) else notes
    assert [note in told for note, told in zip(expected, info.notes, strict=True)] == [True] * len(expected)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_transparent_parts_are_said(tmp_path: Path, suffix: str) -> None:
    for alpha, said in ((0, True), (255, False)):
        frames = [Image.fromarray(frame).convert("RGBA") for frame in moving_clip(frames=4).frames]
        for frame in frames:
            frame.paste((255, 0, 0, alpha), (0, 0, 9, 9))
        path = tmp_path / f"{alpha}{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=120)
        assert any(note.startswith("transparent in parts") for note in probe(path).notes) == said


def test_transparent_parts_of_a_picture_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for alpha in (255, 0):
        Image.new("RGBA", (9, 9), (255, 0, 0, alpha)).save(tmp_path / f"{alpha}.png")
        assert (read_first_frame(tmp_path / f"{alpha}.png") == (255, 0, 0)).all()
        assert (f"{alpha}.png: transparent in parts" in caplog.text) == (alpha == 0)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".jpg", ".webp", ".bmp"])
def test_a_still_is_called_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(moving_clip().frames[0]).save(path)
    for read in (probe, read_video):
        with refuses(DataError, ErrorKind.INVALID, "format") as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_a_folder_of_frames_is_read_in_the_order_of_numbers(tmp_path: Path) -> None:
    clip = moving_clip(frames=12)
    for number, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(tmp_path / f"frame_{number}.png")
    (tmp_path / "._frame_0.png").write_bytes(b"left by a Mac")
    (tmp_path / "notes.txt").write_text("12 frames")
    assert [path.name for path in frame_files(tmp_path)][-3:] == ["frame_9.png", "frame_10.png", "frame_11.png"]
    back = read_video(tmp_path)
    assert np.array_equal(back.frames, clip.frames)
    assert back.fps == FOLDER_FPS
    assert probe(tmp_path).frames == 12
    assert np.array_equal(read_first_frame(tmp_path), clip.frames[0])


def test_folders_that_are_no_video_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with refuses(DataError, ErrorKind.MISSING, "frames"):
        read_video(tmp_path / "empty")
    for size in (32, 48):
        Image.new("RGB", (size, size)).save(tmp_path / f"{size}.png")
    with refuses(DataError, ErrorKind.INVALID, "size"):
        read_video(tmp_path)


def test_a_video_named_as_an_image_counts_by_its_first_frame(tmp_path: Path) -> None:
    path = Path(shutil.copyfile(HERE / "good.mp4", tmp_path / "a.png"))
    assert np.array_equal(read_first_frame(path), read_video(HERE / "good.mp4").frames[0])


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (("0.png", "0_mask.png", "1.png", "1_mask.png"), ("0.png", "0_mask.png")),
        (("1.png", "2.png", "cover.png"), ("2.png", "cover.png")),
        (("1.png", "1.jpg", "2.png"), ("1.jpg", "1.png")),
        (("01.png", "1.png", "2.png"), ("01.png", "1.png")),
        (("0.25.png", "0.5.png", "0.75.png"), ("0.5.png", "0.25.png")),
        (("3.png", "3 (1).png", "4.png"), ("3.png", "3 (1).png")),
    ],
)
def test_pictures_that_are_no_frames_of_one_clip_are_named(
    tmp_path: Path, names: tuple[str, ...], pair: tuple[str, str]
) -> None:
    for name in names:
        Image.fromarray(moving_clip().frames[0]).save(tmp_path / name)
    for read in (probe, read_video, read_first_frame):
        with refuses(DataError, ErrorKind.CONFLICT, "frames", tmp_path, f"{pair[0]} and {pair[1]}"):
            read(tmp_path)


@pytest.mark.parametrize(
    "names", [("v1.9.png", "v1.10.png"), ("a_1_05.png", "a_1_10.png"), ("x.png",), ("f2.PNG", "f3.jpg")]
)
def test_numbers_of_any_form_order_frames(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        Image.fromarray(moving_clip().frames[0]).save(tmp_path / name)
    assert probe(tmp_path).frames == len(names)
    assert [path.name for path in frame_files(tmp_path)] == list(names)

from __future__ import annotations

import logging
import runpy
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core.clip import Clip
from vapbench.core.video import probe, read_first_frame, read_video, write_video
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import file_sha256


def test_round_trip_keeps_frames_rate_and_looks(tmp_path: Path) -> None:
    sharp = moving_clip(frames=49, height=96, width=128, fps=16).frames
    clip = Clip(np.repeat(sharp.mean(-1, keepdims=True).astype(np.uint8), 3, axis=-1), 16)
    write_video(tmp_path / "a.mp4", clip)
    back = read_video(tmp_path / "a.mp4")
    assert back.frames.shape == clip.frames.shape
    assert back.fps == 16
    error = (back.frames.astype(float) - clip.frames) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 42
    info = probe(tmp_path / "a.mp4")
    assert (info.frames, info.fps, info.width, info.height) == (49, 16.0, 128, 96)


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    clip = moving_clip(frames=25, height=240, width=320)
    hashes = set()
    for attempt in range(8):
        write_video(tmp_path / f"{attempt}.mp4", clip)
        hashes.add(file_sha256(tmp_path / f"{attempt}.mp4"))
    assert len(hashes) == 1


class TestTheOfficialExport:
    """As ``infer/cog_vap.py`` of Video-As-Prompt writes: PIL frames through diffusers, nothing else said."""

    def test_it_is_diffusers_own_file(self, tmp_path: Path) -> None:
        pytest.importorskip("imageio_ffmpeg")
        from diffusers.utils import export_to_video

        clip = moving_clip(frames=9, height=96, width=128, fps=16)
        write_video(tmp_path / "a.mp4", replace(clip, export="official"))
        export_to_video([Image.fromarray(frame) for frame in clip.frames], str(tmp_path / "b.mp4"), fps=16)
        ours, theirs = read_video(tmp_path / "a.mp4"), read_video(tmp_path / "b.mp4")
        assert ours.fps == theirs.fps == 16
        assert np.array_equal(ours.frames, theirs.frames)
        assert len(list(tmp_path.iterdir())) == 2
        write_video(tmp_path / "fine.mp4", clip)
        assert (tmp_path / "a.mp4").stat().st_size < (tmp_path / "fine.mp4").stat().st_size

    def test_its_cost_is_measured_column_by_column(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("imageio_ffmpeg")
        script = Path(__file__).parents[2] / "benchmarks" / "exports.py"
        write_video(tmp_path / "a.mp4", moving_clip(frames=9, height=96, width=128, fps=16))
        monkeypatch.setattr("sys.argv", [str(script), str(tmp_path)])
        runpy.run_path(str(script), run_name="__main__")
        rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
        table = {row[0].removeprefix("| "): row[1:] for row in rows[1:]}
        assert set(table) >= {"temporal_flickering", "first_frame_psnr", "dynamic_degree[dis]", "MB"}
        assert float(table["MB"][3]) <= 0
        assert float(table["PSNR to the frames"][3]) < -1

    def test_a_size_it_would_scale_is_refused(self, tmp_path: Path) -> None:
        pytest.importorskip("imageio_ffmpeg")
        clip = replace(moving_clip(frames=3, height=96, width=120), export="official", source="vap on case-1")
        with refuses(DataError, ErrorKind.INVALID, "size") as caught:
            write_video(tmp_path / "a.mp4", clip)
        assert str(caught.value).startswith("vap on case-1: ")
        assert list(tmp_path.iterdir()) == []

    def test_without_its_packages_it_says_which(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vapbench.core.video.find_spec", lambda name: None)
        with refuses(UsageError, ErrorKind.MISSING, "export"):
            write_video(tmp_path / "a.mp4", replace(moving_clip(), export="official"))


def test_frames_are_those_opencv_decodes(tmp_path: Path) -> None:
    """VBench reads with OpenCV; the same file must give both the same pixels."""
    write_video(tmp_path / "a.mp4", moving_clip(frames=5, height=96, width=128))
    ours = read_video(tmp_path / "a.mp4").frames
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    for frame in ours:
        ok, theirs = capture.read()
        assert ok
        assert np.array_equal(theirs[..., ::-1], frame)


def test_first_frame_of_video_and_image(tmp_path: Path) -> None:
    clip = moving_clip()
    write_video(tmp_path / "a.mp4", clip)
    assert np.array_equal(read_first_frame(tmp_path / "a.mp4"), read_video(tmp_path / "a.mp4").frames[0])
    Image.fromarray(clip.frames[0]).save(tmp_path / "a.png")
    assert np.array_equal(read_first_frame(tmp_path / "a.png"), clip.frames[0])


def test_one_frame_clip(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_clip(frames=1))
    assert len(read_video(tmp_path / "a.mp4")) == 1


def test_odd_sizes_are_refused_when_written_and_read_when_given(tmp_path: Path) -> None:
    odd = Clip(np.zeros((3, 33, 47, 3), np.uint8), 8, "mymethod on case-1")
    with refuses(DataError, ErrorKind.INVALID, "size") as caught:
        write_video(tmp_path / "a.mp4", odd)
    assert str(caught.value).startswith("mymethod on case-1: 47x33 ")
    assert list(tmp_path.iterdir()) == []
    _encode(tmp_path / "odd.mp4", odd.frames, pix_fmt="yuv444p")
    assert read_video(tmp_path / "odd.mp4").frames.shape == (3, 33, 47, 3)


@pytest.mark.parametrize(
    ("make", "kind", "field"),
    [
        (lambda path: None, ErrorKind.MISSING, "path"),
        (lambda path: path.write_bytes(b""), ErrorKind.DAMAGED, ""),
        (lambda path: path.write_bytes(b"not a video at all, only text " * 40), ErrorKind.INVALID, "format"),
        (lambda path: _audio_only(path), ErrorKind.MISSING, "stream"),
        (lambda path: _without_frames(path), ErrorKind.DAMAGED, "frames"),
    ],
    ids=["missing", "empty", "text", "audio only", "zero frames"],
)
def test_bad_files_get_one_sentence_that_names_them(tmp_path: Path, make: object, kind: ErrorKind, field: str) -> None:
    path = tmp_path / "bad.mp4"
    make(path)  # type: ignore[operator]
    with refuses(DataError, kind, field) as caught:
        read_video(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_video_is_never_read_as_a_shorter_one(tmp_path: Path, part: float) -> None:
    write_video(tmp_path / "a.mp4", moving_clip(frames=25, height=96, width=128))
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: int(len(whole) * part)])
    with refuses(DataError, ErrorKind.DAMAGED):
        read_video(tmp_path / "cut.mp4")


def test_variable_frame_rate_is_reported_and_loses_no_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _encode(tmp_path / "vfr.mp4", moving_clip(frames=6).frames, times=[0, 1, 2, 10, 11, 20])
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        clip = read_video(tmp_path / "vfr.mp4")
    assert len(clip) == 6
    assert "variable frame rate" in caplog.text
    assert "vfr.mp4" in caplog.text
    caplog.clear()
    write_video(tmp_path / "cfr.mp4", moving_clip(frames=6, fps=29.97))
    read_video(tmp_path / "cfr.mp4")
    assert caplog.text == ""


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_clip(1))
    before = file_sha256(tmp_path / "a.mp4")
    with refuses(DataError, ErrorKind.INVALID, "size", "47x33"):
        write_video(tmp_path / "a.mp4", Clip(np.zeros((3, 33, 47, 3), np.uint8), 8))
    assert file_sha256(tmp_path / "a.mp4") == before


def _encode(path: Path, frames: np.ndarray, pix_fmt: str = "yuv420p", times: list[int] | None = None) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 8)
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts = times[index] if times else index
            frame.time_base = Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _without_frames(path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()

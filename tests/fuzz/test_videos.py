"""Videos and images whose bytes were tampered with: frames, or one sentence."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import av
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import moving_clip
from tests.fuzz.hostile import fuzzed, held, mutated
from vapbench.core.video import probe, read_first_frame, read_video, write_video
from vapbench.report.page.media import image_panel, output_panel, video_panel


@cache
def whole(suffix: str) -> bytes:
    """A small real file of a kind."""
    clip = moving_clip(frames=4, height=32, width=48)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"whole{suffix}"
        if suffix == ".mp4":
            write_video(path, clip)
        elif suffix in (".png", ".jpg", ".webp", ".bmp", ".gif", ".apng"):
            first, *rest = map(Image.fromarray, clip.frames)
            moving: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": 125}
            first.save(path, **(moving if suffix in (".gif", ".webp", ".apng") else {}))
        else:
            options = {"movflags": "frag_keyframe+empty_moov"} if suffix == ".mov" else {}
            with av.open(str(path), "w", options=options) as container:
                stream = container.add_stream({".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(suffix, "libx264"), rate=8)
                assert isinstance(stream, av.VideoStream)
                stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
                for array in clip.frames:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
                container.mux(stream.encode())
        return path.read_bytes()


def tampered(*suffixes: str) -> st.SearchStrategy[tuple[str, bytes]]:
    """A suffix, and bytes that were a file of that kind."""
    return st.sampled_from(suffixes).flatmap(lambda suffix: st.tuples(st.just(suffix), mutated(whole(suffix))))


def read_in_every_way(data: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        path.write_bytes(data)
        held(lambda: probe(path))
        clip = held(lambda: read_video(path))
        assert clip is None or len(clip) >= 1
        held(lambda: read_first_frame(path))
        for panel in (output_panel(path, "A"), video_panel(path, "B", None), image_panel(path, "C", None)):
            assert panel.kind != "missing" or str(path) in panel.message


@fuzzed(25, 4000)
@given(mutated(whole(".mp4")))
def test_a_tampered_mp4(data: bytes) -> None:
    read_in_every_way(data, ".mp4")


@fuzzed(6, 1000)
@given(tampered(".mov", ".mkv", ".avi", ".gif", ".webm", ".webp", ".apng"))
def test_tampered_files_of_other_containers(file: tuple[str, bytes]) -> None:
    read_in_every_way(file[1], file[0])


@fuzzed(20, 2000)
@given(tampered(".png", ".jpg", ".webp", ".bmp"))
def test_tampered_images(file: tuple[str, bytes]) -> None:
    suffix, data = file
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        path.write_bytes(data)
        frame = held(lambda: read_first_frame(path))
        assert frame is None or (frame.ndim == 3 and frame.shape[2] == 3)


@fuzzed(15, 1000)
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\x00\x00\x00\x20ftypisom", b"\x1aE\xdf\xa3", b"GIF89a", b"RIFF"])
)
def test_bytes_that_are_no_file(data: bytes, head: bytes) -> None:
    read_in_every_way(head + data, ".mp4")

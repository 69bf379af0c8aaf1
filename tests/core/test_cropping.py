"""The part of a frame that is shown: what the stream, an MP4 header and a Matroska header leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.conftest import moving_clip
from tests.videos import HERE
from vapbench.core.video import probe, read_first_frame, read_video, write_lossless

CLIP = moving_clip(frames=3, height=64, width=64)


def copied(path: Path, change: str = "null") -> Path:
    """A clip of 64x64, its header at the end, whose stream went through one of FFmpeg's bitstream filters."""
    with av.open(str(HERE / "good.mp4")) as read, av.open(str(path), "w") as written:
        stream: Any = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        changed = av.bitstream.BitStreamFilterContext(change, stream, copy)
        for packet in read.demux(stream):
            for each in changed.filter(packet if packet.size else None):
                each.stream = copy
                written.mux(each)
    return path


def with_aperture(path: Path, numbers: tuple[int, ...]) -> None:
    """Add a clean aperture to the only entry of an MP4 file whose header stands at its end."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd")) - 4
    length = int.from_bytes(data[entry : entry + 4], "big")
    box = (40).to_bytes(4, "big") + b"clap" + b"".join(n.to_bytes(4, "big", signed=True) for n in numbers)
    data[entry + length : entry + length] = box
    assert data.index(b"mdat") < data.index(b"moov")
    for at in (entry, *(data.index(name) - 4 for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"))):
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + len(box)).to_bytes(4, "big")
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("numbers", "left", "top", "size"),
    [
        ((48, 1, 40, 1, 0, 1, 0, 1), 8, 12, (48, 40)),
        ((48, 1, 40, 1, 16, 2, -24, 2), 16, 0, (48, 40)),
        ((64, 1, 64, 1, 0, 1, 0, 1), 0, 0, (64, 64)),
        # What cannot be is passed over: nothing left, outside, and a fraction of nothing.
        ((0, 1, 40, 1, 0, 1, 0, 1), 0, 0, (64, 64)),
        ((48, 1, 40, 1, 90, 1, 0, 1), 0, 0, (64, 64)),
        ((48, 0, 40, 1, 0, 1, 0, 1), 0, 0, (64, 64)),
    ],
)
def test_a_clean_aperture_is_what_is_shown(
    tmp_path: Path, numbers: tuple[int, ...], left: int, top: int, size: tuple[int, int]
) -> None:
    path = copied(tmp_path / "a.mp4")
    whole = read_video(path).frames
    with_aperture(path, numbers)
    clip, info = read_video(path), probe(path)
    width, height = size
    assert (info.width, info.height) == size
    assert np.array_equal(clip.frames, whole[:, top : top + height, left : left + width])
    assert np.array_equal(read_first_frame(path), clip.frames[0])
    cropped = f"cropped to {height}x{width} as its header says"
    assert (cropped in clip.notes) == (size != (64, 64))


def test_pixels_that_matroska_leaves_out_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_lossless(path, CLIP)
    data = bytearray(path.read_bytes())
    # Left 16, top 4, right 0, bottom 20, at the end of the track's video settings.
    crops = b"".join(
        name + b"\x81" + bytes([n]) for name, n in ((b"\x54\xcc", 16), (b"\x54\xbb", 4), (b"\x54\xaa", 20))
    )
    height = data.index(b"\xba\x81\x40")
    data[height + 3 : height + 3] = crops
    # What holds them grows: the video settings, the track, the tracks, the segment.
    tracks = data.rindex(b"\x16\x54\xae\x6b") + 4
    track = data.index(b"\xae", tracks) + 1
    video = data.rindex(b"\xe0", track, height) + 1
    for at in (video, track, tracks, data.index(b"\x18\x53\x80\x67") + 4):
        wide = 9 - data[at].bit_length()
        data[at : at + wide] = (int.from_bytes(data[at : at + wide], "big") + len(crops)).to_bytes(wide, "big")
    path.write_bytes(data)
    assert np.array_equal(read_video(path).frames, CLIP.frames[:, 4:44, 16:])


@pytest.mark.parametrize("left", [2, 8, 32])
def test_what_a_stream_crops_at_its_left_is_cropped(tmp_path: Path, left: int) -> None:
    path = copied(tmp_path / "a.mp4", f"h264_metadata=crop_left={left}")
    assert np.array_equal(read_video(path).frames, read_video(HERE / "good.mp4").frames[:, :, left:])

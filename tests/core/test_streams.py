"""Videos as players show them, and damage that decoders play over."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from tests.conftest import moving_clip
from tests.refusals import refuses
from tests.videos import HERE, KINDS, encode, psnr, turned, with_aspect
from vapbench.core.video import probe, read_first_frame, read_video, write_lossless, write_video
from vapbench.errors import DataError, ErrorKind


def test_frames_before_the_first_key_frame_are_dropped_as_players_do(tmp_path: Path) -> None:
    """A clip that was cut out of a longer one without encoding: Matroska has no time for what comes before."""
    whole = encode(tmp_path / "whole.mkv", **KINDS["open-gop.mp4"], frames=24)
    path = tmp_path / "cut.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(source.streams.video[0]) if packet.size]
        second = [number for number, packet in enumerate(packets) if packet.is_keyframe][1]
        start = packets[second].pts
        early = sum(packet.pts < start for packet in packets[second:])
        for packet in packets[second:]:
            packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, stream
            container.mux(packet)
    assert early
    assert probe(path).frames == len(packets) - second - early


@pytest.mark.parametrize(
    ("name", "frames"), [("frag_whole.mp4", 13), ("trim.mp4", 9), ("same.mkv", 13), ("whole.webm", 13), ("two.mp4", 13)]
)
def test_counts_are_those_decoded(name: str, frames: int) -> None:
    info = probe(HERE / name)
    assert (info.frames, info.width, info.height, info.fps) == (frames, 64, 64, 8)
    assert len(read_video(HERE / name)) == frames


@pytest.mark.parametrize(("codec", "pixels"), [("mjpeg", "yuvj420p"), ("libx264", "yuv420p"), ("mpeg4", "yuv420p")])
def test_frames_that_an_avi_repeats_are_not_missing(tmp_path: Path, codec: str, pixels: str) -> None:
    """FFmpeg writes empty chunks where a frame is shown for longer."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixels
        for index, array in enumerate(moving_clip(frames=12).frames):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format=pixels)
            frame.pts = index + (4 if index > 5 else 0)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    info = probe(path)
    assert info.frames == 12
    assert "variable frame rate" in info.notes[0]


def test_a_stream_copied_into_avi_is_the_same_clip(tmp_path: Path) -> None:
    """FFmpeg writes many empty chunks behind each frame, and reads the last frame a chunk behind the one before."""
    path = tmp_path / "a.avi"
    with av.open(str(HERE / "good.mp4")) as source, av.open(str(path), "w") as container:
        (video,) = source.streams.video
        stream = container.add_stream_from_template(video)
        stream.time_base = Fraction(1, 600)
        plain = BitStreamFilterContext("h264_mp4toannexb", video)
        packets = (found for packet in source.demux(video) for found in plain.filter(packet))
        for number, packet in enumerate(packets):
            packet.stream, packet.time_base = stream, Fraction(1, 600)
            packet.pts = packet.dts = 75 * number
            packet.duration = 75
            container.mux(packet)
    info = probe(path)
    assert (info.frames, info.fps, info.notes) == (13, 8, ())
    assert np.array_equal(read_video(path).frames, read_video(HERE / "good.mp4").frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_last_frame_that_is_short_changes_no_rate(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=50)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index, array in enumerate(moving_clip(frames=9).frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
            frame.pts, frame.time_base = 3 * index, Fraction(1, 50)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert (probe(path).fps, probe(path).notes) == (pytest.approx(50 / 3, abs=1e-3), ())


@pytest.mark.parametrize("space", [1, 5, 9], ids=["BT.709", "BT.601", "BT.2020"])
@pytest.mark.parametrize("span", [1, 2], ids=["limited", "full"])
def test_colours_follow_the_streams_tags(tmp_path: Path, space: int, span: int) -> None:
    path, colour = tmp_path / "a.mp4", (200, 40, 90)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"qp": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = space, span
        flat = np.full((32, 32, 3), colour, np.uint8)
        frame = av.VideoFrame.from_ndarray(flat, format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv444p", dst_colorspace=space, dst_color_range=span)))
        container.mux(stream.encode())
    assert np.abs(read_video(path).frames[0].astype(int) - colour).max() <= 2


def test_an_end_that_is_trimmed_is_not_missing(tmp_path: Path) -> None:
    """An edit list that shows the first second alone."""
    data = bytearray((HERE / "trim.mp4").read_bytes())
    at = data.index(b"elst") + 12
    data[at : at + 8] = (1000 * 4 // 8).to_bytes(4, "big") + (0).to_bytes(4, "big")
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    assert 0 < probe(path).frames < 13


def test_the_stream_that_players_show_is_read(caplog: pytest.LogCaptureFixture) -> None:
    clip = read_video(HERE / "two.mp4")
    assert np.array_equal(clip.frames, read_video(HERE / "good.mp4").frames)
    assert np.array_equal(read_first_frame(HERE / "two.mp4"), clip.frames[0])
    assert probe(HERE / "two.mp4").notes == ("2 video streams, of which stream 1 is used",)
    assert "2 video streams" in caplog.text


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("chosen", ["default", "moving", "larger"])
def test_default_then_moving_then_larger_streams(tmp_path: Path, suffix: str, chosen: str) -> None:
    path = tmp_path / f"a{suffix}"
    sizes = {
        "default": [(64, 64, 5), (48, 32, 5)],
        "moving": [(64, 64, 1), (48, 32, 5)],
        "larger": [(16, 16, 5), (48, 32, 5)],
    }
    with av.open(str(path), "w") as container:
        streams = []
        for number, (width, height, _) in enumerate(sizes[chosen]):
            stream = container.add_stream("libx264", rate=8)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            # Both, so that neither is: a muxer without any makes the first one the default.
            is_default = number == 1 if chosen == "default" else True
            stream.disposition = av.stream.Disposition.default if is_default else av.stream.Disposition(0)
            streams.append(stream)
        for stream, (width, height, frames) in zip(streams, sizes[chosen], strict=True):
            for array in moving_clip(frames=frames, width=width, height=height).frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
            container.mux(stream.encode())
    assert read_video(path).frames.shape == (5, 32, 48, 3)


def test_frames_are_upright(tmp_path: Path) -> None:
    target = read_video(HERE / "good.mp4")
    clip = read_video(HERE / "rot270.mp4")
    assert psnr(clip.frames, target.frames) > 50
    assert psnr(read_first_frame(HERE / "rot270.mp4"), target.frames[0]) > 50
    assert probe(HERE / "rot270.mp4").notes == ("turned or mirrored as its header says",)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda f: f),
        ((0, 1, -1, 0), lambda f: np.rot90(f, -1)),
        ((-1, 0, 0, -1), lambda f: np.rot90(f, 2)),
        ((0, -1, 1, 0), lambda f: np.rot90(f, 1)),
        ((-1, 0, 0, 1), lambda f: f[:, ::-1]),
        ((1, 0, 0, -1), lambda f: f[::-1]),
        ((0, 1, 1, 0), lambda f: f.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda f: np.rot90(f.swapaxes(0, 1), 2)),
    ],
    ids=["as it is", "90", "180", "270", "left and right", "up and down", "transposed", "transversed"],
)
def test_every_display_matrix(tmp_path: Path, matrix: tuple[int, int, int, int], shown: object) -> None:
    """ISO/IEC 14496-12, section 6.2.2: (x, y) is shown at (ax + cy, bx + dy), y growing downwards."""
    path = tmp_path / "a.mp4"
    write_video(path, moving_clip())
    stored = read_video(path).frames
    clip = read_video(turned(path, matrix))
    assert np.array_equal(clip.frames, np.stack([shown(frame) for frame in stored]))
    info = probe(path)
    assert (info.height, info.width) == clip.frames.shape[1:3]
    assert np.array_equal(read_first_frame(path), clip.frames[0])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_turn_that_the_stream_states_holds_for_all_its_frames(tmp_path: Path, suffix: str) -> None:
    """ITU-T H.264, D.2.27: the message stands with key frames, and persists."""
    stored = encode(tmp_path / f"stored{suffix}", options={"g": "5"})
    path = tmp_path / f"a{suffix}"
    with av.open(str(stored)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        states = BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=90", source.streams.video[0])
        for packet in [*source.demux(source.streams.video[0]), None]:
            for filtered in states.filter(packet):
                filtered.stream = stream
                container.mux(filtered)
    clip = read_video(path)
    assert np.array_equal(clip.frames, np.stack([np.rot90(frame, 1) for frame in read_video(stored).frames]))
    assert np.array_equal(read_first_frame(path), clip.frames[0])
    assert probe(path).notes == ("turned or mirrored as its header says",)


def test_a_turn_between_quarters_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, moving_clip())
    stored = read_video(path).frames
    assert np.array_equal(read_video(turned(path, (9, 4, -4, 9))).frames, stored)
    assert probe(path).notes[0].startswith("its header turns it by an angle between quarter turns")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("aspect", "width"), [((4, 3), 64), ((3, 4), 36), ((1, 1), 48), ((1000, 999), 48), ((9, 8), 54)]
)
def test_pixels_become_square(tmp_path: Path, suffix: str, aspect: tuple[int, int], width: int) -> None:
    path = with_aspect(tmp_path / f"a{suffix}", *aspect)
    clip, info = read_video(path), probe(path)
    assert clip.frames.shape == (3, 32, width, 3)
    assert (info.width, info.height) == (width, 32)
    assert bool(info.notes) == (width != 48)
    assert read_first_frame(path).shape == (32, width, 3)


@pytest.mark.parametrize(("aspect", "shape", "said"), [
    ((30000, 1), (32, 48), "taken as square"), ((1, 30000), (32, 48), "taken as square"), ((1, 24), (32, 2), "24")
])  # fmt: skip
def test_an_aspect_that_leaves_nothing_of_a_side_is_passed_over(
    tmp_path: Path, aspect: tuple[int, int], shape: tuple[int, int], said: str
) -> None:
    path = with_aspect(tmp_path / "a.mp4", 4, 3)
    data = path.read_bytes()
    at = data.index(b"pasp") + 4
    path.write_bytes(data[:at] + b"".join(side.to_bytes(4, "big") for side in aspect) + data[at + 8 :])
    clip = read_video(path)
    assert clip.frames.shape[1:3] == shape and said in clip.notes[0]


def test_equal_streams_give_equal_frames_in_every_container() -> None:
    frames = read_video(HERE / "good.mp4").frames
    for name in ("same.mkv", "same.mov", "two.mp4"):
        assert np.array_equal(read_video(HERE / name).frames, frames), name


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(moving_clip(frames=1).frames[0], format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with refuses(DataError, ErrorKind.MISSING, "stream"):
        read_video(path)


@pytest.mark.parametrize("size", [(33, 47), (64, 64)])
def test_lossless_gives_the_very_same_frames_and_bytes(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = moving_clip(frames=7, height=size[0], width=size[1], fps=12)
    for name in ("a.mkv", "b.mkv"):
        write_lossless(tmp_path / name, clip)
    back = read_video(tmp_path / "a.mkv")
    assert np.array_equal(back.frames, clip.frames)
    assert back.fps == 12
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_variable_rate_is_the_average_of_the_frames_in_every_container(tmp_path: Path, suffix: str) -> None:
    path, times = tmp_path / f"a{suffix}", [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 20]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 16)
        for time, array in zip(times, moving_clip(frames=12).frames, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 16)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    info = probe(path)
    assert (info.frames, info.fps) == (12, 8.8), "eleven steps in 20/16 seconds"
    assert info.notes[0].startswith("variable frame rate; its frames are used as stored, at 8.8 fps on average")


def test_interlaced_and_high_dynamic_range_clips_are_noted(tmp_path: Path) -> None:
    lines = {"flags": "+ilme+ildct", "x264-params": "interlaced=1"}
    assert probe(encode(tmp_path / "a.mp4", options=lines)).notes[0].startswith("interlaced, and its frames are")
    for name, transfer in {"PQ": "smpte2084", "HLG": "arib-std-b67"}.items():
        path = encode(tmp_path / f"{name}.mp4", options={"x264-params": f"transfer={transfer}"})
        assert probe(path).notes == (f"high dynamic range ({name}), shown without tone mapping",)

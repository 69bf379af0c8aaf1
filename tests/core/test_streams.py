"""Videos as players show them, and damage that decoders play over."""

from __future__ import annotations

import re
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from tests.conftest import moving_clip
from tests.refusals import refuses
from tests.videos import FRAGMENTS, HERE, LIVE, encode, psnr, turned, with_aspect
from vapbench.core.containers import check_whole
from vapbench.core.video import probe, read_first_frame, read_video, write_lossless, write_video
from vapbench.errors import DataError, ErrorKind

KINDS: dict[str, dict[str, Any]] = {
    "h264.mp4": {},
    "open-gop.mp4": {"options": {"g": "6", "bf": "2", "x264-params": "open-gop=1:scenecut=0"}},
    "h264.mkv": {},
    "h264.avi": {"options": {"bf": "2"}},
    "index-first.mp4": {"muxer": {"movflags": "faststart"}},
    "fragments.mp4": {"options": {"g": "4"}, "muxer": FRAGMENTS},
    "dash.mp4": {"options": {"g": "4"}, "muxer": {"movflags": "dash+global_sidx+frag_keyframe"}},
    "hidden-frames.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "9", "b": "200k"}},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "live.webm": {"codec": "libvpx-vp9", "muxer": LIVE},
    "live.mkv": {"muxer": LIVE},
    "packed.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg4.mp4": {"codec": "mpeg4"},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "prores.mov": {"codec": "prores_ks", "pixels": "yuva444p10le"},
    "10-bit.mp4": {"pixels": "yuv420p10le"},
    "444.mp4": {"pixels": "yuv444p"},
    "uncompressed.avi": {"codec": "rawvideo", "pixels": "bgr24"},
    "ffv1.mkv": {"codec": "ffv1"},
    "animated.gif": {"codec": "gif", "pixels": "rgb8"},
    "animated.png": {"codec": "apng", "pixels": "rgb24", "format": "apng"},
}


# Kept, because the encoder of H.265 corrupts memory now and then.
KEPT = {"h265.mp4": 24, "h265-open-gop.mkv": 24}


@pytest.mark.parametrize("name", [*KINDS, *KEPT])
def test_a_whole_file_is_read_and_a_cut_one_refused(tmp_path: Path, name: str) -> None:
    path = (
        Path(shutil.copyfile(HERE / name, tmp_path / name)) if name in KEPT else encode(tmp_path / name, **KINDS[name])
    )
    assert len(read_video(path)) == probe(path).frames == KEPT.get(name, 12)
    data = path.read_bytes()
    for length in [len(data) * tenth // 10 for tenth in range(1, 10)] + [len(data) - 1, len(data) - 9]:
        path.write_bytes(data[:length])
        for read in (probe, read_video):
            with pytest.raises(DataError) as caught:
                read(path)
            assert str(path) in str(caught.value)


def test_a_cut_between_two_blocks_is_a_cut(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", muxer={"cluster_time_limit": "400"})
    data = path.read_bytes()
    blocks = [found.start() for found in re.finditer(b"\xa3|\x1f\x43\xb6\x75", data)]
    assert len(blocks) >= 12
    for length in blocks:
        path.write_bytes(data[:length])
        with refuses(DataError, ErrorKind.DAMAGED):
            probe(path)


def test_a_list_of_tracks_beyond_the_end_is_damage(tmp_path: Path) -> None:
    path, tracks = encode(tmp_path / "a.mkv"), b"\x16\x54\xae\x6b"
    data = path.read_bytes()
    far, further = (b"\x01" + (1 << bits).to_bytes(7, "big") for bits in (30, 31))
    path.write_bytes(data[: data.rindex(tracks)] + tracks + further + b"\xae" + far + bytes(40))
    with refuses(DataError, ErrorKind.DAMAGED):
        check_whole(path, "matroska")


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


def test_one_wrong_byte_that_the_decoder_reports_is_damage(tmp_path: Path) -> None:
    data = bytearray((HERE / "good.mp4").read_bytes())
    data[1703] ^= 0xFF
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    for read in (probe, read_video):
        with refuses(DataError, ErrorKind.DAMAGED) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_a_decoder_that_would_go_on_behind_damage_is_held_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "a.avi", **KINDS["mjpeg.avi"])
    data = path.read_bytes()
    first = data.index(b"movi") + 12
    length = int.from_bytes(data[first - 4 : first], "little")

    def refused() -> int:
        found = 0
        for part in range(1, 60):
            damaged = bytearray(data)
            damaged[first + length * part // 60] ^= 0xFF
            path.write_bytes(damaged)
            try:
                probe(path)
            except DataError:
                found += 1
        return found

    strict = refused()
    monkeypatch.setattr("vapbench.core.streams._STRICT", {})
    assert strict > refused()


def test_a_fragment_without_its_data_is_missing(tmp_path: Path) -> None:
    data = (HERE / "frag_whole.mp4").read_bytes()
    path = tmp_path / "a.mp4"
    second = data.index(b"moof", data.index(b"moof") + 1) - 4
    for cut in (second + int.from_bytes(data[second : second + 4], "big"), second + 5):
        path.write_bytes(data[:cut])
        with refuses(DataError, ErrorKind.DAMAGED):
            probe(path)


def test_a_fragmented_file_says_how_long_it_is(tmp_path: Path) -> None:
    """Its mehd box (ISO/IEC 14496-12, section 8.8.2), without which an end between two fragments is like any other."""
    data = (HERE / "frag_whole.mp4").read_bytes()
    at = data.index(b"mvex") - 4
    scale = int.from_bytes(data[data.index(b"mvhd") + 16 :][:4], "big")
    box = (16).to_bytes(4, "big") + b"mehd" + bytes(4) + (scale * 13 // 8).to_bytes(4, "big")
    longer = [(place, int.from_bytes(data[place : place + 4], "big") + 16) for place in (data.index(b"moov") - 4, at)]
    for place, length in longer:
        data = data[:place] + length.to_bytes(4, "big") + data[place + 4 :]
    data = data[: at + 8] + box + data[at + 8 :]
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    assert probe(path).frames == 13
    third = data.index(b"moof", data.index(b"moof", data.index(b"moof") + 1) + 1)
    path.write_bytes(data[: third - 4])
    with refuses(DataError, ErrorKind.DAMAGED) as caught:
        probe(path)
    assert "after 8 of 13 frames" in str(caught.value)


@pytest.mark.parametrize("name", ["vp9.webm", "live.mkv"])
def test_a_block_that_a_demuxer_steps_over_is_missing(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, **KINDS[name])
    data = bytearray(path.read_bytes())
    at = data.index(b"\xa3", data.index(b"\x1f\x43\xb6\x75"))
    for wrong in (0x23, 0xE3):
        data[at] = wrong
        path.write_bytes(data)
        with refuses(DataError, ErrorKind.DAMAGED):
            probe(path)


@pytest.mark.parametrize("name", ["vp9.webm", "live.mkv", "h264.mkv"])
def test_a_block_of_a_track_that_is_not_there_is_missing(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, **KINDS[name])
    data = bytearray(path.read_bytes())
    at = data.index(b"\xa3", data.index(b"\x1f\x43\xb6\x75")) + 1
    track = at + 9 - data[at].bit_length()
    assert data[track] == 0x81
    data[track] = 0x82
    path.write_bytes(data)
    with refuses(DataError, ErrorKind.DAMAGED):
        probe(path)


@pytest.mark.parametrize(("box", "place"), [(b"tfhd", -3), (b"trun", 0), (b"moof", 2), (b"mdat", -2)])
def test_a_fragment_whose_boxes_are_broken_is_missing(tmp_path: Path, box: bytes, place: int) -> None:
    data = bytearray((HERE / "frag_whole.mp4").read_bytes())
    second = data.index(box, data.index(box) + 1)
    data[second + place] ^= 0x05
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    with refuses(DataError, ErrorKind.DAMAGED):
        probe(path)


def test_a_frame_of_a_webp_under_another_name_is_missing(tmp_path: Path) -> None:
    data = (HERE / "anim.webp").read_bytes()
    second = data.index(b"ANMF", data.index(b"ANMF") + 1)
    path = tmp_path / "a.webp"
    path.write_bytes(data[:second] + b"ANMG" + data[second + 4 :])
    with refuses(DataError, ErrorKind.DAMAGED):
        probe(path)


def test_a_frame_of_a_webp_without_a_picture_is_missing(tmp_path: Path) -> None:
    data = bytearray((HERE / "anim.webp").read_bytes())
    first = data.index(b"ANMF")
    data[first + 24 : first + 28] = bytes(4)
    path = tmp_path / "a.webp"
    path.write_bytes(data)
    with refuses(DataError, ErrorKind.DAMAGED):
        probe(path)


def test_a_part_of_an_animated_png_that_was_changed_is_damage(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.png", **KINDS["animated.png"])
    data = bytearray(path.read_bytes())
    at = data.index(b"fcTL", data.index(b"fdAT")) + 4 + 21  # How many hundredths its frame is shown.
    data[at] ^= 1
    path.write_bytes(data)
    with refuses(DataError, ErrorKind.DAMAGED) as caught:
        probe(path)
    assert "fcTL" in str(caught.value)


@pytest.mark.parametrize("name", ["vp9.webm", "h264.mkv"])
def test_a_block_that_a_demuxer_cannot_take_apart_is_missing(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, **KINDS[name])
    data = bytearray(path.read_bytes())
    first = data.index(b"\xa3", data.index(b"\x1f\x43\xb6\x75")) + 1
    wide = 9 - data[first].bit_length()
    at = first + wide + (int.from_bytes(data[first : first + wide], "big") & ((1 << 7 * wide) - 1)) + 1
    assert data[at - 1] == 0xA3, "the second block"
    at += 9 - data[at].bit_length()
    # After the track and two bytes of time: several frames in one block, laced as Xiph does.
    data[at + 3] |= 0x02
    path.write_bytes(data)
    with refuses(DataError, ErrorKind.DAMAGED):
        probe(path)


def test_a_live_stream_that_is_shorter_than_it_says_is_noted(tmp_path: Path) -> None:
    """Sizes are open, as a browser's recorder leaves them; who wrote the duration, and when, nobody knows."""
    path = encode(tmp_path / "a.mkv", frames=12)
    data = path.read_bytes()
    cluster = data.index(b"\x1f\x43\xb6\x75")
    for at in (data.index(b"\x18\x53\x80\x67"), cluster):
        wide = 9 - data[at + 4].bit_length()
        data = data[: at + 4] + bytes([(1 << (9 - wide)) - 1]) + b"\xff" * (wide - 1) + data[at + 4 + wide :]
    # The index at the end ends a cluster without a size.
    path.write_bytes(data)
    assert probe(path).frames == 12
    blocks = [found.start() for found in re.finditer(b"\xa3", data) if found.start() > cluster]
    assert not probe(path).notes
    path.write_bytes(data[: blocks[7]])
    info = probe(path)
    assert info.frames < 12 and info.notes[0].startswith("its header says 1.5 s and it ends after 0.")


def test_tracks_that_are_no_streams_are_no_damage(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv")
    with av.open(str(path)) as read, av.open(str(tmp_path / "two.mkv"), "w") as written:
        copy = written.add_stream_from_template(read.streams.video[0])
        sound: Any = written.add_stream("pcm_s16le", rate=8000, layout="mono")
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = copy
                written.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        written.mux(sound.encode(frame))
    data = bytearray((tmp_path / "two.mkv").read_bytes())
    data[data.rindex(b"\x83\x81\x02") + 2] = 0x12  # Buttons, of a track that is no stream of FFmpeg's.
    path.write_bytes(data)
    assert probe(path).frames == 12


@pytest.mark.parametrize("name", ["h264.avi", "packed.avi", "mjpeg.avi", "uncompressed.avi"])
@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_chunk_that_a_demuxer_steps_over_is_missing(tmp_path: Path, name: str, number: int) -> None:
    path = encode(tmp_path / name, **KINDS[name])
    data = bytearray(path.read_bytes())
    at = data.index(b"movi") + 4
    for _ in range(number):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    assert data[at : at + 3] == b"00d"
    data[at + 2] ^= 0xFF
    path.write_bytes(data)
    with refuses(DataError, ErrorKind.DAMAGED):
        probe(path)


def test_stray_bytes_behind_a_file_are_no_damage(tmp_path: Path) -> None:
    for name, count in {"good.mp4": 13, "whole.webm": 13, "whole.gif": 13, "same.mov": 13, "anim.webp": 13}.items():
        for stray in (b"\n", b"\0" * 512, b"-----BEGIN SIGNATURE-----" * 9):
            path = tmp_path / name
            path.write_bytes((HERE / name).read_bytes() + stray)
            assert probe(path).frames == count, (name, stray)


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

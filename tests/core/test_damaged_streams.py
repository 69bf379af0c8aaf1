"""Videos that are cut or damaged are refused, never read in part; what only looks like damage is none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.refusals import refuses
from tests.videos import HERE, KEPT, KINDS, encode
from vapbench.core.containers import check_whole
from vapbench.core.video import probe, read_video
from vapbench.errors import DataError, ErrorKind


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

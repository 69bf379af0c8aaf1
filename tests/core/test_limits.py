"""Videos and images that claim more than they hold, or hold more than is read: one sentence, and bounded memory.

What could take the memory of the machine is read in a process of its own, which says how much it asked for.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core import containers, limits
from vapbench.core.matroska import read_elements
from vapbench.core.video import pad_video, probe, read_first_frame, read_video, write_video
from vapbench.errors import DataError, ErrorKind

ROOM = 512 << 20
"""Bytes of address space that a reader may ask for beside Python and its libraries; the bombs ask for more."""

READ = """
import resource, sys
from pathlib import Path
import av, numpy, PIL.Image, PIL.PngImagePlugin
from vapbench.errors import DataError
from vapbench.core.video import probe, read_first_frame, read_video
from vapbench.report.page.media import image_panel, video_panel

def asked():
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmPeak"))
    return int(peak.split()[1]) << 10

taken = asked()
# For the machine's sake; nothing here may come near.
resource.setrlimit(resource.RLIMIT_AS, (taken + (4 << 30), taken + (4 << 30)))
path = Path(sys.argv[1])
for read in (read_first_frame,) if path.suffix == ".png" else (probe, read_first_frame, read_video):
    try:
        print(read.__name__, "read", read(path))
    except DataError as error:
        print(read.__name__, "refused:", error)
panel = video_panel(path, "Reference", None)
print("panel", panel.message)
print("asked for", asked() - taken)
"""


def refused_in_little_memory(path: Path, *, by: str, but: str = "nothing") -> None:
    """Every reader (but one) refuses ``path`` with a sentence that names it, within :data:`ROOM`."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        env=os.environ | {"MALLOC_ARENA_MAX": "2"},  # threads of a decoder reserve 64 MiB each without
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *said, panel, asked = done.stdout.splitlines()
    assert int(asked.split()[-1]) < ROOM
    assert said, done.stdout
    for line in said:
        if line.startswith(but):
            continue
        assert " refused: " in line, line
        assert str(path) in line
        assert by in line
    assert str(path) in panel


@pytest.fixture
def small(tmp_path: Path) -> bytes:
    """A whole video of 25 frames."""
    write_video(tmp_path / "small.mp4", moving_clip(frames=25, height=96, width=128))
    return (tmp_path / "small.mp4").read_bytes()


def patched(video: bytes, box: bytes, at: int, new: bytes) -> bytes:
    """``video`` with ``new`` at ``at`` bytes after the name of a box."""
    start = video.index(box) + 4 + at
    return video[:start] + new + video[start + len(new) :]


def big(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def with_samples(video: bytes, count: int) -> bytes:
    """A header that truly makes FFmpeg index ``count`` samples of one byte each: all tables agree."""
    video = patched(video, b"stsz", 4, big(1, count))
    video = patched(video, b"stsc", 8, big(1, count, 1))
    return patched(video, b"stts", 8, big(count))


def video_with_huge_picture(path: Path) -> None:
    """A real MOV of PNG frames, of which the first claims 15000x15000 inside its own bytes."""
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("png", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        for array in moving_clip(frames=3, height=32, width=32).frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    video = path.read_bytes()
    start = video.index(b"IHDR")
    head = b"IHDR" + big(15000, 15000) + video[start + 12 : start + 17]
    path.write_bytes(video[:start] + head + big(zlib.crc32(head)) + video[start + 21 :])


def test_a_header_of_a_billion_frames_costs_no_memory(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "billion.mp4"
    path.write_bytes(with_samples(small, 10**9))
    refused_in_little_memory(path, by="claims 1,000,000,000 samples in")


def test_a_header_that_ffmpeg_would_believe_costs_no_memory(tmp_path: Path, small: bytes) -> None:
    """80 million samples: FFmpeg builds their index, of gigabytes, merely to open these 15 KB."""
    path = tmp_path / "index.mp4"
    path.write_bytes(with_samples(small, 80_000_000))
    refused_in_little_memory(path, by="claims 80,000,000 samples in")


def test_tables_are_found_wherever_the_header_hides_them(tmp_path: Path, small: bytes) -> None:
    table = big(20) + b"stsz" + big(0, 1, 80_000_000)
    for name, box in {
        "user data": big(8 + len(table)) + b"udta" + table,
        "a codec's fields": big(24 + len(table)) + b"stbl" + big(16 + len(table)) + b"stsd" + bytes(8) + table,
        "QuickTime's user data": big(8 + len(table)) + b"meta" + table,
        "MP4's user data": big(12 + len(table)) + b"meta" + bytes(4) + table,
        "the outermost place": table,
        "run of a fragment": big(24) + b"moof" + big(16) + b"trun" + big(0, 2_000_000_000),
        "a size of zero": big(0) + b"moov" + table,
        "damage": big(3) + b"moov" + table,
        "64-bit size": big(1) + b"moov" + struct.pack(">Q", 16 + len(table)) + table,
    }.items():
        (tmp_path / "hidden.mp4").write_bytes(small + box)
        with refuses(DataError, ErrorKind.LIMIT, "samples") as caught:
            probe(tmp_path / "hidden.mp4")
        assert "\n" not in str(caught.value), name


@pytest.mark.parametrize(
    "text", ["an elephant raises its trunk", "stsz stz2 elst cmov", "mdat", "moov\0\0\0\1trun\xff"]
)
def test_texts_inside_a_header_are_no_tables(tmp_path: Path, text: str) -> None:
    for suffix in (".mp4", ".mov"):
        path = tmp_path / f"a{suffix}"
        with av.open(str(path), "w") as container:
            for key in ("title", "comment", "artist", "description"):
                container.metadata[key] = text
            stream = container.add_stream("libx264", rate=8)
            stream.metadata["handler_name"] = text
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for array in moving_clip(frames=2).frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
            container.mux(stream.encode())
        assert text.partition("\0")[0].encode() in path.read_bytes()
        assert len(read_video(path)) == 2


def test_edits_compressed_headers_and_endless_ones_are_refused(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "a.mp4"
    for box, (kind, field) in {
        big(16) + b"elst" + big(0, 5_000_000): (ErrorKind.LIMIT, "edits"),
        big(16) + b"cmov" + big(0, 0): (ErrorKind.INVALID, "header"),
        big(24) + b"free" + big(16) + b"cmov" + big(0, 0): (ErrorKind.INVALID, "header"),
    }.items():
        path.write_bytes(small + box)
        with refuses(DataError, kind, field):
            probe(path)
    with path.open("wb") as handle:
        handle.write(small + big(containers.MOST_HEADER_BYTES) + b"meta")
        handle.truncate(2 * containers.MOST_HEADER_BYTES)  # sparse: takes no disk
    with refuses(DataError, ErrorKind.LIMIT, "header"):
        probe(path)
    path.write_bytes(small + (big(8) + b"free") * 200_000)
    with refuses(DataError, ErrorKind.LIMIT, "boxes"):
        probe(path)


def test_boxes_in_boxes_without_end_are_no_trouble(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "a.mp4"
    nested = b"".join(big(8 * (5000 - depth)) + b"moov" for depth in range(5000))
    for data in (small + nested, nested + small, big(1) + b"ftypisom" + bytes(2)):
        path.write_bytes(data)
        try:
            assert len(read_video(path)) == 25
        except DataError as error:
            assert str(path) in str(error)


def test_padding_and_media_data_are_no_header(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(small)
    pad_video(path, len(small) + containers.MOST_HEADER_BYTES + 1000)
    assert len(read_video(path)) == 25
    path.write_bytes(small + big(24) + b"mdat" + b"stsz" + big(0, 1, 10**9))
    assert len(read_video(path)) == 25


@pytest.mark.parametrize(
    ("change", "kind", "field", "named"),
    [
        (lambda v: patched(v, b"mdhd", 12, big(0)), ErrorKind.LIMIT, "seconds", "600"),
        (lambda v: patched(v, b"stts", 12, big(0x80000001)), ErrorKind.LIMIT, "seconds", "600"),
        (lambda v: patched(v, b"mdhd", 12, big(0xFFFFFFFF)), ErrorKind.LIMIT, "seconds", "600"),
        (lambda v: v[: len(v) // 2], ErrorKind.DAMAGED, "", "truncated"),
        (lambda v: v[:200], ErrorKind.MISSING, "stream", "no video stream"),
        (lambda v: b"%PDF-1.7 not a video\n" * 99, ErrorKind.INVALID, "format", "a PDF document"),
        (lambda v: b"caption,video\nA dog,dog.mp4\n" * 99, ErrorKind.INVALID, "format", "a text file"),
        (
            lambda v: b"RIFF\x00\x10\x00\x00WAVEfmt " + bytes(4096),
            ErrorKind.INVALID,
            "format",
            "sound without pictures",
        ),
        (lambda v: b"\x1a\x45\xdf\xa3" + bytes(4096), ErrorKind.DAMAGED, "", "neither MP4"),
        (lambda v: b"GIF89a" + bytes(4096), ErrorKind.INVALID, "format", "a GIF"),
    ],
    ids=[
        *("no time scale", "negative duration", "vast time scale", "half of it", "a header's start"),
        *("PDF", "CSV", "sound", "EBML and nothing", "GIF and nothing"),
    ],
)
def test_lying_or_wrong_files_end_in_one_sentence(
    tmp_path: Path, small: bytes, change: Callable[[bytes], bytes], kind: ErrorKind, field: str, named: str
) -> None:
    path = tmp_path / "lies.mp4"
    path.write_bytes(change(small))
    for read in (probe, read_first_frame, read_video):
        if named == "truncated" and read is not read_video:
            continue  # the header comes first, and is whole
        with refuses(DataError, kind, field, path, named) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -float("inf"), -5.0, 1e12])
def test_a_duration_that_is_no_number_is_refused_or_disbelieved(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for array in moving_clip(frames=5).frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    video = path.read_bytes()
    start = video.index(b"\x44\x89\x88") + 3
    path.write_bytes(video[:start] + struct.pack(">d", 1000 * seconds) + video[start + 8 :])
    try:
        assert len(read_video(path)) == 5
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert not np.isfinite(seconds) or seconds < 0


def test_sizes_that_the_header_claims_are_refused(tmp_path: Path) -> None:
    """A GIF's screen, and a picture inside a video that is larger than the video says."""
    gif = tmp_path / "screen.gif"
    Image.new("RGB", (32, 32)).save(gif)
    data = gif.read_bytes()
    gif.write_bytes(data[:6] + struct.pack("<HH", 65535, 65535) + data[10:])
    refused_in_little_memory(gif, by="screen.gif: ")
    png = tmp_path / "inside.mov"
    video_with_huge_picture(png)
    refused_in_little_memory(png, by="inside.mov: truncated or damaged", but="probe")


def test_frames_are_counted_whatever_the_header_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matroska announces no number of frames: the limits hold while decoding."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for array in moving_clip(frames=30).frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    assert probe(path).frames == 30
    assert len(read_video(path)) == 30
    monkeypatch.setattr(limits, "MOST_FRAMES", 20)
    with refuses(DataError, ErrorKind.LIMIT, "frames"):
        read_video(path)
    monkeypatch.setattr(limits, "MOST_FRAMES", 30)
    monkeypatch.setattr(limits, "MOST_DECODED_BYTES", 29 * 3 * 48 * 32)
    with refuses(DataError, ErrorKind.LIMIT, "bytes"):
        read_video(path)


def test_no_text_file_leads_to_another_file(tmp_path: Path, small: bytes) -> None:
    """FFmpeg guesses by content: a play list of another name would be followed."""
    assert (tmp_path / "small.mp4").is_file()
    for text in (
        "ffconcat version 1.0\nfile 'small.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nsmall.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ):
        (tmp_path / "list.mp4").write_text(text)
        with refuses(DataError, ErrorKind.INVALID, "format", "list.mp4"):
            read_video(tmp_path / "list.mp4")


def test_a_file_name_is_no_address(tmp_path: Path, small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "http:a.mp4", "frame%03d.mp4", "a?b#c.mp4", "-i.mp4", "pipe:0"):
        Path(name).write_bytes(small)
        assert len(read_video(Path(name))) == 25
        assert probe(Path(name)).frames == 25


def test_texts_inside_a_video_need_not_be_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "caption!"
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for array in moving_clip(frames=2).frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"caption!", b"\xff\xfe\x80\x81ion!"))
    assert len(read_video(path)) == 2


def png(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is ``width`` times ``height``."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return big(len(data)) + kind + data + big(zlib.crc32(kind + data))

    header = chunk(b"IHDR", big(width, height) + b"\x08\x02\x00\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(4096))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9000, 12000, 100_000])
def test_images_that_claim_much_are_refused(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side))
    refused_in_little_memory(path, by="bomb.png: ")


@pytest.mark.parametrize(
    ("data", "kind", "field"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", ErrorKind.INVALID, "format"),
        (b"not an image at all", ErrorKind.INVALID, "format"),
        (png(4, 4)[:40], ErrorKind.DAMAGED, ""),
        (png(4, 4).replace(b"IDAT", b"IDAX"), ErrorKind.DAMAGED, ""),
        (png(0, 7), ErrorKind.DAMAGED, ""),
        (b"", ErrorKind.DAMAGED, ""),
    ],
    ids=["PostScript", "text", "cut", "no data", "no width", "empty"],
)
def test_wrong_images_end_in_one_sentence(tmp_path: Path, data: bytes, kind: ErrorKind, field: str) -> None:
    path = tmp_path / "wrong.png"
    path.write_bytes(data)
    with refuses(DataError, kind, field, path) as caught:
        read_first_frame(path)
    assert "\n" not in str(caught.value)


def test_what_stands_in_a_list_of_tracks_is_not_read_without_end() -> None:
    class Counted(BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            return super().read(size)

    # Of a Matroska segment, half a million elements that say nothing.
    nothing = b"\xec\x80" * 500_000
    head = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x16\x54\xae\x6b\x01"
    file = Counted(head + len(nothing).to_bytes(7, "big") + nothing)
    size = len(file.getvalue())
    assert read_elements(Path("a.mkv"), file, size).end == size
    assert file.reads < 2000

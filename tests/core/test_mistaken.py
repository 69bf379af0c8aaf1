"""Files that are no videos say what they are."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.refusals import refuses
from tests.videos import encode
from vapbench.core.mistaken import what_it_is
from vapbench.core.video import read_first_frame, read_video
from vapbench.errors import DataError, ErrorKind

_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.mp4", b"x")
    return buffer.getvalue()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((2, 4, 4, 3), np.uint8))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (_LFS, "a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><title>404</title>", "a web page (HTML)"),
        (b"<HTML><body>Sign in</body>", "a web page (HTML)"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an XML text"),
        (b'{"error": "quota"}', "a JSON text"),
        (b'[{"case": 1}]', "a JSON text"),
        (archive(), "an archive; unpack it"),
        (gzip.compress(b"x" * 99), "an archive; unpack it"),
        (array(), "a NumPy array"),
        (b"%PDF-1.7\n", "a PDF document"),
        (bytes(4096), "nothing but zeros"),
        ("ein Kätzchen läuft, ".encode() * 30, "a text file"),
        ("a cat".encode("utf-16"), "a text file"),
        (b"FLV\x01\x05\x00\x00\x00\x09" + bytes(99), "a Flash video (FLV), which is not read; convert it"),
        (b"OggS\x00\x02" + bytes(99), "an Ogg or RealMedia file"),
        (b"ID3\x04" + bytes(99), "sound without pictures"),
    ],
    # Not the data: an archive holds the time of day, and every worker must collect the same names.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_video_is_named(tmp_path: Path, data: bytes, named: str) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    with refuses(DataError, ErrorKind.INVALID, "format", "x.mp4: not a readable video but", named):
        read_video(path)
    if "sound" not in named:
        with refuses(DataError, ErrorKind.INVALID, "format"):
            read_first_frame(path.rename(tmp_path / "x.png"))


@pytest.mark.parametrize(
    ("form", "codec", "named"),
    [
        ("mpegts", "mpeg2video", "an MPEG transport stream"),
        ("mpeg", "mpeg2video", "an MPEG-1 or MPEG-2 video"),
        ("asf", "wmv2", "a Windows Media video"),
        ("h264", "libx264", "a raw H.264"),
        ("yuv4mpegpipe", "rawvideo", "raw video (Y4M)"),
    ],
)
def test_videos_that_are_not_read_are_named(tmp_path: Path, form: str, codec: str, named: str) -> None:
    path = encode(tmp_path / "x.mp4", codec, format=form)
    with refuses(DataError, ErrorKind.INVALID, "format", "convert it: ffmpeg") as refused:
        read_video(path)
    assert f"not a readable video but {named}" in str(refused.value)


@pytest.mark.parametrize(
    ("form", "named"),
    [("TIFF", "a TIFF image"), ("JPEG2000", "a JPEG 2000 image"), ("PPM", "of a kind that is not read")],
)
def test_pictures_that_are_not_read_are_named(tmp_path: Path, form: str, named: str) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path, format=form)
    with refuses(DataError, ErrorKind.INVALID, "format", named, "save it as PNG"):
        read_first_frame(path)


def test_noise_is_named_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(999))
    assert what_it_is(path) == ""

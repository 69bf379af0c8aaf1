"""What a file is that should be a video or image and is none, so that the message says what to do."""

from __future__ import annotations

import re
from pathlib import Path

_CONVERT = "which is not read; convert it: ffmpeg -i FILE OUT.mp4"
_KINDS: tuple[tuple[bytes, str], ...] = (
    (
        rb"version https://git-lfs\.github\.com/spec/",
        "a Git LFS pointer, not the file itself; fetch it with: git lfs pull",
    ),
    (
        rb"(?i)\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)",
        "a web page (HTML), as a server answers with instead of the file; fetch it again",
    ),
    (rb"\s*<\?xml|\s*<Error>", "an XML text, as a server answers with instead of the file; fetch it again"),
    (rb"\s*[{\[]\s*[\"{}\]]", "a JSON text, as a server answers with instead of the file; fetch it again"),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd", "an archive; unpack it"),
    (rb"%PDF", "a PDF document; replace it"),
    (rb"\x93NUMPY", "a NumPy array; write it as a video: vapbench.write_video"),
    (rb"FLV", f"a Flash video (FLV), {_CONVERT}"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", f"a Windows Media video, {_CONVERT}"),
    (rb"\x47.{187}\x47|.{4}\x47.{191}\x47", f"an MPEG transport stream (TS), {_CONVERT}"),
    (rb"\x00\x00\x01[\xba\xb3]", f"an MPEG-1 or MPEG-2 video, {_CONVERT}"),
    (rb"\x00?\x00\x00\x01[\x67\x27\x40\x46\x09]", f"a raw H.264 or H.265 stream without a container, {_CONVERT}"),
    (rb"YUV4MPEG2", f"raw video (Y4M), {_CONVERT}"),
    (rb"OggS|\.RMF", f"an Ogg or RealMedia file, {_CONVERT}"),
    (rb"ID3|fLaC|RIFF.{4}WAVE|\xff[\xfb\xf3\xf2\xf1\xf9]", "sound without pictures; replace it"),
    (rb".{4}ftyp(avif|avis|heic|heix|hevc|mif1|msf1)", "an AVIF or HEIC image, which is not read; save it as PNG"),
    (rb"II\*\x00|MM\x00\*", "a TIFF image, which is not read; save it as PNG"),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 image, which is not read; save it as PNG"),
    (rb"P[1-7]\s|8BPS|v/1\x01", "an image of a kind that is not read (PNM, PSD or EXR); save it as PNG"),
    (rb"GIF8[79]a", "a GIF; save the image as PNG"),
    (rb"(?i)\s*(<!--.*?-->\s*)?<svg", "an SVG drawing; save it as PNG"),
    (rb"\x00+\Z", "nothing but zeros, as an interrupted copy or download leaves; fetch it again"),
)
_LOOKED_AT = 512


def what_it_is(path: Path) -> str:
    """What a file is by its first bytes, and what to do, as a phrase behind its path; ``""`` where they say nothing."""
    with path.open("rb") as handle:
        head = handle.read(_LOOKED_AT)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "a text file; replace it"
    head = head.removeprefix(b"\xef\xbb\xbf")
    for pattern, phrase in _KINDS:
        if re.match(pattern, head, re.DOTALL):
            return phrase
    printable = bool(head) and not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head)
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # The last character may be cut.
        printable = printable and error.start > len(head) - 4
    return "a text file; replace it" if printable else ""

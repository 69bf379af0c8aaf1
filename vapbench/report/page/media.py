"""Videos and images as data URIs, small enough to live inside a page.

Previews are for looking at, never for measuring, so they have an encoder of their own beside the exact one of
:mod:`vapbench.core.video`: smaller files, in one pass.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from vapbench.core.clip import Frames
from vapbench.core.containers import IMAGES, kind_of, suffix_of
from vapbench.core.streams import open_video
from vapbench.core.video import VideoInfo, decode, probe, read_first_frame
from vapbench.errors import DataError
from vapbench.files.atomic import atomic_path, cache_folder, content_sha256

PREVIEW_VERSION = 2
"""Part of a cached preview's name; raised whenever the encoding below changes."""

_POSTER_WIDTH = 480
_BROWSER_CODECS = frozenset({"h264", "vp8", "vp9", "av1"})
_MIME = {".mp4": "video/mp4", ".webm": "video/webm"}
# Equal frames give equal bytes: see vapbench.core.video.
_X264 = {"crf": "25", "preset": "veryfast", "threads": "2", "x264-params": "mbtree=0"}


@dataclass(frozen=True)
class Panel:
    """One picture of a case: a video, an image, or the reason why there is none."""

    kind: Literal["video", "image", "missing"]
    label: str
    """What it is: ``Reference``, ``First frame``, ``Output``, ``Ground truth``."""
    source: str = field(default="", repr=False)
    """Data URI."""
    poster: str = field(default="", repr=False)
    """Data URI of a video's first frame."""
    width: int = 0
    """Of the file, in pixels, even where a smaller preview is shown."""
    height: int = 0
    frames: int = 0
    fps: float = 0.0
    note: str = ""
    """How what is shown differs from the file."""
    message: str = ""
    """Why there is nothing to show."""
    detail: str = field(default="", repr=False)
    """Traceback, for a failure."""


def video_panel(path: Path, label: str, fits: VideoInfo | None) -> Panel:
    """A video of the data set: as it is if no larger than ``fits`` and playable in browsers, else a preview.

    Args:
        path: the file; an image or a missing or damaged file gives a panel that says so.
        label: what it is.
        fits: size of the output it stands beside; None for no limit.
    """
    try:
        info = probe(path)
        scale = _scale(info.width, info.height, fits)
        if scale == 1 and plays(path):
            return _video(path, path, label, info)
        preview = playable(path, info, scale)
        shown = probe(preview)
        return _video(preview, path, label, info, f"shown as a {shown.height}x{shown.width} preview")
    except DataError as error:
        return Panel("missing", label, message=str(error))


def output_panel(path: Path, label: str) -> Panel:
    """A generated video, byte for byte; where browsers cannot play it, a copy of its size that they can."""
    try:
        info = probe(path)
        if plays(path):
            return _video(path, path, label, info)
        shown = playable(path, info)
        return _video(shown, path, label, info, "encoded anew, for showing only")
    except DataError as error:
        return Panel("missing", label, message=str(error))


def image_panel(path: Path, label: str, fits: VideoInfo | None) -> Panel:
    """An image, or the first frame of a video, no larger than ``fits``: a small one as PNG, else JPEG."""
    from PIL import Image

    try:
        image = Image.fromarray(read_first_frame(path))
    except DataError as error:
        return Panel("missing", label, message=str(error))
    width, height = image.size
    scale = _scale(width, height, fits)
    note = "" if kind_of(path) in IMAGES else "first frame of a video"
    if scale < 1:
        image = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
        note = f"shown at {image.height}x{image.width}"
    return Panel("image", label, _image_uri(image), width=width, height=height, note=note)


def _video(shown: Path, path: Path, label: str, info: VideoInfo, note: str = "") -> Panel:
    return Panel(
        "video",
        label,
        source=_uri(shown.read_bytes(), _MIME[suffix_of(shown)]),
        poster=_poster(shown),
        width=info.width,
        height=info.height,
        frames=info.frames,
        fps=info.fps,
        note=note,
    )


def _scale(width: int, height: int, fits: VideoInfo | None) -> float:
    """Factor that brings an area down to that of ``fits``; sides may differ, as aspect ratios do."""
    if fits is None or width * height <= fits.width * fits.height:
        return 1.0
    return float((fits.width * fits.height / (width * height)) ** 0.5)


def plays(path: Path) -> bool:
    """Whether browsers can be expected to play a video as it is."""
    if path.is_dir() or kind_of(path) in IMAGES or suffix_of(path) not in _MIME:
        return False
    with open_video(path) as (_, stream):
        context = stream.codec_context
        return context.name in _BROWSER_CODECS and context.pix_fmt in ("yuv420p", "yuvj420p")


def playable(path: Path, info: VideoInfo, scale: float = 1.0) -> Path:
    """An H.264 copy in the cache, for showing only, made once per content and size.

    Args:
        path: a video.
        info: what :func:`vapbench.core.video.probe` says of it.
        scale: factor of its sides, which become even.

    Raises:
        DataError: the file cannot be decoded.
    """
    width, height = (max(2, round(side * scale / 2) * 2) for side in (info.width, info.height))
    name = f"{content_sha256(path)[:32]}-{width}x{height}-v{PREVIEW_VERSION}.mp4"
    preview = cache_folder() / "previews" / name
    if not preview.is_file():
        preview.parent.mkdir(parents=True, exist_ok=True)
        # Cases share references, and are laid out side by side in threads: one of them makes the preview.
        with FileLock(preview.with_suffix(".lock")):
            if not preview.is_file():
                _encode(path, preview, width, height, Fraction(info.fps).limit_denominator(100_000))
    return preview


def _encode(path: Path, preview: Path, width: int, height: int, rate: Fraction) -> None:
    import av

    with (
        atomic_path(preview) as temporary,
        av.open(f"file:{temporary.absolute()}", "w", options={"movflags": "+faststart"}) as target,
    ):
        stream = target.add_stream("libx264", rate=rate, options=_X264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        count = 0

        def take(frame: Frames) -> None:
            nonlocal count
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            small: Any = picture.reformat(width=width, height=height, format="yuv420p", threads=1)
            # The rate is constant here as everywhere in vapbench: frames keep their order, not their times.
            small.pts, small.time_base = count, 1 / rate
            count += 1
            target.mux(stream.encode(small))

        decode(path, take)
        target.mux(stream.encode())


def _poster(path: Path) -> str:
    from PIL import Image

    image = Image.fromarray(read_first_frame(path))
    if image.width > _POSTER_WIDTH:
        image = image.resize((_POSTER_WIDTH, max(1, round(image.height * _POSTER_WIDTH / image.width))))
    return _image_uri(image, quality=75)


def _image_uri(image: Any, quality: int = 90) -> str:
    buffer = io.BytesIO()
    if image.width * image.height <= 256 * 256:
        image.save(buffer, "PNG", optimize=True)
        return _uri(buffer.getvalue(), "image/png")
    image.save(buffer, "JPEG", quality=quality)
    return _uri(buffer.getvalue(), "image/jpeg")


def _uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"

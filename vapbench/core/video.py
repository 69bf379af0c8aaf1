"""The only encoder and decoder (PyAV).

Reading keeps the frames as stored: no resampling, no scaling. Writing gives H.264 that every player and browser
opens, visually lossless and byte-identical for equal frames.

Files may come from strangers: the container is told by its first bytes and never by its text, no file leads to
another one, and :mod:`vapbench.core.limits` hold before memory is spent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vapbench.core.clip import Clip, Frames
from vapbench.core.limits import MOST_IMAGE_PIXELS, MOST_PIXELS, Budget, Claims, check_claims, check_pixels
from vapbench.core.mp4 import check_header
from vapbench.errors import DataError
from vapbench.files.atomic import atomic_path

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})

# Decoders of these alone: Pillow guesses by content, and for PostScript it would start another program.
_IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")

# The thread count is part of what x264 writes, so it is fixed rather than taken from the machine. Macroblock-tree
# rate control is off: with it, equal frames now and then give other bytes.
_X264 = {"crf": "12", "preset": "fast", "threads": "4", "x264-params": "mbtree=0"}


@dataclass(frozen=True)
class VideoInfo:
    """What a container says of its video, without decoding it."""

    frames: int
    """Number of frames, 0 if the container does not say."""
    fps: float
    width: int
    height: int


def probe(path: Path) -> VideoInfo:
    """Read the header of a video.

    Raises:
        DataError: the file is missing, is no video, has no video stream, or claims more than is read
            (:mod:`vapbench.core.limits`).
    """
    with open_video(path) as (_, stream):
        return VideoInfo(stream.frames, _fps(stream), stream.codec_context.width, stream.codec_context.height)


def read_video(path: Path) -> Clip:
    """Decode every frame.

    A variable frame rate is reported once and read as stored, at the average rate.

    Returns:
        Clip of ``(T, H, W, 3)`` uint8 RGB frames.

    Raises:
        DataError: the file is missing, truncated, damaged, has no video stream or no frame, or is larger or longer
            than is read (:mod:`vapbench.core.limits`).
    """
    frames: list[Frames] = []
    times: list[int] = []
    budget = Budget(path)
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        announced = stream.frames
        fps = _fps(stream)
        stored = 0
        try:
            for packet in container.demux(stream):
                stored += packet.size > 0
                for frame in packet.decode():
                    budget.spend(frame.width, frame.height)
                    frames.append(_to_rgb(frame))
                    if frame.pts is not None:
                        times.append(frame.pts)
        except _av_errors() as error:
            raise _truncated(path, len(frames), announced) from error
    if not frames:
        raise DataError(f"{path}: the video stream has no frame; replace the file or drop the case.")
    # Packets, not frames: a trimmed video stores more than its edit list shows.
    if stored < announced:
        raise _truncated(path, len(frames), announced)
    if len({frame.shape for frame in frames}) > 1:
        raise DataError(f"{path}: the frame size changes within the video; re-encode it at one size.")
    _report_variable_rate(path, times, fps)
    return Clip(np.stack(frames), fps, source=str(path))


def read_first_frame(path: Path) -> Frames:
    """Decode an image, or the first frame of a video.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: the file is missing, damaged, empty, or larger than is read (:mod:`vapbench.core.limits`).
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return _read_image(path)
    with open_video(path) as (container, stream):
        try:
            for frame in container.decode(stream):
                Budget(path).spend(frame.width, frame.height)
                return _to_rgb(frame)
        except _av_errors() as error:
            raise _truncated(path, 0, stream.frames) from error
    raise DataError(f"{path}: the video stream has no frame; replace the file or drop the case.")


def write_video(path: Path, clip: Clip) -> None:
    """Encode H.264 (yuv420p, constant rate factor 12, BT.601 limited range) at the clip's frame rate.

    The file appears whole or not at all, and equal clips give equal bytes.

    Raises:
        DataError: the height or width is odd, which 4:2:0 chroma cannot store.
        OSError: the disk is full or not writable.
    """
    import av

    if clip.height % 2 or clip.width % 2:
        raise DataError(
            f"{clip.source}: {clip.width}x{clip.height} has an odd side, which H.264 yuv420p cannot store; "
            "crop or pad the frames to even sizes."
        )
    with atomic_path(path) as temporary:
        # The disk may be full before the container has a byte: fail with the system's own error, not the muxer's.
        temporary.touch()
        with av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
            container.flags |= 0x400  # AVFMT_FLAG_BITEXACT: no library version in the header
            stream = container.add_stream("libx264", rate=Fraction(clip.fps).limit_denominator(100_000), options=_X264)
            stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
            context: Any = stream.codec_context
            context.flags |= 0x800000  # AV_CODEC_FLAG_BITEXACT
            context.colorspace, context.color_range = 5, 1  # BT.470BG coefficients, limited range
            for index, array in enumerate(clip.frames):
                frame = _to_yuv(np.ascontiguousarray(array))
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def pad_video(path: Path, size: int) -> None:
    """Bring an MP4 file to ``size`` bytes, so that its size says nothing: an empty box is appended, frames stay.

    Raises:
        ValueError: ``size`` is less than 8 bytes more than the file has.
    """
    extra = size - path.stat().st_size
    if extra < 8:
        raise ValueError(f"{path} has {size - extra} bytes and cannot be padded to {size}")
    with atomic_path(path) as temporary:
        # ISO/IEC 14496-12, section 8.1.2: a box of type "free" is skipped by every reader.
        temporary.write_bytes(path.read_bytes() + extra.to_bytes(4, "big") + b"free" + bytes(extra - 8))


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video whose header has been checked; frames are the caller's to decode and to account for.

    Yields:
        The container and its first video stream.

    Raises:
        DataError: as :func:`probe`.
    """
    import av

    if not path.is_file():
        raise DataError(f"{path}: no such video; check the path, or fetch the data again.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; fetch or write it again.")
    kind = _container(path)
    if kind == "mov":
        check_header(path)
    try:
        # Named, so that nothing is guessed: a text file may be a playlist that leads to other files.
        container = av.open(
            f"file:{path.absolute()}",
            "r",
            format=kind,
            options={"max_pixels": str(MOST_PIXELS)},
            container_options={"protocol_whitelist": "file"},
            **_lenient_texts(),
        )
    except _av_errors() as error:
        raise DataError(
            f"{path}: not a readable video (truncated or damaged header, or neither MP4, Matroska, AVI nor GIF); "
            "fetch or write it again."
        ) from error
    with container:
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise DataError(f"{path}: no video stream (found {kinds}); replace the file or drop the case.")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise DataError(f"{path}: no decoder here reads its kind of video; re-encode it as H.264.")
        check_claims(path, _claims(container, stream))
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        yield container, stream


def _container(path: Path) -> str:
    """FFmpeg's name of the container, by its first bytes; MP4 and its kin have no first bytes of their own."""
    with path.open("rb") as handle:
        head = handle.read(12)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "avi" if head.startswith(b"RIFF") and head.endswith(b"AVI ") else "mov"


def _lenient_texts() -> dict[str, Any]:
    """What keeps texts that are no UTF-8 from refusing a file: PyAV 19 does so by itself, and has no option for it."""
    from av import __version__

    return {"metadata_errors": "replace"} if int(__version__.partition(".")[0]) < 19 else {}


def _claims(container: InputContainer, stream: VideoStream) -> Claims:
    spans = (_seconds(container.duration, Fraction(1, 1_000_000)), _seconds(stream.duration, _exact(stream.time_base)))
    said = [seconds for seconds in spans if seconds is not None]
    # The least is what a negative one shows in; otherwise the longest is what reading may take.
    seconds = (min(said) if min(said) < 0 else max(said)) if said else None
    context = stream.codec_context
    return Claims(stream.frames, _fps(stream), context.width, context.height, seconds)


def _read_image(path: Path) -> Frames:
    from PIL import Image

    if not path.is_file():
        raise DataError(f"{path}: no such image; check the path.")
    try:
        with Image.open(path, formats=_IMAGE_FORMATS) as image:
            check_pixels(path, image.width, image.height, MOST_IMAGE_PIXELS)
            return np.asarray(image.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {error}; scale it down.") from error
    except DataError:
        raise
    except Exception as error:
        # Decoders meet damage with errors of any kind: struct.error, SyntaxError, zlib.error, ….
        raise DataError(f"{path}: not a readable image (PNG, JPEG, WebP or BMP); replace it.") from error


def _to_rgb(frame: Any) -> Frames:
    array: Frames = frame.to_ndarray(format="rgb24")
    return array


def _to_yuv(array: Frames) -> Any:
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    # The default conversion is fast and darkens by a level; these flags round correctly.
    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
    return VideoFrame.from_ndarray(array, format="rgb24").reformat(
        format="yuv420p",
        interpolation=exact,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
    )


def frame_rate(stream: VideoStream) -> Fraction | None:
    """Frames per second; None if the container does not say."""
    return _exact(stream.average_rate) or _exact(stream.guessed_rate)


def _fps(stream: VideoStream) -> float:
    return float(frame_rate(stream) or 0)


class _Ratio(Protocol):
    """A ratio as PyAV gives it: a Fraction before version 19, its own type since."""

    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def _exact(ratio: _Ratio | None) -> Fraction | None:
    # A ratio that the container does not give is None in PyAV 18, and 0/1 or 0/0 in 19: false in both.
    return Fraction(ratio.numerator, ratio.denominator) if ratio else None


def _seconds(ticks: int | None, base: Fraction | None) -> float | None:
    return None if ticks is None or base is None else float(ticks * base)


def _report_variable_rate(path: Path, times: list[int], fps: float) -> None:
    steps = np.diff(np.sort(times))
    # One tick of rounding is how containers store 29.97 fps; more is a variable rate.
    if len(steps) > 1 and steps.max() - steps.min() > max(1, 0.02 * float(np.median(steps))):
        log.warning(
            "%s: variable frame rate; its frames are used as stored, at %.3g fps on average. "
            "To change that, re-encode it at a constant rate.",
            path,
            fps,
        )


def _truncated(path: Path, read: int, announced: int) -> DataError:
    of = f" of {announced}" if announced else ""
    return DataError(f"{path}: truncated or damaged after {read}{of} frames; fetch or write it again.")


def _av_errors() -> tuple[type[Exception], ...]:
    from av.error import FFmpegError

    # Frames of a format that has no way to RGB, and numbers beyond 64 bits, come as Python's own.
    return (FFmpegError, ValueError, OverflowError)

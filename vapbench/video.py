"""The only encoder and decoder (PyAV).

Reading keeps the frames as stored: no resampling, no scaling. Writing gives H.264 that every player and browser
opens, visually lossless and byte-identical for equal frames.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.clip import Clip, Frames
from vapbench.errors import DataError
from vapbench.files import atomic_path

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})

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
        DataError: the file is missing, is no video, or has no video stream.
    """
    with _open(path) as (_, stream):
        return VideoInfo(stream.frames, _fps(stream), stream.codec_context.width, stream.codec_context.height)


def read_video(path: Path) -> Clip:
    """Decode every frame.

    A variable frame rate is reported once and read as stored, at the average rate.

    Returns:
        Clip of ``(T, H, W, 3)`` uint8 RGB frames.

    Raises:
        DataError: the file is missing, truncated, damaged, has no video stream or no frame.
    """
    frames: list[Frames] = []
    times: list[int] = []
    with _open(path) as (container, stream):
        stream.thread_type = "AUTO"
        announced = stream.frames
        fps = _fps(stream)
        stored = 0
        try:
            for packet in container.demux(stream):
                stored += packet.size > 0
                for frame in packet.decode():
                    frames.append(_to_rgb(frame))
                    if frame.pts is not None:
                        times.append(frame.pts)
        except _av_error() as error:
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
        DataError: the file is missing, damaged or empty.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return _read_image(path)
    with _open(path) as (container, stream):
        try:
            for frame in container.decode(stream):
                return _to_rgb(frame)
        except _av_error() as error:
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
def _open(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    import av

    if not path.is_file():
        raise DataError(f"{path}: no such video; check the path, or fetch the data again.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; fetch or write it again.")
    try:
        container = av.open(str(path))
    except _av_error() as error:
        raise DataError(
            f"{path}: not a readable video (truncated or damaged header); fetch or write it again."
        ) from error
    with container:
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise DataError(f"{path}: no video stream (found {kinds}); replace the file or drop the case.")
        yield container, container.streams.video[0]


def _read_image(path: Path) -> Frames:
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise DataError(f"{path}: no such image; check the path.")
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: not a readable image; replace it.") from error


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


def _fps(stream: VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else 0.0


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


def _av_error() -> type[Exception]:
    from av.error import FFmpegError

    return FFmpegError

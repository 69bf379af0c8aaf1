"""The only reader and writer of videos and images.

Reading gives every frame as a player shows it: upright, with square pixels, neither dropped nor repeated. A file that
is damaged or cut is refused. Writing gives H.264 that every player and browser opens, visually lossless and
byte-identical for equal frames.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vapbench.core.clip import Clip, Frames
from vapbench.core.containers import IMAGES, check_whole, kind_of, suffix_of
from vapbench.core.display import TRANSPARENT
from vapbench.core.images import IMAGE_SUFFIXES, animation, first_gap, frame_files, read_image, unlike
from vapbench.core.limits import ByteBudget
from vapbench.core.rates import animation_rate
from vapbench.core.streams import VideoInfo, changing_size, decode_stream, first_picture
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import atomic_path

__all__ = [
    "FOLDER_FPS",
    "IMAGE_SUFFIXES",
    "READER_VERSION",
    "VideoInfo",
    "check_official_export",
    "decode",
    "notes_at",
    "pad_video",
    "probe",
    "read_first_frame",
    "read_video",
    "write_lossless",
    "write_video",
]

log = logging.getLogger(__name__)

READER_VERSION = 5
"""Raised when a file is read as other frames than before. It is recorded with every session of a run, and told under
tables. 5: what a stream crops at its left, and what an MP4, MOV or Matroska file says is not shown, is cut off, and an
aspect of pixels that cannot be is passed over; 4: a turn that the stream itself states holds for all its frames, and
GIF, WebP and PNG have the rate that browsers show; 3: a variable frame rate is averaged over the frames' own times;
2: rotation, EXIF, square pixels and the default stream are as players show them; 1: frames as they are stored.
"""
FOLDER_FPS = 8.0
"""Of a folder of frames, which has no rate of its own, where the suite says none."""

# The thread count is part of what x264 writes, so it is fixed rather than taken from the machine. Macroblock-tree
# rate control is off: with it, equal frames now and then give other bytes.
_X264 = {"crf": "12", "preset": "fast", "threads": "4", "x264-params": "mbtree=0"}
_MACROBLOCK = 16
"""Sides that ``export_to_video`` leaves as they are are multiples of it; others it has scaled up."""


def probe(path: str | PathLike[str]) -> VideoInfo:
    """Decode a video without keeping its frames; what came of a file is remembered while the file stays as it is.

    Raises:
        DataError: as :func:`read_video`.
    """
    path = Path(path)
    stats = [file.stat() for file in (frame_files(path) if path.is_dir() else [path]) if file.is_file()]
    return _probed(path, Path.cwd(), tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats))


@lru_cache(maxsize=10_000)
def _probed(path: Path, here: Path, state: tuple[tuple[int, int, int], ...]) -> VideoInfo:
    return decode(path, None)


def read_video(path: str | PathLike[str]) -> Clip:
    """Decode every frame as a player shows it: upright, with square pixels.

    A variable frame rate is reported once and read as stored, at the average rate. A folder of images is read in the
    order of their numbers, at :data:`FOLDER_FPS`.

    Returns:
        Clip of ``(T, H, W, 3)`` uint8 RGB frames.

    Raises:
        DataError: the file is missing, truncated, damaged, a still image, has no video stream or no frame, or is
            larger or longer than is read (:mod:`vapbench.core.limits`).
    """
    path = Path(path)
    frames: list[Frames] = []
    info = decode(path, frames.append)
    for note in info.notes:
        log.warning("%s: %s.", path, note)
    return Clip(np.stack(frames), info.fps, source=str(path), notes=info.notes)


def decode(path: Path, take: Callable[[Frames], object] | None) -> VideoInfo:
    """Decode every frame, one at a time.

    Args:
        path: a video, or a folder of images.
        take: called with each frame, ``(H, W, 3)`` uint8 RGB; None where only the facts are wanted.

    Raises:
        DataError: as :func:`read_video`. Damage may show after frames were taken.
    """
    if path.is_dir():
        return _decode_folder(path, take)
    if path.is_file() and kind_of(path) in IMAGES:
        return _decode_animation(path, take)
    return decode_stream(path, take)


def read_first_frame(path: str | PathLike[str]) -> Frames:
    """Decode an image, or the first frame of a video, upright and with square pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: the file is missing, damaged, empty, or larger than is read (:mod:`vapbench.core.limits`).
    """
    path = Path(path)
    if path.is_dir():
        return read_image(_frames_in(path)[0])
    if _is_image(path):
        return read_image(path)
    return first_picture(path)


def write_video(path: str | PathLike[str], clip: Clip) -> None:
    """Encode H.264 (yuv420p, constant rate factor 12, BT.601 limited range) at the clip's frame rate.

    The file appears whole or not at all, and equal clips give equal bytes. A clip whose ``export`` is ``official``
    is written as Video-As-Prompt's scripts do instead, whose bytes depend on the encoder and the number of its threads.

    Raises:
        DataError: the height or width is odd, which 4:2:0 chroma cannot store, or for the official export no multiple
            of 16, which would be scaled.
        UsageError: the packages of the official export are not installed.
        OSError: the disk is full or not writable.
    """
    import av

    if clip.export == "official":
        _write_official(Path(path), clip)
        return
    if clip.height % 2 or clip.width % 2:
        raise DataError(
            f"{clip.source}: {clip.width}x{clip.height} has an odd side, which H.264 yuv420p cannot store; "
            "crop or pad the frames to even sizes.",
            ErrorKind.INVALID,
            "size",
        )
    with atomic_path(Path(path)) as temporary:
        # The disk may be full before the container has a byte: fail with the system's own error, not the muxer's.
        temporary.touch()
        with av.open(f"file:{temporary.absolute()}", "w", options={"movflags": "+faststart"}) as container:
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


def check_official_export() -> None:
    """Refuse the official export where its packages are missing, before anything is generated.

    Raises:
        UsageError: ``imageio`` or ``imageio-ffmpeg`` is not installed.
    """
    if not (find_spec("imageio") and find_spec("imageio_ffmpeg")):
        raise UsageError(
            "export=official writes videos with imageio and its ffmpeg, which are not installed: "
            "pip install 'vapbench[official]'",
            ErrorKind.MISSING,
            "export",
        )


def _write_official(path: Path, clip: Clip) -> None:
    """Write as ``infer/cog_vap.py`` and ``infer/wan_vap.py`` do: PIL frames, all else at its default."""
    from diffusers.utils import export_to_video
    from PIL import Image

    check_official_export()
    if clip.height % _MACROBLOCK or clip.width % _MACROBLOCK:
        raise DataError(
            f"{clip.source}: the official export scales {clip.width}x{clip.height} to multiples of {_MACROBLOCK}; "
            "generate such a size, or leave export=official out.",
            ErrorKind.INVALID,
            "size",
        )
    with atomic_path(path) as temporary:
        temporary.touch()
        export_to_video([Image.fromarray(frame) for frame in clip.frames], str(temporary), fps=clip.fps)


def write_lossless(path: Path, clip: Clip) -> None:
    """Encode FFV1 in Matroska, from which the very same frames are read; any size.

    Raises:
        OSError: the disk is full or not writable.
    """
    import av

    with atomic_path(path) as temporary:
        temporary.touch()
        with av.open(f"file:{temporary.absolute()}", "w", format="matroska") as container:
            container.flags |= 0x400  # AVFMT_FLAG_BITEXACT
            rate = Fraction(clip.fps).limit_denominator(100_000)
            stream = container.add_stream("ffv1", rate=rate, options={"threads": "1"})
            stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "bgr0"
            context: Any = stream.codec_context
            context.flags |= 0x800000  # AV_CODEC_FLAG_BITEXACT
            for index, array in enumerate(clip.frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
                frame = frame.reformat(format="bgr0", threads=1)
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


def _decode_animation(path: Path, take: Callable[[Frames], object] | None) -> VideoInfo:
    check_whole(path, kind_of(path))
    times: list[float] = []
    sizes: set[tuple[int, ...]] = set()
    transparent = False
    for frame, seconds, clear in animation(path):
        times.append(seconds)
        sizes.add(frame.shape[:2])
        transparent |= clear
        if take:
            take(frame)
    ((height, width),) = sizes
    fps, notes = animation_rate(path, times, tick=0.001)
    return VideoInfo(len(times), fps, width, height, (TRANSPARENT, *notes) if transparent else notes)


def _frames_in(folder: Path) -> list[Path]:
    if files := frame_files(folder):
        if pair := unlike(files):
            raise DataError(
                f"{folder}: {pair[0].name} and {pair[1].name} are no frames of one clip: names of frames differ in "
                "their numbers alone, each there once; move what is none elsewhere, or rename them.",
                ErrorKind.CONFLICT,
                "frames",
            )
        return files
    raise DataError(
        f"{folder}: a folder without frames ({', '.join(sorted(IMAGE_SUFFIXES))}), no video.",
        ErrorKind.MISSING,
        "frames",
    )


def _decode_folder(path: Path, take: Callable[[Frames], object] | None) -> VideoInfo:
    budget = ByteBudget(path)
    sizes = set()
    files = _frames_in(path)
    for file in files:
        frame = read_image(file)
        height, width = frame.shape[:2]
        budget.spend(width, height)
        sizes.add((width, height))
        if len(sizes) > 1:
            raise changing_size(path)
        if take:
            take(frame)
    gap = first_gap(files)
    gaps = () if gap is None else (f"numbers of frames are missing, and the others are joined; the first is {gap}",)
    return VideoInfo(len(files), FOLDER_FPS, width, height, ("a folder of images has no frame rate", *gaps))


def notes_at(fps: float, read: VideoInfo | Clip) -> tuple[str, ...]:
    """What is to be noted of a folder of frames that is read at a suite's rate."""
    return (f"frames without a rate, read at {fps:g} fps", *read.notes[1:])


def _is_image(path: Path) -> bool:
    """Whether a file is an image by its bytes or, where they tell nothing, by its name."""
    named = path.suffix.lower() in IMAGE_SUFFIXES
    return (kind_of(path) in IMAGES or (named and suffix_of(path) == ".mov")) if path.is_file() else named


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
        threads=1,
    )

"""Pictures that Pillow reads: stills, animated WebP and PNG, and folders of frames; upright, as viewers show them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.core.clip import Frames
from vapbench.core.display import TRANSPARENT
from vapbench.core.limits import MOST_IMAGE_PIXELS, MOST_PIXELS, ByteBudget, check_frames, check_pixels
from vapbench.core.mistaken import what_it_is
from vapbench.errors import DataError, ErrorKind

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})

# Decoders of these alone: Pillow guesses by content, and for PostScript it would start another program.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")


def read_image(path: Path) -> Frames:
    """Decode an image, or the first frame of an animated one, turned as its EXIF orientation says.

    Transparent parts have the colours stored beneath, which is reported.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: the file is missing, damaged, no image, or larger than is read.
    """
    with _opened(path, MOST_IMAGE_PIXELS) as image:
        frame = _rgb(image)
        if _is_transparent(image):
            log.warning("%s: %s.", path, TRANSPARENT)
        return frame


def animation(path: Path) -> Iterator[tuple[Frames, float, bool]]:
    """Decode an animated WebP or PNG.

    Yields:
        Frames, for how many seconds the file shows each, and whether parts of it are transparent.

    Raises:
        DataError: the file is damaged, larger than is read, or a still.
    """
    budget = ByteBudget(path)
    with _opened(path, MOST_PIXELS) as opened:
        image: Any = opened
        count = getattr(image, "n_frames", 1)
        # An APNG may show another picture where animation is not supported; it is none of the frames.
        first = int(getattr(image, "default_image", False))
        if count - first < 2:
            raise DataError(
                f"{path}: a still image ({image.format}), no video; name the video it belongs to.",
                ErrorKind.INVALID,
                "format",
            )
        check_frames(path, count - first)
        for number in range(first, count):
            image.seek(number)
            frame = _rgb(image)
            budget.spend(frame.shape[1], frame.shape[0])
            yield frame, float(image.info.get("duration", 0)) / 1000, _is_transparent(image)


def frame_files(folder: Path) -> list[Path]:
    """Images of a folder in the order of their numbers: ``9.png`` before ``10.png``."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != ".")
    return sorted(files, key=lambda path: ([int(t) if n % 2 else t for n, t in enumerate(_parts(path))], path.name))


def _parts(path: Path) -> list[str]:
    """A name's parts, of which every second is a number."""
    return re.split(r"([0-9]+)", path.stem)


def unlike(files: Sequence[Path]) -> tuple[Path, Path] | None:
    """Two pictures of which one is no further frame of the other's clip; None where all differ in their numbers alone.

    Beside frames there may be masks, a cover, or the same frames in another format. Decimals of different length are
    in another order than their digits: 0.25 before 0.5.

    Args:
        files: as :func:`frame_files` returns them.
    """
    for first, second in pairwise(files):
        one, other = _parts(first), _parts(second)
        numbers = list(map(int, one[1::2])), list(map(int, other[1::2]))
        if one[0::2] != other[0::2] or numbers[0] == numbers[1] or _are_decimals(one, other):
            return first, second
    return None


def _are_decimals(one: list[str], other: list[str]) -> bool:
    """Whether the last numbers are decimals of different length: what is before the point is 0, or not the same."""
    if len(one) < 5 or one[-3] != "." or len(one[-2]) == len(other[-2]):
        return False
    return int(one[-4]) != int(other[-4]) or int(one[-4]) == 0


def is_media(path: Path) -> bool:
    """Whether a file is there, or a folder of frames."""
    return path.is_file() or (path.is_dir() and bool(frame_files(path)))


def first_gap(files: Sequence[Path]) -> int | None:
    """The first number that a folder's frames skip; None where their numbers go up in equal steps, or are none."""
    found = [re.findall(r"[0-9]+", path.stem) for path in files]
    if not all(found):
        return None
    numbers = [int(parts[-1]) for parts in found]
    steps = [after - before for before, after in pairwise(numbers)]
    if not steps or min(steps) < 1 or min(steps) == max(steps):
        return None
    return next(number + min(steps) for number, step in zip(numbers, steps, strict=False) if step > min(steps))


@contextmanager
def _opened(path: Path, most: int) -> Iterator[Image]:
    from PIL import Image

    if not path.is_file():
        raise DataError(f"{path}: no such image; check the path.", ErrorKind.MISSING, "path")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            check_pixels(path, image.width, image.height, most)
            yield image
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {error}; scale it down.", ErrorKind.LIMIT, "pixels") from error
    except DataError:
        raise
    except Exception as error:
        # Decoders meet damage with errors of any kind: struct.error, SyntaxError, zlib.error, ….
        if it := what_it_is(path):
            raise DataError(f"{path}: not a readable image but {it}.", ErrorKind.INVALID, "format") from error
        raise DataError(
            f"{path}: not a readable image (PNG, JPEG, WebP or BMP); replace it.", ErrorKind.DAMAGED
        ) from error


def _is_transparent(image: Any) -> bool:
    return bool(image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255)


def _rgb(image: Image) -> Frames:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # Pillow cuts 16 bits at 255 rather than scaling them.
        grey = (np.asarray(upright).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.asarray(upright.convert("RGB"))

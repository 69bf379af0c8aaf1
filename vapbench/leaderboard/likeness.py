"""Videos that are others: copies of a ground truth, a reference or another output, however little they were changed.

A video is small here: eight of its frames, sixteen by sixteen colours each. Encoding it again, scaling, mirroring,
reversing it or changing its brightness leaves that almost as it was; a method's own output of the same scene does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vapbench.core.video import read_video

FRAMES, SIDE = 8, 16
ALIKE = 2.5
"""Mean difference in levels of 255 up to which two videos are one. Copies encoded again differ by less than 1; the
closest output of a LoRA trained on the very effect, on the stillest clip of the mini suite, by 6.6."""
_GAINS = (0.5, 2.0)
_FLAT = 4.0
"""Standard deviation in levels below which a video shows too little to be compared."""

Small = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Known:
    """A video that an output is compared with."""

    what: str
    """Such as ``the ground truth of CASE``."""
    sha256: str
    path: Path | None = None
    """None where it is known by its hash alone."""


@dataclass(frozen=True)
class Likeness:
    """An output that is another video."""

    video: str
    what: str
    how: str
    """``the same file``, or by how many levels it differs."""

    def __str__(self) -> str:
        """In words."""
        return f"{self.video} is {self.what} ({self.how})"


class Gallery:
    """Videos that outputs are compared with."""

    def __init__(self, known: list[Known]) -> None:
        """Keep them; they are read when first compared."""
        self._known = known

    def likenesses(self, name: str, sha256: str, path: Path) -> Iterator[Likeness]:
        """What a video is a copy of: by its hash, or else by its pixels.

        Raises:
            DataError: it cannot be read.
        """
        same = [known for known in self._known if known.sha256 == sha256]
        if same:
            yield from (Likeness(name, known.what, "the same file") for known in same)
            return
        mine = small(path)
        for known in self._known:
            if known.path is None:
                continue
            levels = difference(mine, _small_of(known.sha256, known.path))
            if levels <= ALIKE:
                yield Likeness(name, known.what, f"{levels:.1f} of 255 levels apart")

    def add(self, known: Known) -> None:
        """One more, that later ones are compared with."""
        self._known.append(known)


def small(path: Path) -> Small:
    """A video as ``(8, 16, 16, 3)`` mean colours, float32 in 0..255.

    Raises:
        DataError: it cannot be read.
    """
    frames = read_video(path).frames
    chosen = frames[np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)].astype(np.float32)
    return _pooled(_pooled(chosen, 1), 2)


@lru_cache(maxsize=4096)
def _small_of(sha256: str, path: Path) -> Small:
    """The video of a hash, wherever it lies."""
    return small(path)


def difference(one: Small, other: Small) -> float:
    """Mean difference in levels: as they are, mirrored, backwards or both, with the best brightness and gain."""
    turned = (one, one[:, :, ::-1], one[::-1], one[::-1, :, ::-1])
    return min(_levels(each, other) for each in turned)


def _levels(one: Small, other: Small) -> float:
    plain = float(np.abs(one - other).mean())
    if min(one.std(), other.std()) < _FLAT:
        return plain
    gain = float(np.clip(((one - one.mean()) * (other - other.mean())).mean() / one.var(), *_GAINS))
    return min(plain, float(np.abs((one - one.mean()) * gain + other.mean() - other).mean()))


def _pooled(frames: Small, axis: int) -> Small:
    edges = np.linspace(0, frames.shape[axis], SIDE + 1).astype(int)
    shape = [1] * frames.ndim
    shape[axis] = SIDE
    sums = np.add.reduceat(frames, edges[:-1], axis)
    return (sums / np.diff(edges).reshape(shape)).astype(np.float32)

"""Videos that are others: copies of a ground truth, a reference or another output, as they are or edited.

First a video is small: eight of its frames, sixteen by sixteen colours each. Encoding it again, scaling, mirroring,
reversing it or changing its brightness leaves that almost as it was; a method's own output of the same scene does not.
Then edits of the case's own ground truth and references are tried (:mod:`~vapbench.leaderboard.edits`); not of other
cases', for two scenes of one kind may be an edit apart, nor of other outputs, for so are two seeds of one method. What
``benchmarks/likeness.py`` measures stands in docs/lab/likeness.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vapbench.core.clip import Frames
from vapbench.core.video import read_video
from vapbench.leaderboard.edits import Footage, Left, nearest

FRAMES, SIDE = 8, 16
ALIKE = 2.5
"""Mean difference in levels of 255 up to which two videos are one. Copies encoded again differ by less than 1; the
closest output of a LoRA trained on the very effect, on the stillest clip of the mini suite, by 6.6."""
COPY, NEAR = 0.15, 0.3
"""Share of an output that the best edit of a given video of its case leaves unexplained: up to the first it is a copy,
up to the second worth a look. The least of twelve honest unseen mini cases was 0.23, of 29 released outputs 0.50."""
COVERED_COPY, COVERED_NEAR = 0.05, 0.1
"""The same of four fifths of the frame, where a stamp may cover the rest. The least of 78 honest clips was 0.14."""
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
    case: str = ""
    """Of a ground truth or a reference: the case it belongs to, in whose outputs alone edits of it are looked for."""


@dataclass(frozen=True)
class Likeness:
    """An output that is another video, or may be."""

    video: str
    what: str
    how: str
    """``the same file``, by how many levels it differs, or how much an edit leaves unexplained."""
    certain: bool = True
    """False where an honest output might come as near: somebody must look at both."""

    def __str__(self) -> str:
        """In words."""
        return f"{self.video} {'is' if self.certain else 'may be'} {self.what} ({self.how})"


class Gallery:
    """Videos that outputs are compared with: small ones are kept once read.

    What a case is given is read again where edits of it are looked for, so that no large ones are kept.
    """

    def __init__(self, known: list[Known]) -> None:
        """Keep them."""
        self._known = known
        self._small: dict[str, Small] = {}

    def likenesses(self, name: str, case: str, sha256: str, frames: Frames) -> Iterator[Likeness]:
        """What a video is a copy of: by its hash, or else by its pixels, or else once a video of its case is edited.

        Args:
            name: what to call it.
            case: the case it was made for.
            sha256: its file's hash.
            frames: its frames, uint8 ``(t, h, w, 3)``.

        Raises:
            DataError: a known video cannot be read.
        """
        same = [known for known in self._known if known.sha256 == sha256]
        if same:
            yield from (Likeness(name, known.what, "the same file") for known in same)
            return
        mine = self._small[sha256] = small(frames)
        apart = [(difference(mine, self._small_of(known, known.path)), known) for known in self._known if known.path]
        copies = [Likeness(name, k.what, f"{levels:.1f} of 255 levels apart") for levels, k in apart if levels <= ALIKE]
        yield from copies or self._edited(name, frames, [known for _, known in apart if known.case == case])

    def add(self, known: Known) -> None:
        """One more, that later ones are compared with."""
        self._known.append(known)

    def _small_of(self, known: Known, path: Path) -> Small:
        if known.sha256 not in self._small:
            self._small[known.sha256] = _small_at(path, known.sha256)
        return self._small[known.sha256]

    def _edited(self, name: str, frames: Frames, given: list[Known]) -> Iterator[Likeness]:
        footage = [Footage.of(read_video(known.path).frames) for known in given if known.path]
        least: dict[int, Left] = {}
        for number, left in nearest(Footage.of(frames), footage):
            least[number] = min(left, least.get(number, left), key=_rank)
        for number, left in least.items():
            turned = [word for word, is_so in (("mirrored", left.mirrored), ("backwards", left.backwards)) if is_so]
            if left.share <= NEAR:
                how = f"{', '.join(['edited', *turned])}: {left.share:.0%} of it is left unexplained"
                yield Likeness(name, given[number].what, how, certain=is_copy(left))
            elif left.uncovered <= COVERED_NEAR:
                how = (
                    f"{', '.join(['edited', *turned, 'covered'])}: {left.uncovered:.0%} is left where it is not covered"
                )
                yield Likeness(name, given[number].what, how, certain=is_copy(left))


def is_copy(left: Left) -> bool:
    """Whether an edit leaves so little that the video is a copy."""
    return left.share <= COPY or left.uncovered <= COVERED_COPY


def _rank(left: Left) -> float:
    """The nearest first, by the limits."""
    return min(left.share / COPY, left.uncovered / COVERED_COPY)


@lru_cache(4096)
def _small_at(path: Path, sha256: str) -> Small:
    # 24 KiB each: whoever looks at a second submission decodes the suite's videos once.
    return small(read_video(path).frames)


def small(frames: Frames) -> Small:
    """A video as ``(8, 16, 16, 3)`` mean colours, float32 in 0..255, from frames uint8 ``(t, h, w, 3)``."""
    chosen = frames[np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)].astype(np.float32)
    return _pooled(_pooled(chosen, 1), 2)


def difference(one: Small, other: Small) -> float:
    """Mean difference in levels: as they are, mirrored, backwards or both, with the best brightness and gain."""
    turned = np.stack([one, one[:, :, ::-1], one[::-1], one[::-1, :, ::-1]]).reshape(4, -1)
    flat = other.ravel()
    plain = float(np.abs(turned - flat).mean(axis=1).min())
    spread = float(one.std())
    if min(spread, float(other.std())) < _FLAT:
        return plain
    around, wanted = turned - one.mean(), flat - other.mean()
    gains = np.clip(around @ wanted / (one.size * spread**2), *_GAINS)
    return min(plain, float(np.abs(around * gains[:, None] - wanted).mean(axis=1).min()))


def _pooled(frames: Small, axis: int) -> Small:
    edges = np.linspace(0, frames.shape[axis], SIDE + 1).astype(int)
    shape = [1] * frames.ndim
    shape[axis] = SIDE
    sums = np.add.reduceat(frames, edges[:-1], axis)
    return (sums / np.diff(edges).reshape(shape)).astype(np.float32)

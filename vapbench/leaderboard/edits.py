"""What is left of a video once another one is edited to look like it.

An edit is one for the whole video: an affine map of the frame (moved, zoomed, turned, stretched, mirrored), a map of
colours (brightness, contrast, hue, saturation, gamma), and a linear map of time (later, faster, backwards). The best
one is found by least squares, from coarse to fine; bars around the picture are cut off before. Of a copy, an edit
leaves next to nothing; of a method's own video of the same scene it leaves most of what moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

SIDE, SHORT, LONG = 32, 8, 33
"""Pixels of a side; frames of a video that is looked at, and at most of one that is edited."""
COARSE = SIDE // 2
"""Pixels of a side to begin with."""
CANDIDATES = 6
"""Starts that are tried for each video, the likeliest: a known video, upright or mirrored, so one may take two."""
_LIKELY = 0.6
"""Correlation of mean pictures below which it is not worth it; of edited copies it is mostly above 0.9."""
_ZOOMS = (0.8, 1.0, 1.25, 1.6)
_WINDOW = 0.6
"""Share of a side that is looked for in the other video."""
_FARTHEST = 0.7
"""Bound of each number of an edit, in halves of a side and of the duration."""
_SEEN = 0.3
"""Share of the frame that must come from within the other video."""
_BLUR = 0.8
"""Standard deviation in pixels: edits are found by slopes."""
_ROUNDS = 6
_SCALE = 12.0
"""Levels from which a difference counts less than its square: an overlay is not part of the edit."""
_BAR = 3.0
"""Standard deviation in levels of a row or column that is a bar."""
_STILL = 1.5
"""Levels by which a video must move to be compared."""
_HOPELESS = 0.7
"""What is left after the coarse steps where finer ones are not worth it."""
_COVERED, _KEPT, _TIMES = 0.2, 0.6, 2
"""Share of the frame that a stamp may cover, share of what moves that must be outside it, rounds of looking for it."""
_NEAR = 0.15
"""Numbers of an edit that the coarse steps find from nothing."""

Volume = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Left:
    """What the best edit leaves, as shares of variance; of two unrelated videos about 1."""

    whole: float
    """Of everything: small where both show one scene."""
    moving: float
    """Of what changes over time: small where it changes alike."""
    mirrored: bool = False
    backwards: bool = False
    uncovered: float = 1.0
    """The share where the frame is least alike left out, as under a stamp; 1 where that is where most of it moves."""

    @property
    def share(self) -> float:
        """The larger of the two."""
        return max(self.whole, self.moving)


@dataclass(frozen=True)
class Footage:
    """A video, small: ``frames`` float32 ``(t, 32, 32, 3)`` in 0..255, without bars."""

    frames: Volume

    @classmethod
    def of(cls, frames: npt.NDArray[np.uint8]) -> Footage:
        """From frames uint8 ``(t, h, w, 3)``."""
        chosen = frames[_spread(len(frames), min(len(frames), LONG))]
        inner = _without_bars(chosen)
        return cls(
            np.stack([cv2.resize(f, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for f in inner], dtype=np.float32)
        )

    @cached_property
    def coarse(self) -> Volume:
        """The same, ``(t, 16, 16, 3)``."""
        return np.stack([cv2.resize(f, (COARSE, COARSE), interpolation=cv2.INTER_AREA) for f in self.frames])

    @cached_property
    def mean(self) -> Volume:
        """The mean of all frames in grey, ``(32, 32)``; blurred, for fine texture correlates at no other zoom."""
        return np.asarray(cv2.GaussianBlur(self.frames.mean(axis=(0, 3)), (0, 0), 1.0), dtype=np.float32)


@dataclass(frozen=True)
class _Start:
    """An edit to begin with."""

    known: int
    likely: float
    mirrored: bool
    numbers: Numbers
    """Six of an affine map in halves of a side, speed and delay in halves of the duration; zeros change nothing."""

    @property
    def all(self) -> tuple[Numbers, ...]:
        """As found, and as if nothing had been moved, if that is far from it."""
        return (self.numbers, np.zeros(8))[: 2 if np.abs(self.numbers).max() > _NEAR else 1]


def nearest(video: Footage, known: Sequence[Footage]) -> Iterator[tuple[int, Left]]:
    """Of the likeliest starts: the known video's number, and what the best edit from there leaves of ``video``."""
    if _variance(video.frames - video.frames.mean(0)) < _STILL**2:
        return
    starts = [start for number, other in enumerate(known) for start in _starts(video, other, number)]
    for start in sorted(starts, key=lambda start: -start.likely)[:CANDIDATES]:
        if start.likely >= _LIKELY:
            yield start.known, _left(video, known[start.known], start)


def _starts(video: Footage, known: Footage, number: int) -> Iterator[_Start]:
    """Where the middle of the mean picture is found in the other's, at any zoom: upright and mirrored."""
    margin = round(SIDE * (1 - _WINDOW) / 2)
    window = video.mean[margin : SIDE - margin, margin : SIDE - margin]
    for mirrored in (False, True):
        place = known.mean[:, ::-1].copy() if mirrored else known.mean
        best = _Start(number, -1.0, mirrored, np.zeros(8))
        for zoom in _ZOOMS:
            size = round(len(window) / zoom)
            looked_for = cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA)
            # A negative is found as well.
            found = np.abs(np.nan_to_num(cv2.matchTemplate(place, looked_for, cv2.TM_CCOEFF_NORMED)))
            row, column = divmod(int(found.argmax()), found.shape[1])
            if found[row, column] > best.likely:
                shift_x, shift_y = ((at + size / 2) / SIDE * 2 - 1 for at in (column, row))
                numbers = np.array([1 / zoom - 1, 0, shift_x, 0, 1 / zoom - 1, shift_y, 0, 0])
                best = _Start(number, float(found[row, column]), mirrored, numbers)
        yield best


def _left(video: Footage, known: Footage, start: _Start) -> Left:
    """What the best edit leaves, forwards or backwards, begun as found and as if nothing had been moved."""
    tried = []
    for backwards in (False, True):
        fit = _Fit(_blurred(video.coarse), _blurred(_turned(known.coarse, start.mirrored, backwards)))
        tried += [(*fit.improved(numbers), fit, backwards) for numbers in start.all]
    numbers, _, fit, backwards = min(tried, key=lambda tried: tried[1])
    left, source = fit.left(numbers), _turned(known.frames, start.mirrored, backwards)
    uncovered = _uncovered(_blurred(video.frames), _blurred(source), numbers)
    if left.moving <= _HOPELESS:
        numbers, _ = _Fit(_blurred(video.frames), _blurred(source)).improved(numbers)
        left = _Fit(video.frames, source).left(numbers)
    return replace(left, mirrored=start.mirrored, backwards=backwards, uncovered=uncovered)


def _uncovered(video: Volume, source: Volume, numbers: Numbers) -> float:
    """What is left outside the part of the frame that is least alike, once the edit is found again without it."""
    fit = _Fit(video, source)
    for _ in range(_TIMES):
        fit.cover(numbers)
        numbers, _ = fit.improved(numbers)
    return fit.left(numbers).share if fit.kept(numbers) >= _KEPT else 1.0


@dataclass(frozen=True)
class _Edited:
    """A source after an edit."""

    moved: Volume
    """Before its colours are changed."""
    seen: npt.NDArray[np.bool_]
    """Which pixels of the frame come from within the source."""
    colours: Volume
    """``(7, 3)``: each channel as a sum of all channels, their squares, and one."""
    frames: Volume


class _Fit:
    """The edit of ``source`` that resembles ``video``: Gauss-Newton, with colours solved for at each step."""

    def __init__(self, video: Volume, source: Volume) -> None:
        chosen = _spread(len(video), SHORT)
        self._video, self._source, self._side = video[chosen], source, video.shape[1]
        self._when = (chosen / max(len(video) - 1, 1) * 2 - 1).astype(np.float32)
        self._open = np.ones((self._side, self._side), dtype=np.bool_)
        place = ((np.arange(self._side, dtype=np.float32) + 0.5) / self._side) * 2 - 1
        self._x, self._y = np.meshgrid(place, place)

    def improved(self, numbers: Numbers) -> tuple[Numbers, float]:
        """A better edit than this one, and its cost."""
        edited, damping = self._edited(numbers), 1e-2
        rest = self._rest(edited)
        cost = _cost(rest)
        for _ in range(_ROUNDS):
            slopes = self._slopes(edited, numbers)
            weighted = slopes / np.sqrt(1 + (rest / _SCALE) ** 2)
            normal, gradient = weighted @ slopes.T, weighted @ rest
            before = cost
            for _ in range(3):
                damped = normal + np.diag(damping * normal.diagonal() + 1e-8 * normal.max() + 1e-9)
                tried = np.clip(numbers + np.linalg.solve(damped, gradient), -_FARTHEST, _FARTHEST)
                edited_so = self._edited(tried)
                if _cost(self._rest(edited_so)) < cost:
                    numbers, edited, rest = tried, edited_so, self._rest(edited_so)
                    cost, damping = _cost(rest), damping / 5
                    break
                damping *= 10
            if cost > 0.999 * before:
                break
        return numbers, cost

    def cover(self, numbers: Numbers) -> None:
        """Leave out the share of the frame in which the edit and the video are least alike."""
        apart = ((self._video - self._edited(numbers).frames) ** 2).mean(axis=(0, 3))
        # A stamp is in one piece: what is alone is no part of it.
        apart = cv2.blur(apart, (3, 3))
        self._open = apart <= np.quantile(apart, 1 - _COVERED)

    def kept(self, numbers: Numbers) -> float:
        """The share of what moves in the source after the edit that is not left out."""
        frames = self._edited(numbers).frames
        moves = ((frames - frames.mean(0)) ** 2).mean(axis=(0, 3))
        return float(moves[self._open].sum()) / max(float(moves.sum()), 1e-6)

    def left(self, numbers: Numbers) -> Left:
        """What an edit leaves."""
        edited = self._edited(numbers)
        video = self._video[:, edited.seen]
        rest = video - edited.frames[:, edited.seen]
        moves = max(_variance(video - video.mean(0)), 1e-6)
        return Left(
            _variance(rest) / max(_variance(video - video.mean((0, 1))), 1e-6), _variance(rest - rest.mean(0)) / moves
        )

    def _rest(self, edited: _Edited) -> Volume:
        """Differences in levels, flat; what is not seen counts as the mean of what is."""
        share = edited.seen.mean()
        if share < _SEEN:
            return np.full(self._video.size, 255.0, np.float32)
        weight = (edited.seen / np.sqrt(share))[:, :, None]
        return np.asarray(((self._video - edited.frames) * weight).ravel(), dtype=np.float32)

    def _slopes(self, edited: _Edited, numbers: Numbers) -> Volume:
        """How the edited frames change with each number, ``(8, differences)``, colours held."""
        a, b, _, c, d, *_ = numbers
        later, down, right = np.gradient(edited.moved, axis=(0, 1, 2))
        step = 2 / self._side
        # From along the frame's sides to along the source's.
        back = np.linalg.inv(np.array([[1 + a, b], [c, 1 + d]])).astype(np.float32)
        along_x = (right * back[0, 0] + down * back[1, 0]) / step
        along_y = (right * back[0, 1] + down * back[1, 1]) / step
        x, y = self._x[:, :, None], self._y[:, :, None]
        when = self._when[:, None, None, None]
        later = later / (2 / (SHORT - 1))
        each = np.stack([along_x * x, along_x * y, along_x, along_y * x, along_y * y, along_y, later * when, later])
        scaled = each / 255
        slopes = scaled @ edited.colours[:3] + (scaled * (2 / 255) * edited.moved) @ edited.colours[3:6]
        weight = edited.seen / np.sqrt(max(edited.seen.mean(), _SEEN))
        return np.asarray((slopes * weight[:, :, None]).reshape(len(each), -1))

    def _edited(self, numbers: Numbers) -> _Edited:
        a, b, right, c, d, down, speed, later = numbers.astype(np.float32)
        x = (1 + a) * self._x + b * self._y + right
        y = c * self._x + (1 + d) * self._y + down
        seen = (np.abs(x) <= 1) & (np.abs(y) <= 1) & self._open
        last = len(self._source) - 1
        when = np.clip((self._when * (1 + speed) + later + 1) / 2 * last, 0, last)
        first = np.minimum(when.astype(int), max(last - 1, 0))
        share = (when - first).astype(np.float32)[:, None, None, None]
        frames = self._source[first] * (1 - share) + self._source[np.minimum(first + 1, last)] * share
        columns, rows = ((at + 1) / 2 * self._side - 0.5 for at in (x, y))
        moved = np.stack(
            [cv2.remap(frame, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for frame in frames]
        )
        terms = _terms(moved)
        inside, wanted = terms[:, seen].reshape(-1, 7), self._video[:, seen].reshape(-1, 3)
        normal = inside.T @ inside + (1e-5 * len(inside) + 1e-6) * np.eye(7, dtype=np.float32)
        colours = np.linalg.solve(normal, inside.T @ wanted)
        return _Edited(moved, seen, colours, terms @ colours)


def _terms(frames: Volume) -> Volume:
    """What colours are summed of: hue, saturation, contrast, brightness, and nearly gamma."""
    scaled = frames / 255
    return np.concatenate([scaled, scaled**2, np.ones_like(scaled[..., :1])], axis=-1)


def _without_bars(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Cut off rows and columns at the border that have one colour throughout; plain margins behind them as well."""
    while True:
        top, bottom = _bars(frames)
        left, right = _bars(frames.swapaxes(1, 2))
        inner = frames[:, top : frames.shape[1] - bottom, left : frames.shape[2] - right]
        if inner.shape == frames.shape or min(inner.shape[1:3]) < frames.shape[1] // 4:
            return frames
        frames = inner


def _bars(frames: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Rows of one colour at the top and at the bottom."""
    plain = frames.std(axis=(0, 2)).max(axis=1) < _BAR
    return int(plain.cumprod().sum()), int(plain[::-1].cumprod().sum())


def _spread(length: int, count: int) -> npt.NDArray[np.int_]:
    return np.linspace(0, length - 1, count).round().astype(int)


def _turned(frames: Volume, mirrored: bool, backwards: bool) -> Volume:
    return np.ascontiguousarray(frames[:: -1 if backwards else 1, :, :: -1 if mirrored else 1])


def _blurred(frames: Volume) -> Volume:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), _BLUR) for frame in frames])


def _cost(rest: Volume) -> float:
    return float((np.sqrt(1 + (rest / _SCALE) ** 2) - 1).mean())


def _variance(differences: Volume) -> float:
    return float((differences**2).mean())

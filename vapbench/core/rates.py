"""How many frames a second a file shows: by its header, or by the times of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vapbench.errors import DataError, ErrorKind
from vapbench.stats.arrays import FloatArray

# Seconds: Chromium and Firefox take no animation at its word that shows a frame for 10 ms or less.
_SHORTEST, _INSTEAD = 0.010001, 0.1


def animation_rate(path: Path, times: Sequence[float], tick: float) -> tuple[float, tuple[str, ...]]:
    """Frames per second of a GIF, WebP or PNG, which have no rate, only a time for each frame.

    Args:
        path: the file, for messages.
        times: seconds that the file shows each frame.
        tick: seconds to which it can say so.

    Returns:
        The rate, and what is to be noted of it.

    Raises:
        DataError: one frame alone.
    """
    if len(times) < 2:
        raise DataError(
            f"{path}: a still image (one frame), no video; name the video it belongs to.", ErrorKind.INVALID, "format"
        )
    shown = [_INSTEAD if time <= _SHORTEST else time for time in times]
    notes = () if shown == list(times) else ("frames that say 10 ms or less are shown for 100 ms, as browsers do",)
    if _is_even(shown, tick):
        return round(len(shown) / sum(shown), 6), notes
    # The last frame often stands longer, before it starts again; videos do not say how long theirs does.
    fps = round((len(shown) - 1) / sum(shown[:-1]), 6)
    return fps, notes if _is_even(shown[:-1], tick) else (*notes, _uneven(fps))


def steps_between(times: Sequence[int], in_avi: bool) -> FloatArray:
    """Ticks from each frame to the next, in the order they are shown."""
    steps = np.diff(np.sort(times)).astype(np.float64)
    # Where empty chunks stand behind each frame, FFmpeg reads the last frame a chunk behind the one before.
    late = in_avi and len(steps) > 1 and steps[-1] < np.median(steps) / 2
    return steps[:-1] if late else steps


def stream_rate(fps: float, steps: FloatArray, tick: float) -> tuple[float, tuple[str, ...]]:
    """The rate of a header, or that of the frames' own times where they are uneven or say otherwise.

    What headers call the average is a guess, another one in each container, and counts a last frame that stands for
    less than the others.

    Args:
        fps: what the header says.
        steps: seconds from each frame to the next.
        tick: seconds to which the file can say so.

    Returns:
        The rate, and what is to be noted of it.
    """
    total = float(steps.sum())
    if not total:
        return fps, ()
    even = _is_even(steps, tick)
    if even and abs(len(steps) / fps - total) <= 1.5 * tick + 1e-9:
        return fps, ()
    own = round(len(steps) / total, 6)
    return own, () if even else (_uneven(own),)


def _is_even(times: Sequence[float] | FloatArray, tick: float) -> bool:
    # One tick of rounding is how containers store 29.97 fps; more is a variable rate.
    return bool(np.ptp(times) <= max(1.001 * tick, 0.02 * float(np.median(times))))


def _uneven(fps: float) -> str:
    return (
        f"variable frame rate; its frames are used as stored, at {fps:.3g} fps on average. "
        "To change that, re-encode it at a constant rate"
    )

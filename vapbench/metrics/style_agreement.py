"""style_agreement: does the look change as it does in the reference?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vapbench.core.clip import Frames, linspace_indices
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Change, Metric, Need, Score

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

Reals = npt.NDArray[np.float64]

STILL = "the reference keeps its look"
"""Kind of the note on a case whose reference changes neither colours nor texture."""

_SIDE, _FRAMES = 240, 5
_STANDSTILL = 0.3
"""A change of look of this size, in the units below, counts as half a standstill."""
_SCALES = (1.5, 3, 6, 12)
_FEATURES = {
    "brightness": 40.0,
    "contrast": 25.0,
    "green to red": 12.0,
    "blue to yellow": 12.0,
    "spread of green to red": 12.0,
    "spread of blue to yellow": 12.0,
    "colourfulness": 12.0,
    "red where bright": 1 / 1.5,
    "yellow where bright": 1 / 1.5,
    "finest texture": 1.0,
    "fine texture": 1.0,
    "coarse texture": 1.0,
    "coarsest texture": 1.0,
    "texture without direction": 1.0,
}
"""What a look is made of, and the size of a difference in it that counts as one."""


class StyleAgreement(Metric):
    r"""How alike the looks of output and reference change from their first frames on.

    Formula: :math:`\langle U, V \rangle / \sqrt{(|U|^2 + s^2)(|V|^2 + s^2)}` with U and V the changes of output and
    reference, s = 0.3. A look is 14 statistics of a frame: mean and standard deviation of L, a and b (CIE Lab), mean
    chroma, correlation of L with a and with b, log of the energy in four bands of L at 240 pixels, and log of the ratio
    of gradients along the weaker and the stronger axis; each counts in units of its own. A change is the mean over five
    frames of the last third, minus the first frame: what the scene shows cancels to a large part.
    Range: -1 to 1, higher is better. 0: another change, or none.
    Source: a formula of our own. No weights. Needs the reference, and 2 frames of each. Where the reference keeps its
    look the value is near 0 and says nothing: a note says so.
    """

    name = "style_agreement"
    title = "Style agreement"
    version = 1
    higher_is_better = True
    unit = "cosine"
    scale = 100.0
    range = (-1.0, 1.0)
    digits = 1
    needs: frozenset[Need] = frozenset({"reference"})
    invariant_to: frozenset[Change] = frozenset({"mirrored", "mirrored-pair"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip against the (first) reference of its case.

        Raises:
            NotApplicable: one of the two has one frame.
        """
        output, reference = (change_of_look(each) for each in (clip, clip.reference))
        parts: dict[str, Any] = {
            "change": dict(zip(_FEATURES, output.round(3).tolist(), strict=True)),
            "change_of_reference": dict(zip(_FEATURES, reference.round(3).tolist(), strict=True)),
        }
        still = float(np.linalg.norm(reference)) < _STANDSTILL
        note = f"{STILL}: there is no change to agree with" if still else ""
        lengths = [np.hypot(np.linalg.norm(each), _STANDSTILL) for each in (output, reference)]
        return Score(float(output @ reference / np.prod(lengths)), parts, note, STILL if still else "")


def change_of_look(clip: ClipView) -> Reals:
    """``(14,)``: the look of the last third minus that of the first frame, computed once per clip.

    Raises:
        NotApplicable: the clip has one frame.
    """
    if len(clip) < 2:
        raise NotApplicable(
            "a change of look takes at least 2 frames; the clip has one", ErrorKind.NOT_APPLICABLE, "frames"
        )

    def compute() -> Reals:
        third = -(-len(clip) // 3)
        last = clip.frames[len(clip) - third :]
        late = np.mean([look(last[index]) for index in sorted(set(linspace_indices(third, _FRAMES)))], axis=0)
        return np.asarray(late - look(clip.frames[0]), dtype=np.float64)

    return clip.shared("change_of_look", compute)


def look(frame: Frames) -> Reals:
    """``(14,)`` statistics of an ``(H, W, 3)`` RGB frame, each in its unit."""
    import cv2

    factor = _SIDE / min(frame.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    size = [max(1, min(4 * _SIDE, round(side * factor))) for side in (frame.shape[1], frame.shape[0])]
    resized = cv2.resize(np.ascontiguousarray(frame), size, interpolation=method)
    light, red, yellow = np.moveaxis(cv2.cvtColor(resized.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), -1, 0)
    # L of 0..100 as 0..255, the scale of the units above.
    light = light * np.float32(2.55)
    values = [light.mean(), light.std(), red.mean(), yellow.mean(), red.std(), yellow.std()]
    values += [np.hypot(red, yellow).mean(), _correlation(light, red), _correlation(light, yellow)]
    before = light
    for scale in _SCALES:
        after = cv2.GaussianBlur(light, (0, 0), scale)
        values.append(np.log(np.abs(before - after).mean() + 0.3))
        before = after
    across, down = (np.abs(cv2.Sobel(light, cv2.CV_32F, *order)) for order in ((1, 0), (0, 1)))
    weaker, stronger = np.minimum(across, down).mean(), np.maximum(across, down).mean()
    values.append(np.log((weaker + 0.1) / (stronger + 0.1)))
    return np.asarray(np.array(values, dtype=np.float64) / np.array(list(_FEATURES.values())))


def _correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean()) / (spread + 1.0)

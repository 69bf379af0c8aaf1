"""first_frame_psnr: is the first frame the one that was given?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from vapbench.core.clip import Clip, resize_clip
from vapbench.errors import DataError, ErrorKind, NotApplicable
from vapbench.metrics.base import Change, Metric, Need, Score

if TYPE_CHECKING:
    from vapbench.core.case import Case, Media
    from vapbench.metrics.view import ClipView

_MOST = 60.0


class FirstFramePsnr(Metric):
    """Peak signal-to-noise ratio of the clip's first frame against the first frame that the method was given.

    Formula: ``min(60, 10 log10(255^2 / MSE))`` over all pixels and channels of frame 0; the image is resized to
    the clip (bicubic, aspect not kept, as VAP prepares it).
    Range: 0 to 60 dB, higher is better. 60 means identical; an autoencoder and H.264 leave 20 to 45.
    Source: the usual definition, for image-to-video methods; VBench-I2V asks the same of DINO features. No weights.
    A released output is not compared with itself: where the suite has no images and took a case's from its output, as
    the gallery does, that output is unscored. A ground truth begins with its case's image, and has its 60.
    """

    name = "first_frame_psnr"
    title = "First frame PSNR"
    version = 1
    higher_is_better = True
    unit = "dB"
    scale = 1.0
    range = (0.0, _MOST)
    digits = 1
    needs: frozenset[Need] = frozenset({"image"})
    invariant_to: frozenset[Change] = frozenset({"frozen", "looped", "mirrored-pair"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the suite took the case's image from this very video.
        """
        given = resize_clip(Clip(clip.image[None], clip.clip.fps), 1, clip.clip.fps, clip.clip.height, clip.clip.width)
        difference = clip.frames[0].astype(np.float64) - given.frames[0]
        error = float(np.mean(difference**2))
        if not error and _from_output(case) and _is_source(case.image, clip.clip):
            raise NotApplicable(
                "the case's first frame was taken from this very video: it has no image of its own",
                ErrorKind.NOT_APPLICABLE,
                "image",
            )
        return Score(min(_MOST, 10 * math.log10(255**2 / error)) if error else _MOST, {"mean_squared_error": error})


def _from_output(case: Case) -> bool:
    return any(note.kind == "image-from-output" for note in case.notes)


def _is_source(image: Media, clip: Clip) -> bool:
    """Whether the image is a video of the same frames, whatever its name and container."""
    try:
        frames = image.read().frames
    except DataError:
        # A picture, or a video that cannot be read to its end, as the clip was.
        return False
    return len(frames) > 1 and np.array_equal(frames, clip.frames)

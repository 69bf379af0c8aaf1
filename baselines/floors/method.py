"""Floors and ceiling: what the metrics say when nothing was generated."""

from __future__ import annotations

import numpy as np

from vapbench import Case, Clip, Method, NotApplicable, resize_clip


class Floor(Method):
    """What the four share: no weights, no seed, the suite's clip spec."""

    uses_seed = False

    def generate(self, case: Case, seed: int) -> Clip:
        """Return the clip at the suite's size, length and rate."""
        spec = case.clip
        return resize_clip(self.video(case), spec.frames, spec.fps, spec.height, spec.width)

    def video(self, case: Case) -> Clip:
        """The clip, at whatever size it has."""
        raise TypeError(f"{type(self).__name__} must define video")


class Noise(Floor):
    """Independent uniform pixels, drawn from the seed and the case."""

    uses_seed = True

    def generate(self, case: Case, seed: int) -> Clip:
        """Draw ``(T, H, W, 3)`` uint8 values."""
        spec = case.clip
        shape = (spec.frames, spec.height, spec.width, 3)
        return Clip(np.random.default_rng([seed, *case.id.encode()]).integers(0, 256, shape, dtype=np.uint8), spec.fps)


class Frozen(Floor):
    """The first frame, repeated."""

    def video(self, case: Case) -> Clip:
        """One frame; ``resize_clip`` repeats it."""
        return Clip(case.image.first_frame()[None], case.clip.fps)


class CopyReference(Floor):
    """The reference video itself."""

    def video(self, case: Case) -> Clip:
        """The first reference."""
        return case.reference.video.read()


class GroundTruth(Floor):
    """The target video of the data set."""

    def video(self, case: Case) -> Clip:
        """The target, where the suite has one."""
        if case.target is None:
            raise NotApplicable("the suite has no ground-truth video for this case", field="target")
        return case.target.read()

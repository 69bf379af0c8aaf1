"""What reference_leakage[pixels] finds in videos whose share of the reference is known, on the mini suite's cases.

python benchmarks/leakage.py
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from vapbench.core.clip import Clip, Frames, resize_clip
from vapbench.metrics.reference_leakage import PixelReferenceLeakage
from vapbench.metrics.view import ClipView
from vapbench.running.run import choose

CPU = torch.device("cpu")


class Against(ClipView):
    """A clip whose reference is decoded already."""

    other: ClipView

    @property
    def reference(self) -> ClipView:
        """The reference at hand."""
        return self.other


def planted(right: Frames, reference: Frames) -> dict[str, Frames]:
    """Videos of one case, by what they are."""
    half, noise = len(right) // 2, np.random.default_rng(0)
    side = right.shape[2] // 2
    return {
        "right": right,
        "frozen": right[:1].repeat(len(right), axis=0),
        "noise": noise.integers(0, 256, right.shape, dtype=np.uint8),
        "copy of the reference": reference,
        "copy, its brightness at 60 %": (reference * 0.6).astype(np.uint8),
        "copy, shifted by a sixteenth of the width": np.roll(reference, right.shape[2] // 16, axis=2),
        "right and reference mixed, 70 to 30": (right * 0.7 + reference * 0.3).astype(np.uint8),
        "left half right, right half the reference's": np.concatenate([right[:, :, :side], reference[:, :, side:]], 2),
        "the reference from half of the clip on": np.concatenate([right[:half], reference[half:]]),
    }


def main() -> None:
    """Print the mean, its spread and the extremes of every plant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="mini")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--task", default="all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    metric, found = PixelReferenceLeakage(), defaultdict(list)
    cases = choose(asked.suite, asked.data, asked.task).cases
    for case in cases:
        right, reference = (case.target or case.image).read(), case.reference.video.read()
        alike = resize_clip(reference, len(right), right.fps, right.height, right.width)
        shown = ClipView(reference, case, CPU)
        for name, frames in planted(right.frames, alike.frames).items():
            clip = Against(Clip(frames, right.fps), case, CPU)
            clip.other = shown
            value = metric.score(clip, case).value
            assert value is not None
            found[name].append(100 * value)
    print(f"| video, {len(cases)} cases | mean | standard deviation | lowest | highest |")
    print("|---|---|---|---|---|")
    for name, values in found.items():
        print(f"| {name} | {np.mean(values):.1f} | {np.std(values):.1f} | {min(values):.1f} | {max(values):.1f} |")


if __name__ == "__main__":
    main()

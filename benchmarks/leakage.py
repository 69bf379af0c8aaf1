"""What reference_leakage[pixels] finds in videos whose share of the reference is known, on the mini suite's cases.

python benchmarks/leakage.py
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch

from vapbench.core.case import Case
from vapbench.core.clip import Clip, Frames
from vapbench.metrics.reference_leakage import PixelReferenceLeakage
from vapbench.metrics.view import ClipView
from vapbench.running.run import choose

CPU = torch.device("cpu")


def planted(right: Frames, reference: Frames) -> dict[str, Frames]:
    """Videos of one case, by what they are."""
    half, noise = len(right) // 2, np.random.default_rng(0)
    side = right.shape[2] // 2
    return {
        "ground truth": right,
        "frozen": right[:1].repeat(len(right), axis=0),
        "noise": noise.integers(0, 256, right.shape, dtype=np.uint8),
        "copy of the reference": reference,
        "copy, its brightness at 60 %": (reference * 0.6).astype(np.uint8),
        "copy, shifted by a sixteenth of the width": np.roll(reference, right.shape[2] // 16, axis=2),
        "ground truth and reference mixed, 70 to 30": (right * 0.7 + reference * 0.3).astype(np.uint8),
        "left half right, right half the reference's": np.concatenate([right[:, :, :side], reference[:, :, side:]], 2),
        "the reference from half of the clip on": np.concatenate([right[:half], reference[half:]]),
    }


def main() -> None:
    """Print the mean, its spread and the extremes of every plant."""
    torch.set_num_threads(1)
    metric, found = PixelReferenceLeakage(), defaultdict(list)

    def score(frames: Frames, case: Case) -> float:
        value = metric.score(ClipView(Clip(frames, case.clip.fps), case, CPU), case).value
        assert value is not None
        return 100 * value

    cases = choose("mini", None, "all").cases
    for case in cases:
        assert case.target is not None
        for name, frames in planted(case.target.read().frames, case.reference.video.read().frames).items():
            found[name].append(score(frames, case))
    print(f"| video, {len(cases)} cases | mean | standard deviation | lowest | highest |")
    print("|---|---|---|---|---|")
    for name, values in found.items():
        print(f"| {name} | {np.mean(values):.1f} | {np.std(values):.1f} | {min(values):.1f} | {max(values):.1f} |")


if __name__ == "__main__":
    main()

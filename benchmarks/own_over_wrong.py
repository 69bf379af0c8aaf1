"""Whether a column prefers a video's own reference to those of other conditions, where the answer is known.

Each case's ground truth (of the gallery: its released output) is scored with its own reference and with every reference
of the task's other conditions. Printed: the mean of each, and in how many comparisons own is above wrong.

    python benchmarks/own_over_wrong.py camera_agreement --task camera
    python benchmarks/own_over_wrong.py style_agreement --task style --same-scene
    python benchmarks/own_over_wrong.py camera_agreement --task camera --suite gallery --data GALLERY
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.view import ClipView
from vapbench.running.run import choose
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.render import FPS, MiniClip

CPU = torch.device("cpu")


class Against(ClipView):
    """A clip whose reference can be exchanged, so that nothing of either is computed twice."""

    other: ClipView

    @property
    def reference(self) -> ClipView:
        """The reference at hand."""
        return self.other


def score(metric: Metric, clip: Against, case: Case, reference: ClipView) -> float:
    """The clip's score with another's reference, higher always better."""
    clip.other = reference
    found = metric.score(clip, case)
    value = found.value if isinstance(found, Score) else found
    assert value is not None
    return value if metric.higher_is_better else -value


def same_scene(case: Case, condition: str) -> ClipView:
    """The case's own scene under another condition: a wrong reference that shows what the output shows."""
    target = next(known.target for known in benchmark_cases() if known.id == case.id)
    return ClipView(Clip(MiniClip(condition, target.scene, target.variation).render(), FPS), case, CPU)


def compare(metric: Metric, cases: Sequence[Case], alike: bool) -> None:
    """Print every case's scores, and what they come to."""
    references = [ClipView(case.reference.video.read(), case, CPU) for case in cases]
    conditions = sorted({case.condition for case in cases})
    own, against, wins = [], [], []
    for number, case in enumerate(cases):
        clip = Against((case.target or case.image).read(), case, CPU)
        mine = score(metric, clip, case, references[number])
        if alike:
            others = [same_scene(case, name) for name in conditions if name != case.condition]
        else:
            others = [
                theirs for other, theirs in zip(cases, references, strict=True) if other.condition != case.condition
            ]
        wrong = [score(metric, clip, case, other) for other in others]
        print(
            f"{case.condition:<24} own {mine:6.2f}   wrong {np.mean(wrong):6.2f} [{min(wrong):.2f}, {max(wrong):.2f}]"
        )
        own.append(mine)
        against += wrong
        wins += [(mine > value) + (mine == value) / 2 for value in wrong]
    print(
        f"{metric.name}: own {np.mean(own):.2f}, wrong {np.mean(against):.2f}; "
        f"own above wrong in {100 * np.mean(wins):.1f} % of {len(wins)}"
    )


def main() -> None:
    """Compare each column asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metric", nargs="+")
    parser.add_argument("--task", required=True)
    parser.add_argument("--suite", default="mini")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--same-scene", action="store_true", help="wrong references show the output's own scene (mini)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cases = list(choose(asked.suite, asked.data, asked.task).cases)
    for name in asked.metric:
        metric, _ = resolve(name)
        metric.setup(CPU)
        began = time.process_time()
        compare(metric, cases, asked.same_scene)
        print(f"{(time.process_time() - began) / len(cases) / 2:.2f} s of processor time a clip, decoding included")


if __name__ == "__main__":
    main()

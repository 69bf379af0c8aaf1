"""How well parameters are read back from clips of the mini suite's grammar, by family.

    python benchmarks/mini_reading.py [CLIPS]     of each family, 24 by default: half of them held-out conditions

For each clip: as rendered; blurred and noisy, about as an autoencoder of 24 dB leaves it; and, for comparison, what
is read when the clip shows another condition of the family, or stands still. Scores as the suite's next version will
give them: 100 is the condition meant, 0 as far from it as any two are apart on average. Seeds are fixed.
"""

from __future__ import annotations

import sys
import time

import cv2
import numpy as np
import numpy.typing as npt

from vapbench.suites.mini.conditions import CATEGORIES, Category
from vapbench.suites.mini.grammar.codes import code_of
from vapbench.suites.mini.grammar.drawing import draw
from vapbench.suites.mini.grammar.parameters import Semantics
from vapbench.suites.mini.grammar.reading import read, score
from vapbench.suites.mini.grammar.split import broken_rules
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import draw_scene, scene_number, seeded

Frames = npt.NDArray[np.uint8]


def main(count: int) -> None:
    """Print a row for each family."""
    print(f"{'family':8} {'rendered':>19} {'blurred, noisy':>15} {'another':>8} {'still':>6} {'s a clip':>9}")
    print(f"{'':8} {'mean median worst':>19}")
    for category in CATEGORIES:
        meant = conditions(category, count)
        clean, soft, still, began = [], [], [], time.process_time()
        for place, truth in enumerate(meant):
            number = scene_number("validation", 20_000 + place)
            frames = MiniClip(code_of(truth), number, variation=number).render()
            variants = (frames, degraded(frames, place), np.repeat(frames[:1], len(frames), axis=0))
            for scores, shown in zip((clean, soft, still), variants, strict=True):
                scores.append(score(read(shown, draw_scene(number), category).semantics, truth))
        seconds = (time.process_time() - began) / (3 * count)
        another = [score(a, b) for a, b in zip(meant, meant[1:] + meant[:1], strict=True)]
        print(
            f"{category:8} {np.mean(clean):5.1f} {np.median(clean):6.1f} {min(clean):5.1f} {np.mean(soft):16.1f} "
            f"{np.mean(another):8.1f} {np.mean(still):6.1f} {seconds:9.2f}",
            flush=True,
        )


def conditions(category: Category, count: int) -> list[Semantics]:
    """Conditions that training may use and held-out ones, in turn."""
    found: tuple[list[Semantics], list[Semantics]] = ([], [])
    index = 0
    while min(map(len, found)) < (count + 1) // 2:
        semantics = draw(category, seeded("benchmark of reading", index))
        found[bool(broken_rules(semantics))].append(semantics)
        index += 1
    return [semantics for pair in zip(*found, strict=False) for semantics in pair][:count]


def degraded(frames: Frames, seed: int) -> Frames:
    """Frames blurred by 1.2 pixels, with noise of a standard deviation of 8 levels."""
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in frames]).astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 8, frames.shape)
    return np.clip(soft + noise, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 24)

"""Whether structural dissimilarity tells subjects of one shape from unlike ones, by scenes of the mini suite.

Triples of training scenes: two whose main subjects have one shape, and a third of another. Printed: in how many the
first two are the nearer.

    python benchmarks/structure.py
"""

from __future__ import annotations

import numpy as np

from vapbench.suites.mini.render import render_scene
from vapbench.suites.mini.scenes import draw_scene, scene_number
from vapbench.validation.probe.difficulty import structural_dissimilarity

SCENES, TRIPLES, SEED = 300, 2000, 0


def main() -> None:
    """Draw the triples and print the share."""
    scenes = [draw_scene(scene_number("train", index)) for index in range(SCENES)]
    pictures, shapes = [render_scene(scene) for scene in scenes], np.array([scene.main.shape for scene in scenes])
    rng, nearer = np.random.default_rng(SEED), 0
    for _ in range(TRIPLES):
        first = int(rng.integers(SCENES))
        like = int(rng.choice([n for n in np.flatnonzero(shapes == shapes[first]) if n != first]))
        unlike = int(rng.choice(np.flatnonzero(shapes != shapes[first])))
        near, far = (structural_dissimilarity(pictures[first], pictures[n]) for n in (like, unlike))
        nearer += near < far
    print(f"{100 * nearer / TRIPLES:.0f} % of {TRIPLES:,} triples of {SCENES} scenes, seed {SEED}")


if __name__ == "__main__":
    main()

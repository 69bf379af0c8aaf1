"""Draw the README's contact sheet from runs on the mini suite: one case of each category, every method.

    python docs/scripts/figures.py results/mini docs/pictures/mini.png

Needs the videos of the runs, which are not in git: generate them first (docs/start/mini.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from vapbench.core.video import read_video
from vapbench.results.run import RunFolder
from vapbench.suites.mini.cases import MiniCase, benchmark_cases
from vapbench.suites.mini.conditions import CATEGORIES, CONDITIONS

Frames = npt.NDArray[np.uint8]

METHODS = {"i2v": "CogVideoX-I2V", "vace-depth": "VACE (depth)", "lora": "LoRA", "vap": "Video-As-Prompt"}
"""Folders of runs, and what stands above their column."""
MOMENTS = (4, 8, 12)
"""Frames of 13 that a cell shows."""
GAP = 4


def main(runs: Path, picture: Path) -> None:
    """Draw the first seen case of every category."""
    cases = [
        next(case for case in benchmark_cases() if CONDITIONS[case.condition].category == category)
        for category in CATEGORIES
    ]
    rows = [[cell(frames) for frames in row(case, runs)] for case in cases]
    titles = ["Reference", "First frame", *METHODS.values(), "Ground truth"]
    widths = [image.shape[1] for image in rows[0]]
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(13, 3.0), width_ratios=widths, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    for case, images, line in zip(cases, rows, axes, strict=True):
        for image, axis in zip(images, line, strict=True):
            axis.imshow(image, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
        line[0].set_ylabel(CONDITIONS[case.condition].category, fontsize=10)
    for title, axis in zip(titles, axes[0], strict=True):
        axis.set_title(title, fontsize=9)
    figure.savefig(picture, dpi=170, facecolor="white", metadata={"Software": None})


def row(case: MiniCase, runs: Path) -> list[Frames]:
    """Clips ``(F, H, W, 3)`` of a case: reference, first frame, methods, ground truth."""
    target = case.target.render()
    made = [video(RunFolder(runs / method), case.id) for method in METHODS]
    return [case.reference.render(), target[:1], *made, target]


def video(folder: RunFolder, case: str) -> Frames:
    """What a run has for a case."""
    found = [folder.video_of(row) for row in folder.current() if row.case == case]
    path = next((path for path in found if path is not None), None)
    if path is None:
        raise SystemExit(f"{folder.path} has no video of {case}; generate it first.")
    return read_video(path).frames


def cell(frames: Frames) -> Frames:
    """A clip's moments side by side on white; a single frame alone."""
    shown = frames if len(frames) == 1 else frames[list(MOMENTS)]
    gap = np.full((shown.shape[1], GAP, 3), 255, dtype=np.uint8)
    parts = [part for frame in shown for part in (frame, gap)][:-1]
    return np.concatenate(parts, axis=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

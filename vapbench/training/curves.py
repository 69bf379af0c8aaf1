"""Loss curves of a stage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vapbench.files.atomic import atomic_path


def draw_curve(history: Path, picture: Path) -> None:
    """Draw the losses of a JSON-lines history, each smoothed, into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    if not rows:
        return
    names = [name for name in rows[0] if name not in ("step", "gradient")]
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = np.array([row["step"] for row in rows])
    for name in names:
        values = np.array([row.get(name) for row in rows], dtype=float)
        window = max(1, len(values) // 100)
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        axes.plot(steps[window - 1 :], smooth, label=name, linewidth=1)
    axes.set_xlabel("step")
    axes.set_yscale("log")
    axes.grid(True, alpha=0.3)
    axes.legend()
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, dpi=120)

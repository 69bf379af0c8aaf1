"""Draw the benchmark conditions of the mini suite's grammar: a row of frames each, a column per category.

python docs/scripts/grammar_sheet.py docs/pictures/grammar.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from vapbench.suites.mini.conditions import CATEGORIES
from vapbench.suites.mini.grammar.codes import code_of
from vapbench.suites.mini.grammar.split import seen_conditions, zero_shot_conditions
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import scene_number

INSTANTS = (0, 3, 6, 9, 12)
GAP = 6


def main(path: Path) -> None:
    """Save the picture."""
    columns = []
    for category in CATEGORIES:
        conditions = (*seen_conditions(category), *zero_shot_conditions(category))
        specs = [MiniClip(code_of(s), scene_number("validation", 50 + row), 0) for row, s in enumerate(conditions)]
        rows = [np.pad(np.hstack(spec.render()[list(INSTANTS)]), _border(), constant_values=255) for spec in specs]
        columns.append(np.vstack(rows))
    Image.fromarray(np.hstack(columns)).quantize(256).save(path, optimize=True)


def _border() -> tuple[tuple[int, int], ...]:
    return (0, GAP), (0, 2 * GAP), (0, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Draw the README's figure of a probe, and keep its rows for the board: methods on the mini suite's camera task.

    vapbench probe -m vap -m i2v -m frozen --task camera
    python docs/scripts/probe_picture.py runs docs/pictures/probe.png vap i2v frozen

Writes results/probe/mini-camera/probe.json as well. Needs the runs of the first command; what they lack is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vapbench.files.atomic import write_json
from vapbench.report.render.effects import write_effects
from vapbench.report.tables.layout import WIDTHS
from vapbench.running.run import choose
from vapbench.validation.probe.figure import figure_of
from vapbench.validation.probe.plans import set_up
from vapbench.validation.probe.report import analyse, to_json

ROWS = Path(__file__).resolve().parents[2] / "results" / "probe"


def main(runs: Path, picture: Path, methods: list[str]) -> None:
    """Draw it, and write its rows."""
    setting = set_up(choose("mini", None, "camera"), methods, {}, None, "balanced", [0], runs)
    report = analyse(setting)
    write_effects(picture, figure_of(report), WIDTHS["page"])
    write_json(ROWS / f"{report.suite}-{report.task}" / "probe.json", to_json(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

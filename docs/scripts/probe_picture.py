"""Draw the README's figure of a probe: methods on the mini suite's camera task.

    vapbench probe -m vap -m i2v -m frozen --task camera
    python docs/scripts/probe_picture.py runs docs/pictures/probe.png vap i2v frozen

Needs the runs of the first command; what they lack is left out of the figure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vapbench.running.run import choose
from vapbench.validation.probe.figure import write_figure
from vapbench.validation.probe.plans import set_up
from vapbench.validation.probe.report import analyse


def main(runs: Path, picture: Path, methods: list[str]) -> None:
    """Draw it."""
    setting = set_up(choose("mini", None, "camera"), methods, {}, None, "balanced", [0], runs)
    write_figure(picture, analyse(setting))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

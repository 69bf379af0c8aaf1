"""Draw the README's figure of a probe: Video-As-Prompt, its base and a frozen frame on the mini suite's camera task.

    vapbench probe -m vap -m i2v -m frozen --task camera
    python docs/scripts/probe_picture.py runs docs/pictures/probe.png

Needs the runs of the first command; what they lack is left out of the figure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vapbench.running.run import choose
from vapbench.validation.probe.figure import write_figure
from vapbench.validation.probe.plans import set_up
from vapbench.validation.probe.report import analyse

METHODS = ("vap", "i2v", "frozen")


def main(runs: Path, picture: Path) -> None:
    """Draw it."""
    setting = set_up(choose("mini", None, "camera"), METHODS, {}, None, "balanced", [0], runs)
    write_figure(picture, analyse(setting))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

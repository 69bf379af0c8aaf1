"""What a probe gives: its report, as text and as a data frame, and the files that keep it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.validation.probe.files import write_files
from vapbench.validation.probe.plans import Setting
from vapbench.validation.probe.report import Report, analyse
from vapbench.validation.probe.text import lines

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ProbeResult:
    """What reference and caption each do to the videos of methods."""

    report: Report
    files: tuple[Path, ...]
    """The page, the figure in three formats and at the width of a column, and the rows as JSON."""

    def to_dataframe(self) -> pd.DataFrame:
        """A row per method and effect.

        Columns: method, effect (reference, caption, interaction, two references), mean, low, high (in the metric's own
        unit; missing where a case in twenty lacks a score), n, total, verdict (reads, unchanged, changes, against,
        unclear, unknown).
        """
        import pandas as pd

        rows = [
            {
                **{"method": method.method, "effect": effect.name},
                **{name: getattr(effect.difference, name, None) for name in ("mean", "low", "high")},
                **{"n": getattr(effect.difference, "n", 0), "total": effect.total, "verdict": effect.verdict},
            }
            for method in self.report.methods
            for effect in method.effects
        ]
        names = ["method", "effect", "mean", "low", "high", "n", "total", "verdict"]
        return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(("mean", "low", "high"), "Float64"))

    def __str__(self) -> str:
        """As the terminal prints it, without a limit to its width."""
        return self.text()

    def text(self, width: int | None = None) -> str:
        """As a terminal of so many columns prints it."""
        return "\n".join(lines(self.report, width))

    def _repr_html_(self) -> str:
        return str(self.to_dataframe().to_html())


def conclude(setting: Setting) -> ProbeResult:
    """Sum up the runs of a probe and write its files.

    Raises:
        UsageError: there are more methods than a figure can tell apart.
        DataError: a video cannot be read.
    """
    report = analyse(setting)
    return ProbeResult(report, tuple(write_files(setting, report)))

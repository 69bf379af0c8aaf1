"""Columns and rows of a table: what metrics and methods say about themselves.

Display data lives on the metric and on the method's card, nowhere else. A metric or method that cannot be
found any more (a plug-in that is not installed here) is shown plainly, without a direction, rather than not
at all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from vapbench.metrics.base import scaled_unit
from vapbench.report.read.run_summary import ColumnKey, RunSummary
from vapbench.results.keys import params8
from vapbench.results.manifest import ColumnDisplay

log = logging.getLogger(__name__)

REFERENCE_KINDS = ("floor", "ceiling")
"""Kinds of method that bound the scale and never compete."""


@dataclass(frozen=True)
class Column:
    """One metric column: (metric, version, parameters), and how to print it."""

    metric: str
    """Name, with the variant in brackets: ``dynamic_degree[raft]``."""
    version: int
    params: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    """Header; tells columns apart that share everything else."""
    higher_is_better: bool | None = None
    """None where the metric is not known here; such a column is never ranked."""
    unit: str = ""
    scale: float = 1.0
    """Factor for display: 100 prints 0.42 as 42.0."""
    digits: int = 2
    range: tuple[float | None, float | None] = (None, None)
    """Values the metric can take, in its own unit; None where there is no bound."""

    @property
    def arrow(self) -> str:
        """Direction: ``↑`` higher is better, ``↓`` lower is better, empty if unknown."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def header(self) -> str:
        """Title and arrow."""
        return f"{self.title} {self.arrow}".rstrip()

    @property
    def shown_unit(self) -> str:
        """Unit of the numbers as they are printed."""
        return scaled_unit(self.unit, self.scale)

    @property
    def definition(self) -> str:
        """The column's full name: metric, version, parameters."""
        params = ", ".join(f"{name}={_plain(value)}" for name, value in self.params.items())
        return f"{self.metric} v{self.version}" + (f" ({params})" if params else "")

    def text(self, value: float) -> str:
        """A value as it is printed: scaled, rounded, with a true minus sign."""
        shown = f"{value * self.scale:.{self.digits}f}"
        if float(shown) == 0:
            shown = shown.lstrip("-")
        return shown.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Row:
    """One method of a table."""

    label: str
    """What the run is called, with the parameters that tell it from another run of that name."""
    method: str
    kind: str = ""
    """The card's kind (``unified``, ``per-condition``, ``floor``, ``ceiling``); empty without a card."""
    title: str = ""
    """The card's title; the name if there is no card."""
    notes: tuple[str, ...] = ()
    """What a reader of its numbers must know."""

    published: str = ""
    """Where the row was published, such as ``arXiv:2510.20888``; empty if it was measured."""

    run: str = ""
    """Name of the run's folder: ``vap~93188c36``."""

    named: str = ""
    """What the run is called, where an author gave the row another label."""

    group: str = ""
    """Title of the group an author put it in."""

    seconds: float | None = None
    """Median time a clip took to generate, as its rows recorded it; None where they did not."""

    @property
    def competes(self) -> bool:
        """Whether the method can be best: floors, ceilings and published rows cannot."""
        return self.kind not in REFERENCE_KINDS and not self.published


def columns_of(keys: Sequence[ColumnKey], shown: Mapping[str, ColumnDisplay]) -> tuple[Column, ...]:
    """Columns with their display data, titled so that no two read alike.

    Args:
        keys: the columns.
        shown: metric name -> how its values are shown, as the runs' manifests recorded it.
    """
    return _tell_apart([_column(key, shown.get(key.metric)) for key in keys])


def rows_of(runs: Sequence[RunSummary]) -> tuple[Row, ...]:
    """One row per run, labelled by its name and what is not at its default, so that no two read alike."""
    names = [run.label for run in runs]
    labels = list(names)
    for name in dict.fromkeys(names):
        alike = [index for index, other in enumerate(names) if other == name]
        parameters = [runs[index].identity.parameters for index in alike]
        # A run in the folder of its bare name has every parameter at its default.
        default = next(
            (values for index, values in zip(alike, parameters, strict=True) if _is_default(runs[index])), None
        )
        for index, difference in zip(alike, _differences(parameters, default), strict=True):
            changed = _changed(runs[index])
            shown = difference if changed is None else _spelled(changed, name)
            labels[index] = f"{name} {shown}".strip()
    repeated = [index for index, label in enumerate(labels) if labels.count(label) > 1]
    for index, end in zip(repeated, _ends([runs[index].folder.path for index in repeated]), strict=True):
        labels[index] = f"{labels[index]} [{end}]"
    return tuple(_row(label, run) for label, run in zip(labels, runs, strict=True))


def labels_by_name(rows: Sequence[Row]) -> dict[str, str]:
    """Label of a row by each name its run may have been given elsewhere, as in a study: label, folder, or bare name."""
    bare = [row.run.partition("~")[0] for row in rows]
    names = {name: row.label for name, row in zip(bare, rows, strict=True) if name and bare.count(name) == 1}
    names |= {name: row.label for row in rows for name in (row.run, row.named) if name}
    return names | {row.label: row.label for row in rows}


def _ends(paths: Sequence[Path]) -> list[str]:
    """The last parts of paths, as few as tell different folders apart."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts), default=0)):
        ends = ["/".join(part[-length:]) for part in parts]
        if len(set(ends)) == len(set(parts)):
            return ends
    return list(map(str, paths))


def _column(key: ColumnKey, shown: ColumnDisplay | None) -> Column:
    plain = Column(key.metric, key.version, json.loads(key.params), title=key.metric)
    if shown is not None:
        known = shown.model_fields_set & {"title", "higher_is_better", "unit", "scale", "digits"}
        low, high = shown.range or (None, None)
        return replace(plain, **{name: getattr(shown, name) for name in known}, range=(low, high))
    try:
        from vapbench.metrics import resolve

        metric = resolve(key.metric)[0]
    except Exception as error:  # a plug-in may fail in any way; its finished rows are still worth a table
        log.debug("%s is shown without its display data: %s", key.metric, error)
        return plain
    return replace(
        plain,
        title=metric.title or key.metric,
        higher_is_better=metric.higher_is_better,
        unit=metric.unit,
        scale=metric.scale,
        digits=metric.digits,
    )


def _row(label: str, run: RunSummary) -> Row:
    card = run.manifest.card
    title, kind, notes = card.title or run.method, card.kind or "", tuple(card.notes or ())
    made = [row for rows in run.generations.values() for row in rows if row.status == "ok"]
    timed = [row.seconds for row in made if row.seconds is not None]
    # Videos made elsewhere were copied in no time.
    seconds = median(timed) if timed and kind != "outputs" else None
    return Row(label, run.method, kind, title, notes, run=run.folder.path.name, seconds=seconds)


def _changed(run: RunSummary) -> Mapping[str, Any] | None:
    """Parameters that are not at their default; None where a run of before this was recorded cannot tell."""
    if run.manifest.card.changed is not None:
        return run.manifest.card.changed
    digits, values = run.folder.path.name.partition("~")[2], run.identity.parameters
    if not digits:
        return {} if _is_default(run) else None
    try:
        from vapbench.methods import usual_parameters

        usual = usual_parameters(run.method, run.suite)
    except Exception as error:  # a plug-in may fail in any way; its finished rows are still worth a table
        log.debug("the parameters of %s are not told: %s", run.folder.path, error)
        return None
    changed = {name: value for name, value in values.items() if name not in usual or usual[name] != value}
    # The folder's digits are a hash of what was changed: other defaults since then would give others.
    return changed if params8(changed) == digits else None


def _spelled(values: Mapping[str, Any], name: str = "") -> str:
    """``steps=20,weights=folder``: paths by their last part, and none that only repeats the run's name."""
    texts = {key: _plain(value) for key, value in values.items()}
    short = {key: Path(text).name if Path(text).is_absolute() else text for key, text in texts.items()}
    return ",".join(f"{key}={text}" for key, text in short.items() if short[key] == texts[key] or text != name)


def _tell_apart(columns: Sequence[Column]) -> tuple[Column, ...]:
    told: list[Column] = []
    for column in columns:
        twins = [other for other in columns if other.title == column.title]
        marks = []
        if len({twin.metric for twin in twins}) > 1:
            marks.append(column.metric)
        if len({twin.version for twin in twins}) > 1:
            marks.append(f"v{column.version}")
        if column.params and _has_identity(column.metric):
            marks.append(_differences([twin.params for twin in twins])[twins.index(column)])
        else:
            marks.append(_spelled(column.params))
        told.append(replace(column, title=" ".join([column.title, *filter(None, marks)])))
    return tuple(told)


def _has_identity(metric: str) -> bool:
    """Whether the metric says itself what sets its column apart, as a judge does: its parameters are no changes."""
    try:
        from vapbench.metrics import REGISTRY

        return hasattr(REGISTRY.find(metric).load(), "identity")
    except Exception as error:  # as above: a plug-in that is not here, or any class of torchmetrics
        log.debug("%s is shown with all its parameters: %s", metric, error)
        return False


def _is_default(run: RunSummary) -> bool:
    return run.folder.path.name == run.identity.name


def _differences(parameters: Sequence[Mapping[str, Any]], default: Mapping[str, Any] | None = None) -> list[str]:
    """For each parameter set, what it has otherwise than ``default``, or than the rest, as ``key=value,key=value``."""
    names = dict.fromkeys(name for values in parameters for name in values)
    differing = [name for name in names if len({_plain(values.get(name)) for values in parameters}) > 1]
    shown = [[name for name in differing if name in values] for values in parameters]
    if default is not None:
        shown = [
            [name for name in names if name not in default or _plain(values[name]) != _plain(default[name])]
            for values, names in zip(parameters, shown, strict=True)
        ]
    return [
        ",".join(f"{name}={_plain(values[name])}" for name in names)
        for values, names in zip(parameters, shown, strict=True)
    ]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

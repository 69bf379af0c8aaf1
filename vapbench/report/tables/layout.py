"""What an author wants of a table: columns, labels, groups, order, caption. A small ``table.yaml`` holds all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import canonical_json
from vapbench.files.faults import faults, field_of, unusable
from vapbench.files.parsing import read_yaml
from vapbench.report.read.columns import Column, Row, labels_by_name
from vapbench.report.read.run_summary import ColumnKey, chosen
from vapbench.suites.tasks import task_called

Style = Literal["paper", "wide", "ablation"]
Mark = Literal["displayed", "significant"]
Intervals = Literal["none", "brackets", "plus-minus"]
Notes = Literal["brief", "full"]

GIVEN, SCORE = "given", "score"
WIDTHS = {"column": 3.25, "page": 5.5}
"""Inches: a column of two (CVPR), a page of one (NeurIPS)."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnChoice(_Strict):
    """One column."""

    metric: str
    """A metric's name, with ``:key=value`` where columns differ in parameters; ``+name`` adds to the style's."""
    title: str = ""
    decimals: int | None = Field(default=None, ge=0, le=6)

    @property
    def name(self) -> str:
        """The metric, without the plus sign."""
        return self.metric.removeprefix("+")

    def fits(self, column: Column) -> bool:
        """Whether the column is meant."""
        return bool(chosen([key_of(column)], [self.name]))


class RowGroup(_Strict):
    """Rows between two rules, under a title."""

    title: str
    rows: tuple[str, ...]


def _column(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


def _inches(value: Any) -> Any:
    return WIDTHS.get(value, value) if isinstance(value, str) else value


class Layout(_Strict):
    """A table as its author wants it; every field has a default."""

    runs: tuple[str, ...] = ()
    """Rows: folders, names or labels of runs; empty: all there are."""
    suite: str | None = None
    task: str | None = None
    """None: a table for every task."""
    style: Style = "paper"
    columns: tuple[Annotated[ColumnChoice, BeforeValidator(_column)], ...] = ()
    """Columns in their order; empty: the style's."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Row, by any of its names -> what it is called."""
    groups: tuple[RowGroup, ...] = ()
    sort: str = ""
    """``score`` (the first column's), ``given``, or a column's name; empty: given where runs or groups name the rows,
    else score."""
    by_category: bool = False
    """Whether each column becomes one per category, and one for all."""
    intervals: Intervals | None = None
    """None: the style's."""
    decimals: int | None = Field(default=None, ge=0, le=6)
    """Of every column; None: each metric's own."""
    caption: str = ""
    latex_label: str = ""
    """Empty: ``tab:suite-task``."""
    width: Annotated[float, BeforeValidator(_inches)] = Field(default=WIDTHS["column"], ge=2, le=20)
    """Inches that LaTeX may take."""
    notes: Notes = "brief"
    """LaTeX: what the notes may hold; ``brief`` leaves the rest to comments of the file."""
    reference: str | None = None
    mark: Mark = "displayed"
    published: bool = False
    votes: Path | None = None

    @property
    def only(self) -> list[str] | None:
        """Names of the columns to show; None for the style's."""
        return [choice.name for choice in self.columns if choice.metric == choice.name] or None

    @property
    def also(self) -> list[str]:
        """Names of columns that are added to the style's."""
        return [choice.name for choice in self.columns if choice.metric != choice.name]

    @property
    def order(self) -> str:
        """How rows are sorted."""
        return self.sort or (GIVEN if self.runs or self.groups else SCORE)

    @property
    def shown_intervals(self) -> Intervals:
        """Intervals beside the means."""
        return self.intervals or ("brackets" if self.style == "wide" else "none")

    def restyled(self, column: Column) -> Column:
        """The column under the author's title, with the author's decimals."""
        choice = next((choice for choice in self.columns if choice.fits(column)), None)
        title = choice.title if choice else ""
        digits = choice.decimals if choice and choice.decimals is not None else self.decimals
        return replace(column, title=title or column.title, digits=column.digits if digits is None else digits)

    def relabelled(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Rows under the author's labels; those that have theirs already keep it."""
        known = labels_by_name(rows)
        labels = {known[name]: label for name, label in self.labels.items() if name in known}
        renamed = tuple(
            replace(row, label=labels[row.label], named=row.label) if row.label in labels and not row.named else row
            for row in rows
        )
        if twice := next((label for label, count in Counter(row.label for row in renamed).items() if count > 1), None):
            raise UsageError(
                f"Two rows would be called {twice!r}; give one of them another label.", ErrorKind.CONFLICT, "labels"
            )
        return renamed


def key_of(column: Column) -> ColumnKey:
    """What the column is, without how it is shown."""
    return ColumnKey(column.metric, column.version, canonical_json(column.params))


def read_layout(path: Path | None, **changes: Any) -> Layout:
    """A layout from a file, and what was given beside it.

    Args:
        path: ``table.yaml``; None for the defaults.
        changes: fields that override the file's; None leaves a field as it is; labels are added to the file's.

    Raises:
        DataError: the file is absent, or a field is unknown or has a value that it cannot have.
    """
    values = _fields_in(path) if path else {}
    given = {name: value for name, value in changes.items() if value is not None}
    if "task" in given:
        given["task"] = task_called(given["task"])
    if isinstance(values.get("labels"), dict) and "labels" in given:
        given["labels"] = {**values["labels"], **given["labels"]}
    if path and "votes" in values and "votes" not in given:
        # Files are named relative to the file that names them.
        given["votes"] = path.parent / str(values["votes"])
    try:
        return Layout.model_validate({**values, **given})
    except ValidationError as error:
        first, *_ = items = error.errors()
        unknown = any(item["type"] == "extra_forbidden" for item in items)
        kind = ErrorKind.UNKNOWN if first["type"] == "extra_forbidden" else ErrorKind.INVALID
        known = f" Fields: {', '.join(Layout.model_fields)}." if unknown else ""
        raise DataError(f"{path or 'Options'}: {faults(error)}.{known}", kind, field_of(first)) from error


def _fields_in(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = read_yaml(path) or {}
    except (OSError, yaml.YAMLError) as error:
        raise unusable(path, error) from error
    if not isinstance(values, dict):
        raise DataError(f"{path} is no table of fields; see: vapbench table --help", ErrorKind.INVALID, path.name)
    return values

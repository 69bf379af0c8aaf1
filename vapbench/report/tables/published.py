"""Rows as papers printed them: shown beside measured ones, set apart, never ranked with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vapbench.files.faults import unusable
from vapbench.files.parsing import parse_json, read_text
from vapbench.files.resources import resource
from vapbench.files.text import counted
from vapbench.report.model import Cell, Footer, TableModel, places_of
from vapbench.report.read.columns import Column, Row
from vapbench.report.tables.preference import PREFERENCE


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedColumn(_Strict):
    """One column of a paper's table."""

    key: str
    title: str
    metric: str
    """The column of vapbench whose definition is nearest."""
    higher_is_better: bool
    digits: int = Field(ge=0, le=6)
    unit: str = ""
    unranked: str = ""
    """Why no value of the column is marked as best; empty if it may be."""


class PublishedRow(_Strict):
    """One method of a paper's table."""

    title: str
    method: str
    """Name of the method in vapbench that stands for it."""
    values: tuple[float | None, ...] = Field()
    """One per column, as printed; null where the paper prints none."""


class Publication(_Strict):
    """A paper's table: ``results/published/<id>.json``."""

    schema_: Literal[1] = Field(alias="schema")
    id: str
    title: str
    short: str
    """How footers name it: ``arXiv:2510.20888``."""
    url: str = Field(pattern=r"^https?://")
    suite: str
    """The suite that is made from its data."""
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]

    @model_validator(mode="after")
    def _rectangular(self) -> Publication:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(
                    f"row {row.title!r} has {counted(len(row.values), 'value')} for "
                    f"{counted(len(self.columns), 'column')}"
                )
        return self


def publications() -> list[Publication]:
    """The tables that come with vapbench, by file name."""
    return [read_publication(path) for path in sorted(resource("results/published").glob("*.json"))]


def read_publication(path: Path) -> Publication:
    """Read one table.

    Raises:
        DataError: the file is absent, damaged, or not of this form.
    """
    try:
        return Publication.model_validate(parse_json(read_text(path)))
    except (OSError, ValueError) as error:
        raise unusable(path, error, "; restore it, or fix it.") from error


def as_table(paper: Publication) -> TableModel:
    """The paper's table alone, its own rows marked among themselves."""
    columns = tuple(_column(column) for column in paper.columns)
    rows = tuple(_row(paper, row) for row in paper.rows)
    cells = [[_cell(value) for value in row.values] for row in paper.rows]
    for index, (column, printed) in enumerate(zip(columns, paper.columns, strict=True)):
        values = [line[index].mean for line in cells]
        places = [None] * len(values) if printed.unranked else places_of(column, values)
        for line, place in zip(cells, places, strict=True):
            line[index] = replace(line[index], place=place)
    footers = [Footer("published", f"As published: {paper.title}, {paper.short}; not measured here.")]
    footers += [
        Footer("published", f"{column.title}: none is marked best; {column.unranked}.")
        for column in paper.columns
        if column.unranked
    ]
    return TableModel(paper.title, paper.suite, None, columns, rows, tuple(map(tuple, cells)), tuple(footers))


def beside_published(models: Sequence[TableModel], papers: Sequence[Publication]) -> list[TableModel]:
    """Tables with what papers published.

    A paper's rows stand below the widest table of the suite that is made from its data, once: they are means over all
    of its cases, not a category's. A paper of another suite follows as a table of its own, with its own columns:
    numbers that do not compare share no column.

    Args:
        models: the tables, of each suite the widest first.
        papers: the papers' tables.
    """
    first = {model.suite: number for number, model in reversed(list(enumerate(models)))}
    own = {suite: [paper for paper in papers if paper.suite == suite] for suite in first}
    merged = [
        with_published(model, own[model.suite]) if number == first[model.suite] else model
        for number, model in enumerate(models)
    ]
    return merged + [as_table(paper) for paper in papers if paper.suite not in first]


def with_published(model: TableModel, papers: Sequence[Publication]) -> TableModel:
    """The table with papers' rows below its own.

    A paper's column shares the column of the same metric, or else of another variant of it, which the footer says;
    what has no counterpart is added on the right. Published rows are not ranked: they are numbers of other videos.
    """
    for paper in papers:
        model = _with(model, paper)
    return model


def _with(model: TableModel, paper: Publication) -> TableModel:
    columns, other = list(model.columns), []
    where = []
    for printed in paper.columns:
        index = _counterpart(printed, model.columns)
        if index is None:
            where.append(len(columns))
            columns.append(_column(printed))
            continue
        where.append(index)
        if columns[index].metric != printed.metric:
            other.append(columns[index].title)
    total = max((cell.total for line in model.cells for cell in line), default=0)
    absent = [
        Cell(
            None, None, None, 0, total, reason="no votes" if new.metric == PREFERENCE else "not scored with this metric"
        )
        for new in columns[len(model.columns) :]
    ]
    added = len(absent)
    cells = [(*line, *absent) for line in model.cells]
    scores: list[tuple[Mapping[str, float], ...]] = [(*line, *[{}] * added) for line in model.scores]
    scores += [({},) * len(columns)] * len(paper.rows)
    for row in paper.rows:
        line = [Cell(None, None, None, 0, 0, published=True)] * len(columns)
        for index, value in zip(where, row.values, strict=True):
            line[index] = _cell(None if value is None else value / columns[index].scale)
        cells.append(tuple(line))
    note = f"Rows of {paper.short} are as published: measured by its authors on videos of theirs, not ranked here"
    if model.suite == paper.suite and model.task not in (None, "all"):
        note += f"; they are over all its cases, not those of {model.task} alone"
    if model.suite != paper.suite:
        note += f"; they are of {paper.suite}, not of {model.suite}, and do not compare"
    if other:
        note += f". Published and measured rows differ in definition: {', '.join(dict.fromkeys(other))}"
    return replace(
        model,
        columns=tuple(columns),
        rows=(*model.rows, *(_row(paper, row) for row in paper.rows)),
        cells=tuple(cells),
        scores=tuple(scores),
        footers=(*model.footers, Footer("published", f"{note}.")),
    )


def _counterpart(printed: PublishedColumn, columns: Sequence[Column]) -> int | None:
    for wanted in (printed.metric, printed.metric.partition("[")[0]):
        for index, column in enumerate(columns):
            if wanted in (column.metric, column.metric.partition("[")[0]):
                return index
    return None


def _column(printed: PublishedColumn) -> Column:
    return Column(
        printed.metric,
        0,
        title=printed.title,
        higher_is_better=printed.higher_is_better,
        unit=printed.unit,
        digits=printed.digits,
    )


def _row(paper: Publication, row: PublishedRow) -> Row:
    return Row(row.title, row.method, title=row.title, published=paper.short)


def _cell(value: float | None) -> Cell:
    return Cell(value, None, None, 0, 0, published=True)

"""Several runs on one page: of each case what was given, and what every run made of it, side by side and in step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vapbench.report.model import TableModel
from vapbench.report.page.cards import CaseCard, cards_of
from vapbench.report.page.media import Panel
from vapbench.report.read.columns import Column
from vapbench.report.read.run_summary import ColumnKey, RunSummary, State


@dataclass(frozen=True)
class ShownScore:
    """What one run scores in one column."""

    state: State
    text: str
    note: str


@dataclass(frozen=True)
class RunOnCase:
    """What one run made of a case."""

    label: str
    scores: tuple[ShownScore, ...]
    notes: tuple[str, ...]
    """What it cost, what a reader of its scores must know, and why it failed."""


@dataclass(frozen=True)
class SharedCase:
    """One case and every run that planned it."""

    card: CaseCard
    """What is the same for all of them; its panels are the given ones and each run's outputs."""
    made: tuple[RunOnCase, ...]
    values: tuple[float | None, ...]
    """What cases are sorted by, as :func:`orders` names it."""


def shared_cases(
    runs: Mapping[str, RunSummary], columns: Sequence[Column], keys: Sequence[ColumnKey], only: str | None
) -> list[SharedCase]:
    """The cases of several runs, or the one case ``only``, in the order of the first run that planned them.

    Args:
        runs: label -> run.
        columns: the columns.
        keys: what each of them is.
        only: the case to show; None for all.
    """
    cards = {label: {card.id: card for card in cards_of(run, columns, keys, only)} for label, run in runs.items()}
    ids = list(dict.fromkeys(case for found in cards.values() for case in found))
    conditions = sorted({card.condition for found in cards.values() for card in found.values()})
    shared = []
    for case in ids:
        here = {label: found[case] for label, found in cards.items() if case in found}
        first = next(iter(here.values()))
        values = [[card.scores[index].value for card in here.values()] for index in range(len(columns))]
        shared.append(
            SharedCase(
                replace(first, panels=_panels(here)),
                tuple(_made(label, card) for label, card in here.items()),
                (
                    *map(_spread, values),
                    float(conditions.index(first.condition)),
                    *(here[label].scores[index].value if label in here else None
                      for label in runs for index in range(len(columns))),
                ),
            )
        )  # fmt: skip
    return shared


def orders(table: TableModel, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Value and text of each way to sort: by disagreement, by condition, by the score of a run."""
    found = [(f"{index} -1", f"disagreement in {column.title}") for index, column in enumerate(table.columns)]
    count = len(table.columns)
    found.append((f"{count} 1", "condition"))
    for number, label in enumerate(labels):
        for index, column in enumerate(table.columns):
            place, up = count + 1 + number * count + index, column.higher_is_better is not False
            found.append((f"{place} {1 if up else -1}", f"{label}: {column.title}, worst first"))
    return found


def _panels(cards: Mapping[str, CaseCard]) -> tuple[Panel, ...]:
    first = next(iter(cards.values()))
    given = [panel for panel in first.panels if not panel.label.startswith("Output")]
    before = [panel for panel in given if panel.label != "Ground truth"]
    outputs = [
        replace(panel, label=panel.label.replace("Output", f"Output of {label}", 1))
        for label, card in cards.items()
        for panel in card.panels
        if panel.label.startswith("Output")
    ]
    return (*before, *outputs, *(panel for panel in given if panel.label == "Ground truth"))


def _made(label: str, card: CaseCard) -> RunOnCase:
    scores = tuple(ShownScore(score.state, score.text, score.note) for score in card.scores)
    return RunOnCase(label, scores, (*card.generation, *card.remarks))


def _spread(values: Sequence[float | None]) -> float | None:
    """How far apart the runs are; None where fewer than two have a score."""
    known = [value for value in values if value is not None]
    return max(known) - min(known) if len(known) > 1 else None

"""Whether a metric agrees with people: its scores against the votes of a preference study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vapbench.errors import DataError
from vapbench.parsing import parse_json, read_csv
from vapbench.report.columns import Column
from vapbench.report.table import TableModel
from vapbench.stats.clusters import Interval


@dataclass(frozen=True)
class HumanVote:
    """One choice of a rater among the methods shown."""

    case: str
    rater: str
    question: str
    shown: tuple[str, ...]
    chosen: str | None
    """None: a tie."""


@dataclass(frozen=True)
class MetricAgreement:
    """One column against the votes on one question."""

    column: Column
    question: str
    accuracy: Interval
    """Share of the votes' preferences that the metric shares (equal scores count half); 1/2 is chance."""
    preferences: int
    """Pairs (chosen, passed over) with both scores."""
    spearman: float | None
    """Rank correlation of the methods' means with their shares of votes; None below three methods."""
    methods: tuple[str, ...]
    means: tuple[float, ...]
    """Per method, in the metric's unit, over the cases voted on."""
    shares: tuple[float, ...]
    """Per method, of the preferences it took part in, those it won; ties count half."""


def read_votes(path: Path) -> list[HumanVote]:
    """Read ``votes.csv`` of ``vapbench study export``; checks, training and repeats are left out.

    Raters that ``exclusions.jsonl`` beside it excludes are left out as well.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    try:
        rows = [{name: cell for name, cell in row.items() if cell is not None} for _, row in read_csv(path)[1]]
        excluded = _excluded(path.with_name("exclusions.jsonl"))
        return [
            HumanVote(
                row["case"],
                row["rater"],
                row["question"],
                tuple(row["shown"].split(" | ")),
                None if row["chosen"] == "tie" else row["chosen"],
            )
            for row in rows
            if row["role"] == "main" and row["rater"] not in excluded
        ]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; export the votes: vapbench study export --help") from error
    except (DataError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path} is no votes.csv of a study ({error}); export it: vapbench study export --help"
        ) from error


def _excluded(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    people = [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {person["rater"] for person in people if person["excluded"]}


def metric_agreement(model: TableModel, votes: Sequence[HumanVote]) -> list[MetricAgreement]:
    """Each column with a direction against the votes on each question, where any method of both is the same.

    The interval is two-way cluster-robust over raters and cases, on the logit scale.
    """
    found = []
    for question in dict.fromkeys(vote.question for vote in votes):
        asked = [vote for vote in votes if vote.question == question]
        for index, column in enumerate(model.columns):
            if column.higher_is_better is not None and (result := _agreement(model, index, asked)):
                found.append(result)
    return found


def _agreement(model: TableModel, index: int, votes: Sequence[HumanVote]) -> MetricAgreement | None:
    import numpy as np

    from vapbench.stats.clusters import logit_interval, two_way_covariance

    column = model.columns[index]
    scores = {row.label: line[index] for row, line in zip(model.rows, model.scores, strict=True) if line[index]}
    hits, raters, cases = [], [], []
    won: dict[str, list[float]] = {}
    for vote in votes:
        here = [method for method in vote.shown if vote.case in scores.get(method, ())]
        for method in here:
            others = len(here) - 1
            credit = 0.5 * others if vote.chosen is None else float(others) if method == vote.chosen else 0.0
            lost = 0.5 * others if vote.chosen is None else 0.0 if method == vote.chosen else float(vote.chosen in here)
            won.setdefault(method, []).append(credit / (credit + lost) if credit + lost else np.nan)
        if vote.chosen not in here:
            continue
        for other in here:
            if other != vote.chosen:
                gap = scores[vote.chosen][vote.case] - scores[other][vote.case]
                hits.append(0.5 if gap == 0 else float((gap > 0) == column.higher_is_better))
                raters.append(vote.rater)
                cases.append(vote.case)
    if not hits:
        return None
    agreed = np.array(hits)
    share, n = float(agreed.mean()), len(hits)
    covariance = two_way_covariance(((agreed - share) / n)[:, None], np.array(raters), np.array(cases))
    if covariance.reason:
        interval = Interval(share, None, None, None, covariance.reason)
    else:
        interval = logit_interval(share, covariance.variance([1.0]), n, covariance.degrees)
    voted = {vote.case for vote in votes}
    methods = tuple(method for method in scores if method in won)
    means = tuple(float(np.mean([v for case, v in scores[m].items() if case in voted])) for m in methods)
    shares = tuple(float(np.nanmean(won[m])) for m in methods)
    sign = 1 if column.higher_is_better else -1
    spearman = _spearman([sign * mean for mean in means], list(shares)) if len(methods) >= 3 else None
    return MetricAgreement(column, votes[0].question, interval, n, spearman, methods, means, shares)


def _spearman(a: list[float], b: list[float]) -> float | None:
    import numpy as np

    def ranks(values: list[float]) -> list[float]:
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    x, y = np.array(ranks(a)), np.array(ranks(b))
    if not x.std() or not y.std():
        return None
    return float(np.corrcoef(x, y)[0, 1])

"""Whether a metric agrees with people: its scores against the votes of a preference study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vapbench.errors import DataError, ErrorKind
from vapbench.files.faults import unusable
from vapbench.files.parsing import read_csv, read_json_records
from vapbench.report.model import TableModel
from vapbench.report.ranking import Units, units_of
from vapbench.report.read.columns import Column, labels_by_name
from vapbench.report.tables.votes import counts, refuse_twice
from vapbench.stats.arrays import FloatArray
from vapbench.stats.clusters import Interval
from vapbench.stats.intervals import Estimate, clustered_mean


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
    spearman_ends: tuple[float, float] | None
    """Of these methods, on cases such as these; resamples of the conditions (or cases) tell."""
    per_case: Estimate | None
    """Mean over cases of the rank correlation of scores with votes within a case; None below three methods."""
    by_category: tuple[tuple[str, Interval], ...]
    """Accuracy within each category of cases; empty where there is one: a metric may only tell categories apart."""
    methods: tuple[str, ...]
    means: tuple[float, ...]
    """Per method, in the metric's unit, over the cases voted on."""
    shares: tuple[float, ...]
    """Per method, of the votes that showed it, those it won; a tie is split among all that were shown."""


def read_votes(path: Path) -> list[HumanVote]:
    """Read ``votes.csv`` of ``vapbench study export``; checks, training and repeats are left out.

    Raters that ``exclusions.jsonl`` beside it excludes are left out as well.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    try:
        lines = [(n, {name: cell for name, cell in row.items() if cell is not None}) for n, row in read_csv(path)[1]]
        rows = list(_counted(path, lines))
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
        raise unusable(path, error, "; export the votes: vapbench study export --help") from error
    except _Refused as error:
        raise DataError(str(error), ErrorKind.INVALID, "vote") from error
    except (DataError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path} is no votes.csv of a study ({error}); export it: vapbench study export --help",
            ErrorKind.INVALID,
            "votes",
        ) from error


class _Refused(Exception):
    """A row of a votes.csv that cannot be what its study wrote."""


def _counted(path: Path, lines: Iterable[tuple[int, Mapping[str, str]]]) -> Iterator[Mapping[str, str]]:
    """Rows that their study counts.

    Raises:
        _Refused: a row is there twice, or says neither that it counts nor that it does not.
    """
    logged = set[tuple[str, str]]()
    for number, row in lines:
        try:
            refuse_twice(row, logged)
            if counts(row):
                yield row
        except ValueError as error:
            raise _Refused(f"{path}: line {number} {error}") from error


def _excluded(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    people = read_json_records(path)
    return {person["rater"] for person in people if person["excluded"]}


def as_labelled(votes: Sequence[HumanVote], model: TableModel) -> list[HumanVote]:
    """Votes on methods by the labels of a table's rows: a study may call a run by its folder or its method."""
    names = labels_by_name(model.rows)
    return [
        replace(
            vote,
            shown=tuple(names.get(name, name) for name in vote.shown),
            chosen=None if vote.chosen is None else names.get(vote.chosen, vote.chosen),
        )
        for vote in votes
    ]


def metric_agreement(model: TableModel, votes: Sequence[HumanVote]) -> list[MetricAgreement]:
    """Each column with a direction against the votes on each question, where any method of both is the same.

    The interval is two-way cluster-robust over raters and cases, on the logit scale.
    """
    found = []
    votes = as_labelled(votes, model)
    for question in dict.fromkeys(vote.question for vote in votes):
        asked = [vote for vote in votes if vote.question == question]
        for index, column in enumerate(model.columns):
            if column.higher_is_better is not None and (result := _agreement(model, index, asked)):
                found.append(result)
    return found


def _agreement(model: TableModel, index: int, votes: Sequence[HumanVote]) -> MetricAgreement | None:
    from vapbench.stats.clusters import share_interval

    column = model.columns[index]
    scores = {row.label: line[index] for row, line in zip(model.rows, model.scores, strict=True) if line[index]}
    met = [(vote, _scored(vote, scores)) for vote in votes]
    compared = [(vote, here) for vote, here in met if len(here) > 1 and vote.chosen in (None, *here)]
    hits = [(hit, vote) for vote, here in compared for hit in _hits(vote, here, scores, column)]
    if not hits:
        return None
    outcomes, raters, cases = zip(*((hit, vote.rater, vote.case) for hit, vote in hits), strict=True)
    won: dict[str, list[float]] = {}
    for vote, here in compared:
        for method in here:
            won.setdefault(method, []).append(1 / len(here) if vote.chosen is None else float(method == vote.chosen))
    voted = {vote.case for vote in votes}
    methods = tuple(method for method in scores if method in won)
    means = tuple(_mean([value for case, value in scores[method].items() if case in voted]) for method in methods)
    shares = tuple(_mean(won[method]) for method in methods)
    sign = 1 if column.higher_is_better else -1
    spearman = _spearman([sign * mean for mean in means], list(shares)) if len(methods) >= 3 else None
    accuracy = share_interval(outcomes, raters, cases)
    within = _Within(methods, sign, scores, compared, units_of(model.conditions))
    return MetricAgreement(
        column,
        votes[0].question,
        accuracy,
        len(hits),
        spearman,
        within.ends(spearman) if spearman is not None else None,
        within.per_case() if len(methods) >= 3 else None,
        _by_category(hits, model.categories),
        methods,
        means,
        shares,
    )


def _by_category(
    hits: Sequence[tuple[float, HumanVote]], categories: Mapping[str, str]
) -> tuple[tuple[str, Interval], ...]:
    from vapbench.stats.clusters import share_interval

    groups: dict[str, list[tuple[float, HumanVote]]] = {}
    for hit, vote in hits:
        groups.setdefault(categories.get(vote.case, "none"), []).append((hit, vote))
    if len(groups) < 2:
        return ()
    return tuple(
        (name, share_interval([h for h, _ in some], [v.rater for _, v in some], [v.case for _, v in some]))
        for name, some in sorted(groups.items())
    )


@dataclass(frozen=True)
class _Within:
    """Scores and votes case by case."""

    methods: tuple[str, ...]
    sign: int
    scores: Mapping[str, Mapping[str, float]]
    compared: Sequence[tuple[HumanVote, Sequence[str]]]
    units: Units

    def _won(self) -> dict[str, dict[str, list[float]]]:
        """Case -> method -> what it won of each vote that showed it."""
        won: dict[str, dict[str, list[float]]] = {}
        for vote, here in self.compared:
            for method in here:
                share = 1 / len(here) if vote.chosen is None else float(method == vote.chosen)
                won.setdefault(vote.case, {}).setdefault(method, []).append(share)
        return won

    def per_case(self) -> Estimate | None:
        """Rank correlations within cases that have three methods and not all equal."""
        found = {}
        for case, won in self._won().items():
            here = [method for method in self.methods if method in won]
            if len(here) < 3:
                continue
            scores = [self.sign * self.scores[method][case] for method in here]
            rho = _spearman(scores, [_mean(won[method]) for method in here])
            if rho is not None:
                found[case] = rho
        if not found:
            return None
        return clustered_mean(list(found.values()), [self.units.of[case] for case in found], bounds=(-1, 1))

    def ends(self, estimate: float, replicates: int = 999) -> tuple[float, float] | None:
        """The interval of a rank correlation, from resamples of whole conditions; None for fewer than five.

        Chance orders close methods otherwise and so lowers the correlation, in a resample once more than in the
        estimate. The interval holds both the percentiles and what mirrors them at the estimate (Davison and Hinkley,
        "Bootstrap Methods and their Application" (1997), 5.2).
        """
        import numpy as np

        won = self._won()
        units = sorted({self.units.of[case] for case in won})
        if len(units) < 5:
            return None
        place = {unit: row for row, unit in enumerate(units)}
        sums = np.zeros((4, len(units), len(self.methods)))
        for case, by in won.items():
            row = place[self.units.of[case]]
            for m, method in enumerate(self.methods):
                if case in self.scores[method]:
                    sums[:2, row, m] += (self.sign * self.scores[method][case], 1)
                if method in by:
                    sums[2:, row, m] += (math.fsum(by[method]), len(by[method]))
        weights = np.random.default_rng(0).multinomial(len(units), np.full(len(units), 1 / len(units)), size=replicates)
        total, count, chosen, shown = (weights @ part for part in sums)
        known = (count > 0).all(axis=1) & (shown > 0).all(axis=1)
        each = _correlations(total[known] / count[known], chosen[known] / shown[known])
        drawn = each[np.isfinite(each)]
        if len(drawn) < 0.9 * replicates:
            return None
        low, high = np.quantile(drawn, [0.025, 0.975])
        return max(-1.0, float(min(low, 2 * estimate - high))), min(1.0, float(max(high, 2 * estimate - low)))


def _scored(vote: HumanVote, scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The methods shown whose output the metric scored."""
    return [method for method in vote.shown if vote.case in scores.get(method, ())]


def _hits(
    vote: HumanVote, here: Sequence[str], scores: Mapping[str, Mapping[str, float]], column: Column
) -> list[float]:
    """For each method passed over, whether the metric prefers the chosen one too; nothing for a tie."""
    if vote.chosen is None:
        return []
    best = scores[vote.chosen][vote.case]
    gaps = [best - scores[method][vote.case] for method in here if method != vote.chosen]
    return [0.5 if gap == 0 else float((gap > 0) == column.higher_is_better) for gap in gaps]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Rank correlation; None where either is the same throughout."""
    import numpy as np

    rho = float(_correlations(np.array([a]), np.array([b]))[0])
    return rho if math.isfinite(rho) else None


def _correlations(a: FloatArray, b: FloatArray) -> FloatArray:
    """Rank correlations of the rows of two ``(N, methods)``; NaN where a row is the same throughout."""
    import numpy as np
    from scipy.stats import rankdata

    x, y = (rankdata(values, axis=1) - (values.shape[1] + 1) / 2 for values in (a, b))
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.asarray(np.divide((x * y).sum(axis=1), spread, out=np.full(len(x), np.nan), where=spread > 0))

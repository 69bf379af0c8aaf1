"""Simulate what every printed interval, rank and test claims: how often it holds, at the sizes tasks have.

    python benchmarks/coverage.py [--trials 700] [--write]

Scores are drawn with conditions that differ and cases that are alike within them; then rows of results/mini are
resampled by condition. ``--write`` puts the table into docs/design/statistics.md. All draws are seeded: the same number
of trials gives the same table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.agreement_coverage import JUDGED, agreement_coverage
from benchmarks.study_coverage import (
    Chosen,
    Planned,
    choice_coverage,
    chosen_apart,
    joined_by_ties,
    study_coverage,
    told_apart,
)
from vapbench.stats import STATISTICS_VERSION
from vapbench.stats.arrays import FloatArray, IntArray, group_sums
from vapbench.stats.clusters import bounded_mean_interval, share_interval
from vapbench.stats.davidson import fit_davidson
from vapbench.stats.flips import flip_ranks
from vapbench.stats.intervals import Estimate, clustered_mean, clustered_share, fixed_conditions
from vapbench.stats.paired import Pairs, paired_differences
from vapbench.stats.votes import LEFT, RIGHT, PairVotes

ROOT = Path(__file__).parents[1]
CONDITIONS = (4, 5, 7, 10, 24, 48)
"""Tasks have four to seven, suites 24 to 33."""
UNEQUAL = (1, 2, 2, 3, 8)
SEED = 2_051_020_888


@dataclass(frozen=True)
class Scores:
    """A population of conditions and of cases within them."""

    name: str
    mean: float
    bounds: tuple[float | None, float | None]
    share: bool
    conditions: Callable[[np.random.Generator, int], FloatArray]
    """Means of so many conditions."""
    cases: Callable[[np.random.Generator, FloatArray], FloatArray]
    """One case of each of the conditions with these means."""

    def estimate(self, values: FloatArray, clusters: IntArray) -> Estimate:
        """What a table prints."""
        units = units_of(clusters).tolist()
        if self.share:
            return clustered_share(values.tolist(), units)
        return clustered_mean(values.tolist(), units, bounds=self.bounds)


def beta(mean: float, spread: float) -> Callable[[np.random.Generator, int], FloatArray]:
    """Conditions whose means lie around ``mean``; ``spread`` is the part of the variance that is between them."""
    strength = 1 / spread - 1
    return lambda rng, count: rng.beta(mean * strength, (1 - mean) * strength, count)


def yes_or_no(rng: np.random.Generator, means: FloatArray) -> FloatArray:
    """Scores that are 1 or 0."""
    return (rng.random(len(means)) < means).astype(np.float64)


NORMAL = Scores(
    "normal",
    25.0,
    (None, None),
    False,
    lambda rng, count: rng.normal(25, 2, count),
    lambda rng, means: rng.normal(means, 2),
)
SKEWED = Scores(
    "skewed, 0 to 1",
    0.9,
    (0.0, 1.0),
    False,
    beta(0.9, 0.2),
    lambda rng, means: rng.beta(5 * means + 1e-3, 5 * (1 - means) + 1e-3),
)
SHARES = tuple(
    Scores(f"yes or no, {mean:.0%}", mean, (0.0, 1.0), True, beta(mean, 0.3), yes_or_no) for mean in (0.5, 0.8, 0.95)
)
POPULATIONS = (NORMAL, SKEWED, *SHARES)


def units_of(clusters: IntArray) -> IntArray:
    """What is flipped and clustered by: conditions, or cases where conditions are taken as they are."""
    return np.arange(len(clusters)) if fixed_conditions(clusters.tolist()) else clusters


def clusters_of(conditions: int, unequal: bool) -> IntArray:
    """Two cases a condition, or one to eight."""
    sizes = np.resize(UNEQUAL, conditions) if unequal else np.full(conditions, 2)
    return np.repeat(np.arange(conditions), sizes)


def mean_coverage(scores: Scores, conditions: int, unequal: bool, trials: int) -> float:
    """How often the interval of a mean or share holds the truth: of these conditions where they are fixed."""
    rng, clusters = np.random.default_rng([SEED, conditions, unequal]), clusters_of(conditions, unequal)
    fixed = fixed_conditions(clusters.tolist())
    held = []
    for _ in range(trials):
        means = scores.conditions(rng, conditions)
        known = scores.estimate(scores.cases(rng, means[clusters]), clusters)
        truth = float(means[clusters].mean()) if fixed else scores.mean
        held.append(known.low is not None and known.high is not None and known.low <= truth <= known.high)
    return float(np.mean(held))


def equal_methods(scores: Scores, methods: int, clusters: IntArray, rng: np.random.Generator) -> FloatArray:
    """``(cases, methods)`` scores of methods that are equally good; with six conditions or more each has its own."""
    shared = scores.conditions(rng, int(clusters[-1]) + 1)
    if fixed_conditions(clusters.tolist()):
        return np.stack([scores.cases(rng, shared[clusters]) for _ in range(methods)], axis=1)
    # Half of the cases' means are of the condition, half of method and condition.
    own = [np.where(rng.random(len(shared)) < 0.5, shared, scores.conditions(rng, len(shared))) for _ in range(methods)]
    return np.stack([scores.cases(rng, means[clusters]) for means in own], axis=1)


def ranks_error(scores: Scores, methods: int, conditions: int, unequal: bool, trials: int) -> float:
    """How often ranks tell any two of equal methods apart; 0.05 is claimed at most."""
    rng, clusters = np.random.default_rng([SEED, conditions, methods]), clusters_of(conditions, unequal)
    units = units_of(clusters)
    wrong = 0
    for _ in range(trials):
        values = equal_methods(scores, methods, clusters, rng)
        wrong += max(flip_ranks(group_sums(values, units, int(units.max()) + 1)).best) > 1
    return wrong / trials


@dataclass(frozen=True)
class Compared:
    """What ``compare`` got right of two methods and several columns."""

    any_wrong: float
    """How often any adjusted p-value of equal columns is below 0.05."""
    covers: float
    """How often the interval of a difference holds it."""
    found: float
    """How often the one column that differs is found, with all columns considered."""


def comparisons(
    scores: Scores, conditions: int, unequal: bool, trials: int, columns: int = 7, gap: float = 0.0
) -> Compared:
    """Compare two methods in columns that measure partly alike; the first differs by ``gap``."""
    rng, clusters = np.random.default_rng([SEED, conditions, columns]), clusters_of(conditions, unequal)
    units = units_of(clusters)
    wrong, covers, found = [], [], []
    for _ in range(trials):
        pairs = [equal_methods(scores, 2, clusters, rng) for _ in range(columns)]
        family = [Pairs(pair[:, 0] + (gap if not k else 0.0), pair[:, 1], units) for k, pair in enumerate(pairs)]
        results = paired_differences(family)
        wrong.append(any(result.adjusted < 0.05 for result in results[bool(gap) :]))
        first = results[0]
        # Without an interval nothing is claimed.
        covers.append(first.low is None or first.high is None or first.low <= gap <= first.high)
        found.append(first.adjusted < 0.05)
    return Compared(float(np.mean(wrong)), float(np.mean(covers)), float(np.mean(found)))


def vote_coverage(raters: int, items: int, share: float, trials: int) -> float:
    """How often the interval of a share of crossed votes holds it: agreement with people, left share."""
    rng, held = np.random.default_rng([SEED, raters, items]), 0
    rater, item = np.repeat(np.arange(raters), items), np.tile(np.arange(items), raters)
    for _ in range(trials):
        nudge = 0.1 * rng.choice([-1, 1], raters)[rater] + 0.15 * rng.choice([-1, 1], items)[item]
        known = share_interval(rng.random(len(rater)) < share + nudge * min(share, 1 - share) * 2, rater, item)
        held += known.low is not None and known.high is not None and known.low <= share <= known.high
    return held / trials


@dataclass(frozen=True)
class Graded:
    """A scale of ``-steps`` to ``steps``, and a method better than each of its opponents by ``gap`` (log-odds)."""

    steps: int
    gap: float
    opponents: int

    def grades(self, rng: np.random.Generator, rater: IntArray, item: IntArray) -> FloatArray:
        """One grade for each vote: raters and items have tastes, and each rater a use of the scale."""
        votes, sides = len(rater), 1 + self.opponents
        opponent = rng.integers(1, sides, votes)
        raters, items = rng.normal(0, 0.5, (rater.max() + 1, sides)), rng.normal(0, 0.8, (item.max() + 1, sides))
        liked = [raters[rater, side] + items[item, side] for side in (np.zeros(votes, dtype=np.int64), opponent)]
        step = np.exp(rng.normal(0, 0.3, rater.max() + 1))[rater]
        apart = (self.gap + liked[0] - liked[1] + rng.logistic(0, 1, votes)) / step
        return np.clip(np.rint(apart), -self.steps, self.steps)

    def mean(self) -> float:
        """Over endless raters and items."""
        everybody = np.arange(500_000)
        return float(self.grades(np.random.default_rng(SEED), everybody, everybody).mean())


def grade_coverage(graded: Graded, raters: int, items: int, each: int, trials: int) -> float:
    """How often the interval of a mean grade holds it; raters see ``each`` items, drawn for each anew."""
    rng, truth, held = np.random.default_rng([SEED, raters, items, graded.steps]), graded.mean(), 0
    rater = np.repeat(np.arange(raters), each)
    for _ in range(trials):
        item = np.concatenate([rng.permutation(items)[:each] for _ in range(raters)])
        bounds = (-graded.steps, graded.steps)
        known = bounded_mean_interval(graded.grades(rng, rater, item), bounds, rater, item)
        held += known.low is not None and known.high is not None and known.low <= truth <= known.high
    return held / trials


def separated_coverage(win: float, votes: int, trials: int) -> float:
    """How often the interval of a win probability holds it, where votes often have no finite fit."""
    rng, held, index = np.random.default_rng([SEED, votes]), 0, np.arange(votes)
    left = (index + index // 6) % 2
    for _ in range(trials):
        won = rng.random(votes) < win
        outcome = np.where(won == (left == 0), LEFT, RIGHT)
        known = fit_davidson(PairVotes(2, left, 1 - left, outcome, index % 6, index // 6)).win_probability(0, 1)
        held += known.low is not None and known.high is not None and known.low <= win <= known.high
    return held / trials


def resampled_rows(conditions: int, trials: int) -> Iterator[tuple[str, float, float]]:
    """Columns of results/mini, conditions drawn with replacement: mean coverage over the methods, and the least."""
    from vapbench.report.tables.summary import summarise
    from vapbench.results.run import RunFolder

    folders = [RunFolder(path.parent) for path in sorted((ROOT / "results/mini").glob("*/manifest.json"))]
    (table,) = summarise(folders, "all")
    names = sorted(set(table.conditions.values()))
    for index, column in enumerate(table.columns):
        covered = []
        for row in table.scores:
            by = {name: [v for case, v in row[index].items() if table.conditions[case] == name] for name in names}
            groups = [np.array(values) for values in by.values() if values]
            values = np.concatenate(groups) if groups else np.empty(0)
            if len(groups) < len(names) or np.ptp(values) == 0:
                continue
            share = column.range == (0, 1) and np.isin(values, (0, 1)).all()
            scores = Scores("", float(values.mean()), column.range, bool(share), beta(0.5, 0.5), yes_or_no)
            rng, held = np.random.default_rng([SEED, conditions, index]), 0
            for _ in range(trials):
                drawn = [groups[k] for k in rng.integers(0, len(groups), conditions)]
                clusters = np.repeat(np.arange(conditions), [len(group) for group in drawn])
                known = scores.estimate(np.concatenate(drawn), clusters)
                held += known.low is not None and known.high is not None and known.low <= scores.mean <= known.high
            covered.append(held / trials)
        # No run here is complete in a column that was added later.
        if covered:
            yield column.title, float(np.mean(covered)), float(np.min(covered))


def tables(trials: int) -> Iterator[str]:
    """The tables of docs/design/statistics.md, line by line."""
    yield (
        f"`python benchmarks/coverage.py --write`: percent of {trials:,} trials (of differences, ranks, votes and rows "
        f"{trials // 2:,}), seed {SEED}, statistics {STATISTICS_VERSION}. A 95 here is known to "
        f"{100 * 2 * (0.95 * 0.05 / trials) ** 0.5:.1f} points, of {trials // 2:,} to "
        f"{100 * 2 * (0.95 * 0.05 / (trials // 2)) ** 0.5:.1f}."
    )
    yield ""
    yield from _block(
        "95 % intervals of means and shares cover",
        [
            (f"{scores.name}, {'1 to 8 cases' if unequal else '2 cases'} a condition",
             lambda c, s=scores, u=unequal: mean_coverage(s, c, u, trials))
            for unequal in (False, True) for scores in POPULATIONS
        ],
    )  # fmt: skip
    yield from _block(
        "`compare`: 95 % intervals of a difference cover",
        [
            (f"{scores.name}, {'1 to 8 cases' if unequal else '2 cases'}",
             lambda c, s=scores, u=unequal: comparisons(s, c, u, trials // 2, columns=1).covers)
            for unequal in (False, True) for scores in (NORMAL, SKEWED, SHARES[1])
        ],
    )  # fmt: skip
    yield from _block(
        "ranks: any two of equal methods told apart (at most 5 % claimed)",
        [
            (f"{m} methods, {scores.name}", lambda c, s=scores, m=m: ranks_error(s, m, c, False, trials // 2))
            for m in (2, 9, 14) for scores in (NORMAL, SKEWED, SHARES[1])
        ],
    )  # fmt: skip
    yield from _block(
        "`compare`, 7 columns: any equal one said to differ (at most 5 % claimed)",
        [
            (f"{scores.name}, {'1 to 8 cases' if unequal else '2 cases'}",
             lambda c, s=scores, u=unequal: comparisons(s, c, u, trials // 2).any_wrong)
            for unequal in (False, True) for scores in (NORMAL, SKEWED, SHARES[1])
        ],
    )  # fmt: skip
    yield from _block(
        "`compare`, 7 columns: one that differs by 4 SD of a case is found",
        [("normal, 2 cases", lambda c: comparisons(NORMAL, c, False, trials // 2, gap=8.0).found)],
    )
    yield "| votes: 95 % intervals cover | |"
    yield "|---|---|"
    for raters, items, share in ((8, 24, 0.6), (20, 48, 0.6), (20, 48, 0.9)):
        covered = vote_coverage(raters, items, share, trials // 2)
        yield f"| share of {share:.0%}, {raters} raters x {items} cases | {100 * covered:.1f} |"
    for graded in (Graded(3, 1.0, 1), Graded(3, 1.0, 2), Graded(2, 4.0, 1)):
        for raters, items, each in ((8, 24, 12), (20, 48, 24), (40, 24, 6)):
            covered = grade_coverage(graded, raters, items, each, trials // 2)
            against = "one other" if graded.opponents == 1 else f"{graded.opponents} others"
            yield (
                f"| mean grade of {graded.mean():+.1f} on a scale to {graded.steps}, against {against}, "
                f"{raters} raters x {each} of {items} cases | {100 * covered:.1f} |"
            )
    for win, votes in ((0.95, 48), (0.8, 48)):
        covered = separated_coverage(win, votes, trials // 2)
        yield f"| win probability of {win:.0%}, {votes} independent votes, side effect fitted | {100 * covered:.1f} |"
    for few in (4, 8):
        covered, alone = joined_by_ties(few, trials // 2)
        yield (
            f"| strength difference of two that {few} votes join, in {100 * alone:.0f} % of studies ties alone "
            f"| {100 * covered:.1f} |"
        )
    yield ""
    yield from _studies(trials // 2)
    yield from _metrics_and_people(trials // 2)
    few, many = (list(resampled_rows(count, trials // 2)) for count in (7, 27))
    yield "| rows of results/mini, resampled by condition: mean over methods (least) | 7 conditions | 27 |"
    yield "|---|---|---|"
    for (title, mean, least), (_, more, worst) in zip(few, many, strict=True):
        yield f"| {title} | {100 * mean:.1f} ({100 * least:.1f}) | {100 * more:.1f} ({100 * worst:.1f}) |"


def _studies(trials: int) -> Iterator[str]:
    """What a report of a preference study prints, by its size: of pairs, then of the best of four."""
    planned = [Planned(24, 3, 36), Planned(24, 6, 24), Planned(48, 3, 24)]
    chosen = [Chosen(12, 24, 24), Chosen(36, 24, 12), Chosen(36, 48, 24)]
    yield from _study(
        "a study of pairs of four methods",
        [f"{it.raters} raters, {it.cases} cases" for it in planned],
        [study_coverage(it, trials) for it in planned],
        [told_apart(it, trials) for it in planned],
    )
    yield from _study(
        "a study of the best of four methods",
        [f"{it.raters} raters, {it.each} of {it.cases} cases each" for it in chosen],
        [choice_coverage(it, trials) for it in chosen],
        [chosen_apart(it, trials) for it in chosen],
    )


def _metrics_and_people(trials: int) -> Iterator[str]:
    """What ``report --votes`` prints."""
    sizes = ((7, 12, 14), (24, 20, 24))
    heads = " | ".join(f"{c} conditions, {r} raters x {each} of {2 * c} cases" for c, r, each in sizes)
    yield f"| a metric beside people: 95 % intervals cover | {heads} |"
    yield "|---" * (1 + len(sizes)) + "|"
    for judged in JUDGED:
        found = [agreement_coverage(judged, *size, trials) for size in sizes]
        for name in found[0]:
            yield f"| {judged.name}: {name} | {' | '.join(f'{100 * each[name]:.1f}' for each in found)} |"
    yield ""


def _study(
    title: str, sizes: Sequence[str], covered: Sequence[Mapping[str, float]], apart: Sequence[float]
) -> Iterator[str]:
    yield f"| {title}: 95 % intervals cover | {' | '.join(sizes)} |"
    yield "|---" * (1 + len(sizes)) + "|"
    for name in covered[0]:
        yield f"| {name} | {' | '.join(f'{100 * each[name]:.1f}' for each in covered)} |"
    told = (f"{100 * share:.1f}" for share in apart)
    yield f"| any two of equal methods told apart (at most 5 % claimed) | {' | '.join(told)} |"
    yield ""


def _block(title: str, rows: Sequence[tuple[str, Callable[[int], float]]]) -> Iterator[str]:
    yield f"| {title}: conditions | {' | '.join(map(str, CONDITIONS))} |"
    yield "|---" * (1 + len(CONDITIONS)) + "|"
    for name, measure in rows:
        yield f"| {name} | {' | '.join(f'{100 * measure(count):.1f}' for count in CONDITIONS)} |"
    yield ""


def main() -> None:
    """Print the tables, or put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=700)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = []
    for line in tables(options.trials):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        page = ROOT / "docs" / "design" / "statistics.md"
        before, rest = page.read_text(encoding="utf-8").split("<!-- coverage -->\n")
        after = rest.partition("<!-- /coverage -->")[2]
        text = before + "<!-- coverage -->\n" + "\n".join(lines) + "\n<!-- /coverage -->" + after
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Specification of ``vapbench compare``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.ranking import out_of_reach
from vapbench.report.render.comparison import lines
from vapbench.report.tables.comparison import Comparison, compare, to_json
from vapbench.report.tables.summary import summarise
from vapbench.results.rows import Failure
from vapbench.results.run import RunFolder

from .conftest import METRIC, Case, Runs

pytestmark = pytest.mark.usefixtures("metric_data")


def cases(level: float, conditions: int = 8, step: float = 0.01) -> dict[str, Case]:
    return {f"case-{i}": Case(f"condition-{i // 2}", (level + step * (i * 7 % 5),)) for i in range(2 * conditions)}


def only(comparisons: list[Comparison]) -> Comparison:
    (comparison,) = comparisons
    return comparison


def test_a_clear_difference(runs: Runs) -> None:
    result = only(compare(runs.write("a", cases(0.8)), runs.write("b", cases(0.5, step=0.02)), "all"))
    (column,) = result.columns
    assert column.difference is not None and column.difference.low is not None and column.difference.low > 0
    assert (column.n, column.total, column.verdict) == (16, 16, "A")
    # Eight conditions, all the same way: two of 2^8 sign patterns are as far out.
    assert column.difference.p == column.difference.adjusted == pytest.approx(2 / 256)
    text = "\n".join(lines(result))
    assert "0.008" in text and "16/0/0" in text and "16/16" in text
    assert "adjusted for the 1 tested column together" in text


def test_of_few_conditions_cases_are_flipped_and_the_foot_says_so(runs: Runs) -> None:
    a, b = (runs.write(name, cases(level, conditions=3)) for name, level in (("a", 0.8), ("b", 0.5)))
    result = only(compare(a, b, "all"))
    (column,) = result.columns
    assert column.difference is not None and column.difference.p == pytest.approx(2 / 64), "six cases"
    assert any("With 3 conditions, fewer than 6, cases are taken as drawn" in note for note in result.footers)


def test_no_spread_is_not_too_few(runs: Runs) -> None:
    result = only(compare(runs.write("a", cases(0.8, step=0.0)), runs.write("b", cases(0.5, step=0.0)), "all"))
    (column,) = result.columns
    assert column.difference is not None and column.difference.low is None and column.verdict == "A"
    assert "No interval for flicker: the difference is the same in all conditions." in result.footers


def test_report_and_compare_say_the_same_of_two_runs(runs: Runs, metric_data: Callable[..., None]) -> None:
    """Whatever the differences, conditions and columns: ranks are apart exactly where compare says so."""
    names, rng = [f"metric-{k}" for k in range(6)], np.random.default_rng(0)
    for name in names:
        metric_data(name)
    for conditions in (4, 5, 7, 18):
        for k, name in enumerate(names):
            noise = rng.normal(0, 0.1, (2, 2 * conditions))
            for run, gap, values in zip("ab", (0.03 * k, 0.0), noise, strict=True):
                planned = {f"c{i}": Case(f"k{i // 2}", (0.5 + gap + v,)) for i, v in enumerate(values)}
                runs.write(run, planned, metric=name, suite=f"of-{conditions}")
        folders = [RunFolder(runs.root / f"of-{conditions}" / run) for run in "ab"]
        (table,), result = summarise(folders, "all"), only(compare(folders[0], folders[1], "all"))
        ranks = {(1, 1): "A", (2, 2): "B", (1, 2): ""}
        told = [ranks[cell.ranks or (1, 2)] for cell in table.cells[0]]
        assert told == [column.alone for column in result.columns]
        assert all(column.verdict in ("", column.alone) for column in result.columns), "all at once claim less"
        assert any(told)
        for column in result.columns:
            found = column.difference
            assert found is not None and found.low is not None and found.high is not None
            assert (found.low <= 0 <= found.high) == (found.p >= 0.05), "interval and p-value are of one method"


def test_lower_can_be_better(runs: Runs, metric_data: Callable[..., None]) -> None:
    metric_data(METRIC, higher_is_better=False)
    result = only(compare(runs.write("a", cases(0.8)), runs.write("b", cases(0.5)), "all"))
    assert result.columns[0].verdict == "B"
    assert "0/0/16" in "\n".join(lines(result)), "A lost every case"


def test_p_values_are_adjusted_for_the_number_of_columns(runs: Runs, metric_data: Callable[..., None]) -> None:
    metric_data("other")
    for name, level in (("a", 0.8), ("b", 0.5)):
        runs.write(name, cases(level), metric="other")
    result = only(compare(runs.write("a", cases(0.8)), runs.write("b", cases(0.5)), "all"))
    # Both columns are the same, so the two are one test: max-t knows, where Holm would double.
    found = [column.difference for column in result.columns]
    assert [item.adjusted for item in found if item] == pytest.approx([2 / 256] * 2)


def test_few_conditions_are_said_to_be_unable_to_tell(runs: Runs) -> None:
    a, b = ({f"c{i}": Case(f"k{i}", (level + i * level / 90,)) for i in range(5)} for level in (1, 0.1))
    result = only(compare(runs.write("a", a), runs.write("b", b), "all"))
    (column,) = result.columns
    assert column.difference is not None and column.difference.p == pytest.approx(2 / 32) and column.verdict == ""
    assert any(
        "With 5 conditions no p-value is below 0.062" in note and "more conditions" in note for note in result.footers
    )
    # Six conditions suffice (2 / 2^6 < 0.05), for however many columns.
    assert not out_of_reach(6, "conditions") and not out_of_reach(17, "conditions")


def test_yes_or_no_scores_get_mcnemar(runs: Runs) -> None:
    yes, no = ({f"c{i}": Case(f"k{i}", (float(i % 4 < k),)) for i in range(16)} for k in (3, 1))
    (column,) = only(compare(runs.write("a", yes), runs.write("b", no), "all")).columns
    assert column.yes_or_no and column.difference is not None
    assert (column.difference.wins, column.difference.losses) == (8, 0)
    # One case to a condition: the exact McNemar test of the eight cases that differ.
    assert column.difference.p == pytest.approx(2 / 256)


def test_only_common_cases_count_and_too_few_are_not_tested(runs: Runs) -> None:
    torn = cases(0.8)
    torn["case-0"] = torn["case-1"] = Case("condition-0", generation=Failure("E", "x", ""))
    (column,) = only(compare(runs.write("a", torn), runs.write("b", cases(0.5)), "all")).columns
    assert (column.n, column.difference, column.verdict) == (14, None, "")
    assert column.reason == "not tested: 14 of 16 cases have both scores"


def test_per_task_and_overall(runs: Runs) -> None:
    mixed = {**cases(0.5), **{f"s{i}": Case(f"style-{i}", (0.4,), "style", ("all", "style")) for i in range(6)}}
    results = compare(runs.write("a", mixed), runs.write("b", mixed))
    assert [result.task for result in results] == ["style", "camera", "all"]
    assert all(column.difference and column.difference.p == 1 for result in results for column in result.columns)
    assert to_json(results[0])["columns"][0]["difference"]["n"] == 6


def test_what_cannot_be_compared_says_why(runs: Runs) -> None:
    a, other = runs.write("a", cases(0.5)), runs.write("b", cases(0.5), suite="other")
    with refuses(DataError, ErrorKind.CONFLICT, "suite", "of suite mini", "of other"):
        compare(a, other)
    with refuses(UsageError, ErrorKind.UNKNOWN, "task", "'camra'", "camera"):
        compare(a, runs.write("b", cases(0.5)), "camra")


@pytest.mark.parametrize("width", [80, 100, 160, None])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(
    runs: Runs, metric_data: Callable[..., None], width: int | None
) -> None:
    metric_data(METRIC, title="Semantic alignment (embedding)")
    result = only(compare(runs.write("a", cases(0.8)), runs.write("b", cases(0.5, step=0.02)), "all"))
    printed = list(lines(result, width))
    assert width is None or max(map(len, printed)) <= width
    text = " ".join(" ".join(printed).split())
    for said in (
        "A - B",
        "95% interval",
        "p, all",
        "0.008",
        "16/0/0",
        "16/16",
        "adjusted for the 1 tested column together",
    ):
        assert said in text

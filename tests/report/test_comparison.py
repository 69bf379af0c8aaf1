"""Specification of ``vapbench compare``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vapbench.errors import DataError, UsageError
from vapbench.report.ranking import out_of_reach
from vapbench.report.render.comparison import lines
from vapbench.report.tables.comparison import Comparison, compare, to_json
from vapbench.results.run import Failure

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
    assert column.p == pytest.approx(2 / 256)
    text = "\n".join(lines(result))
    assert "0.008" in text and "16/0/0" in text and "16/16" in text
    assert "Holm over the 1 tested columns" in text


def test_few_conditions_are_said_to_be_too_few(runs: Runs) -> None:
    result = only(compare(runs.write("a", cases(0.8, conditions=3)), runs.write("b", cases(0.5, conditions=3)), "all"))
    (column,) = result.columns
    assert column.p == pytest.approx(0.25), "the least that three conditions allow"
    assert "3 conditions: fewer than five give no interval, and no p below 0.25" in "\n".join(lines(result))


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
    assert [column.p for column in result.columns] == pytest.approx([4 / 256] * 2)


def test_few_conditions_are_said_to_be_unable_to_tell(runs: Runs) -> None:
    few = {name: runs.write(name, cases(level, conditions=5)) for name, level in (("a", 0.9), ("b", 0.1))}
    result = only(compare(few["a"], few["b"], "all"))
    assert result.columns[0].p == pytest.approx(2 / 32) and result.columns[0].verdict == ""
    assert any(
        "With 5 conditions no p-value is below 0.062" in note and "more conditions" in note for note in result.footers
    )
    # Seven conditions suffice for one column (2 / 2^7 < 0.05), and for no more than three.
    assert not out_of_reach(7, 3) and "0.062 after Holm over 4" in out_of_reach(7, 4)
    assert not out_of_reach(17, 100), "patterns are drawn, and p can be small"


def test_yes_or_no_scores_get_mcnemar(runs: Runs) -> None:
    yes, no = ({f"c{i}": Case(f"k{i}", (float(i % 4 < k),)) for i in range(16)} for k in (3, 1))
    (column,) = only(compare(runs.write("a", yes), runs.write("b", no), "all")).columns
    assert column.mcnemar is not None and (column.mcnemar.only_a, column.mcnemar.only_b) == (8, 0)
    assert column.mcnemar.p == pytest.approx(2 / 256)


def test_only_common_cases_count_and_too_few_are_not_tested(runs: Runs) -> None:
    torn = cases(0.8)
    torn["case-0"] = torn["case-1"] = Case("condition-0", generation=Failure("E", "x", ""))
    (column,) = only(compare(runs.write("a", torn), runs.write("b", cases(0.5)), "all")).columns
    assert (column.n, column.difference, column.p, column.verdict) == (14, None, None, "")
    assert column.reason == "not tested: 14 of 16 cases have both scores"


def test_per_task_and_overall(runs: Runs) -> None:
    mixed = {**cases(0.5), **{f"s{i}": Case(f"style-{i}", (0.4,), "style", ("all", "style")) for i in range(6)}}
    results = compare(runs.write("a", mixed), runs.write("b", mixed))
    assert [result.task for result in results] == ["style", "camera", "all"]
    assert all(column.p == 1 for result in results for column in result.columns)
    assert to_json(results[0])["columns"][0]["difference"]["n"] == 6


def test_what_cannot_be_compared_says_why(runs: Runs) -> None:
    a, other = runs.write("a", cases(0.5)), runs.write("b", cases(0.5), suite="other")
    with pytest.raises(DataError, match="of suite mini.*of other"):
        compare(a, other)
    with pytest.raises(UsageError, match="task 'camra'.*camera"):
        compare(a, runs.write("b", cases(0.5)), "camra")

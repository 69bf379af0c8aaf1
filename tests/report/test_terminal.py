"""Specification of tables in a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from vapbench.report.render.terminal import lines, print_table
from vapbench.report.tables.summary import summarise
from vapbench.results.rows import Failure
from vapbench.stats.intervals import clustered_mean

from .conftest import Case, Runs

NAMES = ["semantic alignment", "text alignment", "motion smoothness", "dynamic degree", "aesthetic quality"]


@pytest.fixture
def text(runs: Runs, metric_data: Callable[..., None]) -> Callable[[int | None], str]:
    """The table of two methods and five metrics, one case failed, at a width."""
    for name in NAMES:
        metric_data(name, scale=100.0, digits=1)
    for method, base in (("vap", 0.5), ("i2v", 0.4)):
        for name in NAMES:
            cases = {f"c{i}": Case(f"d{i}", (base + i / 20,)) for i in range(4)}
            if method == "i2v":
                cases["c0"] = Case("d0", generation=Failure("OutOfMemoryError", "[red]no room[/red] \x1b[31m"))
            runs.write(method, cases, metric=name)
    from vapbench.results.run import RunFolder

    (table,) = summarise([RunFolder(runs.root / "mini" / name) for name in ("vap", "i2v")], "camera")
    return lambda width: "\n".join(line.plain for line in lines(table, width))


def test_a_wide_terminal_shows_intervals_beside_the_means(text: Callable[[int | None], str]) -> None:
    known = clustered_mean([0.5, 0.55, 0.6, 0.65], "abcd")
    assert known.low is not None and known.high is not None
    assert f"57.5 [{100 * known.low:.1f}, {100 * known.high:.1f}]" in text(140).replace("57.5  [", "57.5 [")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_no_line_is_wider_than_the_terminal(text: Callable[[int | None], str], width: int) -> None:
    assert max(map(len, text(width).splitlines())) <= width


def test_eighty_columns_keep_every_interval(text: Callable[[int | None], str]) -> None:
    narrow = text(80)
    assert narrow.count("method") == 2, "the columns continue in a second block"
    interval = re.search(r"57.5 (\[[^]]+\])", text(None).replace("  ", " "))
    assert interval and interval[1] in narrow and "brackets: 95% interval" in " ".join(narrow.split())


def test_numbers_align_and_every_row_has_its_n(text: Callable[[int | None], str]) -> None:
    vap, i2v = (next(li for li in text(None).splitlines() if li.startswith(name)) for name in ("vap", "i2v"))
    assert len(vap) == len(i2v) and vap.index("57.5") == i2v.index("50.0")
    assert vap.endswith("4/4") and i2v.endswith("3/4")


def test_the_incomplete_is_marked_and_explained_once(text: Callable[[int | None], str]) -> None:
    plain = text(None)
    assert "50.0¹" in plain
    assert plain.count("¹ 3 of 4 cases: 1 failed (OutOfMemoryError: [red]no room[/red]") == 1
    assert "\x1b" not in plain, "a message cannot drive the terminal"


def test_without_a_terminal_the_output_is_plain(runs: Runs, metric_data: Callable[..., None]) -> None:
    (table,) = summarise([runs.write("vap", {f"c{i}": Case(f"d{i}", (i / 10,)) for i in range(3)})], "all")
    console = Console(file=io.StringIO(), force_terminal=False, width=20)
    print_table(table, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in printed
    assert any(line.startswith("vap") and line.endswith("3/3") for line in printed.splitlines())


def test_a_run_without_scores_says_what_to_do(runs: Runs) -> None:
    (table,) = summarise([runs.write("vap", {"a": Case("a", (None,))})], "all")
    assert "No scores yet" in "\n".join(line.plain for line in lines(table, 80))


def test_a_run_without_any_video_says_why_rather_than_how_to_score(runs: Runs) -> None:
    run = runs.write("lora", {name: Case(name, generation="no LoRA here") for name in "ab"})
    said = "\n".join(line.plain for line in lines(summarise([run], "all")[0], 80))
    assert "no video for 2 of 2 (no LoRA here)" in said
    assert "vapbench score" not in said
    run = runs.write("two", {name: Case(name, generation="no LoRA here" if name < "c" else "cut") for name in "abc"})
    said = "\n".join(line.plain for line in lines(summarise([run], "all")[0], 120))
    assert "no video for 3 of 3 (2: no LoRA here; 1: cut)" in said

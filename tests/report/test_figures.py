"""Specification of figures, breakdowns, agreement with people, and VBench's file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.model import TableModel
from vapbench.report.read.read_runs import read_summary
from vapbench.report.render.figures import KINDS, write_figure
from vapbench.report.render.vbench import eval_results
from vapbench.report.tables.agreement import HumanVote, metric_agreement, read_votes
from vapbench.report.tables.breakdown import breakdown, lines
from vapbench.report.tables.grid import grid_of
from vapbench.report.tables.layout import Layout
from vapbench.report.tables.preference import with_votes
from vapbench.report.tables.published import publications, with_published
from vapbench.report.tables.summary import summarise
from vapbench.results.rows import Failure

from .conftest import Case, Runs

SIGNATURES = {".pdf": b"%PDF", ".svg": b"<?xml", ".png": b"\x89PNG"}


def level(mean: float, conditions: int = 6) -> dict[str, Case]:
    return {f"case-{i}": Case(f"condition-{i // 2}", (mean + 0.02 * (i * 7 % 5),)) for i in range(2 * conditions)}


@pytest.fixture
def model(runs: Runs, metric_data: Callable[..., None]) -> TableModel:
    torn = {**level(0.4), "case-3": Case("condition-1", generation=Failure("E", "x", ""))}
    return summarise([runs.write("vap", level(0.7)), runs.write("i2v", level(0.5)), runs.write("lora", torn)], "all")[0]


def votes_for(winner: str, *losers: str, raters: int = 6) -> list[HumanVote]:
    return [
        HumanVote(f"case-{case}", f"r{rater}", "semantic", (winner, *losers), winner)
        for rater in range(raters)
        for case in range(12)
    ]


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_every_kind_in_every_format(suffix: str, model: TableModel, tmp_path: Path) -> None:
    agreements = metric_agreement(model, votes_for("vap", "i2v", "lora"))
    for kind in KINDS:
        path = tmp_path / f"{kind}{suffix}"
        write_figure(path, with_published(model, publications()) if kind == "forest" else model, agreements)
        assert path.read_bytes().startswith(SIGNATURES[suffix])


@pytest.mark.parametrize("width", [3.25, 5.5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_as_wide_as_the_venue_prints_it_with_letters_of_8_pt(
    kind: str, width: float, model: TableModel, tmp_path: Path
) -> None:
    agreements = metric_agreement(model, votes_for("vap", "i2v", "lora"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in SIGNATURES:
            write_figure(tmp_path / f"{kind}{suffix}", model, agreements, width)
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ", (tmp_path / f"{kind}.pdf").read_bytes())
    assert box is not None and float(box[1]) == pytest.approx(72 * width)
    svg = (tmp_path / f"{kind}.svg").read_text()
    assert f'width="{72 * width:g}pt"' in svg
    # As one property or as two: matplotlib spells it either way.
    assert set(re.findall(r"font(?:-size)?: (?:\w+ )?([\d.]+)px", svg)) == {"8"}
    assert svg.count("'STIXGeneral'") == svg.count("<text ")
    pixels = np.asarray(Image.open(tmp_path / f"{kind}.png").convert("L"))
    edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all((edge == 255).all() for edge in edges), "nothing is cut off at an edge"


def test_a_figure_of_one_run_needs_no_second(
    runs: Runs, metric_data: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (one,) = summarise([runs.write("vap", level(0.7))], "all")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("forest", "categories", "conditions", "heatmap"):
            write_figure(tmp_path / f"{kind}.pdf", one)
    for kind in ("matrix", "pareto"):
        with refuses(UsageError, ErrorKind.MISSING, "figure", "two methods"):
            write_figure(tmp_path / f"{kind}.pdf", one)


def wide(model: TableModel, count: int) -> tuple[TableModel, list[str]]:
    titles = [f"Column {number}" for number in range(count)]
    columns = tuple(replace(model.columns[0], title=title) for title in titles)
    cells, scores = tuple(line * count for line in model.cells), tuple(line * count for line in model.scores)
    return replace(model, columns=columns, cells=cells, scores=scores), titles


def shown_in(path: Path, titles: list[str]) -> list[str]:
    box = re.search(r'height="([\d.]+)pt"', path.read_text())
    assert box is not None and float(box[1]) <= 9 * 72
    return [title for title in titles if f">{title} " in path.read_text()]


def test_more_columns_than_a_page_holds_are_left_out_and_said(
    model: TableModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many, titles = wide(model, 19)
    write_figure(tmp_path / "conditions.svg", many)
    shown = shown_in(tmp_path / "conditions.svg", titles)
    assert 1 <= len(shown) < 19 and shown == titles[: len(shown)]
    assert f"shows {len(shown)} of 19 columns" in caplog.text


@pytest.mark.parametrize("kind", [pytest.param("heatmap", marks=pytest.mark.slow), "matrix"])
def test_grids_go_on_in_further_files_until_every_column_is_shown(
    kind: str, model: TableModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many, titles = wide(model, 29)
    write_figure(tmp_path / f"{kind}.svg", many)
    files = [
        path for number in range(1, 30) if (path := tmp_path / f"{kind}{f'-{number}' * (number > 1)}.svg").is_file()
    ]
    assert len(files) > 1 and [title for path in files for title in shown_in(path, titles)] == titles
    assert f"{kind}.svg goes on in {kind}-2.svg" in caplog.text
    write_figure(tmp_path / f"{kind}-few.svg", model)
    assert not (tmp_path / f"{kind}-few-2.svg").exists()


def test_quality_against_time_has_what_was_timed(model: TableModel, tmp_path: Path) -> None:
    assert all(row.seconds for row in model.rows), "rows of runs know the median of their clips' seconds"
    slow = replace(model, rows=(model.rows[0], replace(model.rows[1], seconds=None), model.rows[2]))
    write_figure(tmp_path / "pareto.svg", slow)
    text = (tmp_path / "pareto.svg").read_text()
    assert ">seconds a clip<" in text and f">{model.rows[1].label}<" not in text


def test_fonts_are_embedded_and_equal_rows_give_equal_files(model: TableModel, tmp_path: Path) -> None:
    for name in ("forest-1.pdf", "forest-2.pdf", "forest-1.svg", "forest-2.svg"):
        write_figure(tmp_path / name, model)
    pdf = (tmp_path / "forest-1.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert pdf == (tmp_path / "forest-2.pdf").read_bytes()
    assert (tmp_path / "forest-1.svg").read_bytes() == (tmp_path / "forest-2.svg").read_bytes()


def test_a_forest_says_what_its_marks_and_numbers_are(
    runs: Runs, metric_data: Callable[..., None], tmp_path: Path
) -> None:
    metric_data("smooth", title="A title that is as long as titles get (and a variant)", unit="fraction", scale=100.0)
    folders = [runs.write(name, level(mean), metric="smooth") for name, mean in (("vap", 0.7), ("frozen", 0.1))]
    write_figure(tmp_path / "forest.svg", summarise(folders, "all")[0])
    text = " ".join(re.findall(r">([^<>]+)</text>", (tmp_path / "forest.svg").read_text()))
    # Broken to the width of its panel.
    assert "fraction x 100" in text and "A title that is as long as titles get (and a variant) ↑" in text
    assert "bars: 95 % intervals, clustered by condition · grey squares: floors and ceilings" in text


@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [("plot.pdf", ErrorKind.UNKNOWN, "forest, categories"), ("forest.gif", ErrorKind.INVALID, ".pdf, .svg, .png")],
)
def test_unknown_figures_are_refused(name: str, kind: ErrorKind, named: str, model: TableModel, tmp_path: Path) -> None:
    with refuses(UsageError, kind, "figure", name, named):
        write_figure(tmp_path / name, model)


def test_dots_of_many_methods_are_refused(runs: Runs, metric_data: Callable[..., None], tmp_path: Path) -> None:
    many = summarise([runs.write(f"m{i}", level(0.5, 1)) for i in range(9)], "all")[0]
    with refuses(UsageError, ErrorKind.LIMIT, "figure", "at most 8"):
        write_figure(tmp_path / "conditions.pdf", many)


def test_breakdown_counts_and_averages_each_condition(model: TableModel) -> None:
    (item,) = breakdown(model)
    assert item.conditions == tuple(f"condition-{i}" for i in range(6))
    lora = item.parts[1][item.methods.index("lora")]
    assert (lora.n, lora.total) == (1, 2)
    assert item.parts[0][0].mean == pytest.approx(0.7 + 0.02 * (0 + 2) / 2)
    text = "\n".join(lines(item))
    assert "flicker ↑ by condition" in text and "(1/2)" in text


def test_a_metric_that_agrees_with_people(model: TableModel) -> None:
    (result,) = metric_agreement(model, votes_for("vap", "i2v"))
    assert (result.accuracy.estimate, result.preferences) == (1, 72)
    assert result.accuracy.low == pytest.approx(0.05 ** (1 / 6)), "six raters without exception do not make it certain"
    assert result.shares == (1, 0) and result.spearman is None


def test_a_metric_that_disagrees_has_an_interval_below_chance(model: TableModel) -> None:
    votes = votes_for("i2v", "vap", "lora") + votes_for("vap", "i2v", raters=1)
    (result,) = metric_agreement(model, votes)
    # 72 times over vap wrongly, 66 times over lora rightly (one case has no score), 12 times rightly.
    assert result.accuracy.estimate == pytest.approx((66 + 12) / (72 + 66 + 12))
    assert result.spearman == pytest.approx(0.5)


def test_preferences_are_shares_of_choices_or_of_wins_and_marked_by_ranks(model: TableModel) -> None:
    every = [*votes_for("vap", "i2v", "lora"), *votes_for("i2v", "vap", "lora", raters=2)]
    column = with_votes(model, every).columns[-1]
    assert column.title == "Preference rate"
    cells = [line[-1] for line in with_votes(model, every).cells]
    assert [cell.mean for cell in cells] == pytest.approx([0.75, 0.25, 0.0])
    assert all(cell.low is not None and cell.votes == 96 and cell.n == cell.total == 12 for cell in cells)
    assert [cell.place for cell in cells] == [1, 2, 3]
    pairs = [*votes_for("vap", "i2v"), *votes_for("vap", "lora"), *votes_for("i2v", "lora")]
    wins = with_votes(model, pairs)
    assert wins.columns[-1].title == "Mean win rate"
    assert [line[-1].mean for line in wins.cells] == pytest.approx([1.0, 0.5, 0.0])
    assert "216 votes of 6 raters on 12 cases" in wins.footers[-1]
    assert [line.count for line in grid_of(wins, Layout(style="wide")).groups[0].lines] == ["12/12", "12/12", "11/12"]
    with refuses(DataError, ErrorKind.MISSING, "question"):
        with_votes(model, [*votes_for("vap", "i2v"), *votes_for("vap", "lora")])


def test_a_preference_that_may_be_chance_has_no_winner(model: TableModel) -> None:
    split = [*votes_for("vap", "i2v"), *votes_for("i2v", "vap")]
    assert {line[-1].ranks for line in with_votes(model, split).cells} == {(1, 2), None}
    for line in grid_of(with_votes(model, split), Layout(style="paper")).groups[0].lines:
        assert not line.entries[-1].best and not line.entries[-1].second


def test_a_tie_is_split_among_all_that_were_shown(model: TableModel) -> None:
    shown = ("vap", "i2v", "lora")
    ties = [HumanVote("case-0", f"r{rater}", "semantic", shown, None) for rater in range(6)]
    chosen = [HumanVote("case-1", f"r{rater}", "semantic", shown, "vap") for rater in range(6)]
    (result,) = metric_agreement(model, [*ties, *chosen])
    assert result.shares == pytest.approx([2 / 3 if method == "vap" else 1 / 6 for method in result.methods])
    assert result.preferences == 12


def test_few_raters_give_agreement_without_an_interval(model: TableModel) -> None:
    (result,) = metric_agreement(model, votes_for("vap", "i2v", raters=2))
    assert result.accuracy.low is None and "2 raters" in result.accuracy.reason


def test_votes_are_read_as_a_study_exports_them(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(
        "rater,case,question,role,shown,chosen\nr,c,q,main,a | b,a\nr,g,q,gold,a | b,a\nr,d,q,main,a | b,tie\n"
    )
    assert read_votes(path) == [HumanVote("c", "r", "q", ("a", "b"), "a"), HumanVote("d", "r", "q", ("a", "b"), None)]
    path.write_text("model_a,model_b\n1,2\n")
    with refuses(DataError, ErrorKind.INVALID, "votes", "vapbench study export"):
        read_votes(path)
    path.unlink()
    with refuses(DataError, ErrorKind.MISSING, "votes.csv", path, "vapbench study export"):
        read_votes(path)
    path.write_text(
        "case,rater,question,shown,chosen,role,counts,hash\nc,r,q,a | b,a,main,WAHR,aa\nd,r,q,a | b,a,main,FALSCH,ab\n"
    )
    assert [vote.case for vote in read_votes(path)] == ["c"]
    path.write_text(path.read_text() + "c,r,q,a | b,a,main,WAHR,aa\n")
    with refuses(DataError, ErrorKind.INVALID, "vote", f"{path}: line 4 is there twice"):
        read_votes(path)


def test_vbench_gets_its_own_columns_only_and_only_whole(runs: Runs, metric_data: Callable[..., None]) -> None:
    yes_no = {f"c{i}": Case(f"k{i}", (float(i % 2),)) for i in range(4)}
    runs.write("vap", yes_no, metric="dynamic_degree[raft]")
    runs.write("vap", yes_no, metric="dynamic_degree[dis]")
    run = runs.write("vap", {**yes_no, "c3": Case("k3", (None,))}, metric="aesthetic_quality")
    content, left_out = eval_results(read_summary(run))
    assert set(content) == {"dynamic_degree"}
    mean, videos = content["dynamic_degree"]
    assert mean == 0.5 and [video["video_results"] for video in videos] == [False, True, False, True]
    assert re.fullmatch(r"videos/c0__s0__0{8}\.mp4", videos[0]["video_path"])
    assert left_out == [
        "aesthetic_quality is incomplete: finish the run first, as VBench's form has no missing scores.",
        "dynamic_degree[dis] is not defined as in VBench.",
    ]


def test_agreement_across_methods_has_an_interval_and_a_correlation_per_case(model: TableModel) -> None:
    votes = votes_for("i2v", "vap", "lora") + votes_for("vap", "i2v", "lora", raters=1)
    (result,) = metric_agreement(model, votes)
    assert result.spearman is not None and result.spearman_ends is not None
    assert -1 <= result.spearman_ends[0] <= result.spearman <= result.spearman_ends[1] <= 1
    # Scores fall from vap over i2v to lora; per case i2v wins most votes, vap some, lora none: ranks 3 2 1 and 2 3 1.
    assert result.per_case is not None and result.per_case.mean == pytest.approx(0.5)
    assert result.per_case.n == 11, "one case has no score of lora"
    assert result.by_category == (), "one category"


def test_a_metric_that_only_tells_categories_apart_is_seen_within_them(model: TableModel) -> None:
    halves = {case: "camera" if index < 6 else "style" for index, case in enumerate(model.conditions)}
    right = [vote for vote in votes_for("vap", "i2v") if halves[vote.case] == "camera"]
    wrong = [vote for vote in votes_for("i2v", "vap") if halves[vote.case] == "style"]
    (result,) = metric_agreement(replace(model, categories=halves), right + wrong)
    assert result.accuracy.estimate == pytest.approx(0.5)
    assert [(name, known.estimate) for name, known in result.by_category] == [("camera", 1), ("style", 0)]

"""Specification of the table for the paper: marks, notes, formats, and that LaTeX compiles."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.model import Cell, Footer, TableModel, scored_of
from vapbench.report.read.columns import Column, Row
from vapbench.report.render.csv import harmless, to_csv
from vapbench.report.render.formats import render, render_all
from vapbench.report.render.latex import to_latex
from vapbench.report.render.terminal import lines
from vapbench.report.render.tex import escape
from vapbench.report.tables.agreement import HumanVote
from vapbench.report.tables.grid import grid_of
from vapbench.report.tables.layout import Layout
from vapbench.report.tables.preference import with_votes
from vapbench.report.tables.published import as_table, beside_published, publications, read_publication, with_published
from vapbench.report.tables.summary import summarise
from vapbench.results.rows import Failure

from .conftest import METRIC, Case, Runs

GOLDEN = Path(__file__).parent / "golden"
PAPER = """
VACE (Original)       5.88  97.60 68.75 53.90 35.38 0.6
VACE (Depth)          22.64 97.65 75.00 56.03 43.35 0.7
VACE (Optical Flow)   22.65 97.56 79.17 57.34 46.71 1.8
CogVideoX-I2V         22.82 98.48 72.92 56.75 26.04 6.9
CogVideoX-I2V (LoRA)  23.59 98.34 70.83 54.23 68.60 13.1
Kling / Vidu          24.05 98.12 79.17 59.16 74.02 38.2
Video-As-Prompt (VAP) 24.13 98.59 77.08 57.71 70.44 38.7
"""
HOSTILE = '100% & $x_1^2 #{}~\\ <script>alert(1)</script> | [a](b) "q" ` 日本 \N{GRINNING FACE} Łódź naïve'


def spread(*means: float, conditions: int = 8) -> dict[str, Case]:
    """Two cases in each of ``conditions`` conditions; conditions lie around each mean in turn."""
    values = [means[i // 2 % len(means)] + 0.01 * (i % 3) for i in range(2 * conditions)]
    return {f"case-{i}": Case(f"condition-{i // 2}", (value,)) for i, value in enumerate(values)}


@pytest.fixture
def table(runs: Runs, metric_data: Callable[..., None]) -> TableModel:
    metric_data("aesthetic_quality", title="aesthetic", scale=100.0, digits=1)
    folders = []
    for name, level in (("vap", 0.8), ("i2v", 0.5), ("frozen", 0.1)):
        runs.write(name, spread(level), metric="aesthetic_quality")
        folders.append(runs.write(name, spread(level)))
    return summarise(folders, "all", reference="vap")[0]


def test_the_papers_table_to_the_digit() -> None:
    (paper,) = publications()
    grid = grid_of(as_table(paper), Layout(style="paper"))
    printed = [[line.label, *(entry.text for entry in line.entries)] for line in grid.groups[0].lines]
    assert printed == [re.split(r"\s{2,}|(?<=\d)\s|(?<=\))\s", line) for line in PAPER.strip().splitlines()]


def test_ties_share_a_mark_and_preference_has_none() -> None:
    (paper,) = publications()
    lines = {line.label: line.entries for line in grid_of(as_table(paper), Layout(style="paper")).groups[0].lines}
    bold = {label: [entry.best for entry in entries] for label, entries in lines.items()}
    assert bold["Kling / Vidu"] == [False, False, True, True, True, False]
    assert bold["VACE (Optical Flow)"][2], "79.17 is printed twice and best twice"
    assert bold["Video-As-Prompt (VAP)"] == [True, True, False, False, False, False]


@pytest.mark.parametrize("format_", ["latex", "markdown", "html", "csv"])
def test_golden_files(format_: str) -> None:
    (paper,) = publications()
    path = GOLDEN / f"published.{ {'latex': 'tex', 'markdown': 'md'}.get(format_, format_) }"
    assert render(as_table(paper), Layout(style="paper"), format_) == path.read_text(encoding="utf-8")  # type: ignore[arg-type]


def test_published_rows_are_set_apart_and_never_ranked(table: TableModel) -> None:
    merged = with_published(table, publications())
    grid = grid_of(merged, Layout(style="paper"))
    assert [group.title for group in grid.groups] == ["", "Floors and ceilings", "As published (arXiv:2510.20888)"]
    assert not any(entry.best or entry.second for line in grid.groups[2].lines for entry in line.entries)
    assert {header.title for header in grid.headers} >= {"aesthetic", "CLIP score", "Preference rate"}
    aesthetic = [header.title for header in grid.headers].index("aesthetic")
    # The column's own format, whatever the paper's digits were.
    assert grid.groups[2].lines[0].entries[aesthetic].text == "53.9"
    assert any("vap-data, not of mini, and do not compare" in text for text in grid.footers)


def test_a_papers_numbers_share_columns_with_runs_on_its_data_alone(
    runs: Runs, metric_data: Callable[..., None]
) -> None:
    (paper,) = papers = publications()
    mixed = {**spread(0.8), **{f"s{i}": Case(f"style-{i}", (0.4,), "style", ("all", "style")) for i in range(6)}}
    mini = summarise([runs.write("vap", mixed, suite="mini")])
    assert beside_published(mini, papers) == [*mini, as_table(paper)]
    large = summarise([runs.write("vap", mixed, suite="vap-data")])
    *before, whole, _, _ = beside_published([*mini, *large], papers)
    assert before == mini, "once, below the widest table"
    assert grid_of(whole, Layout(style="paper")).groups[-1].title == "As published (arXiv:2510.20888)"
    (style,) = beside_published(summarise([runs.write("i2v", mixed, suite="vap-data")], "style"), papers)
    assert any("over all its cases, not those of style alone" in text for text in style.footers)
    assert "no votes" in style.cells[0][-1].account()


def test_marks_follow_the_digits_shown(table: TableModel) -> None:
    grid = grid_of(table, Layout(style="paper"))
    (competitors, references) = grid.groups
    assert [(line.label, line.entries[0].best, line.entries[0].second) for line in competitors.lines] == [
        ("vap", True, False),
        ("i2v", False, True),
    ]
    assert not references.lines[0].entries[0].best


def marked(model: TableModel) -> dict[str, str]:
    entries = {
        line.label: line.entries[0]
        for line in grid_of(model, Layout(style="paper", mark="significant")).groups[0].lines
    }
    return {label: "bold" if e.best else "underlined" if e.second else "" for label, e in entries.items()}


def test_significant_marks_are_shared_by_what_cannot_be_told_apart(
    runs: Runs, metric_data: Callable[..., None]
) -> None:
    folders = [
        runs.write("a", spread(0.80, 0.60)),
        runs.write("b", spread(0.60, 0.79)),
        runs.write("c", spread(0.40)),
        runs.write("d", spread(0.20)),
        runs.write("torn", {**spread(0.9), "case-0": Case("condition-0", generation=Failure("E", "x", ""))}),
    ]
    model = summarise(folders, "all")[0]
    assert marked(model) == {"a": "bold", "b": "bold", "c": "underlined", "d": "", "torn": ""}
    shown = {line.label: line.entries[0] for line in grid_of(model, Layout(style="paper")).groups[0].lines}
    assert shown["a"].best and shown["b"].second and not shown["b"].best
    assert any(
        "not significantly worse than the best" in text
        for text in grid_of(model, Layout(style="paper", mark="significant")).footers
    )


def test_significant_marks_follow_the_direction_and_never_tell_what_few_conditions_cannot(
    runs: Runs, metric_data: Callable[..., None]
) -> None:
    metric_data(METRIC, higher_is_better=False)
    model = summarise([runs.write("a", spread(0.8)), runs.write("b", spread(0.2))], "all")[0]
    assert marked(model) == {"a": "underlined", "b": "bold"}
    few = [runs.write(name, spread(level, conditions=2), suite="few") for name, level in (("a", 0.8), ("b", 0.2))]
    assert marked(summarise(few, "all")[0]) == {"a": "", "b": ""}


def test_published_rows_cannot_be_tested(table: TableModel) -> None:
    (paper,) = publications()
    for model in (as_table(paper), with_published(table, publications())):
        last = grid_of(model, Layout(style="paper", mark="significant")).groups[-1]
        assert not any(entry.best or entry.second for line in last.lines for entry in line.entries)


def test_the_foot_names_cases_definitions_and_commit(runs: Runs, metric_data: Callable[..., None]) -> None:
    folders = [runs.write("vap", spread(0.8)), runs.write("i2v", spread(0.5))]
    for folder, dirty in zip(folders, (False, True), strict=True):
        manifest = json.loads(folder.manifest_path.read_text())
        manifest["sessions"][0] |= {"git": {"commit": "ab" * 20, "dirty": dirty}, "packages": {"vapbench": "1.2"}}
        folder.manifest_path.write_text(json.dumps(manifest))
    footers = grid_of(summarise(folders, "all")[0], Layout(style="paper")).footers
    assert footers[0] == "16 cases of 8 conditions."
    assert "Columns: flicker is temporal_flickering v1." in footers
    assert "Made with vapbench 1.2 at commit abababababab, abababababab with uncommitted changes." in footers


def test_the_dagger_needs_significance(table: TableModel) -> None:
    lines = {
        line.label: line.entries[0] for group in grid_of(table, Layout(style="ablation")).groups for line in group.lines
    }
    assert lines["i2v"].dagger and lines["i2v"].difference == "\N{MINUS SIGN}30.0"
    assert not lines["vap"].dagger and not lines["vap"].difference
    assert "Dagger: differs from vap, adjusted p < 0.05." in grid_of(table, Layout(style="ablation")).footers


def test_few_conditions_make_no_dagger(runs: Runs, metric_data: Callable[..., None]) -> None:
    folders = [runs.write(name, spread(level, conditions=2)) for name, level in (("vap", 0.8), ("i2v", 0.5))]
    model = summarise(folders, "all", reference="vap")[0]
    # Two conditions are taken as given, so four cases are flipped: of sixteen patterns two are as far out.
    assert model.cells[1][0].versus is not None and model.cells[1][0].versus.p == 0.125
    assert not any(
        entry.dagger for line in grid_of(model, Layout(style="ablation")).groups[0].lines for entry in line.entries
    )


def test_ranks_tell_what_can_be_told(runs: Runs, metric_data: Callable[..., None]) -> None:
    folders = [
        runs.write("a", spread(0.80, 0.60)),
        runs.write("b", spread(0.60, 0.81)),
        runs.write("c", spread(0.2)),
        runs.write("torn", {**spread(0.9), "case-0": Case("condition-0", generation=Failure("E", "x", ""))}),
    ]
    model = summarise(folders, "all")[0]
    assert [line[0].ranks for line in model.cells] == [(1, 2), (1, 2), (3, 3), None]
    texts = [
        line.entries[0].interval.rpartition("] ")[2] for line in grid_of(model, Layout(style="wide")).groups[0].lines
    ]
    assert texts[:3] == ["#1-2", "#1-2", "#3"]


def test_lower_is_better_turns_ranks_round(runs: Runs, metric_data: Callable[..., None]) -> None:
    metric_data(METRIC, higher_is_better=False)
    model = summarise([runs.write("a", spread(0.8)), runs.write("b", spread(0.2))], "all")[0]
    assert [line[0].ranks for line in model.cells] == [(2, 2), (1, 1)]


def test_what_is_incomplete_has_a_footnote(runs: Runs, metric_data: Callable[..., None]) -> None:
    torn = {**spread(0.9), "case-0": Case("condition-0", generation=Failure("OSError", "no room", ""))}
    grid = grid_of(
        summarise([runs.write("vap", torn), runs.write("i2v", spread(0.1))], "all")[0], Layout(style="paper")
    )
    assert grid.groups[0].lines[0].entries[0].note == 1
    assert grid.notes == ("15 of 16 cases: 1 failed (OSError: no room); not ranked",)


def test_an_unknown_reference_gets_a_suggestion(runs: Runs, metric_data: Callable[..., None]) -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "row", "Did you mean vap"):
        summarise([runs.write("vap", spread(0.5))], "all", reference="vpa")


def test_csv_holds_the_numbers_unrounded(table: TableModel) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert len(rows) == len(table.rows) * len(table.columns)
    first = rows[0]
    assert float(first["mean"]) == table.cells[0][0].mean and first["n"] == first["total"] == "16"
    assert [row["rank_best"] for row in rows[::2]] == ["1", "2", ""]


def test_csv_says_what_the_suite_knows_of_its_cases(table: TableModel) -> None:
    known = replace(
        table, footers=(*table.footers, Footer("suite", "1 of 16 cases has a reference in the train split."))
    )
    rows = list(csv.DictReader(io.StringIO(to_csv(known))))
    assert all(row["remarks"].endswith("1 of 16 cases has a reference in the train split") for row in rows)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_csv_has_no_formulas(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert harmless(-1.5) == -1.5


def test_a_row_counts_the_cases_of_whole_columns() -> None:
    part, whole = Cell(0.5, 0.4, 0.6, 4, 4), Cell(0.5, 0.4, 0.6, 60, 60)
    votes = replace(whole, n=812, total=812, votes=812)
    columns = tuple(Column(name, 1) for name in ("camera", "all", "preferred"))
    table = TableModel("t", "mini", None, columns, (Row("vap", "vap"),), ((part, whole, votes),), ())
    assert scored_of(table.cells[0]) == (60, 60, 60)
    assert any(str(line).endswith("  60/60") for line in lines(table))


def hostile_table() -> TableModel:
    columns = (Column("m", 1, title=HOSTILE, higher_is_better=True), Column("k", 1, title="[x]"))
    cells = ((Cell(0.5, 0.4, 0.6, 3, 3), Cell(None, None, None, 0, 3, failed=3, reason=HOSTILE)),) * 2
    return TableModel(
        HOSTILE, "mini", "all", columns, (Row(HOSTILE, "x"), Row("[bracket]", "y")), cells, (Footer("cases", HOSTILE),)
    )


def test_hostile_names_stay_text_in_html() -> None:
    class Seen(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.add(tag)

    tags: set[str] = set()
    parser = Seen()
    parser.feed(render(hostile_table(), Layout(style="wide"), "html"))
    assert tags <= set("figure table caption thead tbody tr th td sup small strong u figcaption p".split())


def test_hostile_names_keep_a_markdown_table_together() -> None:
    lines = [
        line for line in render(hostile_table(), Layout(style="wide"), "markdown").splitlines() if line.startswith("|")
    ]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert "<script" not in render(hostile_table(), Layout(style="wide"), "markdown")


@settings(deadline=None)
@given(st.text())
def test_escaped_text_is_ascii_without_live_commands(text: str) -> None:
    escaped = escape(text)
    assert escaped.isascii() and "\n" not in escaped
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", escaped.replace("\\\\", "")):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"(?<!\\)[%#&_]", escaped)
    assert set(re.findall(r"\\([a-zA-Z]+)", escaped)) <= COMMANDS


COMMANDS = set(
    "textbackslash textasciitilde textasciicircum textless textgreater textbar textasciigrave ldots cdot times pm "
    "uparrow downarrow ss ae o i j l u v c r H texttt circ geq leq neq approx rightarrow leftarrow leftrightarrow "
    "Rightarrow infty in sum alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)


@pytest.mark.parametrize("style", ["paper", "wide", "ablation"])
def test_latex_is_well_formed(style: str, table: TableModel) -> None:
    for model in (table, hostile_table()):
        text = to_latex(grid_of(model, Layout(style=style)), "mini-all")  # type: ignore[arg-type]
        for environment in ("table", "tabular*"):
            assert 0 < text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}")
        for block in text.split(r"\toprule")[1:]:
            rows = [row for row in block[: block.index(r"\bottomrule")].split(r"\\") if "&" in row]
            widths = {len(re.findall(r"(?<!\\)&", row)) + row.count(r"\multicolumn{2}") for row in rows}
            assert len(widths) == 1, "every row has the same number of cells"
        assert text.isascii()


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_compiles_as_it_is(table: TableModel, tmp_path: Path) -> None:
    models = {
        "hostile": hostile_table(),
        "all": with_published(table, publications()),
        "paper": as_table(publications()[0]),
    }
    body = "\n".join(render(model, Layout(style="wide"), "latex") for model in models.values())
    lone = render_all([models["hostile"], models["paper"]], Layout(style="wide"), "latex", standalone=True)
    joined = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n{body}\\end{{document}}\n"
    for name, text in {"lone": lone, "joined": joined}.items():
        (tmp_path / f"{name}.tex").write_text(text, encoding="ascii")
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]


def test_a_damaged_published_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "paper.json"
    (paper,) = publications()
    data = paper.model_dump(by_alias=True, mode="json")
    data["rows"][0]["values"].pop()
    path.write_text(json.dumps(data))
    with refuses(DataError, ErrorKind.INVALID, "the file", "paper.json", "5 values for 6 columns"):
        read_publication(path)
    with refuses(DataError, ErrorKind.MISSING, "none.json", tmp_path):
        read_publication(tmp_path / "none.json")


def test_published_values_survive_a_columns_scale(table: TableModel) -> None:
    exact = replace(table.columns[1], digits=2)
    assert exact.text(53.90 / exact.scale) == "53.90"


def test_heads_are_no_wider_than_numbers_need(table: TableModel) -> None:
    text = render(
        replace(table, columns=(replace(table.columns[0], title="Semantic alignment (embedding)"),) * 2),
        Layout(style="wide"),
        "latex",
    )
    heads = text[text.index(r"\toprule") : text.index(r"\midrule")].splitlines()[1:]
    assert [re.sub(r"^.*\}\}\{(.*)\}$", r"\1", line.split(" & ")[1]) for line in heads] == [
        *("Semantic alignment", r"(embedding) $\uparrow$"),
    ]
    assert heads[-1].startswith("Method & ") and heads[-1].endswith(r"$n$ \\")


def test_the_notes_of_latex_are_one_paragraph_below_the_table(table: TableModel) -> None:
    text = render(table, Layout(style="paper"), "latex")
    notes = text[text.index(r"\begin{minipage}") : text.index(r"\end{minipage}")]
    assert text.index(r"\end{tabular*}") < text.index(notes) and r"\par" not in notes and "16 cases" in notes


def test_footers_of_columns_that_a_style_hides_are_hidden(table: TableModel) -> None:
    votes = [
        HumanVote(f"case-{i}", f"r{j}", q, ("vap", "i2v"), "vap") for i in range(16) for j in range(6) for q in "ab"
    ]
    model = with_votes(table, votes)
    for style, count in (("wide", 2), ("paper", 1)):
        footers = grid_of(model, Layout(style=style)).footers  # type: ignore[arg-type]
        assert sum("votes of 6 raters" in text for text in footers) == count


def test_footers_explain_only_what_is_printed(table: TableModel) -> None:
    assert any("brackets: 95% interval" in text for text in grid_of(table, Layout(style="wide")).footers)
    for style in ("paper", "ablation"):
        footers = grid_of(table, Layout(style=style)).footers
        assert not any("brackets" in text or text.startswith("#:") for text in footers)
        assert "Mean over cases, seeds averaged within a case." in footers


@pytest.mark.parametrize("called", ["vap", "vap~0", "vap steps=7"])
def test_votes_meet_a_run_by_whatever_name_a_study_gave_it(runs: Runs, called: str) -> None:
    folders = [runs.write("vap", spread(0.8), folder="vap~0", parameters={"steps": 7}), runs.write("i2v", spread(0.5))]
    manifest = json.loads(folders[0].manifest_path.read_text())
    manifest["card"]["changed"] = {"steps": 7}
    folders[0].manifest_path.write_text(json.dumps(manifest))
    (table,) = summarise(folders, "all")
    votes = [HumanVote(f"case-{i}", f"rater-{i % 4}", "better", (called, "i2v"), called) for i in range(16)]
    voted = with_votes(table, votes)
    assert [line[-1].mean for line in voted.cells] == [1.0, 0.0]

"""Specification of tables that an author controls: columns, labels, groups, order; and LaTeX that fits its column."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import vapbench as vb
from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.model import TableModel
from vapbench.report.render.formats import render
from vapbench.report.tables.arrange import arranged, check_names, tabulate
from vapbench.report.tables.grid import grid_of
from vapbench.report.tables.layout import Layout, read_layout
from vapbench.report.tables.published import as_table, publications, with_published
from vapbench.results.rows import Failure
from vapbench.results.run import RunFolder
from vapbench.results.sets import SetResult, videos_digest, write_result

from .conftest import Case, Runs

FILE = """
task: all
labels: {vap: VAP (ours), i2v: "CogVideoX-I2V & base"}
columns:
  - {metric: dynamic_degree, title: Dyn., decimals: 0}
  - text_alignment
groups:
  - {title: One model for all conditions, rows: [i2v, vap]}
  - {title: One model per condition, rows: [lora]}
intervals: plus-minus
reference: i2v
caption: Semantic control, 100% of it.
"""


def cases(level: float, **changes: Case) -> dict[str, Case]:
    category = ["camera", "style"]
    made = {
        f"case-{i}": Case(
            f"condition-{i // 2}", (level + 0.011 * (i % 4),), category[i // 8], ("all", category[i // 8])
        )
        for i in range(16)
    }
    return made | changes


SCALES = {"text_alignment": 1, "motion_smoothness": -1, "dynamic_degree": 1, "sharpness": 1}
LEVELS = {"vap": 0.5, "i2v": 0.3, "lora": 0.7, "frozen": 0.1}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """Three methods, one of which lacks a case, and a floor."""
    runs, torn = Runs(tmp_path_factory.mktemp("runs")), Failure("OSError", "no room", "")
    for metric, scale in SCALES.items():
        for name, level in LEVELS.items():
            changes = {"case-0": Case("condition-0", generation=torn)} if name == "lora" else {}
            runs.write(name, cases(0.5 + scale * (level - 0.5), **changes), metric=metric)
    return [RunFolder(runs.root / "mini" / name) for name in LEVELS]


@pytest.fixture
def folders(written: list[RunFolder], metric_data: Callable[..., None]) -> list[RunFolder]:
    for metric in SCALES:
        metric_data(metric, title=metric.replace("_", " "), scale=100.0, digits=2)
    return written


def labels(model: TableModel) -> list[str]:
    return [row.label for row in model.rows]


def test_a_small_file_holds_all_of_it(folders: list[RunFolder], tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(FILE)
    layout = read_layout(path)
    (model,) = tabulate(folders, layout)
    grid = grid_of(model, layout)
    assert grid.title == "Semantic control, 100% of it."
    assert [(header.title, header.arrow) for header in grid.headers] == [("Dyn.", "↑"), ("text alignment", "↑")]
    assert [(group.title, [line.label for line in group.lines]) for group in grid.groups] == [
        ("One model for all conditions", ["CogVideoX-I2V & base", "VAP (ours)"]),
        ("One model per condition", ["lora"]),
        ("Floors and ceilings", ["frozen"]),
    ]
    entry = grid.groups[0].lines[1].entries[0]
    assert entry.text == "52" and re.fullmatch("±\\d", entry.interval) and entry.dagger
    assert "Dagger: differs from CogVideoX-I2V & base, adjusted p < 0.05." in grid.footers
    assert any("Dyn. is dynamic_degree v1" in text and "sharpness" not in text for text in grid.footers)
    changed = read_layout(path, labels={"lora": "LoRA"}, intervals="none", sort="dynamic_degree")
    assert labels(tabulate(folders, changed)[0]) == ["VAP (ours)", "CogVideoX-I2V & base", "LoRA", "frozen"]


def test_rows_are_in_order_of_the_first_column_unless_they_are_named(folders: list[RunFolder]) -> None:
    for columns, order in (
        (("text_alignment",), ["lora", "vap", "i2v"]),
        (("motion_smoothness",), ["i2v", "vap", "lora"]),
    ):
        layout = read_layout(None, columns=columns, task="all")
        assert labels(tabulate(folders, layout)[0]) == [*order, "frozen"]
    named = read_layout(None, runs=["vap", "i2v", "lora"], task="all")
    assert labels(tabulate(folders, named)[0])[:3] == ["vap", "i2v", "lora"]


def test_columns_stand_as_named_and_a_plus_adds_to_the_styles(folders: list[RunFolder]) -> None:
    def shown(*names: str) -> list[str]:
        layout = read_layout(None, columns=names or None, task="all")
        return [header.title for header in grid_of(tabulate(folders, layout)[0], layout).headers]

    assert shown("sharpness", "dynamic_degree") == ["sharpness", "dynamic degree"]
    assert shown() == ["text alignment", "motion smoothness", "dynamic degree"]
    assert shown("+sharpness") == ["text alignment", "motion smoothness", "dynamic degree", "sharpness"]


def test_categories_as_columns_are_what_their_own_tables_say(folders: list[RunFolder]) -> None:
    whole, *parts = tabulate(folders, read_layout(None, columns=["sharpness"], style="wide"))
    layout = read_layout(None, columns=["sharpness"], by_category=True, task="all", style="wide")
    (split,) = tabulate(folders, layout)
    assert [column.title for column in split.columns] == ["camera", "style", "all"]
    rows = {row.label: line for row, line in zip(split.rows, split.cells, strict=True)}
    for place, model in enumerate([*sorted(parts, key=lambda part: str(part.task)), whole]):
        for row, (cell,) in zip(model.rows, model.cells, strict=True):
            found = rows[row.label][place]
            assert (found.mean, found.low, found.high, found.n, found.total, found.ranks) == (
                *(cell.mean, cell.low, cell.high, cell.n, cell.total, cell.ranks),
            )


@pytest.mark.parametrize(
    ("text", "kind", "field", "said"),
    [
        ("labls: {}", ErrorKind.UNKNOWN, "labls", "labls: there is no such field. Fields: runs, suite"),
        ("decimals: 9", ErrorKind.INVALID, "decimals", "decimals: input should be less than or equal to 6"),
        ("columns: [{metric: a, titel: b}]", ErrorKind.UNKNOWN, "columns.0.titel", "columns.0.titel"),
        ("width: wide", ErrorKind.INVALID, "width", "width: input should be a valid number"),
        (
            "decimals: 9\nwidth: wide",
            ErrorKind.INVALID,
            "decimals",
            "decimals: input should be less than or equal to 6; width: input should be",
        ),
        ("- a", ErrorKind.INVALID, "table.yaml", "no table of fields"),
        ("a: [", ErrorKind.DAMAGED, "table.yaml", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, kind: ErrorKind, field: str, said: str) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with refuses(DataError, kind, field, said, path) as refused:
        read_layout(path)
    assert "\n" not in str(refused.value)
    with refuses(DataError, ErrorKind.MISSING, "none.yaml"):
        read_layout(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("wrong", "kind", "field", "named"),
    [
        ({"labels": {"vpa": "VAP"}}, ErrorKind.UNKNOWN, "row", "Did you mean vap?"),
        ({"groups": [{"title": "x", "rows": ["vpa"]}]}, ErrorKind.UNKNOWN, "row", "Did you mean vap?"),
        ({"columns": ["+sharpnes"]}, ErrorKind.UNKNOWN, "metric", "Did you mean sharpness?"),
        ({"sort": "sharpnes"}, ErrorKind.UNKNOWN, "metric", "Did you mean sharpness?"),
        ({"labels": {"vap": "same", "i2v": "same"}}, ErrorKind.CONFLICT, "labels", "'same'"),
    ],
)
def test_a_name_of_nothing_is_refused(
    folders: list[RunFolder], wrong: dict[str, object], kind: ErrorKind, field: str, named: str
) -> None:
    layout = read_layout(None, **wrong)
    with refuses(UsageError, kind, field, named):
        check_names(tabulate(folders, layout), layout, folders)


def test_python_takes_the_same(folders: list[RunFolder], tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(FILE)
    table = vb.table([folder.path for folder in folders], config=path, decimals=1)
    assert "VAP (ours)" in table.to_markdown() and r"CogVideoX-I2V \& base" in table.to_latex()
    frame = vb.table([f.path for f in folders], "all", metrics=["sharpness"], labels={"vap": "VAP"}).to_dataframe()
    assert list(frame["method"]) == ["lora", "VAP", "i2v", "frozen"] and set(frame["metric"]) == {"sharpness"}


def layouts() -> dict[str, Layout]:
    """The layouts that are compiled, by name."""
    styles = {
        style: read_layout(None, style=style, task="all", reference="i2v") for style in ("paper", "wide", "ablation")
    }
    split = {"split": styles["wide"].model_copy(update={"by_category": True})}
    full = {"full": styles["paper"].model_copy(update={"notes": "full"})}
    return styles | split | full


def test_columns_by_category_keep_their_definitions(folders: list[RunFolder]) -> None:
    layout = read_layout(None, by_category=True, task="all", style="wide")
    (model,) = tabulate(folders, layout)
    assert model.title.endswith(" · by category")
    (line,) = (footer for footer in model.footers if footer.kind == "columns")
    for column in (column for column in model.columns if column.title.endswith(", all")):
        assert f"{column.title.removesuffix(', all')} is {column.definition}" in line


@pytest.mark.parametrize(("text", "absent"), [("\u2265 5 \u2192 \u03b1 \u00b0", ""), ("5 \u4e2d", "\u4e2d")])
def test_signs_are_set_and_what_cannot_be_is_said(
    folders: list[RunFolder], caplog: pytest.LogCaptureFixture, text: str, absent: str
) -> None:
    layout = Layout(task="all", caption=text)
    (model,) = tabulate(folders, layout)
    printed = render(model, layout, "latex")
    assert (r"$\geq$ 5 $\rightarrow$ $\alpha$ $^{\circ}$" in printed) == (not absent)
    assert bool(absent) == ("their numbers are printed" in caplog.text) and absent in caplog.text


def compiled(folder: Path, body: str, inches: float) -> str:
    """What pdflatex says of tables in a column of so many inches, beside another column where there is room."""
    columns = r"\twocolumn" if inches < 4 else ""
    width = 2 * inches + 0.3 if columns else inches
    (folder / "t.tex").write_text(
        f"\\documentclass[10pt]{{article}}\\usepackage[textwidth={width}in,columnsep=0.3in,textheight=9in]{{geometry}}\n"
        f"\\usepackage{{booktabs}}\\begin{{document}}{columns}\n{body}\\end{{document}}\n",
        encoding="ascii",
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "t.log").read_text(errors="replace")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
@pytest.mark.parametrize("inches", [3.25, 5.5])
def test_latex_fits_a_column_of_two_and_a_page_of_one(folders: list[RunFolder], tmp_path: Path, inches: float) -> None:
    (tmp_path / "table.yaml").write_text(FILE)
    wanted = layouts() | {"file": read_layout(tmp_path / "table.yaml")}
    bodies = []
    for layout in wanted.values():
        at_width = layout.model_copy(update={"width": inches})
        (model,) = tabulate(folders, at_width)
        bodies.append(render(model, at_width, "latex"))
    paper, plain = as_table(publications()[0]), Layout(width=inches)
    bodies += [render(paper, plain, "latex"), render(with_published(model, publications()), plain, "latex")]
    log = compiled(tmp_path, "\n\\clearpage\n".join(bodies), inches)
    assert "Overfull \\hbox" not in log, re.findall(r"Overfull \\hbox.*", log)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
@pytest.mark.parametrize("inches", [2.0, 3.25, 6.75])
@pytest.mark.parametrize(("rows", "label"), [(1, "vap"), (12, "vap"), (1, "m" * 60)])
def test_a_table_that_does_not_fit_the_page_says_so(
    folders: list[RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture, inches: float, rows: int, label: str
) -> None:
    layout = Layout(task="all", width=inches, style="wide", notes="full")
    (model,) = tabulate(folders, layout)
    named = (replace(model.rows[0], label=label), *model.rows[1:])
    repeated = replace(model, rows=named * rows, cells=model.cells * rows, scores=model.scores * rows)
    log = compiled(tmp_path, render(repeated, layout, "latex"), inches)
    # Widths of letters are estimated from above.
    assert "Overfull \\hbox" not in log or "into the margin" in caplog.text
    assert ("Float too large" in log) == ("more than a page" in caplog.text)
    assert bool(caplog.text) == ((rows, label) != (1, "vap") and inches < 6)


def test_daggers_and_intervals_stand_beside_the_digits(folders: list[RunFolder]) -> None:
    layout = read_layout(None, task="all", reference="i2v", columns=["sharpness"])
    text = render(tabulate(folders, layout)[0], layout, "latex")
    rows = [row.split(" & ") for row in re.findall(r"^(?:vap|lora|i2v) .*", text, re.MULTILINE)]
    numbers = [re.sub(r"\\(textbf|underline)\{([\d.]+)\}", r"\2", row[1]) for row in rows]
    assert all(re.fullmatch(r"[\d.]+", number) for number in numbers), "a column of digits alone, so they stay in line"
    assert any(r"\dagger" in row[2] for row in rows)
    assert r"r@{\extracolsep{0pt}}l" in text


def test_brief_notes_are_no_longer_than_the_table_and_the_rest_are_comments(folders: list[RunFolder]) -> None:
    brief = read_layout(None, task="all", columns=["sharpness"], style="wide")
    (model,) = tabulate(folders[:3], brief)
    text = render(model, brief, "latex")
    notes = text[text.index(r"\begin{minipage}") : text.index(r"\end{minipage}")].split(r"\selectfont")[1]
    comments = "\n".join(line for line in text.splitlines() if line.startswith("% "))
    # At most a line of notes, of some 65 letters, for each of the table's.
    assert len(notes) < 65 * (text.count("\\\\\n") + 5)
    assert "sharpness is sharpness v1" in notes + comments and "Versions: suite" in comments and r"\#: ranks" in notes
    assert "15 of 16 cases" in notes and "Bold is best" in notes, "what marks mean is never left out"
    whole = render(model, brief.model_copy(update={"notes": "full"}), "latex")
    assert "Versions: suite" in whole[whole.index(r"\begin{minipage}") :]


def test_the_caption_is_clear_of_the_rule(folders: list[RunFolder]) -> None:
    layout = read_layout(None, task="all")
    text = render(tabulate(folders, layout)[0], layout, "latex")
    assert text.index(r"\setlength{\belowcaptionskip}{6pt}") < text.index(r"\caption{") < text.index(r"\toprule")


def test_a_published_row_may_be_called_otherwise() -> None:
    layout = read_layout(None, labels={"VACE (Depth)": "VACE-D"})
    assert "VACE-D" in labels(arranged(as_table(publications()[0]), layout))


def test_the_papers_columns_hold_what_the_reference_causes_beside_alignment(runs: Runs) -> None:
    data = {name: Case(case.condition, case.values, extra={"target": "t.mp4"}) for name, case in cases(0.5).items()}
    for metric in ("semantic_alignment[embedding]", "motion_smoothness", "reference_leakage", "sharpness"):
        folder = runs.write("vap", data, metric=metric)
    made = [(row.case, row.seed, str(row.sha256)) for row in folder.current()]
    result = SetResult(
        metric="reference_effect",
        version=1,
        params={},
        weights="",
        task="all",
        reference="others",
        value=0.42,
        low=0.1,
        high=0.7,
        n=16,
        cases=16,
        clusters=8,
        note="",
        videos=videos_digest(made),
        title="Reference effect",
        higher_is_better=True,
        unit="",
        digits=2,
    )
    write_result(folder, result)
    (model,) = tabulate([folder], Layout(task="all"))
    shown = render(model, Layout(task="all"), "markdown")
    places = [shown.index(title) for title in ("Semantic", "Reference effect", "Reference leakage")]
    assert places == sorted(places) and "0.42" in shown and "sharpness" not in shown

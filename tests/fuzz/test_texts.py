"""Captions and names of any kind through whatever prints them: they stay texts."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.hostile import MEGABYTE, TEXTS, files_below, fuzzed, held, texts
from tests.report.conftest import Case, Runs
from tests.study.conftest import Population, collect, make_protocol, rechain, write_log, write_protocol
from vapbench.leaderboard.site import build
from vapbench.report.model import Cell, Footer, TableModel
from vapbench.report.read.columns import Column, Row
from vapbench.report.render.csv import harmless
from vapbench.report.render.formats import render
from vapbench.report.render.terminal import lines
from vapbench.report.render.tex import escape
from vapbench.report.tables.layout import Layout
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.analysis.exporting import export
from vapbench.study.folder import StudyFolder

TABLE_TAGS = set("figure table caption thead tbody tr th td sup small strong u figcaption p".split())
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
LATEX = re.compile(r"\\(?:[a-zA-Z]+|[&%$#_{}'`^\"~=.])")
COMMANDS = set(
    "textbackslash textasciitilde textasciicircum textless textgreater textbar textasciigrave ldots cdot times pm "
    "uparrow downarrow ss ae o i j l L O AE oe OE u v c r H texttt k d b t dh th DH TH aa AA dj DJ ng NG textmu "
    "circ geq leq neq approx rightarrow leftarrow leftrightarrow Rightarrow infty in sum alpha beta gamma delta "
    "epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega Gamma Delta Theta "
    "Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)


class Page(HTMLParser):
    """Elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def table(text: str) -> TableModel:
    columns = (Column("m", 1, {text: text}, title=text, higher_is_better=True, unit=text), Column("k", 1, title="k"))
    cells = ((Cell(0.5, 0.4, 0.6, 3, 3), Cell(None, None, None, 0, 3, failed=3, reason=text)),) * 2
    return TableModel(
        text, text, text, columns, (Row(text, text, text, text, (text,)), Row("b", "y")), cells, (Footer("rows", text),)
    )


@fuzzed(40, 5000)
@given(texts)
@example(MEGABYTE[: 1 << 17])
def test_tables_in_every_format(text: str) -> None:
    model = table(text)
    html = render(model, Layout(style="wide"), "html")
    assert {tag for tag, _ in Page(html).found} <= TABLE_TAGS
    assert not [attrs for _, attrs in Page(html).found if set(attrs) - {"class", "scope", "colspan"}]
    markdown = render(model, Layout(style="wide"), "markdown")
    assert not re.search(r"(?<!\\)<(?!/?(?:u|sup)>)", markdown)
    piped = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in piped}) == 1 and len(piped) == 4
    table_text = render(model, Layout(style="wide"), "csv")
    for row in csv.reader(io.StringIO(table_text)) if len(text) < 100_000 else ():
        assert not [cell for cell in row if cell.lstrip(" ").startswith(FORMULA)], row
    latex = render(model, Layout(style="wide"), "latex")
    assert latex.isascii() and latex.count("\\begin{") == latex.count("\\end{") >= 3
    assert render(model, Layout(style="wide"), "json").encode()
    assert all(c.isprintable() for line in lines(model, 80) for c in line.plain)


@fuzzed(100, 20_000)
@given(texts)
def test_latex_has_no_command_of_the_texts(text: str) -> None:
    escaped = escape(text)
    assert {found[1:] for found in LATEX.findall(escaped) if found[1].isalpha()} <= COMMANDS
    bare = LATEX.sub("", escaped)
    assert "\\" not in bare and not set(bare) & set("%#&_~\n\r") - {"~"}
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0


@fuzzed(100, 20_000)
@given(st.text(alphabet=" =+-@\t\r\n'\uff1dx1", max_size=6) | texts)
def test_no_cell_is_a_formula(text: str) -> None:
    assert not str(harmless(text)).lstrip(" ").startswith(FORMULA)
    assert str(harmless(text)).endswith(text)


@fuzzed(2, 100)
@given(st.lists(texts, min_size=6, max_size=6))
@example(list(TEXTS[6:12]))
@example([TEXTS[-10], TEXTS[2], TEXTS[4], TEXTS[-9], "\x00", "</title><base href=//evil>"])
def test_a_site_of_hostile_texts(said: list[str]) -> None:
    """Two runs whose every text is somebody else's: no element, no script, no address, no file elsewhere."""
    title, caption, kind, note, condition, failure = said
    with tempfile.TemporaryDirectory() as root:
        runs = Runs(Path(root) / "results")
        for name in ("vap", "i2v"):
            cases = {
                f"case-{n}": Case(condition, (0.1 * n,), extra={"caption": caption, "reference_caption": failure})
                for n in range(2)
            }
            run = runs.write(name, cases)
            manifest = {**run.manifest().document} | {"card": {"title": title, "kind": kind, "notes": [note]}}
            manifest["identity"]["parameters"] = {"prompt": note}
            manifest["metrics"] = {"temporal_flickering": {"title": title, "unit": kind}}
            from vapbench.files.atomic import write_json

            write_json(run.manifest_path, manifest)
        before = files_below(Path(root))
        site = Path(root) / "site"
        if held(lambda: build(Path(root) / "results", Path(root) / "board", site, videos=False)) is None:
            return
        made = files_below(Path(root)) - before
        assert all(name.split("/")[0] in ("site", "board") for name in made)
        for path in site.rglob("*.html"):
            page = Page(path.read_text(encoding="utf-8"))
            assert not [tag for tag, _ in page.found if tag in ("img", "base", "iframe", "object", "embed")]
            # The pages' own plots are drawings without a way out of the page.
            assert not [tag for tag, _ in page.found if tag in ("foreignobject", "use", "image", "animate", "set")]
            assert all(attrs.get("role") == "img" for tag, attrs in page.found if tag == "svg")
            # The page's own filters are a form that is sent nowhere.
            assert all(
                attrs.get("id") == "filters" and "action" not in attrs for tag, attrs in page.found if tag == "form"
            )
            assert sum(tag == "script" for tag, _ in page.found) <= 2
            for _, attrs in page.found:
                assert not [name for name in attrs if name.startswith("on")]
                for name in ("href", "src"):
                    assert not re.match(r"\s*(javascript|data|vbscript):", attrs.get(name) or "", re.IGNORECASE)


@fuzzed(2, 100)
@given(st.lists(texts.map(lambda text: text.encode("utf-8", "replace").decode()[:2000]), min_size=3, max_size=3))
@example(['=HYPERLINK("http://evil.example")', "\uff1d1", "<script>\x00\u202e"])
def test_an_export_of_hostile_comments(comments: list[str]) -> None:
    protocol = make_protocol(methods=2, cases=4, trials=4, raters=2, gold=2)
    votes = collect(protocol, 2, Population((0.4, 0.0)))
    votes = [vote.model_copy(update={"comment": comments[n % 3]}) for n, vote in enumerate(votes)]
    with tempfile.TemporaryDirectory() as root:
        study = write_protocol(Path(root) / "study", protocol)
        write_log(study, rechain(votes))
        out = Path(root) / "out"
        export(load_ballots(study), out)
        assert load_ballots(StudyFolder(out)).votes == tuple(load_ballots(study).votes)
        with (out / "votes.csv").open(newline="", encoding="utf-8") as handle:
            for row in csv.reader(handle):
                assert not [cell for cell in row if cell.lstrip(" ").startswith(FORMULA)]
        assert {path.split("/")[0] for path in files_below(Path(root))} == {"study", "out"}

"""Specification of what a table says of its rows beyond their scores: it reaches every format, and is never guessed."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from vapbench.metrics.base import CAPTION_CUT
from vapbench.report.model import TableModel
from vapbench.report.page.page import render_page
from vapbench.report.read.read_runs import read_summary
from vapbench.report.read.remarks import remarks_on
from vapbench.report.render import comparison as comparison_terminal
from vapbench.report.render import terminal
from vapbench.report.render.formats import render, render_all
from vapbench.report.tables.comparison import compare
from vapbench.report.tables.comparison import to_json as compared
from vapbench.report.tables.layout import Layout
from vapbench.report.tables.summary import summarise
from vapbench.results.rows import Failure, Note
from vapbench.results.run import RunFolder

from .conftest import Case, Runs

pytestmark = pytest.mark.usefixtures("metric_data")

SUITE = {"clip": {"frames": 13, "height": 48, "width": 64, "fps": 8.0}}
AS_ASKED = {"frames": 13, "height": 48, "width": 64, "fps": 8.0}
FASTER = {"frames": 39, "height": 48, "width": 64, "fps": 24.0}
LARGER = {"frames": 13, "height": 96, "width": 128, "fps": 8.0}


def cases(made: dict[str, Any], count: int = 6, **changes: Any) -> dict[str, Case]:
    return {
        f"case-{i}": Case(f"condition-{i // 2}", (i / 10,), **{"extra": SUITE, "made": made, **changes})
        for i in range(count)
    }


def lines(*runs: RunFolder) -> list[str]:
    (table,) = summarise(runs, "all")
    return [remark.line for remark in table.remarks]


def test_clips_of_another_length_and_rate_are_told_for_each_method(runs: Runs) -> None:
    a, b, c = runs.write("a", cases(AS_ASKED)), runs.write("b", cases(FASTER)), runs.write("c", cases(LARGER))
    assert lines(a, b, c) == [
        "b: 39 frames at 24 fps against the suite's 13 at 8 (6 of 6 clips).",
        "c: 96x128 against the suite's 48x64 (6 of 6 clips).",
    ]


def test_only_what_differs_is_named(runs: Runs) -> None:
    slow = runs.write("slow", cases({**AS_ASKED, "fps": 6.0}))
    assert lines(slow) == ["slow: 6 fps against the suite's 8 fps (6 of 6 clips)."]
    rounded = runs.write("rounded", cases({**AS_ASKED, "fps": 8.0 + 1e-6}))
    assert lines(rounded) == []
    endless = runs.write("endless", cases({**AS_ASKED, "frames": None}))
    assert lines(endless) == [], "a length nobody knows differs from nothing"


def test_several_sizes_of_one_method_are_one_line(runs: Runs) -> None:
    mixed = cases(AS_ASKED) | {
        f"odd-{i}": Case("odd", (0.5,), extra=SUITE, made={**AS_ASKED, "frames": 4 + i // 2}) for i in range(10)
    }
    (line,) = lines(runs.write("mixed", mixed))
    assert line.startswith("mixed: 4 frames against the suite's 13 (2 of 16 clips); 5 frames")
    assert line.endswith("; 2 other sizes.")


def test_methods_of_which_the_same_is_true_share_a_line(runs: Runs) -> None:
    b, c = runs.write("b", cases(FASTER)), runs.write("c", cases(FASTER))
    assert lines(b, c) == ["b, c: 39 frames at 24 fps against the suite's 13 at 8 (6 of 6 clips)."]


def test_a_method_with_a_clip_spec_of_its_own_is_held_against_the_suites(runs: Runs) -> None:
    own = {"clip": FASTER}
    needs = runs.write("needs", cases(FASTER, extra=own), clip={"frames": 39, "fps": 24})
    assert lines(needs) == [], "nothing else says what the suite asks"
    assert lines(needs, runs.write("a", cases(AS_ASKED))) == [
        "needs: 39 frames at 24 fps against the suite's 13 at 8 (6 of 6 clips)."
    ]


def test_rows_of_before_sizes_were_kept_are_quoted_and_not_read(runs: Runs) -> None:
    note = "the clip is 39x48x64 at 24 fps; the suite asks for 13x48x64 at 8 fps"
    old = runs.write("old", cases({"note": note}, extra={}))
    assert lines(old) == [f"old: {note} (6 of 6 clips)."]
    new = runs.write("new", cases({**FASTER, "note": note}))
    assert lines(new) == ["new: 39 frames at 24 fps against the suite's 13 at 8 (6 of 6 clips)."], "once"
    more = runs.write("more", cases({**FASTER, "note": f"{note}; turned by 90 degrees"}))
    assert lines(more)[1:] == ["more: turned by 90 degrees (6 of 6 clips)."]


def test_notes_on_clips_are_counted_by_kind(runs: Runs) -> None:
    turned = cases({**AS_ASKED, "notes": (Note("turned by 90 degrees", "rotate=90"), Note("encoded anew"))}, 2)
    assert lines(runs.write("phone", cases(AS_ASKED) | turned)) == [
        "phone: turned by 90 degrees (2 of 6 clips).",
        "phone: encoded anew (2 of 6 clips).",
    ]


def test_cut_captions_are_counted_in_their_column(runs: Runs) -> None:
    cut = {"note": "the caption lost 163 tokens beyond CLIP's 77", "kind": CAPTION_CUT}
    run = runs.write("vap", cases(AS_ASKED) | cases(AS_ASKED, 2, noted=cut))
    assert lines(run) == ["vap · flicker: caption cut by the encoder (2 of 6 cases)."]
    old = {"note": "the caption lost 5 tokens beyond CLIP's 77", "parts": {"tokens_dropped": 5}}
    assert lines(runs.write("old", cases(AS_ASKED, noted=old))) == [
        "old · flicker: caption cut by the encoder (6 of 6 cases)."
    ]
    judged = {"note": "It zooms, as the reference does."}
    assert lines(runs.write("judged", cases(AS_ASKED, noted=judged))) == [], "what is true of one case stays with it"


def test_every_reason_why_cases_have_no_score_is_told_failures_first(runs: Runs) -> None:
    lost = {
        "crashed": Case("a", generation=Failure("OutOfMemoryError", "no room", "")),
        "no-lora": Case("b", generation="no LoRA for b"),
        "no-caption": Case("c", ("the case has no caption",)),
        **{f"later-{i}": Case("d", (None,)) for i in range(4)},
    }
    run = runs.write("vap", cases(AS_ASKED, 2) | lost)
    assert lines(run) == [
        "vap: 2 of 9 cases scored; 1 failed: OutOfMemoryError: no room (1); "
        "2 unscored: no LoRA for b (1), the case has no caption (1); 4 missing: not scored yet (4)."
    ]
    (table,) = summarise([run], "all")
    assert "OutOfMemoryError: no room" in table.cells[0][0].account(), "not the commoner 'not scored yet'"


def test_a_failed_seed_is_told_before_one_that_is_still_to_come(runs: Runs) -> None:
    case = Case("a", (Failure("OutOfMemoryError", "no room", ""),), extra={"seeds": [0, 1]})
    summary = read_summary(runs.write("vap", {"a": case}))
    (key,) = summary.scores
    assert (summary.outcome(key, "a").state, summary.outcome(key, "a").reason) == (
        "failed",
        "OutOfMemoryError: no room",
    )


def test_one_reason_stands_in_the_footnote_alone_and_in_a_comparison(runs: Runs) -> None:
    torn = cases(AS_ASKED) | {"case-0": Case("condition-0", generation=Failure("OSError", "disk full", ""))}
    a, b = runs.write("a", torn), runs.write("b", cases(AS_ASKED))
    assert lines(a, b) == []
    (comparison,) = compare(a, b, "all")
    assert "a: 5 of 6 cases scored; 1 failed: OSError: disk full (1)." in list(comparison_terminal.lines(comparison))


@pytest.fixture
def table(runs: Runs) -> TableModel:
    cut = {"note": "lost", "kind": CAPTION_CUT}
    (model,) = summarise([runs.write("a", cases(AS_ASKED)), runs.write("b", cases(FASTER, noted=cut))], "all")
    return model


def test_remarks_reach_every_format(table: TableModel) -> None:
    said = "b: 39 frames at 24 fps against the suite's 13 at 8 (6 of 6 clips)."
    assert said in [line.plain for line in terminal.lines(table)]
    for format_ in ("markdown", "latex"):
        assert said in render(table, Layout(style="wide", notes="full"), format_).splitlines()  # type: ignore[arg-type]
    assert f"<p>{said.replace(chr(39), '&#x27;')}</p>" in render(table, Layout(style="wide"), "html")
    (plain,) = json.loads(render_all([table], Layout(style="wide"), "json"))
    assert [(r["kind"], r["methods"], r["columns"], r["count"], r["total"]) for r in plain["remarks"]] == [
        ("clip", ["b"], [], 6, 6),
        ("score", ["b"], ["flicker"], 6, 6),
    ]
    assert plain["remarks"][0]["line"] == said
    rows = list(csv.DictReader(io.StringIO(render(table, Layout(style="wide"), "csv"))))
    assert {row["method"]: row["remarks"] for row in rows} == {
        "a": "",
        "b": f"{said.removeprefix('b: ').rstrip('.')}; caption cut by the encoder (6 of 6 cases)",
    }


def test_a_csv_without_remarks_has_no_column_for_them(runs: Runs, table: TableModel) -> None:
    (silent,) = summarise([runs.write("c", cases(AS_ASKED))], "all")
    assert "remarks" not in render(silent, Layout(style="wide"), "csv")
    together = list(csv.DictReader(io.StringIO(render_all([silent, table], Layout(style="wide"), "csv"))))
    assert [row["remarks"] != "" for row in together] == [False, False, True]


def test_a_style_keeps_the_remarks_on_its_columns(runs: Runs, metric_data: Any) -> None:
    metric_data("aesthetic_quality", title="aesthetic")
    cut = {"kind": CAPTION_CUT, "note": "lost"}
    runs.write("b", cases(FASTER), metric="aesthetic_quality")
    (model,) = summarise([runs.write("b", cases(FASTER, noted=cut))], "all")
    wide, paper = render(model, Layout(style="wide"), "markdown"), render(model, Layout(style="paper"), "markdown")
    assert "39 frames" in wide and "39 frames" in paper
    assert CAPTION_CUT in wide and CAPTION_CUT not in paper


def test_a_comparison_tells_them_in_text_and_json(runs: Runs) -> None:
    (comparison,) = compare(runs.write("a", cases(AS_ASKED)), runs.write("b", cases(FASTER)), "all")
    said = "b: 39 frames at 24 fps against the suite's 13 at 8 (6 of 6 clips)."
    assert said in list(comparison_terminal.lines(comparison))
    assert json.loads(json.dumps(compared(comparison)))["remarks"][0]["line"] == said


def test_the_page_tells_them_above_and_on_the_case(runs: Runs) -> None:
    noted = {**FASTER, "notes": (Note("turned by 90 degrees", "<b>rotate</b>"),)}
    run = runs.write("b", cases(AS_ASKED) | {"case-0": Case("condition-0", (0.1,), made=noted, extra=SUITE)})
    summary = read_summary(run)
    assert remarks_on(summary, "case-1") == ()
    assert remarks_on(summary, "case-0") == (
        "39 frames at 24 fps against the suite's 13 at 8",
        "turned by 90 degrees (<b>rotate</b>)",
    )
    page = render_page(summary)
    assert "b: 39 frames at 24 fps against the suite&#39;s 13 at 8 (1 of 6 clips)." in page
    assert page.count("39 frames at 24 fps against the suite&#39;s 13 at 8.") == 1
    assert "turned by 90 degrees (&lt;b&gt;rotate&lt;/b&gt;)." in page

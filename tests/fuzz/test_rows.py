"""Rows and manifests (JSONL, JSON) that were torn, edited or made up: tables and pages, or one sentence."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.hostile import DEEP, MEGABYTE, changed, dumps, files_below, fuzzed, held, mutated, texts, values
from vapbench.files.parsing import parse_json
from vapbench.leaderboard.check import manifest_problems, row_problems
from vapbench.report.page.page import render_page
from vapbench.report.read.read_runs import read_summary
from vapbench.report.render.formats import render
from vapbench.report.render.terminal import lines
from vapbench.report.tables.layout import Layout
from vapbench.report.tables.summary import summarise_run
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter
from vapbench.validation.declarations import check_run

SHA = "ab" * 32
GENERATION: dict[str, Any] = {
    "key": "k1", "case": "case-1", "condition": "vidu_lego", "category": "style", "seed": 0, "status": "ok",
    "video": "case-1__s0__k1.mp4", "sha256": SHA, "seconds": 1.5, "peak_mb": None, "note": "", "code": "", "schema": 1,
    "attempts": [{"type": "OutOfMemory", "message": "full", "traceback": ""}],
}  # fmt: skip
SCORE: dict[str, Any] = {
    "key": "s1", "metric": "temporal_flickering", "version": 1, "params": {}, "case": "case-1",
    "condition": "vidu_lego", "category": "style", "seed": 0, "video_sha256": SHA, "case_sha256": SHA,
    "status": "ok", "value": 0.5, "parts": {"per_frame": [0.1, 0.2, 0.3, 0.4, 0.5]}, "note": "",
    "seconds": 0.1, "failure": None, "weights": "", "schema": 1,
}  # fmt: skip
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "identity": {"suite": "mini", "name": "vap", "version": 1, "parameters": {"steps": 2}, "weights": {"sha256": SHA}},
    "cases": {
        "case-1": {
            "condition": "vidu_lego", "category": "style", "tasks": ["all", "style"], "seeds": [0],
            "fields": {"prompt": SHA}, "media": "/nowhere", "caption": "A dog.", "reference": "a.mp4",
            "reference_caption": "A cat.", "image": "a.png", "target": "b.mp4",
        }
    },
    "metrics": {
        "temporal_flickering": {
            "needs": [], "title": "Flicker", "higher_is_better": True, "unit": "x", "scale": 100.0, "digits": 2,
            "range": [0.0, 1.0],
        }
    },
    "card": {"title": "VAP", "kind": "unified", "notes": ["A note."]},
    "sessions": [
        {
            "started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:00:01+00:00", "argv": ["vapbench", "run"],
            "git": {"commit": SHA, "dirty": False}, "seeds": [0], "device": "cpu", "packages": {"av": "18"},
        }
    ],
}  # fmt: skip


def use(generations: bytes, scores: bytes, manifest: bytes) -> None:
    """Everything that reads a run, on a run of these files."""
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "outside.mp4").write_bytes(b"outside")
        folder = RunFolder(Path(root) / "mini" / "vap")
        (folder.path / "scores").mkdir(parents=True)
        folder.videos.mkdir()
        folder.manifest_path.write_bytes(manifest)
        folder.generations_path.write_bytes(generations)
        folder.scores_path("temporal_flickering").write_bytes(scores)
        before = files_below(Path(root))
        for row in (held(folder.generations) or {}).values():
            assert row.video is None or (folder.videos / row.video).parent == folder.videos
        for finding in held(lambda: list(check_run(folder))) or ():
            assert "\n" not in finding.problem
        held(lambda: row_problems(folder.path))
        if (run := held(lambda: read_summary(folder))) is not None:
            table = held(lambda: summarise_run(run))
            page = held(lambda: render_page(run))
            assert page is None or page.count("<script") == 1
            if table is not None:
                held(lambda: lines(table, 80))
                for form in ("latex", "markdown", "html", "csv", "json"):
                    text = held(lambda form=form: render(table, Layout(style="wide"), form))  # type: ignore[misc]
                    assert text is None or text.encode()
        assert files_below(Path(root)) == before


def line(row: dict[str, Any]) -> bytes:
    return dumps(row).encode() + b"\n"


def json_bytes(value: Any) -> bytes:
    return dumps(value).encode()


@fuzzed(25, 2000)
@given(changed(GENERATION), changed(SCORE))
@example(GENERATION | {"seed": "0"}, SCORE)
@example(GENERATION | {"video": "../../../outside.mp4"}, SCORE)
@example(GENERATION | {"video": "/etc/passwd"}, SCORE)
@example(GENERATION | {"case": ["x"]}, SCORE)
@example(GENERATION | {"seed": 10**400}, SCORE)
@example(GENERATION | {"attempts": 7}, SCORE)
@example(GENERATION, SCORE | {"value": float("nan")})
@example(GENERATION, SCORE | {"value": float("inf")})
@example(GENERATION, SCORE | {"value": "0.5"})
@example(GENERATION, SCORE | {"value": True})
@example(GENERATION, SCORE | {"value": 10**400})
@example(GENERATION, SCORE | {"status": "failed"})
@example(GENERATION, SCORE | {"parts": {"per_frame": [10**400] * 5}})
@example(GENERATION, SCORE | {"version": "1", "params": []})
def test_rows_of_other_types(generation: dict[str, Any], score: dict[str, Any]) -> None:
    use(line(generation), line(score), json_bytes(MANIFEST))


@fuzzed(25, 2000)
@given(mutated(line(GENERATION) + line(GENERATION | {"key": "k2", "seed": 1})), mutated(line(SCORE) * 2))
@example(b"\n\n", b"null\n[]\n7\n")
@example(b'{"schema": 1}\n', b'{"schema": 1}\n')
@example(DEEP[0].encode() + b"\n", DEEP[1].encode() + b"\n")
@example(line(GENERATION), line(SCORE)[:-2] + b',"parts":{"a":' + DEEP[2].encode() + b"}}\n")
@example(line(GENERATION), line(SCORE).replace(b"0.5,", b"1e999,"))
@example(line(GENERATION), line(SCORE).replace(b'"value": 0.5', b'"value": 0.5, "value": "x"'))
@example(b"\xff\xfe\x00\n" + line(GENERATION), b"\x00" * 4096 + b"\n")
def test_torn_lines(generations: bytes, scores: bytes) -> None:
    use(generations, scores, json_bytes(MANIFEST))


@fuzzed(25, 2000)
@given(changed(MANIFEST))
@example(MANIFEST | {"identity": []})
@example(MANIFEST | {"cases": {"../../x": {"condition": "../y", "tasks": ["../z"], "reference": "../../outside.mp4"}}})
@example(MANIFEST | {"metrics": {"temporal_flickering": {"digits": 10**9, "scale": 1e308}}})
@example(MANIFEST | {"card": "x", "sessions": {"a": 1}})
@example(MANIFEST | {"sessions": [{"argv": [1, None, {"a": "\x00"}], "packages": [1]}]})
def test_manifests_of_other_types(manifest: dict[str, Any]) -> None:
    held(lambda: manifest_problems(manifest, submitted=True))
    use(line(GENERATION), line(SCORE), json_bytes(manifest))


@fuzzed(15, 1000)
@given(mutated(json_bytes(MANIFEST)) | st.binary(max_size=40) | st.sampled_from([text.encode() for text in DEEP]))
def test_torn_manifests(manifest: bytes) -> None:
    use(line(GENERATION), line(SCORE), manifest)


@fuzzed(25, 2000)
@given(texts, values)
@example("\ud800", {"a": "\udfff"})
@example(MEGABYTE, {})
def test_any_text_survives_as_a_row(text: str, value: Any) -> None:
    """What a method says when it fails may hold anything; it is kept, and read back as it was."""
    # Half a character is no text of UTF-8, and is marked as one that was lost.
    kept = text.encode("utf-8", "replace").decode()
    parts = json.loads(json.dumps({"raw": text, "value": repr(value)}))
    with tempfile.TemporaryDirectory() as root:
        folder = RunFolder(Path(root) / "run")
        failure = Failure("ValueError", text, text)
        made = GenerationRow("k", "case-1", "c", None, 0, "failed", note=text, attempts=(failure,))
        scored = ScoreRow("s", "m", 1, {}, "case-1", "c", None, 0, SHA, SHA, "unscored", None, parts, text)
        with RunWriter(folder) as writer:
            writer.begin({"suite": "mini", "name": "x"}, {"case-1": {"condition": "c", "caption": text}}, {})
            writer.append(made)
            writer.append(scored)
        (row,) = folder.current()
        assert row.note == row.attempts[0].message == row.attempts[0].traceback == kept
        (score,) = folder.scores("m").values()
        assert score.note == score.parts["raw"] == kept
        assert folder.manifest().cases["case-1"].caption == text
        assert held(lambda: render_page(read_summary(folder))).encode()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["NaN", "[1, -Infinity]", "1e999", "1" * 400, "-1" + "0" * 320 + ".0", *DEEP, "\xff", '{"a"', "1" * 9999]
)
def test_what_json_is_not(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)
    with pytest.raises(ValueError):
        parse_json(text.encode("latin-1"))


def test_what_json_is() -> None:
    assert parse_json('{"sha256": "5e12300000", "n": [1, -2.5e-300, true, null, "\\ud83d\\ude00"]}')["n"][4] == "😀"
    assert parse_json(b"[" * 64 + b"]" * 64)

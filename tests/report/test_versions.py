"""What a table says of the versions that its numbers rest on."""

from __future__ import annotations

import json
from typing import Any

import pytest

import vapbench as vb
from tests.report.conftest import Case, Runs
from vapbench.core.video import READER_VERSION
from vapbench.report.render.formats import render
from vapbench.report.tables.comparison import compare
from vapbench.report.tables.layout import Layout
from vapbench.report.tables.summary import summarise
from vapbench.results.run import RunFolder
from vapbench.stats import STATISTICS_VERSION

CASES = {f"c{i}": Case(f"style-{i}", (0.1 * i,)) for i in range(6)}


def written(runs: Runs, name: str, versions: Any = None) -> RunFolder:
    """A run whose only session recorded ``versions``."""
    run = runs.write(name, CASES)
    manifest = json.loads(run.manifest_path.read_text())
    if versions is not None:
        manifest["sessions"][-1]["versions"] = versions
    run.manifest_path.write_text(json.dumps(manifest))
    return run


@pytest.mark.parametrize("format_", ["markdown", "latex", "html"])
def test_every_table_names_suite_protocol_reader_and_statistics(runs: Runs, format_: Any) -> None:
    (table,) = summarise([written(runs, "vap", {"suite": 3, "reader": 2})], "all")
    line = f"Versions: suite mini and its protocol 3; video reader 2; statistics {STATISTICS_VERSION}."
    for style in ("paper", "wide"):
        assert line in render(table, Layout(style=style, notes="full"), format_)


def test_rows_of_different_readers_in_one_table_are_told_by_name(runs: Runs) -> None:
    folders = [written(runs, "vap", {"suite": 1, "reader": 2}), written(runs, "i2v")]
    (table,) = summarise(folders, "all")
    baseline, treated = folders
    (comparison,) = compare(baseline, treated, "all")
    for footers in (table.footers, comparison.footers):
        assert any("Not one version of video reader: vap 2; i2v 1." in footer for footer in footers)
        assert not any("Not one version of suite" in footer for footer in footers)
        assert any("video reader 1 and 2;" in footer for footer in footers)


@pytest.mark.parametrize("versions", ["2", [2], {"reader": "2"}, {"reader": None}, {}])
def test_what_a_manifest_from_elsewhere_says_is_a_number_or_nothing(runs: Runs, versions: Any) -> None:
    (table,) = summarise([written(runs, "vap", versions)], "all")
    assert any("suite mini and its protocol 1; video reader 1;" in footer for footer in table.footers)


def test_a_run_records_what_it_was_read_and_made_with(runs: Runs) -> None:
    run = vb.run("frozen", task="camera", limit=1, metrics=["temporal_flickering"], results=runs.root, progress=False)
    (session,) = json.loads((run.path / "manifest.json").read_text())["sessions"]
    assert session["versions"] == {"suite": 1, "reader": READER_VERSION}
    assert f"video reader {READER_VERSION};" in vb.table(run, task="camera").to_markdown()
    rows = {path: path.read_bytes() for path in run.path.rglob("*.jsonl")}
    vb.score(run, metrics=["temporal_flickering"], task="camera", progress=False)
    assert rows == {path: path.read_bytes() for path in run.path.rglob("*.jsonl")}

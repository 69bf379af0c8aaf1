"""Probes and audits on a board."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind
from vapbench.leaderboard.audits import VERDICTS, read_audit
from vapbench.leaderboard.boards import Leaderboard
from vapbench.leaderboard.collecting import collect
from vapbench.report.read.probes import read_probes
from vapbench.results.run import RunFolder
from vapbench.validation.audit.measure import Verdict

from .conftest import Board

ROOT = Path(__file__).parents[2]
CELLS = [("own reference, own caption", 60.0), ("wrong reference", 4.0)]


def interval(mean: float) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 5, "high": mean + 5, "n": 12, "clusters": 6}


def write_probe(results: Path, identities: Mapping[str, Mapping[str, Any]], effect: float = 56.0) -> Path:
    """A probe of methods, as ``vapbench probe`` writes it."""
    methods = [
        {
            "method": name,
            "identity": identity,
            "cells": [
                {
                    "title": title,
                    "score": interval(mean),
                    "total": 12,
                    "unchanged": 0,
                    "compared": 12,
                }
                for title, mean in CELLS
            ],
            "effects": [
                {
                    "name": "reference",
                    "title": "reference effect",
                    "formula": "own less wrong",
                    "difference": interval(effect),
                    "said": "reads its reference",
                },
                {"name": "interaction", "title": "interaction", "formula": "both", "difference": None, "said": ""},
            ],
        }
        for name, identity in identities.items()
    ]
    document = {
        **{"schema": 1, "version": 1, "suite": "mini", "task": "camera", "column": "semantic_alignment[embedding]"},
        **{"title": "Semantic alignment", "unit": "%", "scale": 1.0, "digits": 1, "contrast": "without"},
        **{"cases": 12, "conditions": 6, "methods": methods, "notes": []},
    }
    path = results / "probe" / "mini-camera" / "probe.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def identity_of(folder: Path) -> dict[str, Any]:
    return dict(RunFolder(folder).manifest().document["identity"])


def test_a_probe_is_a_column_and_a_section_of_the_method_it_was_made_of(board: Board) -> None:
    board.fill()
    board.build()
    alone = re.findall(r'<span class="rank">([^<]+)', board.page("index.html"))
    ours = identity_of(board.results / "mini" / "vap")
    other = {**identity_of(board.results / "mini" / "lora"), "weights": {"sha256": "another"}}
    write_probe(board.results, {"vap": ours, "lora": other})
    board.build()
    page = board.page("index.html")
    assert "Reference effect" in page and "<b>56.0</b>" in page and "51.0 to 61.0" in page
    assert page.count("<b>56.0</b>") == 1, "weights tell lora's probe from lora's row"
    assert re.findall(r'<span class="rank">([^<]+)', page) == alone, "the column ranks nobody"
    incomplete = re.findall(r"<tr data-kind=[^>]*>", page)
    assert sum("data-complete" in row for row in incomplete) == len(incomplete) - 1, "nobody is incomplete for it"
    method = board.page("method/mini/vap.html")
    assert "Did the reference cause it?" in method and "reads its reference" in method and "Wrong reference" in method
    assert "Did the reference cause it?" not in board.page("method/mini/lora.html")


def test_a_file_that_is_no_probe_is_left_out_and_named(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    board.fill()
    path = write_probe(board.results, {})
    path.write_text('{"methods": 3}', encoding="utf-8")
    board.build()
    (said,) = (record.getMessage() for record in caplog.records if "probe.json" in record.getMessage())
    assert str(path) in said and f"vapbench probe -m METHOD --suite SUITE --task TASK --results {board.results}" in said
    assert "Reference effect" not in board.page("index.html")


def test_an_audit_is_on_the_methodology_page(board: Board) -> None:
    board.fill()
    audits = Leaderboard(board.home).audits
    audits.mkdir(parents=True)
    head = "column,edit,verdict,change,low,high,original_better,n,original\n"
    (audits / "mini.csv").write_text(head + "some_metric,reversed,blind,0,,,0.5,27,0.6\n", encoding="utf-8")
    board.build()
    page = board.page("methodology.html")
    assert '<td class="blind">blind<small>50 %</small></td>' in page and "some_metric" in page
    (audits / "mini.csv").write_text(head + "some_metric,reversed,great,0,,,0.5,27,0.6\n", encoding="utf-8")
    with refuses(DataError, ErrorKind.INVALID, "mini.csv"):
        board.build()


def test_the_committed_audit_is_that_of_the_docs() -> None:
    with (ROOT / "docs" / "reference" / "audit.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row.pop("category") == "all"]
    with (ROOT / "leaderboard" / "audits" / "mini.csv").open(encoding="utf-8", newline="") as handle:
        assert list(csv.DictReader(handle)) == rows
    audit = read_audit(ROOT / "leaderboard" / "audits", "mini")
    assert (
        audit is not None
        and dict(audit.lines)["reversed"][audit.columns.index("semantic_alignment[embedding]")][0] == "sees"
    )


def test_the_board_tells_the_verdicts_that_an_audit_gives() -> None:
    assert set(VERDICTS) == set(get_args(Verdict))


def test_the_committed_probe_belongs_to_rows_of_the_board() -> None:
    (probe,) = read_probes([ROOT / "results"])
    board = next(
        board for board in collect([ROOT / "results"], Leaderboard(ROOT / "leaderboard")).boards if board.small
    )
    known = {entry.label: probed for entry in board.entries if (probed := probe.of(entry.run))}
    assert set(known) == {"vap", "i2v", "frozen"}
    effect = known["vap"].effect("reference")
    assert effect is not None and effect.low is not None and effect.low > 0
    table = next(table for table in board.tables if table.task == probe.task)
    assert table.columns[-1].title == "Reference effect"

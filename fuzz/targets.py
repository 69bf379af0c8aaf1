"""What the fuzzers call: one decoder each, on bytes. A value or an error of our own is right, anything else a finding.

The first byte says which of a target's readers gets the rest, so that one corpus serves them all.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vapbench.core.case import ClipSpec
from vapbench.errors import VapbenchError
from vapbench.files.parsing import parse_json, read_csv
from vapbench.leaderboard.check import manifest_problems, row_problems
from vapbench.leaderboard.submission import read_submission
from vapbench.methods.folder import Folder
from vapbench.report.read.read_runs import read_summary
from vapbench.report.tables import agreement as human
from vapbench.report.tables import votes as judged
from vapbench.report.tables.summary import summarise_run
from vapbench.results.run import RunFolder
from vapbench.results.status import status_of
from vapbench.study.analysis.ballots import _from_jsonl
from vapbench.study.analysis.fastchat import from_fastchat
from vapbench.study.design.sources import from_table
from vapbench.study.server.voting import Answer
from vapbench.suites import vap_data

_SCRATCH = tempfile.TemporaryDirectory(prefix="vapbench-fuzz-")
"""Kept by name: it is removed when nothing holds it, at the end."""
_ROOM = Path(_SCRATCH.name)
_SPEC = ClipSpec(frames=5, fps=8, height=32, width=48)
_SHA = "ab" * 32
_GENERATION = (
    '{"key":"k1","case":"case-1","condition":"c","category":null,"seed":0,"status":"ok","video":"v.mp4",'
    f'"sha256":"{_SHA}","schema":1}}\n'
)
_MANIFEST = (
    '{"schema":1,"identity":{"suite":"mini","name":"vap"},"metrics":{"m":{"needs":[]}},'
    '"cases":{"case-1":{"condition":"c","seeds":[0,1,2]}},"sessions":[{"started":"2026-01-01T00:00:00+00:00"}]}'
)
_SCORE = (
    '{"key":"s1","metric":"m","version":1,"params":{},"case":"case-1","condition":"c","category":null,"seed":0,'
    f'"video_sha256":"{_SHA}","case_sha256":"{_SHA}","status":"ok","value":0.5,"schema":1}}\n'
)


def _written(name: str, data: bytes | str) -> Path:
    path = _ROOM / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def _call(readers: list[Callable[[bytes], Any]], data: bytes) -> None:
    if data:
        with contextlib.suppress(VapbenchError):
            readers[data[0] % len(readers)](data[1:])


def manifest(data: bytes) -> None:
    """Manifests and rows of runs, and of submissions."""
    _call([_run, _rows, _scores, _submission], data)


def _run(data: bytes) -> None:
    folder = RunFolder(_written("run/manifest.json", data).parent)
    _written("run/generations.jsonl", _GENERATION)
    _written("run/scores/m.jsonl", _SCORE)
    with contextlib.suppress(ValueError):
        manifest_problems(parse_json(data), submitted=True)
    summarise_run(read_summary(folder))
    status_of(folder)


def _rows(data: bytes) -> None:
    path = _written("rows/generations.jsonl", data)
    for row in RunFolder(path.parent).current():
        assert row.video is None or Path(row.video).name == row.video
    row_problems(path.parent)
    _written("rows/manifest.json", _MANIFEST)
    status_of(RunFolder(path.parent))


def _scores(data: bytes) -> None:
    _written("rows/generations.jsonl", _GENERATION)
    path = _written("rows/scores/m.jsonl", data)
    for row in RunFolder(path.parent.parent).scores("m").values():
        assert (row.status == "ok") == (row.value is not None)
    row_problems(path.parent.parent)


def _submission(data: bytes) -> None:
    read_submission(_written("submission/submission.json", data).parent)


def table(data: bytes) -> None:
    """Tables: any CSV, a data set's, a folder's, a study's."""
    _written("table/a/1.mp4", b"video")
    _written("table/a/2.mp4", b"video")
    _call(
        [
            lambda rest: read_csv(_written("table/any.csv", rest)),
            lambda rest: _inside(vap_data.load(_written("table/benchmark.csv", rest).parent, _SPEC)),
            lambda rest: vap_data.training_rows(_written("index/vap_data.csv", rest).parent),
            lambda rest: Folder(_written("table/manifest.csv", rest).parent).video("case-1"),
            lambda rest: from_table(_written("table/study.csv", rest)),
        ],
        data,
    )


def _inside(cases: list[Any]) -> None:
    for case in cases:
        for media in case.media():
            assert media.path.resolve().is_relative_to(_ROOM.resolve())


def votes(data: bytes) -> None:
    """Votes: what a browser sends, a study's log, battles of others, tables."""
    _call(
        [
            _answer,
            lambda rest: _from_jsonl(_written("votes/votes.jsonl", rest)),
            lambda rest: from_fastchat(_written("votes/battles.jsonl", rest)),
            lambda rest: judged.read_votes(_written("votes/battles.json", rest)),
            lambda rest: judged.read_votes(_written("votes/battles.csv", rest)),
            lambda rest: human.read_votes(_written("votes/votes.csv", rest)),
        ],
        data,
    )


def _answer(data: bytes) -> None:
    # The server answers 422 to this one.
    with contextlib.suppress(ValidationError):
        Answer.model_validate_json(data)


TARGETS: dict[str, Callable[[bytes], None]] = {"manifest": manifest, "table": table, "votes": votes}

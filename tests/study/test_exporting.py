"""Exports are read back as they were written, and hurt nobody's spreadsheet."""

from __future__ import annotations

import csv
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
from pydantic import ValidationError

from tests.command import vapbench
from tests.refusals import refuses
from tests.study.conftest import Population, collect, make_protocol, rechain, write_log, write_protocol
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import file_sha256
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.analysis.exporting import cell_text, export
from vapbench.study.analysis.fastchat import from_fastchat, to_fastchat
from vapbench.study.analysis.fit import analyse_votes
from vapbench.study.folder import StudyFolder
from vapbench.study.votes import Client, Vote

FORMULA = '=HYPERLINK("http://evil.example","x")'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study with votes of ten raters, one comment a formula, one HTML."""
    protocol = make_protocol(methods=3, cases=8, trials=12, raters=10)
    votes = collect(protocol, 10, Population((0.4, 0.0, -0.4)))
    votes[0] = votes[0].model_copy(update={"comment": FORMULA})
    votes[1] = votes[1].model_copy(update={"comment": "<script>alert(1)</script>, ümlaut\nline"})
    study = write_protocol(tmp_path_factory.mktemp("study"), protocol)
    votes[2] = votes[2].model_copy(update={"comment": "fine\rodd"})
    write_log(study, rechain(votes))
    return study


def test_an_export_is_a_study_that_needs_no_server(folder: StudyFolder, tmp_path: Path) -> None:
    ballots = load_ballots(folder)
    written = export(ballots, tmp_path)
    assert written["votes.jsonl"] == written["votes.csv"] == written["votes.parquet"] == len(ballots.votes)
    again = load_ballots(StudyFolder(tmp_path))
    assert again == ballots
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["votes_sha256"] == ballots.votes[-1].hash
    assert all(file_sha256(tmp_path / name) == sha for name, sha in manifest["files"].items())


@pytest.mark.parametrize("viewport", [(2**70, 1), (1, -1)])
def test_no_window_is_larger_than_a_table_can_hold(viewport: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="viewport"):
        Client(viewport=viewport)


def test_a_lone_carriage_return_ends_no_row_of_the_csv(folder: StudyFolder, tmp_path: Path) -> None:
    votes = load_ballots(folder).votes
    export(load_ballots(folder), tmp_path)
    with (tmp_path / "votes.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(votes)
    assert rows[2]["comment"] == "fine\rodd"
    assert pandas.read_csv(tmp_path / "votes.csv").shape == (len(votes), len(rows[0]))


def test_no_cell_of_the_csv_is_a_formula(folder: StudyFolder, tmp_path: Path) -> None:
    export(load_ballots(folder), tmp_path)
    with (tmp_path / "votes.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert rows[0]["comment"] == f"'{FORMULA}"
    assert rows[1]["comment"].startswith("<script>")
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert {row["chosen"] for row in rows if row["role"] == "main"} == {"method-0", "method-1", "method-2", "tie"}
    assert [cell_text(value) for value in (" =1", "\t=1", -3, "a-b", None)] == ["' =1", "'\t=1", "-3", "a-b", ""]
    for start in ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"):
        assert cell_text(f"{start}cmd|' /C calc'!A1").startswith("'")


def test_votes_that_count_nowhere_are_marked_or_left_out(folder: StudyFolder, tmp_path: Path) -> None:
    ballots = load_ballots(folder)
    gone, rejected = ballots.raters[0].rater, ballots.raters[1].rater
    states = {gone: {"status": "withdrawn"}, rejected: {"excluded": "asked for it"}}
    raters = tuple(rater.model_copy(update=states.get(rater.rater, {})) for rater in ballots.raters)
    client = Client(viewport=(1280, 720), browser="firefox", stalls=2)
    votes = (ballots.votes[0].model_copy(update={"client": client}), *ballots.votes[1:])
    changed = replace(ballots, raters=raters, votes=votes)

    def rows(included_only: bool) -> list[dict[str, str]]:
        export(changed, tmp_path, included_only)
        with (tmp_path / "votes.csv").open(newline="", encoding="utf-8") as handle:
            return list(csv.DictReader(handle))

    whole, part = rows(False), rows(True)
    assert {(row["rater"], row["why_not"]) for row in whole if row["counts"] == "False"} == {
        (gone, "withdrawn"), (rejected, "excluded by an administrator: asked for it"),
    }  # fmt: skip
    assert [row["hash"] for row in part] == [row["hash"] for row in whole if row["counts"] == "True"]
    first = whole[0]
    assert (first["viewport_width"], first["browser"], first["stalls"]) == ("1280", "firefox", "2")
    assert all(row["shown"] == f"{row['left']} | {row['right']}" for row in whole)
    # Whoever withdrew is in no file that others pool; the rest is left out by choice.
    judges = {battle["judge"] for battle in to_fastchat(changed)}
    assert gone not in judges and rejected in judges
    # A file that marks nobody holds what counts alone: read back, it gives what votes.csv does.
    export(changed, tmp_path)
    told = [from_fastchat(tmp_path / name)[1] for name in ("votes.csv", "fastchat.jsonl")]
    assert len(told[0]) == len(told[1]) == sum(row["counts"] == "True" and row["role"] == "main" for row in whole)


def test_parquet_holds_the_same_rows(folder: StudyFolder, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    ballots = load_ballots(folder)
    export(ballots, tmp_path)
    table = pandas.read_parquet(tmp_path / "votes.parquet")
    assert list(table["hash"]) == [vote.hash for vote in ballots.votes]
    assert table["comment"][0] == FORMULA
    assert str(table["response_ms"].dtype) == "int64"


def test_fastchat_battles_go_out_and_come_back_to_the_same_estimates(folder: StudyFolder, tmp_path: Path) -> None:
    ballots = load_ballots(folder)
    path = tmp_path / "battles.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in to_fastchat(ballots)))
    terms, votes = from_fastchat(path, seed=ballots.protocol.seed)
    assert sorted(terms.names.values()) == ["method-0", "method-1", "method-2"]
    main = [vote for vote in ballots.votes if vote.role == "main"]
    assert len(votes) == len(main)
    from vapbench.study.analysis.fit import Terms

    here = {q.question: q for q in analyse_votes(Terms.of(ballots), main)}
    for question in analyse_votes(terms, votes):
        for method in question.methods:
            (same,) = (m for m in here[question.question].methods if m.name == method.name)
            assert method.luce_share.estimate == pytest.approx(same.luce_share.estimate)
            assert method.luce_share.low == pytest.approx(same.luce_share.low)


def test_battles_of_a_judge_that_swaps_sides_are_read(tmp_path: Path) -> None:
    rounds = [("x 1", "y", "model_a"), ("y", "x 1", "model_b"), ("x 1", "y", "tie (bothbad)"), ("y", "x 1", "model_a")]
    records = [
        {"question_id": n % 6, "model_a": a, "model_b": b, "winner": winner, "judge": f"judge {n % 7}"}
        for n, (a, b, winner) in enumerate(rounds * 12)
    ]
    path = tmp_path / "battles.json"
    path.write_text(json.dumps(records))
    terms, votes = from_fastchat(path)
    (question,) = analyse_votes(terms, votes)
    assert question.ties == 12
    assert question.methods[0].name == "x 1"
    for bad, named in (
        ({"winner": "model_c"}, "vote 1 has winner 'model_c'"),
        ({"model_b": "x 1"}, "vote 1 compares x 1 with itself"),
        ({"winner": None}, "vote 1 has no winner"),
    ):
        path.write_text(json.dumps([records[0] | bad]))
        with refuses(DataError, ErrorKind.INVALID, "vote", named):
            from_fastchat(path)


def test_a_tampered_log_is_refused(folder: StudyFolder, tmp_path: Path) -> None:
    export(load_ballots(folder), tmp_path)
    lines = (tmp_path / "votes.jsonl").read_text().splitlines()
    record = json.loads(lines[4])
    record["record"]["response_ms"] += 1
    for text in ("\n".join([*lines[:4], json.dumps(record), *lines[5:]]), "\n".join(lines[:4] + lines[5:])):
        (tmp_path / "votes.jsonl").write_text(text)
        with refuses(DataError, ErrorKind.DAMAGED, "votes", "votes.jsonl"):
            load_ballots(StudyFolder(tmp_path))
    (tmp_path / "votes.jsonl").write_text(lines[0] + "\n{")
    with refuses(DataError, ErrorKind.DAMAGED, "votes.jsonl", "votes.jsonl:2"):
        load_ballots(StudyFolder(tmp_path))


@pytest.mark.parametrize(
    ("changes", "field", "named"),
    [
        ({"question": "beauty"}, "question", "beauty"),
        ({"case": "case-99"}, "case", "case-99"),
        ({"role": "gold"}, "case", "case-0"),
    ],
)
def test_votes_of_another_study_are_refused(tmp_path: Path, changes: dict[str, str], field: str, named: str) -> None:
    protocol = make_protocol(methods=3, cases=4, trials=6, training=0)
    votes = [v for v in collect(protocol, 2, Population((0.0, 0.0, 0.0))) if v.role == "main"]
    strange = Vote.model_validate(votes[0].model_dump() | changes)
    study = write_protocol(tmp_path, protocol)
    write_log(study, rechain([strange, *votes[1:]]))
    with refuses(DataError, ErrorKind.UNKNOWN, field, "vote 1", named):
        load_ballots(study)


def test_a_missing_or_damaged_database_is_named(tmp_path: Path) -> None:
    study = write_protocol(tmp_path, make_protocol(methods=2, cases=2))
    with refuses(DataError, ErrorKind.MISSING, "votes", "vapbench study serve"):
        load_ballots(study)
    study.votes_path.write_bytes(b"not a database, but long enough to look like one" * 20)
    with refuses(DataError, ErrorKind.DAMAGED, "votes.db"):
        load_ballots(study)
    study.votes_path.unlink()
    sqlite3.connect(study.votes_path).close()
    with refuses(DataError, ErrorKind.DAMAGED, "votes.db"):
        load_ballots(study)


def test_the_commands_report_and_export(folder: StudyFolder, tmp_path: Path) -> None:
    done = vapbench("study", "report", folder.path, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert "Luce share %" in done.stdout
    assert (tmp_path / "report/report.txt").read_text() in done.stdout
    for name in ("forest.png", "forest.pdf", "wins-semantic.png", "wins-overall.pdf"):
        assert (tmp_path / "report" / name).stat().st_size > 5_000
    full = json.loads((tmp_path / "report/report.json").read_text())
    assert full["questions"][0]["methods"][0]["luce_share"]["low"] is not None
    rows = json.loads((tmp_path / "report/leaderboard.json").read_text())["rows"]
    assert len(rows) == 6
    exported = vapbench("study", "export", folder.path, "--out", tmp_path / "export")
    assert exported.returncode == 0, exported.stderr
    # The export is enough to report from, on another machine.
    again = vapbench("study", "report", tmp_path / "export", "--out", tmp_path / "again")
    assert (tmp_path / "again/report.txt").read_text() == (tmp_path / "report/report.txt").read_text(), again.stderr
    assert (tmp_path / "again/forest.pdf").read_bytes() == (tmp_path / "report/forest.pdf").read_bytes()
    battles = vapbench("study", "report", "--fastchat", tmp_path / "export/fastchat.jsonl")
    assert "Luce share %" in battles.stdout, battles.stderr
    assert vapbench("study", "report", tmp_path / "nowhere").returncode == 2

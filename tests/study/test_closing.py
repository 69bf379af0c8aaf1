"""No result by method before a study is closed; whoever looks all the same is on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import vapbench
from tests.refusals import refuses
from tests.study.served import make_study, serving
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.server.closing import close_study, results_of
from vapbench.study.server.database import kind_of


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A study that one rater has finished, not closed."""
    study = make_study(tmp_path / "study")
    with serving(study) as served:
        served.rater().finish()
    return study


def test_an_open_study_shows_its_pace_and_no_result(folder: StudyFolder) -> None:
    for command in ("report", "export"):
        refused = vapbench("study", command, folder.path)
        assert refused.returncode == 2
        said = refused.stderr.replace("\n", " ")
        assert f"results by method come after that: vapbench study close {folder.path}, or look now with" in said
        assert refused.stdout == ""
        assert "method-" not in refused.stderr
        assert not (folder.path / command).exists()
    said = vapbench("study", "report", folder.path).stderr
    assert "semantic: 3 of 9 votes wanted (1 to 1 on each of 3 cells, 3 wanted)" in said
    assert "raters: 1 of 20 came: 1 finished" in said
    assert "pace: 3 votes in the last hour" in said
    assert not any(event.kind == "unblinded" for event in load_ballots(folder).events or ())


def test_a_look_before_closing_is_recorded_and_every_later_report_says_so(folder: StudyFolder, tmp_path: Path) -> None:
    early = vapbench("study", "report", folder.path, "--unblind")
    assert early.returncode == 0, early.stderr
    assert "UNBLINDED: this study is not closed." in early.stdout
    assert "(report, 4 votes)." in early.stdout
    document = json.loads((folder.path / "report/report.json").read_text())
    assert document["closed"] is False
    assert [look["what"] for look in document["seen_before_closing"]] == ["report, 4 votes"]
    with serving(folder, raters=0) as served:
        assert served.admin().get("/admin/api/summary").json()["events"][0]["kind"] == "unblinded"
    assert vapbench("study", "close", folder.path).returncode == 0
    late = vapbench("study", "report", folder.path)
    assert late.returncode == 0, late.stderr
    assert "UNBLINDED" not in late.stdout
    assert "Seen before it was closed:" in late.stdout
    # The export carries it along.
    assert f"Next:  vapbench study export {folder.path}" in late.stdout
    exported = vapbench("study", "export", folder.path, "--out", tmp_path / "export")
    assert exported.returncode == 0 and f"vapbench table --votes {tmp_path}/export/votes.csv" in exported.stdout
    again = vapbench("study", "report", tmp_path / "export", "--out", tmp_path / "again")
    assert again.stdout.splitlines()[1] == late.stdout.splitlines()[1]
    assert json.loads((tmp_path / "again/leaderboard.json").read_text())["seen_before_closing"]


def test_an_export_made_early_is_no_way_around(folder: StudyFolder, tmp_path: Path) -> None:
    assert vapbench("study", "export", folder.path, "--unblind", "--out", tmp_path / "export").returncode == 0
    with refuses(UsageError, ErrorKind.CONFLICT, "status", "vapbench study close"):
        results_of(StudyFolder(tmp_path / "export"), None, False, "report")
    with refuses(UsageError, ErrorKind.CONFLICT, "status"):
        results_of(folder, tmp_path / "export/votes.jsonl", False, "report")
    copy = tmp_path / "copy.db"
    copy.write_bytes(folder.votes_path.read_bytes())
    with refuses(UsageError, ErrorKind.CONFLICT, "status"):
        results_of(folder, copy, False, "report")
    looked = results_of(folder, copy, True, "report")
    assert [look.detail for look in looked.looks] == ["export, 4 votes", "report, 4 votes"]
    assert [look.detail for look in load_ballots(folder).looks] == ["export, 4 votes"]


def test_closing_is_for_good_also_while_votes_come_in(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    with refuses(UsageError, ErrorKind.MISSING, "votes"):
        close_study(folder)
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None
        assert close_study(folder) is True
        assert rater.vote(trial["assignment"]).status_code == 410
        assert rater.http.get("/api/state").json()["stage"] == "closed"
        assert served.admin().post("/admin/api/status", json={"status": "open"}).status_code == 409
    assert close_study(folder) is False
    assert [event.kind for event in load_ballots(folder).events or ()] == ["consent", "closed"]
    assert results_of(folder, None, False, "report").votes == ()


def test_votes_of_a_later_version_are_left_alone(folder: StudyFolder) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder.votes_path)) as database:
        database.execute("PRAGMA user_version = 99")
    with refuses(DataError, ErrorKind.CONFLICT, "schema", "votes.db", "update vapbench"):
        close_study(folder)


def test_a_study_that_cannot_be_written_shows_nothing(folder: StudyFolder) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder.votes_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with refuses(DataError, ErrorKind.BUSY, "votes", "locked", "try again"):
            results_of(folder, None, True, "report")
        other.execute("ROLLBACK")


def test_only_a_database_that_is_held_is_said_to_be_busy(folder: StudyFolder) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"file:{folder.votes_path}?mode=ro", uri=True)) as database:
        with pytest.raises(sqlite3.OperationalError) as refused:
            database.execute("DROP TABLE participants")
    assert kind_of(refused.value) is ErrorKind.FAILED

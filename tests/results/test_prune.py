"""``results rm`` and ``results prune``: what goes is what nothing reads, and nothing goes unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.refusals import refuses
from vapbench.cli import app
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.lock import RunLock
from vapbench.results.prune import prune, remove_run, waste_of
from vapbench.results.run import RunFolder

ASKED = ("--task", "camera", "--limit", "2", "--metric", "temporal_flickering", "-q")


def invoke(*arguments: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answer)


def output(*arguments: object, answer: str | None = None) -> str:
    done = invoke(*arguments, answer=answer)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of the runs, for one test."""
    return shutil.copytree(made, tmp_path / "runs")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with something of each kind to remove."""
    results = tmp_path_factory.mktemp("prune") / "runs"
    output("run", "-m", "noise", "--name", "mine", *ASKED, "--results", results)
    # Another method under that name: the first results are set aside.
    output("run", "-m", "frozen", "--name", "mine", *ASKED, "--results", results, "--refresh", "all")
    output("run", "-m", "frozen", "--name", "mine", *ASKED, "--results", results, "--refresh", "all")
    run = results / "mini" / "mine"
    shutil.copy(next((run / "videos").glob("*.mp4")), run / "videos" / "left__s0__00000000.mp4")
    (run / "videos" / ".partial-1-x.mp4").write_bytes(b"half")
    (run / "scores" / ".partial-1-x.jsonl").write_bytes(b"half")
    return results


def table(results: Path) -> Any:
    return json.loads(output("report", "mine", "--results", results, "--json"))


def test_prune_removes_what_nothing_reads_and_no_table_changes(results: Path) -> None:
    run, before = results / "mini" / "mine", table(results)
    listed = output("results", "prune", "--results", results, "--dry-run")
    for what in ("2 superseded rows", "video of no row", "partial file", "results set aside", "bytes", "kB"):
        assert what in listed
    assert (results / "mini" / "mine.before-1").is_dir()
    files = {path: path.stat().st_size for path in results.rglob("*") if path.is_file()}
    assert invoke("results", "prune", "--results", results, answer="n\n").exit_code == 1
    assert {path: path.stat().st_size for path in results.rglob("*") if path.is_file()} == files
    output("results", "prune", "--results", results, answer="y\n")
    assert not (results / "mini" / "mine.before-1").exists()
    assert sorted(path.name for path in (run / "videos").iterdir()) == sorted(
        str(row.video) for row in RunFolder(run).current()
    )
    assert len((run / "generations.jsonl").read_bytes().splitlines()) == 2
    assert table(results) == before
    assert waste_of(RunFolder(run)) == []
    assert "Nothing to remove" in output("results", "prune", "--results", results)
    # The run goes on as before: nothing is made again.
    output("run", "-m", "frozen", "--name", "mine", *ASKED, "--results", results)
    assert len((run / "generations.jsonl").read_bytes().splitlines()) == 2


def test_scores_of_replaced_videos_go_and_unreadable_lines_stay(results: Path) -> None:
    run = RunFolder(results / "mini" / "mine")
    prune(run)
    path = run.scores_path("temporal_flickering")
    line = path.read_bytes().splitlines(keepends=True)[0]
    row = json.loads(line)
    other = {name: value for name, value in row.items() if name != "crc"} | {"key": "0" * 64, "video_sha256": "1" * 64}
    kept = path.read_bytes() + b"no json\n"
    path.write_bytes(kept + json.dumps(other).encode() + b"\n")
    assert [item.what for item in prune(run)] == ["1 superseded row"]
    assert path.read_bytes() == kept


def test_a_run_that_is_written_is_left_alone(results: Path) -> None:
    run = results / "mini" / "mine"
    lock = RunLock(run)
    lock.acquire()
    files = sorted(results.rglob("*"))
    for command in (("rm", run, "--yes"), ("prune", run, "--yes"), ("prune", "--results", results, "--yes")):
        assert isinstance((error := invoke("results", *command).exception), DataError), command
        assert "is being written by" in str(error)
    with refuses(DataError, ErrorKind.BUSY, "run"):
        remove_run(RunFolder(run))
    assert sorted(results.rglob("*")) == files
    lock.release()
    aside = RunLock(results / "mini" / "mine.before-1")
    aside.acquire()
    with refuses(DataError, ErrorKind.BUSY, "run"):
        prune(RunFolder(run))
    assert (run / "videos" / "left__s0__00000000.mp4").exists()
    aside.release()


def test_rm_removes_the_run_once_somebody_says_so(results: Path) -> None:
    run = results / "mini" / "mine"
    said = output("results", "rm", "mine", "--results", results, "--dry-run")
    assert said.startswith(f"{run}: 2 videos, 1 column, ")
    unanswered = invoke("results", "rm", "mine", "--results", results)
    assert isinstance(unanswered.exception, UsageError) and "--yes" in str(unanswered.exception)
    assert invoke("results", "rm", "mine", "--results", results, answer="n\n").exit_code == 1
    assert run.is_dir()
    output("results", "rm", "mine", run, "--results", results, "--yes")
    assert [path.name for path in (results / "mini").iterdir()] == ["mine.before-1"]
    assert isinstance(invoke("results", "rm", run, "--yes").exception, DataError)


def test_a_folder_that_is_no_run_and_a_link_are_not_removed(results: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    assert isinstance(invoke("results", "rm", tmp_path / "mine", "--yes").exception, DataError)
    link = results / "mini" / "link"
    link.symlink_to(results / "mini" / "mine")
    refused = invoke("results", "rm", link, "--yes").exception
    assert isinstance(refused, UsageError) and "is a link" in str(refused)
    assert (results / "mini" / "mine" / "manifest.json").is_file() and (tmp_path / "mine" / "thesis.tex").is_file()


def test_a_removal_that_was_broken_off_is_no_run_and_is_pruned(results: Path) -> None:
    left = results / "mini" / ".partial-1-vap"
    (left / "videos").mkdir(parents=True)
    (left / "videos" / "a.mp4").write_bytes(b"video")
    assert "removal that was broken off" in output("results", "prune", "--results", results, "--yes")
    assert not left.exists()


def test_committed_rows_are_removed_by_their_path_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    top = Path(__file__).parents[2]
    monkeypatch.chdir(top)
    for arguments in (("rm", "frozen"), ("prune", "frozen"), ("rm", "frozen", "--results", "results")):
        refused = invoke("results", *arguments, "--dry-run").exception
        assert isinstance(refused, UsageError) and "committed rows" in str(refused)
    assert "Nothing to remove" in output("results", "prune", "--results", "results")
    assert "66 videos" in output("results", "rm", "results/mini/frozen", "--dry-run")

"""Bad days: each ends in the rows of a good one, or in a failure that has a name."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.command import Command, vapbench
from tests.conftest import moving_clip
from tests.faulty_method import Faulty
from tests.running.test_generate import Brightness, Mover, Watcher, plan, rows, run
from tests.running.test_resume import CARD, SLOW_METHOD
from tests.running.test_shards import content
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.files.lock import holder
from vapbench.report.tables.summary import summarise
from vapbench.results.run import RunFolder
from vapbench.running.context import Settings
from vapbench.running.plan import MetricSpec
from vapbench.running.run import rescore
from vapbench.validation.declarations import check_run

Make = Callable[..., Case]
# Whatever reads or writes its beginning is told EIO by the kernel, as by a disk that fails.
FAILING = Path("/proc/self/mem")
failing_file = pytest.mark.skipif(not FAILING.exists(), reason="there is no file here that fails to be read")


def folder_of(results: Path, method: str = "mover") -> RunFolder:
    return RunFolder(results / "suite" / method)


def unordered(folder: RunFolder) -> dict[str, Any]:
    """What a run holds, whatever the order it came in."""
    found = content(folder)
    return {**found, "rows": sorted(found["rows"], key=str)}


# A failing disk


@pytest.mark.parametrize("call", [1, 2, 3, 5, 8])
def test_a_row_that_cannot_be_synced_ends_the_run_and_the_same_command_completes_it(
    tmp_path: Path, make_case: Make, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    cases = [make_case(number) for number in range(3)]
    run(Mover(), cases, tmp_path / "good", metrics=[Brightness()])
    real, calls = os.fsync, list[int]()

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error") as caught:
        run(Mover(), cases, tmp_path / "bad", metrics=[Brightness()])
    monkeypatch.undo()
    assert caught.value.filename, "which file it was"
    assert holder(folder_of(tmp_path / "bad").path) is None
    run(Mover(), cases, tmp_path / "bad", metrics=[Brightness()])
    assert unordered(folder_of(tmp_path / "bad")) == unordered(folder_of(tmp_path / "good"))


@failing_file
@pytest.mark.parametrize("what", ["video", "rows"])
def test_what_cannot_be_read_is_named_and_nothing_is_taken_for_it(tmp_path: Path, make_case: Make, what: str) -> None:
    cases = [make_case(number) for number in range(2)]
    run(Mover(), cases, tmp_path / "r")
    folder = folder_of(tmp_path / "r")
    before = content(folder)
    path = next(folder.videos.iterdir()) if what == "video" else folder.generations_path
    kept = path.rename(tmp_path / "kept")
    path.symlink_to(FAILING)
    with pytest.raises(OSError, match="Input/output error") as caught:
        run(Mover(), cases, tmp_path / "r")
    assert caught.value.filename == str(path)
    path.unlink()
    kept.rename(path)
    run(Mover(), cases, tmp_path / "r")
    assert content(folder) == before


@failing_file
def test_data_that_cannot_be_read_is_named(tmp_path: Path, make_case: Make) -> None:
    case = make_case(0)
    case.reference.video.path.unlink()
    case.reference.video.path.symlink_to(FAILING)
    with pytest.raises(OSError, match=r"Input/output error: .*reference-0.mp4"):
        plan(Mover(), [case], tmp_path / "r")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="strace, which makes system calls fail, is not here")
@pytest.mark.parametrize("call", [2, 3, 4, 6])
def test_a_sync_that_the_kernel_fails_ends_the_command_with_a_sentence(tmp_path: Path, call: int) -> None:
    arguments = ["run", "-m", "noise", "--task", "camera", "--limit", "3", "--metric", "temporal_flickering", "-q"]
    command = [sys.executable, "-m", "vapbench", *arguments, "--results"]
    # The count is each thread's own; rows and videos are written by one.
    inject = ["-e", "trace=fsync", "-e", f"inject=fsync:error=EIO:when={call}", "-o", os.devnull]
    traced = ["strace", "-f", "--seccomp-bpf", *inject, *command, str(tmp_path / "bad")]
    failed = subprocess.run(traced, capture_output=True, text=True, check=False)
    assert failed.returncode == 1, failed.stderr
    expected = r"/bad/mini/noise\S*: Input/output error. Everything finished is kept; fix that, then: vapbench run"
    assert re.search(expected, failed.stderr), failed.stderr
    for results in ("good", "bad"):
        assert vapbench(*arguments, "--results", tmp_path / results).returncode == 0
    good, bad = (RunFolder(tmp_path / name / "mini" / "noise") for name in ("good", "bad"))
    assert unordered(bad) == unordered(good)


# Rows and videos that changed behind our back


@pytest.mark.parametrize("harm", ["digit", "garbage", "zeros", "cut"])
@pytest.mark.parametrize("file", ["generations.jsonl", "scores/brightness.jsonl"])
def test_a_damaged_row_is_named_left_out_and_made_again(
    tmp_path: Path, make_case: Make, caplog: pytest.LogCaptureFixture, file: str, harm: str
) -> None:
    cases = [make_case(number) for number in range(3)]
    run(Mover(), cases, tmp_path / "r", metrics=[Brightness()])
    folder = folder_of(tmp_path / "r")
    before, path = unordered(folder), folder.path / file
    lines = path.read_bytes().splitlines(keepends=True)
    middle = lines[1]
    lines[1] = {
        "digit": middle.replace(b'"seed":0', b'"seed":7'),
        "garbage": b"\xff" * 40 + middle[40:],
        "zeros": bytes(len(middle) - 1) + b"\n",
        "cut": middle[:30] + b"\n",
    }[harm]
    path.write_bytes(b"".join(lines))
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        (table,) = summarise([folder], None)
    assert f"{path}:2 is not a readable row" in caplog.text
    assert "the command that made this run makes it again" in caplog.text
    assert [(cell.n, cell.total) for line in table.cells for cell in line] == [(2, 3)], "no number for the third"
    run(Mover(), cases, tmp_path / "r", metrics=[Brightness()])
    assert unordered(folder) == before


def test_a_video_replaced_behind_our_back_is_noticed_wherever_it_is_read(
    tmp_path: Path, make_case: Make, caplog: pytest.LogCaptureFixture
) -> None:
    cases = [make_case(number) for number in range(2)]
    run(Mover(), cases, tmp_path / "r")
    folder = folder_of(tmp_path / "r")
    before = content(folder)
    victim = folder.videos / str(folder.current()[0].video)
    times = victim.stat()
    write_video(victim, moving_clip(9))
    os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
    problems = [finding.problem for finding in check_run(folder) if not finding.ok]
    assert any(f"changed since: {victim.name}" in problem for problem in problems)
    metric = Brightness()
    selection: Any = SimpleNamespace(suite=SimpleNamespace(name="suite", version=1), cases=tuple(cases))
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        rescore(folder, selection, [MetricSpec(metric, {}, ())], Settings(device="cpu"), Watcher())
    assert f"1 video missing or changed since, and not scored: {victim.name}" in caplog.text
    assert metric.scored == [cases[1].id]
    outcome = run(Mover(), cases, tmp_path / "r", metrics=[metric])
    assert outcome.generated.ok == 1, "it is made again, and what is scored is what was made"
    assert metric.scored == [cases[1].id, cases[0].id]
    assert content(folder)["videos"] == before["videos"]


# Clocks


def test_a_clock_that_goes_back_changes_nothing(
    tmp_path: Path, make_case: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        year = 2031

        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(cls.year, 1, 1, tzinfo=UTC)

    monkeypatch.setattr("vapbench.files.provenance.datetime", Clock)
    cases = [make_case(number) for number in range(2)]
    run(Mover({cases[0].id: lambda: None}), cases, tmp_path / "r", metrics=[Brightness()])
    Clock.year = 2019  # type: ignore[assignment]
    outcome = run(Mover(), cases, tmp_path / "r", metrics=[Brightness()], refresh="failed")
    made = rows(outcome)[cases[0].id]
    assert (made.status, made.ended[:4]) == ("ok", "2019"), "the last row counts, whatever the clock said"
    assert [str(item.started)[:4] for item in outcome.plan.folder.manifest().sessions] == ["2031", "2019"]
    again = run(Mover(), cases, tmp_path / "r", metrics=[Brightness()])
    assert again.generated.kept == again.scored.kept == 2


# Methods


@pytest.mark.parametrize("fault", ["exhaust_numpy", "exhaust_torch", "exhaust_the_accelerator"])
def test_a_method_that_runs_out_of_memory_is_asked_once_more_and_the_run_goes_on(
    tmp_path: Path, make_case: Make, fault: str
) -> None:
    cases = [make_case(number) for number in range(2)]
    outcome = run(Faulty({cases[0].id: fault}), cases, tmp_path / "r")
    failed = rows(outcome)[cases[0].id]
    assert (failed.status, len(failed.attempts)) == ("failed", 2)
    assert "allocate" in failed.attempts[-1].message
    assert rows(outcome)[cases[1].id].status == "ok"


def test_a_method_that_hangs_or_dies_costs_its_case_and_not_the_run(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(3)]
    faults = {cases[0].id: "hang_in_c", cases[1].id: "be_killed"}
    outcome = run(Faulty(faults), cases, tmp_path / "r", metrics=[Brightness()], case_timeout=8.0)
    found = [
        (row.status, row.attempts[-1].type if row.attempts else "") for row in (rows(outcome)[c.id] for c in cases)
    ]
    assert found == [("failed", "CaseTimeout"), ("failed", "ProcessDied"), ("ok", "")]


@pytest.mark.slow
def test_methods_that_hang_or_die_cost_their_case_and_not_the_run(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(7)]
    kinds = ["hang_in_c", "hang_in_python", "crash", "be_killed", "hang_in_a_program"]
    faults = dict(zip([case.id for case in cases], kinds, strict=False))
    outcome = run(Faulty(faults), cases, tmp_path / "r", metrics=[Brightness()], case_timeout=8.0)
    made = rows(outcome)
    found = [(row.status, row.attempts[-1].type if row.attempts else "") for row in (made[c.id] for c in cases)]
    assert found == [
        ("failed", "CaseTimeout"),
        ("failed", "CaseTimeout"),
        ("failed", "ProcessDied"),
        ("failed", "ProcessDied"),
        ("failed", "CaseTimeout"),
        ("ok", ""),
        ("ok", ""),
    ]
    first, second, third, fourth = (made[case.id].attempts[-1] for case in cases[:4])
    assert first.message == "no clip after 8 s (--case-timeout); the method's process was ended"
    assert "hang_in_c" in first.traceback, "where it hangs"
    assert "hang_in_python" in second.traceback
    assert "SIGSEGV" in third.message
    assert "SIGKILL (out of memory?)" in fourth.message
    program = b"sleep\0%d\0" % (86400 + os.getpid())
    assert program not in list(running_programs()), "it would keep the device"
    # Those that were made are the ones that this process makes.
    run(Faulty(), cases[5:], tmp_path / "here", metrics=[Brightness()])
    good = content(folder_of(tmp_path / "here", "faulty"))["videos"]
    assert content(outcome.plan.folder)["videos"] == good


def running_programs() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


ALONE = """
from types import SimpleNamespace
from tests.faulty_method import Faulty
from vapbench.running import isolated

isolated._GRACE = 1.0
with isolated.Isolated(Faulty({"c": "hang_in_c"}), "cpu", 0, 4.0) as ask:
    print(ask._process.pid, flush=True)
    ask(SimpleNamespace(id="c"), 0)
"""


def test_a_hanging_method_does_not_outlive_a_run_that_is_killed() -> None:
    command = [sys.executable, "-c", ALONE]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        method = int(run.stdout.readline())
        time.sleep(1)
        run.kill()
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and is_there(method):
            time.sleep(0.1)
        assert not is_there(method)
    finally:
        if is_there(method):
            os.kill(method, signal.SIGKILL)


LOADING = """
import threading
import time
from tests.faulty_method import Faulty
from vapbench.running import isolated

loading = isolated.Isolated(Faulty({"setup": "hang_in_python"}), "cpu", 0, 4.0)

def tell():
    while loading._process is None or loading._process.pid is None:
        time.sleep(0.01)
    print(loading._process.pid, flush=True)

threading.Thread(target=tell).start()
with loading:
    pass
"""


@pytest.mark.skipif(not FAILING.exists(), reason="which signals a process ignores is not told here")
def test_ctrl_c_while_a_method_loads_is_not_waited_for() -> None:
    command, root = [sys.executable, "-c", LOADING], Path(__file__).parents[2]
    run = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    method = int(run.stdout.readline())
    try:
        while not ignores(method, signal.SIGTERM):
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=300)
        assert "KeyboardInterrupt" in errors
        assert not is_there(method)
    finally:
        for pid in (run.pid, method):
            if is_there(pid):
                os.kill(pid, signal.SIGKILL)


def ignores(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


WRONG: Mapping[str, Callable[[], Any]] = {
    "NaN": lambda: Clip.from_float(np.full((3, 32, 48, 3), np.nan), 8),
    "infinite": lambda: Clip.from_float(np.full((3, 32, 48, 3), np.inf), 8),
    "uint8 in 0..255, got float32": lambda: Clip(np.zeros((3, 32, 48, 3), np.float32), 8),  # type: ignore[arg-type]
    "uint8 in 0..255, got int64": lambda: Clip(np.zeros((3, 32, 48, 3), np.int64), 8),  # type: ignore[arg-type]
    "T, H, W, 3": lambda: Clip(np.zeros((3, 3, 32, 48), np.uint8), 8),
    "no pixels": lambda: Clip(np.zeros((0, 32, 48, 3), np.uint8), 8),
    "fps must be a positive number": lambda: Clip(np.zeros((3, 32, 48, 3), np.uint8), float("nan")),
    "must return a Clip or a Path, not ndarray": lambda: np.full((3, 32, 48, 3), np.nan),
    "must return a Clip or a Path, not list": lambda: [],
}


def test_a_method_that_returns_nonsense_gets_rows_that_say_so(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(len(WRONG) + 1)]
    tricks = dict(zip([case.id for case in cases], WRONG.values(), strict=False))
    outcome = run(Mover(tricks), cases, tmp_path / "r", metrics=[Brightness()])
    made = rows(outcome)
    for case, word in zip(cases, WRONG, strict=False):
        assert (made[case.id].status, made[case.id].sha256) == ("failed", None)
        assert word in made[case.id].attempts[-1].message
    assert [row.case for row in outcome.plan.folder.scores("brightness").values()] == [cases[-1].id]


# Signals


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]], ids=["Ctrl-C twice", "SIGTERM"])
def test_a_run_that_is_told_to_end_ends_at_once_and_loses_nothing(tmp_path: Path, signals: list[int]) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "card.yaml").write_text(CARD)
    twice = len(signals) == 2
    text = SLOW_METHOD.replace("time.sleep(0.2)", "time.sleep(SLEEPS.pop(0) if SLEEPS else 2)")
    sleeps = [0, 0, 900] if twice else [0, 0]
    (tmp_path / "slow" / "method.py").write_text(text.replace("class Slow", f"SLEEPS = {sleeps}\n\nclass Slow"))
    options = ("--metric", "temporal_flickering", "--results", tmp_path / "r", "--device", "cpu")
    process = Command("run", "-m", tmp_path / "slow", "--task", "camera", *options)
    folder = RunFolder(tmp_path / "r" / "mini" / "slow")
    deadline = time.monotonic() + 300
    while not (folder.generations_path.exists() and len(folder.current()) == 2):
        assert process.poll() is None and time.monotonic() < deadline, "it never made two clips"
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signals[0])
    process.read_until("Stopping after this case")
    for number in signals[1:]:
        process.send_signal(number)
    # The third case alone would take longer than this waits.
    done = process.finished()
    assert done.returncode == 130
    assert "Resume with: vapbench run -m" in done.stderr.replace("\n", " ")
    # SIGTERM, and the first Ctrl-C, finish the case at hand; the second Ctrl-C does not wait for it.
    current = folder.current()
    assert len(current) == 2 if twice else 2 < len(current) < 14
    assert all(folder.video_of(row) for row in current)
    assert not list(folder.videos.glob(".partial*"))
    assert holder(folder.path) is None, "the lock is given back, so that another machine may go on"

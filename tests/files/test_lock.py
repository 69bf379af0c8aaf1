"""Who may write a run folder, on one machine and on storage that several share."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind
from vapbench.files.lock import Owner, RunLock, holder, owner_file, unlock
from vapbench.results.rows import GenerationRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter

ROW = GenerationRow("k", "c", "vidu_orbit", "camera", 0, "failed")


def owned_elsewhere(folder: Path) -> Owner:
    """As a writer on another machine leaves it."""
    owner = replace(Owner.this_process(), host="node-7", machine="another", pid=4321, user="ada")
    owner = replace(owner, command="vapbench run")
    owner_file(folder).write_text(json.dumps(asdict(owner)))
    return owner


def test_a_writer_on_another_machine_is_waited_for(tmp_path: Path) -> None:
    owned_elsewhere(tmp_path)
    with refuses(DataError, ErrorKind.BUSY, "run") as caught, RunWriter(RunFolder(tmp_path)):
        pass
    assert "being written by process 4321 on node-7 (user ada) since " in str(caught.value)
    assert ": vapbench run; wait for it" in str(caught.value)
    assert f"vapbench results unlock --force {tmp_path}" in str(caught.value)
    with refuses(DataError, ErrorKind.BUSY, "run"):
        unlock(tmp_path)
    assert owner_file(tmp_path).exists()


def test_the_lock_of_a_lost_machine_is_broken_by_the_named_command(tmp_path: Path) -> None:
    owner = owned_elsewhere(tmp_path)
    assert unlock(tmp_path, force=True) == owner
    with RunWriter(RunFolder(tmp_path)) as writer:
        writer.append(ROW)
    assert unlock(tmp_path) is None


def test_a_writer_whose_lock_was_broken_stops_before_its_next_row(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as writer:
        writer.append(ROW)
        with refuses(DataError, ErrorKind.BUSY, "run"):
            unlock(tmp_path)
        unlock(tmp_path, force=True)
        theirs = owned_elsewhere(tmp_path)
        with refuses(DataError, ErrorKind.BUSY, "run") as caught:
            writer.append(replace(ROW, key="k2"))
        assert "process 4321 on node-7" in str(caught.value)
    assert list(folder.generations()) == ["k"]
    # The one who broke it keeps it.
    assert holder(tmp_path) == theirs


def test_a_second_writer_of_this_machine_is_told_who_holds_it(tmp_path: Path) -> None:
    holding = f"""
import sys, time
from pathlib import Path
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter
with RunWriter(RunFolder(Path({str(tmp_path)!r}))):
    print("held", flush=True)
    time.sleep(600)
"""
    first = subprocess.Popen([sys.executable, "-c", holding], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout and first.stdout.readline() == "held\n"
        with refuses(DataError, ErrorKind.BUSY, "run") as refused:
            RunLock(tmp_path).acquire()
        assert f"process {first.pid} " in str(refused.value)
        assert "unlock" not in str(refused.value), "its machine is this one: it lives"
        with refuses(DataError, ErrorKind.BUSY, "run"):
            unlock(tmp_path)
    finally:
        first.kill()
        first.wait()
        first.stdout.close()  # type: ignore[union-attr]
    assert holder(tmp_path).is_dead  # type: ignore[union-attr]
    with RunWriter(RunFolder(tmp_path)):
        pass


@pytest.mark.parametrize(
    "left",
    [
        {"pid": 2**22 + 1},
        pytest.param({"machine": "before the reboot"}, id="rebooted"),
        pytest.param({"host": "another-container"}, id="container"),
        pytest.param({"pid": os.getpid()}, id="pid-used-again"),
    ],
)
def test_what_a_dead_process_of_this_machine_left_never_blocks(left: dict[str, Any], tmp_path: Path) -> None:
    owner_file(tmp_path).write_text(json.dumps(asdict(replace(Owner.this_process(), **left))))
    with RunWriter(RunFolder(tmp_path)) as writer:
        writer.append(ROW)
    assert holder(tmp_path) is None


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"host": "node-7"}', b"\xff"])
def test_a_note_that_was_never_finished_does_not_block(note: bytes, tmp_path: Path) -> None:
    owner_file(tmp_path).write_bytes(note)
    with RunWriter(RunFolder(tmp_path)) as writer:
        writer.append(ROW)


def test_whoever_asks_leaves_no_trace(tmp_path: Path) -> None:
    owned_elsewhere(tmp_path)
    before = [(path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()]
    seen = tmp_path.stat().st_mtime_ns
    assert str(holder(tmp_path)).startswith("process 4321 on node-7")
    assert [(path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()] == before
    assert tmp_path.stat().st_mtime_ns == seen


def _race(folder: str, start: Any, end: Any, won: Any) -> None:
    def refuse(self: FileLock, *_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    FileLock.acquire = refuse  # type: ignore[method-assign, assignment]
    mine = RunLock(Path(folder))
    start.wait(300)
    with suppress(DataError):
        mine.acquire()
        with won.get_lock():
            won.value += 1
    # Nobody ends before all have tried: what a dead process holds is free.
    end.wait(300)


def test_where_kernel_locks_do_not_reach_one_of_many_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, end, won = context.Barrier(4), context.Barrier(4), context.Value("i", 0)
    racers = [context.Process(target=_race, args=(str(tmp_path), start, end, won)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(300)
    assert won.value == 1
    # The winner ended without giving the lock back; its process is seen to be gone from here.
    assert holder(tmp_path).is_dead  # type: ignore[union-attr]
    with RunWriter(RunFolder(tmp_path)):
        pass


def test_the_owner_says_what_a_person_needs() -> None:
    said = str(replace(Owner.this_process(), command="vapbench run " + "--method vap " * 40))
    assert f"process {os.getpid()} on " in said
    assert len(said) < 250

"""Who may write a run folder, on one machine and on storage that several share."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from vapbench.errors import DataError
from vapbench.files import lock
from vapbench.files.lock import Held, Owner, RunLock, ago, holder, owner_file, unlock
from vapbench.results.run import GenerationRow, RunFolder, RunWriter

ROW = GenerationRow("k", "c", "vidu_orbit", "camera", 0, "failed")


def owned_elsewhere(folder: Path, silent_for: float) -> Owner:
    """As a writer on another machine leaves it."""
    owner = replace(Owner.this_process(), host="node-7", kernel="another", pid=4321, user="ada", token="theirs")
    owner_file(folder).write_text(json.dumps(asdict(owner)))
    seen = time.time() - silent_for
    os.utime(owner_file(folder), (seen, seen))
    return owner


def test_a_writer_on_another_machine_is_waited_for(tmp_path: Path) -> None:
    owned_elsewhere(tmp_path, silent_for=20)
    expected = r"being written by process 4321 on node-7 \(user ada\) since .*last sign of life 2\d s ago; wait for it"
    with pytest.raises(DataError, match=expected), RunWriter(RunFolder(tmp_path)):
        pass
    with pytest.raises(DataError, match="Its lock is not broken.*--force"):
        unlock(tmp_path)
    assert owner_file(tmp_path).exists()


def test_a_silent_writer_is_explained_and_its_lock_broken_by_the_named_command(tmp_path: Path) -> None:
    owner = owned_elsewhere(tmp_path, silent_for=3 * 3600)
    expected = f"last sign of life 3 h ago.*killed, or its machine is cut off.*vapbench results unlock {tmp_path}"
    with pytest.raises(DataError, match=expected), RunWriter(RunFolder(tmp_path)):
        pass
    broken = unlock(tmp_path)
    assert broken is not None
    assert broken.owner == owner
    with RunWriter(RunFolder(tmp_path)) as writer:
        writer.append(ROW)
    assert unlock(tmp_path) is None


def test_a_writer_whose_lock_was_broken_stops_before_its_next_row(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as writer:
        writer.append(ROW)
        with pytest.raises(DataError, match="--force"):
            unlock(tmp_path)
        unlock(tmp_path, force=True)
        theirs = owned_elsewhere(tmp_path, silent_for=0)
        with pytest.raises(DataError, match="was broken, and is held by process 4321 on node-7"):
            writer.append(replace(ROW, key="k2"))
    assert list(folder.generations()) == ["k"]
    # The one who broke it keeps it.
    assert holder(tmp_path) is not None
    assert holder(tmp_path).owner == theirs  # type: ignore[union-attr]


def test_a_clock_that_went_back_makes_no_lock_stale_or_unbreakable(tmp_path: Path) -> None:
    owned_elsewhere(tmp_path, silent_for=-5000)
    with pytest.raises(DataError, match="last sign of life 0 s ago"), RunWriter(RunFolder(tmp_path)):
        pass
    assert unlock(tmp_path, force=True) is not None
    with RunWriter(RunFolder(tmp_path)):
        pass


def test_an_owner_file_that_was_never_finished_is_explained(tmp_path: Path) -> None:
    owner_file(tmp_path).touch()
    os.utime(owner_file(tmp_path), (1e9, 1e9))
    with pytest.raises(DataError, match="did not come to say its name.*results unlock"), RunWriter(RunFolder(tmp_path)):
        pass


def test_the_heartbeat_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    with RunWriter(RunFolder(tmp_path)):
        os.utime(owner_file(tmp_path), (1e9, 1e9))
        deadline = time.monotonic() + 10
        while owner_file(tmp_path).stat().st_mtime == 1e9 and time.monotonic() < deadline:
            time.sleep(0.02)
        held = holder(tmp_path)
        assert held is not None
        assert held.age < 10
        assert not held.silent
    assert holder(tmp_path) is None


def _race(folder: str, start: Any, won: Any) -> None:
    def refuse(self: FileLock, *_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    FileLock.acquire = refuse  # type: ignore[method-assign, assignment]
    mine = RunLock(Path(folder))
    start.wait(60)
    try:
        mine.acquire()
    except DataError:
        return
    with won.get_lock():
        won.value += 1
    time.sleep(1)


def test_where_kernel_locks_do_not_reach_one_of_many_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, won = context.Barrier(4), context.Value("i", 0)
    racers = [context.Process(target=_race, args=(str(tmp_path), start, won)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert won.value == 1
    # The winner ended without giving the lock back; its process is seen to be gone from here.
    assert holder(tmp_path).known_dead  # type: ignore[union-attr]
    with RunWriter(RunFolder(tmp_path)):
        pass


def test_the_owner_says_what_a_person_needs() -> None:
    held = Held(Path("r"), Owner.this_process(), 7)
    assert f"process {os.getpid()} on " in str(held)
    assert [ago(seconds) for seconds in (7, 300, 8000, 400000)] == ["7 s ago", "5 min ago", "2 h ago", "5 days ago"]

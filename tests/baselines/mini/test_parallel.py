"""Stages side by side: in order of need, two at once, an error told after what ran has ended, none left behind."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from mini_recipe.parallel import asked_to_leave, run_side_by_side

from tests.refusals import refuses
from vapbench.errors import ErrorKind, VapbenchError

NEEDS = {"c": ("a",), "d": ("b", "c"), "e": ("elsewhere",)}


def _stage(folder: Path, name: str) -> None:
    (folder / f"{name}.begun").touch()
    time.sleep(0.2)
    if name == "d":
        _wait_for(folder / "e.begun")
    assert all((folder / f"{need}.done").exists() for need in NEEDS.get(name, ()) if need != "elsewhere")
    (folder / f"{name}.done").touch()


def _wait_for(path: Path) -> None:
    """Wait for a mark of a stage that must not be kept waiting by this one."""
    last = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < last, f"{path.name} never came"
        time.sleep(0.02)


def _failing(folder: Path, name: str) -> None:
    if name == "b":
        _wait_for(folder / "a.begun")
        raise VapbenchError("b cannot be trained.", ErrorKind.FAILED, "stage")
    _stage(folder, name)


def test_every_stage_waits_for_what_it_needs_and_for_nothing_else(tmp_path: Path) -> None:
    assert run_side_by_side("abcde", NEEDS, 2, partial(_stage, tmp_path), bool)
    assert sorted(path.stem for path in tmp_path.glob("*.done")) == list("abcde")


def test_a_stage_that_fails_ends_the_training_and_lets_its_neighbour_finish(tmp_path: Path) -> None:
    with refuses(VapbenchError, ErrorKind.FAILED, "stage", "b cannot be trained"):
        run_side_by_side("abcd", NEEDS, 2, partial(_failing, tmp_path), bool)
    done = {path.stem for path in tmp_path.glob("*.done")}
    assert "a" in done and not done & {"b", "d"}  # c may have begun before b failed


def _until_asked(folder: Path, name: str) -> None:
    (folder / f"{name}.begun").write_text(str(os.getpid()))
    if name == "short":
        return
    last = time.monotonic() + 120
    while not asked_to_leave():
        assert time.monotonic() < last, "nobody asked"
        time.sleep(0.02)
    (folder / f"{name}.left").touch()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _both_begun(folder: Path) -> bool:
    return len(list(folder.glob("*.begun"))) == 2


def test_stages_are_asked_to_leave_and_none_begins_after_them(tmp_path: Path) -> None:
    assert not run_side_by_side("abc", {}, 2, partial(_until_asked, tmp_path), partial(_both_begun, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.begun", "a.left", "b.begun", "b.left"]


@pytest.mark.parametrize("stages", [("a", "b"), pytest.param(("short", "b"), marks=pytest.mark.slow)])
def test_processes_end_where_the_one_that_began_them_was_killed(tmp_path: Path, stages: tuple[str, str]) -> None:
    arguments = (stages, {}, 2, partial(_until_asked, tmp_path), bool)
    killed = get_context("spawn").Process(target=run_side_by_side, args=arguments)
    killed.start()
    for stage in stages:
        _wait_for(tmp_path / f"{stage}.begun")
    trained = [int((tmp_path / f"{stage}.begun").read_text()) for stage in stages]
    killed.kill()
    killed.join()
    _wait_for(tmp_path / "b.left")
    last = time.monotonic() + 120
    while any(_runs(process) for process in trained):
        assert time.monotonic() < last, "they wait for stages that never come"
        time.sleep(0.05)


def _dying(folder: Path, name: str) -> None:
    (folder / f"{name}.begun").touch()
    _wait_for(folder / "b.begun")
    if name == "a":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def test_a_process_that_is_killed_ends_the_training_and_its_neighbour(tmp_path: Path) -> None:
    with pytest.raises(BrokenProcessPool):
        run_side_by_side("ab", {}, 2, partial(_dying, tmp_path), bool)


@pytest.mark.slow
def test_two_jobs_train_all_stages(tmp_path: Path) -> None:
    # The processes of the tests above import this file, and none of these.
    from mini_recipe import train_mini
    from mini_recipe.cards import CARD

    train_mini(tmp_path, smoke=True, quiet=True, jobs=2)
    folders = ("vae", "text_encoder", "semantic", "classifier", "image_text", "quality", "base", "expert", "vap")
    assert all((tmp_path / name / CARD).is_file() for name in (*folders, "i2v", "wan_vae", "vace"))
    assert list((tmp_path / "bundle").iterdir())

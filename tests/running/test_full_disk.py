"""A disk that is really full: a file system of our own with half a megabyte."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import in_a_new_process
from vapbench.results.run import RunFolder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a file system is not allowed here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_loses_nothing_and_the_same_command_resumes(small_disk: Path) -> None:
    arguments = ("run", "-m", "noise", "--task", "camera", "--metric", "temporal_flickering", "-q")
    full = in_a_new_process(*arguments, "--results", small_disk)
    assert full.returncode == 1
    assert "No space left on device. Everything finished is kept; make room, then: vapbench run" in full.stderr
    assert "Traceback" not in full.stderr
    folder = RunFolder(small_disk / "mini" / "noise")
    kept = folder.current()
    assert 0 < len(kept) < 14
    assert all(folder.video_of(row) for row in kept)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    resumed = in_a_new_process(*arguments, "--results", small_disk)
    assert resumed.returncode == 0, resumed.stderr
    assert "14/14" in resumed.stdout
    assert folder.current()[: len(kept)] == kept

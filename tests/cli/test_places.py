"""Where things are kept: names of any kind, machines without a home, folders that cannot be written."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from tests.command import vapbench as here
from tests.conftest import moving_clip
from vapbench import read_video, write_video
from vapbench.checkpoints.folder import local_folder
from vapbench.core.video import probe, read_first_frame
from vapbench.results.run import RunFolder

RUN = ["run", "--method", "frozen", "--task", "camera", "--limit", "1", "--metric", "temporal_flickering"]
NOBODY = ["unshare", "-U", "--map-user=54321", "--map-group=54321"]


def vapbench(*words: str, cwd: Path, before: Sequence[str] = (), **environment: str | None) -> str:
    """A command of its own process, with ``None`` for variables that are not set; its output, if it succeeded."""
    if before:
        variables = {"PYTHONPATH": str(Path(__file__).parents[2]), **os.environ, **environment}
        kept = {name: value for name, value in variables.items() if value is not None}
        command = [*before, sys.executable, "-m", "vapbench", *words]
        done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    else:
        done = Command(*words, cwd=cwd, **environment).finished()
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", ["run:1", "file:x", "100%d", "-dash", 'it\'s "quoted"', "two\nlines", "~nobody", "$HOME `ls`", "写 ünï#?"]
)
def test_results_have_any_name(name: str, tmp_path: Path) -> None:
    done = here(*RUN, f"--results={name}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = RunFolder(tmp_path / name / "mini" / "frozen").current()
    assert row.status == "ok"
    # The printed command can be copied.
    if "\n" not in name:
        (shown,) = [line for line in done.stdout.splitlines() if line.startswith("Next:  vapbench show")]
        assert here(*shlex.split(shown)[2:], cwd=tmp_path).returncode == 0


def test_public_functions_take_text_and_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Somewhere:
        def __fspath__(self) -> str:
            return "b:2.mp4"

    monkeypatch.chdir(tmp_path)
    clip = moving_clip()
    write_video("a:1.mp4", clip)
    write_video(Somewhere(), clip)
    assert Path("a:1.mp4").read_bytes() == Path("b:2.mp4").read_bytes()
    for path in ("a:1.mp4", Somewhere(), tmp_path / "a:1.mp4"):
        assert len(read_video(path)) == probe(path).frames == 5
        assert read_first_frame(path).shape == (32, 48, 3)
        assert local_folder(tmp_path) == tmp_path


def _no_user_namespaces() -> bool:
    try:
        return subprocess.run([*NOBODY, "true"], capture_output=True, check=False).returncode != 0
    except OSError:
        return True


@pytest.mark.skipif(_no_user_namespaces(), reason="needs unshare, for a user without an entry in passwd")
def test_without_a_home_a_run_works_and_says_where_it_keeps_things(tmp_path: Path) -> None:
    nobody = dict.fromkeys(("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "VAPBENCH_CACHE")) | {"TMPDIR": str(tmp_path)}
    said = vapbench(*RUN, "--results", "r", cwd=tmp_path, before=NOBODY, **nobody)
    assert "frozen  99.98" in said
    assert "Set XDG_CACHE_HOME (and VAPBENCH_WEIGHTS for weights) to a folder that stays" in " ".join(said.split())
    cache = tmp_path / "vapbench-54321" / ".cache" / "vapbench"
    assert any(cache.glob("mini-*")), "the next command finds them"
    # Nobody else may have left something there.
    assert (tmp_path / "vapbench-54321").stat().st_mode & 0o077 == 0
    vapbench("show", "frozen", "--results", "r", cwd=tmp_path, before=NOBODY, **nobody)
    figure = ("report", "--results", "r", "--figure", "forest.png")
    assert "Set XDG" not in vapbench(*figure, cwd=tmp_path, before=NOBODY, **nobody | {"XDG_CACHE_HOME": "mine"})
    assert (tmp_path / "forest.png").exists()


def test_a_working_folder_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = here(*RUN)
    assert done.returncode == 1
    assert "The current folder is gone" in done.stderr and "Traceback" not in done.stderr


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    # /proc can be written by nobody, root included.
    places: dict[str, Any] = {
        "VAPBENCH_CACHE": None,
        "XDG_CACHE_HOME": None,
        "HOME": "/proc/1",
        "TMPDIR": str(tmp_path),
    }
    assert "There is no cache folder that can be written" in vapbench(*RUN, "--results", "r", cwd=tmp_path, **places)


def test_a_temporary_folder_of_somebody_else_is_not_trusted(tmp_path: Path) -> None:
    theirs = tmp_path / f"vapbench-{os.getuid()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    places: dict[str, Any] = {"VAPBENCH_CACHE": "/proc/x", "TMPDIR": str(tmp_path)}
    vapbench(*RUN, "--results", "r", cwd=tmp_path, **places)
    assert not list(theirs.iterdir())


def test_a_method_that_changes_the_working_folder_moves_no_results(tmp_path: Path) -> None:
    method = tmp_path / "mine"
    method.mkdir()
    (method / "card.yaml").write_text(
        "{name: mine, title: Mine, summary: It wanders., kind: text, class: Mine}", encoding="utf-8"
    )
    (method / "method.py").write_text(
        "import os, shutil\n"
        "from vapbench import Method\n"
        "os.chdir('/')\n"
        "class Mine(Method):\n"
        "    def setup(self, device):\n"
        "        os.chdir('/')\n"
        "    def generate(self, case, seed):\n"
        f"        os.chdir({str(tmp_path)!r} + '/mine')\n"
        "        shutil.copyfile(case.target.path, 'made.mp4')\n"
        "        return 'made.mp4'\n"
    )
    run = [*RUN[:2], "./mine", *RUN[3:]]
    vapbench(*run, "--results", "r", cwd=tmp_path)
    (row,) = RunFolder(tmp_path / "r" / "mini" / "mine").current()
    assert row.status == "ok", row.attempts

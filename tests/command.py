"""The vapbench command: in this process, which has imported it, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import pytest

from vapbench.cli import main
from vapbench.core.console import errors, output


def vapbench(
    *arguments: object, cwd: Path | None = None, columns: int = 160, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own would, in a folder and with variables set."""
    words = ["vapbench", *map(str, arguments)]
    code: object = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        patch.setattr(sys, "argv", words)
        for name, value in {"COLUMNS": str(columns), **environment}.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        # Consoles ask for the width of the terminal once.
        _forget_consoles()
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code or 0
        finally:
            _forget_consoles()
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


class Command:
    """A command in a process of its own, with variables set, or unset by None: for what holds between processes.

    It is forked from a process that has imported torch, which takes longer than most commands. What Python or a library
    reads from the environment when it starts needs a new interpreter: ``python -m vapbench``.
    """

    def __init__(self, *arguments: object, cwd: Path | None = None, **environment: str | None) -> None:
        _FORKS.set_forkserver_preload(["torch", "av", "pydantic", "vapbench.cli.execute"])
        self._folder = TemporaryDirectory(prefix="vapbench-command-")
        self._streams = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        self.words = ["vapbench", *map(str, arguments)]
        changed = {**os.environ, "COLUMNS": "160", **environment}
        variables = {name: value for name, value in changed.items() if value is not None}
        given = (self.words, str(cwd or Path.cwd()), variables, [str(path) for path in self._streams])
        self._process = _FORKS.Process(target=_become, args=given)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, or None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = 300.0) -> int:
        """Wait for its end; its exit code."""
        self._process.join(seconds)
        code = self.poll()
        if code is None:
            self._process.kill()
            raise AssertionError(f"{self.words} did not end: {self.said()}")
        return code

    def said(self) -> tuple[str, str]:
        """What it has written by now: to stdout, to stderr."""
        out, err = (path.read_text("utf-8") if path.exists() else "" for path in self._streams)
        return out, err

    def read_until(self, words: str, seconds: float = 300.0) -> None:
        """Wait until it has written ``words`` to stderr."""
        deadline = time.monotonic() + seconds
        while words not in self.said()[1]:
            assert self.poll() is None and time.monotonic() < deadline, f"without {words!r}: {self.said()}"
            time.sleep(0.02)

    def finished(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; all it did."""
        code = self.wait()
        return subprocess.CompletedProcess(self.words, code, *self.said())


_FORKS = get_context("forkserver")


def _become(words: list[str], folder: str, variables: dict[str, str], streams: list[str]) -> None:
    """Be the command, in a forked process."""
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.argv = words
    main()


def in_a_new_process(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, to its end."""
    return Command(*arguments, cwd=cwd, **environment).finished()


def read_until(words: str, stream: IO[str] | None) -> str:
    """What a process writes, up to the line with ``words``; read the rest with ``stream.read()``."""
    assert stream is not None
    said = ""
    while words not in said:
        line = stream.readline()
        assert line, f"it ended without {words!r}: {said}"
        said += line
    return said


def _forget_consoles() -> None:
    output.cache_clear()
    errors.cache_clear()

"""The vapbench command: in this process, which has imported it, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
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


def in_a_new_process(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own: for what holds between processes, or is read when Python starts."""
    return subprocess.run(
        [sys.executable, "-m", "vapbench", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "160", **environment},
        check=False,
    )


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

"""Tracebacks in a terminal: the lines that say where somebody's code went wrong."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

_MOST = 16
"""Lines that are shown of a traceback."""
_FRAME = '  File "'
_ELSEWHERE = (str(Path(__file__).parents[1]), *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))
"""Where code lies that the user did not write: the harness, Python, installed packages."""


def shows_own_code(trace: str) -> bool:
    """Whether code of the user's own is among a traceback's frames."""
    return any(line.startswith(_FRAME) and not _is_elsewhere(line) for line in trace.splitlines())


def last_lines(trace: str) -> list[str]:
    """The last two frames of the user's own code, the one that raised, and the exception.

    Args:
        trace: a traceback as Python prints it, or the stacks of a process that hangs, which begin with the latest call.
    """
    lines = trace.rstrip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(_FRAME)]
    if not starts or "most recent call first" in trace:
        return _cut(lines if starts else lines[-_MOST:])
    frames = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    own = [number for number, frame in enumerate(frames) if not _is_elsewhere(frame[0])]
    return _cut(list(_joined(frames, sorted({*own[-2:], len(frames) - 1}))))


def _is_elsewhere(frame: str) -> bool:
    path = frame.removeprefix(_FRAME)
    # Compiled modules name their sources by a relative path, ``av/error.py``.
    return path.startswith((*_ELSEWHERE, "<")) or not Path(path.partition('"')[0]).is_absolute()


def _joined(frames: Sequence[Sequence[str]], chosen: Sequence[int]) -> Iterator[str]:
    before = chosen[0]
    for number in chosen:
        if number > before + 1:
            yield "  …"
        yield from frames[number]
        before = number


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _MOST else [*lines[: _MOST - 1], "…"]

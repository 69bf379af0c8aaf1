"""Every error vapbench raises on purpose, and the exit code each one ends the command with.

    VapbenchError            1   anything below; its message is one sentence that names the next step
    ├── UsageError           2   an unknown name, option or parameter
    ├── DataError            3   a suite, video, caption or row that cannot be used as it is
    │   └── IdentityError    3   results made with another method, parameters or weights
    ├── WeightsError         3   a checkpoint that is absent, incomplete or of an unknown class
    ├── PluginError          1   somebody's method, metric or suite raised something else while it was made or set up
    ├── TooManyFailures      1   more cases failed than --max-failures allows
    └── BudgetSpent          1   paid calls reached --max-judge-calls; everything answered is kept

Each carries its :class:`ErrorKind` and, where one thing is to blame, that thing's name as its ``field``: programs and
tests ask for those, people read the sentence.

A method or metric that does not apply to a case raises :class:`NotApplicable`. It is no failure: the row says
``unscored`` and why.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path


class ErrorKind(StrEnum):
    """What is wrong."""

    UNKNOWN = "unknown"
    """Nothing has this name."""
    MISSING = "missing"
    """Something that is needed is not there: a file, a column, a value, a package."""
    INVALID = "invalid"
    """A value of another type or form, or out of its range."""
    CONFLICT = "conflict"
    """Two things that do not go together, or claim one name or place."""
    DAMAGED = "damaged"
    """A file that is cut, corrupt, or not of its format."""
    LIMIT = "limit"
    """More than is allowed: of size, failures, paid calls."""
    BUSY = "busy"
    """Another process is using it."""
    UNREACHABLE = "unreachable"
    """A server that refuses or does not answer."""
    FAILED = "failed"
    """Somebody's code raised."""
    NOT_APPLICABLE = "not applicable"
    """The method or metric has nothing to say of the case."""


class VapbenchError(Exception):
    """Base of the tree; ``exit_code`` is what the command line ends with."""

    exit_code = 1
    kind = ErrorKind.INVALID
    field = ""
    """Name of the parameter, option, column, key or file that is to blame; empty where there is none."""

    def __init__(self, message: str, kind: ErrorKind | None = None, field: str = "") -> None:
        """Say what happened in one sentence; without a ``kind`` it is the class's usual one."""
        super().__init__(message)
        if kind is not None:
            self.kind = kind
        if field:
            self.field = field


class UsageError(VapbenchError):
    """The request itself is off: an unknown name, option or parameter."""

    exit_code = 2


class DataError(VapbenchError):
    """A suite, video, caption or row cannot be used as it is."""

    exit_code = 3


class IdentityError(DataError):
    """The run folder holds results made with another method, parameters or weights."""

    kind = ErrorKind.CONFLICT


class WeightsError(VapbenchError):
    """A checkpoint is absent, incomplete or of an unknown class."""

    exit_code = 3


class PluginError(VapbenchError):
    """Code of a method, metric or suite raised while it was imported, made or set up, where no row can keep it."""

    kind = ErrorKind.FAILED

    def __init__(self, message: str, trace: str = "") -> None:
        """Say what happened; ``trace`` is the traceback from the first line of that code on."""
        super().__init__(message)
        self.args = (message, trace)

    def __str__(self) -> str:
        """The message alone."""
        return str(self.args[0])

    @property
    def trace(self) -> str:
        """The traceback, without the frames that led to the code."""
        return str(self.args[1])


class TooManyFailures(VapbenchError):
    """More cases failed than the run's ``max_failures`` allows."""

    kind = ErrorKind.LIMIT
    field = "max_failures"


class BudgetSpent(VapbenchError):
    """No paid call may be made any more; what was answered is kept, the rest is left for the same command."""

    kind = ErrorKind.LIMIT
    field = "max_judge_calls"


class NotApplicable(VapbenchError):
    """This method or metric does not apply to this case; the message says why and what would help."""

    kind = ErrorKind.NOT_APPLICABLE


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Run somebody's code: what it raises, ``SystemExit`` included, becomes an error that says ``what`` failed.

    Raises:
        PluginError: with one line of the exception, and its traceback.
        VapbenchError: as the code raised it.
    """
    try:
        yield
    except VapbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{what}: {in_one_line(type(error).__name__, text_of(error))}", _trace(error)) from error


def text_of(error: BaseException) -> str:
    """The message of an exception; empty where it has none, or cannot even say it."""
    try:
        return str(error)
    except Exception:
        return ""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def in_one_line(kind: str, message: str) -> str:
    """An exception's type, and the first line of its message that says more."""
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return f"{kind}: {first}" if first and first != kind else kind


def _trace(error: BaseException) -> str:
    """A traceback from the first frame that is neither the harness's nor the import system's."""
    ours, trace = str(Path(__file__).parent), error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename.startswith((ours, "<frozen importlib")):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``' Did you mean …?'`` for the closest known names, or the list of them when none is close."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    if close:
        return f" Did you mean {' or '.join(close)}?"
    return f" Known: {', '.join(options)}." if options else ""

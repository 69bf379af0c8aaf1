"""Every error vapbench raises on purpose, and the exit code each one ends the command with.

    VapbenchError            1   anything below; its message is one sentence that names the next step
    ├── UsageError           2   an unknown name, option or parameter
    ├── DataError            3   a suite, video, caption or row that cannot be used as it is
    │   └── IdentityError    3   results made with another method, parameters or weights
    ├── WeightsError         3   a checkpoint that is absent, incomplete or of an unknown class
    ├── TooManyFailures      1   more cases failed than --max-failures allows
    └── BudgetSpent          1   paid calls reached --max-judge-calls; everything answered is kept

A method or metric that does not apply to a case raises :class:`NotApplicable`. It is no failure: the row says
``unscored`` and why.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VapbenchError(Exception):
    """Base of the tree; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(VapbenchError):
    """The request itself is off: an unknown name, option or parameter."""

    exit_code = 2


class DataError(VapbenchError):
    """A suite, video, caption or row cannot be used as it is."""

    exit_code = 3


class IdentityError(DataError):
    """The run folder holds results made with another method, parameters or weights."""


class WeightsError(VapbenchError):
    """A checkpoint is absent, incomplete or of an unknown class."""

    exit_code = 3


class TooManyFailures(VapbenchError):
    """More cases failed than the run's ``max_failures`` allows."""


class BudgetSpent(VapbenchError):
    """No paid call may be made any more; what was answered is kept, the rest is left for the same command."""


class NotApplicable(VapbenchError):
    """This method or metric does not apply to this case; the message says why and what would help."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``' Did you mean …?'`` for the closest known names, or the list of them when none is close."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    if close:
        return f" Did you mean {' or '.join(close)}?"
    return f" Known: {', '.join(options)}." if options else ""

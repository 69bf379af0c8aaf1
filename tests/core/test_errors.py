"""Errors say their kind and what is to blame, also to another process."""

from __future__ import annotations

import pickle

import pytest

from vapbench.errors import (
    BudgetSpent,
    DataError,
    ErrorKind,
    IdentityError,
    NotApplicable,
    PluginError,
    TooManyFailures,
    UsageError,
    VapbenchError,
)
from vapbench.suites.table import MissingMedia


@pytest.mark.parametrize(
    ("error", "kind", "field"),
    [
        (UsageError("No such thing.", ErrorKind.UNKNOWN, "task"), ErrorKind.UNKNOWN, "task"),
        (DataError("Odd."), ErrorKind.INVALID, ""),
        (IdentityError("Another."), ErrorKind.CONFLICT, ""),
        (NotApplicable("No reference."), ErrorKind.NOT_APPLICABLE, ""),
        (PluginError("It raised.", "Traceback …"), ErrorKind.FAILED, ""),
        (TooManyFailures("3 of 4."), ErrorKind.LIMIT, "max_failures"),
        (BudgetSpent("5 calls."), ErrorKind.LIMIT, "max_judge_calls"),
    ],
)
def test_an_error_says_as_much_in_another_process(error: VapbenchError, kind: ErrorKind, field: str) -> None:
    sent = pickle.loads(pickle.dumps(error))
    for each in (error, sent):
        assert (each.kind, each.field) == (kind, field)
    assert (type(sent), str(sent), sent.args) == (type(error), str(error), error.args)


def test_absent_files_are_missing() -> None:
    assert MissingMedia(["a.mp4 is not there."]).kind is ErrorKind.MISSING

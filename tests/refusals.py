"""What an error says to a program: its class, its kind, and the name of what is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from vapbench.errors import ErrorKind, VapbenchError

E = TypeVar("E", bound=VapbenchError)


@contextmanager
def refuses(error: type[E], kind: ErrorKind, field: str = "", *named: object) -> Iterator[pytest.ExceptionInfo[E]]:
    """Assert that an error of this class, kind and field is raised, and that its sentence names the values ``named``.

    Those are what the reader must be told beside the field: a file, a line, a command to run. The rest of the sentence
    is the caller's to read, once.
    """
    with pytest.raises(error) as caught:
        yield caught
    said = str(caught.value)
    assert (caught.value.kind, caught.value.field) == (kind, field), said
    assert [name for name in map(str, named) if name not in said] == [], said

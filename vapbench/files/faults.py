"""What is wrong with a document, all of it in one sentence: nobody is told of one field after the other."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_args

from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import in_a_row

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_SHOWN = 5
_LONGEST = 800


def unusable(where: object, error: Exception, advice: str = "", form: type[BaseModel] | None = None) -> DataError:
    """The error to raise for a document that cannot be read, or is not of its format or form.

    Args:
        where: the file, or what names its line.
        error: an ``OSError``, what :mod:`vapbench.files.parsing` raises, or pydantic's ``ValidationError``.
        advice: what to do, after the mark that parts it from what is wrong.
        form: what the document may hold, for hints at misspelt fields.
    """
    from pydantic import ValidationError

    file = where.name if isinstance(where, PurePath) else ""
    if isinstance(error, OSError):
        kind = ErrorKind.MISSING if isinstance(error, FileNotFoundError) else ErrorKind.INVALID
        return DataError(f"{where}: {error.strerror or error}{advice}", kind, file)
    if isinstance(error, ValidationError):
        first = _first(error)
        kinds = {"extra_forbidden": ErrorKind.UNKNOWN, "missing": ErrorKind.MISSING}
        said = f"{where}: {faults(error, form):.{_LONGEST}}{advice}"
        return DataError(said, kinds.get(first["type"], ErrorKind.INVALID), field_of(first))
    return DataError(f"{where}: not valid {_format(error)}{advice}", ErrorKind.DAMAGED, file)


def _format(error: Exception) -> str:
    """The format that a document is not of, and why, in one line."""
    import yaml

    if not isinstance(error, yaml.YAMLError):
        return f"JSON ({error})"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"YAML in line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return f"YAML: {' '.join(str(error).split())}"


def _first(error: ValidationError) -> Any:
    errors = error.errors()
    # A misspelt field is missing under one name and too much under the other: the latter is what was written.
    return next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])


def faults(error: ValidationError, form: type[BaseModel] | None = None) -> str:
    """Every field that is to blame: all that are missing, then those that are wrong, then those that nobody knows.

    A missing field is named by a misspelt one beside it, if there is any, and so is one that may be left out, where
    ``form`` says what the document may hold. Of a field that is wrong in many elements of a list, the first is named.
    No full stop at the end, and none between two fields.
    """
    items = error.errors()
    absent = [item for item in items if item["type"] == "missing"]
    unknown = [item for item in items if item["type"] == "extra_forbidden"]
    wrong = {_without_places(item): item for item in reversed(items) if item not in absent + unknown}
    said = [f"{field_of(item)}: {_reason(item)}" for item in reversed(wrong.values())]
    meant = [_meant(item, absent) for item in unknown]
    # What is missing under its name is there under a misspelt one.
    if missing := list(dict.fromkeys(field_of(item) for item in absent if item not in meant)):
        said.insert(0, f"{', '.join(missing)}: {'fields' if len(missing) > 1 else 'field'} required")
    for item, other in zip(unknown, meant, strict=True):
        near = [other["loc"][-1]] if other else _near(item, form)
        hint = f" (did you mean {near[0]}?)" if near else ""
        said.append(f"{field_of(item)}: there is no such field{hint}")
    more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    # Names of fields are the document's own.
    return in_a_row("; ".join(said[:_SHOWN]) + more)


def field_of(item: Any) -> str:
    """The field of one error, with the fields it is in."""
    return ".".join(str(part) for part in item["loc"]) or "the file"


def _meant(item: Any, absent: list[Any]) -> Any:
    """The missing field of the same object whose name is close to that of an unknown one; None without any."""
    beside = {str(other["loc"][-1]): other for other in absent if other["loc"][:-1] == item["loc"][:-1]}
    close = difflib.get_close_matches(str(item["loc"][-1]), beside, n=1, cutoff=0.5)
    return beside[close[0]] if close else None


def _near(item: Any, form: type[BaseModel] | None) -> list[str]:
    """The field of the form, at the place of an unknown one, whose name is close to it."""
    *place, name = map(str, item["loc"])
    models = [form] if form else []
    for part in place:
        # Places of lists and keys of mappings are no fields: what they hold is what the field before them may hold.
        inner = [field for model in models if (field := model.model_fields.get(part))]
        models = [model for field in inner for model in _models(field.annotation)] if inner else models
    return difflib.get_close_matches(name, [field for model in models for field in model.model_fields], n=1)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a type is made of."""
    if hasattr(annotation, "model_fields"):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _without_places(item: Any) -> tuple[str, ...]:
    return tuple(part for part in item["loc"] if isinstance(part, str))


def _reason(item: Any) -> str:
    said = item["msg"].removeprefix("Value error, ").removesuffix(".")
    # A name in capitals stays as it is.
    return said if said[:2].isupper() else f"{said[0].lower()}{said[1:]}"

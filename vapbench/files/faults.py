"""What is wrong with a document, all of it in one sentence: nobody is told of one field after the other."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_SHOWN = 5


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
    return "; ".join(said[:_SHOWN]) + more


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
    return f"{said[0].lower()}{said[1:]}"

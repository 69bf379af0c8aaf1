"""Parameters of a method, metric or suite as people read them: type, range, default, meaning."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic import PydanticSchemaGenerationError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from vapbench.core.registry import annotation_of


@dataclass(frozen=True)
class ParameterDoc:
    """One parameter."""

    name: str
    type: str
    """Its type and range: ``int, 1 or more``; ``own or shuffled``."""
    default: str
    """Empty where a value must be given."""
    meaning: str
    """From the docstring; empty where it says nothing."""


def parameter_docs(target: Callable[..., Any], fixed: Mapping[str, Any], without: int = 0) -> list[ParameterDoc]:
    """What there is to say of each parameter of a class or function.

    Args:
        target: a class, or a function.
        fixed: values that a card gives in place of the defaults.
        without: how many parameters come first that nobody sets by name.
    """
    meanings = meanings_of(target)
    parameters = list(inspect.signature(target, eval_str=True).parameters.values())[without:]
    return [
        ParameterDoc(
            item.name,
            _type(annotation_of(item)),
            shown(fixed.get(item.name, item.default)),
            meanings.get(item.name, ""),
        )
        for item in parameters
    ]


def meanings_of(target: Callable[..., Any]) -> dict[str, str]:
    """Name -> meaning: from ``Args:`` of the docstring, and from the strings below the fields of a class."""
    if not inspect.isclass(target):
        return _from_args(inspect.getdoc(target) or "")
    found: dict[str, str] = {}
    for cls in reversed(inspect.getmro(target)[:-1]):
        found |= _from_fields(cls)
        found |= _from_args(inspect.getdoc(vars(cls).get("__init__")) or "")
    return found


def _from_args(text: str) -> dict[str, str]:
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    parts = re.split(r"^    (\w+): ", section[1], flags=re.MULTILINE)[1:] if section else []
    return {name: _plain(meaning) for name, meaning in zip(parts[::2], parts[1::2], strict=True)}


def _from_fields(cls: type[Any]) -> dict[str, str]:
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}  # Made without a file, as in a notebook.
    body = getattr(node, "body", [])
    return {
        field.target.id: _plain(below.value.value)
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("``", "")


def shown(value: Any) -> str:
    """A value as it is written on the command line; empty where there is none."""
    if value is inspect.Parameter.empty:
        return ""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


def _type(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "text"
    try:
        return _of_schema(TypeAdapter(annotation).json_schema())
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
        return inspect.formatannotation(annotation)


_TYPES = {"integer": "int", "number": "float", "boolean": "true or false", "string": "text", "null": "none"}
_RANGES = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
}


def _of_schema(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        kinds = list(dict.fromkeys(map(_of_schema, schema["anyOf"])))
        return ", or ".join(kinds) if "," in "".join(kinds) else " or ".join(kinds)
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return " or ".join(map(str, values))
    if schema.get("format") in ("path", "file-path", "directory-path"):
        return "path"
    ranges = [text.format(schema[key]) for key, text in _RANGES.items() if key in schema]
    return ", ".join([_TYPES.get(schema.get("type", ""), str(schema.get("type", "text"))), *ranges])

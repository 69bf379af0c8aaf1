"""Commands that take records: their fields become options of the command itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """Let Typer see the fields of the records that a command takes as options of the command itself."""
    hints = get_type_hints(command, include_extras=True)
    records = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}
    shown: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if name not in records:
            shown.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))
            continue
        types = get_type_hints(records[name], include_extras=True)
        shown += [
            Parameter(each.name, Parameter.KEYWORD_ONLY, default=_default(each), annotation=types[each.name])
            for each in fields(records[name])
        ]

    @wraps(command)
    def with_records(**given: Any) -> None:
        made = {
            name: kind(**{each.name: given.pop(each.name) for each in fields(kind)}) for name, kind in records.items()
        }
        command(**made, **given)

    with_records.__signature__ = Signature(shown)  # type: ignore[attr-defined]
    with_records.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return with_records


def _default(each: Field[Any]) -> Any:
    return Parameter.empty if each.default is MISSING else each.default

"""What is wrong with a document, all of it in one sentence: nobody is told of one field after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vapbench.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError

_SHOWN = 5


def faults(error: ValidationError) -> str:
    """Every field that is to blame: all that are missing, then those that are wrong, then misspelt ones.

    Of a field that is wrong in many elements of a list, the first is named.
    """
    items = error.errors()
    absent = [item for item in items if item["type"] == "missing"]
    unknown = [item for item in items if item["type"] == "extra_forbidden"]
    wrong = {_without_places(item): item for item in reversed(items) if item not in absent + unknown}
    said = [f"{field_of(item)}: {_reason(item)}" for item in reversed(wrong.values())]
    # What is missing under its name may be there under a misspelt one.
    if len(absent) > len(unknown):
        plural = "s" if len(absent) > 1 else ""
        said.insert(0, f"{', '.join(dict.fromkeys(map(field_of, absent)))}: field{plural} required")
    said += [f"{field_of(item)}: there is no such field{_meant(item, absent)}" for item in unknown]
    more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return "; ".join(said[:_SHOWN]) + more


def field_of(item: Any) -> str:
    """The field of one error, with the fields it is in."""
    return ".".join(str(part) for part in item["loc"]) or "the file"


def _meant(item: Any, absent: list[Any]) -> str:
    beside = [str(other["loc"][-1]) for other in absent if other["loc"][:-1] == item["loc"][:-1]]
    return f".{did_you_mean(str(item['loc'][-1]), beside)}" if beside else ""


def _without_places(item: Any) -> tuple[str, ...]:
    return tuple(part for part in item["loc"] if isinstance(part, str))


def _reason(item: Any) -> str:
    said = item["msg"].removeprefix("Value error, ")
    return f"{said[0].lower()}{said[1:]}"

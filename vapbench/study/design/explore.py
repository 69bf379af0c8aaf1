"""Several designs of one study side by side, before anything is encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from vapbench.errors import ErrorKind, UsageError, did_you_mean
from vapbench.study.design.planning import Planned, Wanted, sketch_study
from vapbench.study.design.simulation import Assumptions, Forecast, forecast
from vapbench.study.design.sources import Sources
from vapbench.study.folder import StudyFolder
from vapbench.study.protocol import TrialKind

_KIND: TypeAdapter[TrialKind] = TypeAdapter(TrialKind)
_FIELDS = ("kind", "question", "raters", "votes_per_cell", "attrition", "exclusion")


@dataclass(frozen=True)
class Candidate:
    """One design, and what it is expected to find out."""

    design: str
    """As it was asked for; empty for the command's own options."""
    wanted: Wanted
    planned: Planned
    forecast: Forecast


def explore(
    sources: Sources,
    wanted: Wanted,
    designs: Sequence[str],
    folder: StudyFolder,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Candidate, ...]:
    """Sketch and simulate the wanted design and each variant of it; writes nothing.

    Args:
        sources: cases and videos.
        wanted: the design that the others differ from; it comes first.
        designs: what each changes, such as ``raters=60,votes_per_cell=5``.
        folder: where the study would be.
        progress: called with the design at hand.

    Raises:
        UsageError: a design changes something unknown, or by no value of it.
        DataError: a video cannot be read, or is too short.
    """
    variants = [("", wanted), *((text, changed(wanted, text)) for text in designs)]
    found = []
    for text, each in variants:
        progress(text or "the design of the options")
        planned = sketch_study(sources, each, folder)
        assumed = Assumptions(dropout=each.attrition, excluded=each.exclusion)
        found.append(Candidate(text, each, planned, forecast(planned.protocol, assumed, seed=each.seed)))
    return tuple(found)


def changed(wanted: Wanted, text: str) -> Wanted:
    """A design that differs as ``text`` says: ``kind=best_of_n,raters=60``; questions apart by ``+``.

    Raises:
        UsageError: something is unknown, or no value.
    """
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        name = name.replace("-", "_")
        if name not in _FIELDS:
            said = f"--design {text}: {name!r} cannot be changed; known: {', '.join(_FIELDS)}."
            raise UsageError(said + did_you_mean(name, _FIELDS), ErrorKind.UNKNOWN, name)
        try:
            wanted = _with(wanted, name, value)
        except ValueError:
            raise UsageError(f"--design {text}: {name} cannot be {value!r}.", ErrorKind.INVALID, name) from None
    return wanted


def _with(wanted: Wanted, name: str, value: str) -> Wanted:
    if name == "kind":
        return replace(wanted, kind=_KIND.validate_python(value))
    if name == "question":
        return replace(wanted, questions=tuple(value.split("+")))
    if name in ("attrition", "exclusion"):
        share = float(value)
        if not 0 <= share <= 0.9:
            raise ValueError(value)
        return replace(wanted, attrition=share) if name == "attrition" else replace(wanted, exclusion=share)
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return replace(wanted, raters=number) if name == "raters" else replace(wanted, votes_per_cell=number)

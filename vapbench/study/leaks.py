"""What a file says about its method without being watched: size, rate, length, bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.study.protocol import MediaFacts, Protocol

_ALMOST_ALWAYS = 0.9

PROPERTIES: Mapping[str, Callable[[MediaFacts], float]] = {
    "width": lambda facts: facts.width,
    "height": lambda facts: facts.height,
    "fps": lambda facts: facts.fps,
    "frame count": lambda facts: facts.frames,
    "duration": lambda facts: facts.seconds,
    "bitrate": lambda facts: 8 * facts.size / facts.seconds if facts.seconds else facts.size,
}


@dataclass(frozen=True)
class Leak:
    """A property that tells which method made a video."""

    who: str
    """Name given to :func:`find_leaks`: a blind code, or a method."""
    by: str
    """Name of the property."""
    how: str
    """What to look for, as one phrase."""

    def __str__(self) -> str:
        """One line."""
        return f"{self.who} is identifiable by {self.by}: {self.how}"


def find_leaks(groups: Sequence[Mapping[str, MediaFacts]]) -> tuple[Leak, ...]:
    """Look for methods that a property of their files gives away.

    A method is identifiable if its values never occur with another method, or if it is the largest or the smallest
    of its group in nine of ten groups.

    Args:
        groups: videos that are shown together, by method: one mapping per case.
    """
    leaks = []
    for name in sorted({name for group in groups for name in group}):
        for by, value in PROPERTIES.items():
            how = _tell(groups, name, value)
            if how:
                leaks.append(Leak(name, by, how))
    return tuple(leaks)


def protocol_leaks(protocol: Protocol, names: Mapping[str, str] | None = None) -> tuple[Leak, ...]:
    """Leaks among a protocol's candidates, and among those of its checks.

    Args:
        protocol: the study.
        names: blind code -> name, for the messages; None: the codes.
    """
    groups = [
        {(names or {}).get(code, code): protocol.media[media] for code, media in case.candidates.items()}
        for case in protocol.cases
    ]
    checks = [
        {
            "the expected answer" if index == check.expected else f"another answer {index}": protocol.media[media]
            for index, media in enumerate(check.candidates)
        }
        for check in protocol.checks
        if check.expected is not None
    ]
    return (*find_leaks(groups), *(leak for leak in find_leaks(checks) if leak.who == "the expected answer"))


def refuse_leaks(protocol: Protocol) -> None:
    """Refuse to show raters what gives a method away.

    Raises:
        DataError: something does.
    """
    leaks = protocol_leaks(protocol)
    if leaks:
        more = f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
        raise DataError(
            f"Study {protocol.id} cannot be opened: {leaks[0]}{more}. "
            "Plan it again, so that all videos get one size, rate, length and number of bytes.",
            ErrorKind.CONFLICT,
            "media",
        )


def _tell(groups: Sequence[Mapping[str, MediaFacts]], name: str, value: Callable[[MediaFacts], float]) -> str:
    own, others, highest, lowest, met = set(), set(), 0, 0, 0
    for group in groups:
        rest = [round(value(facts), 6) for other, facts in group.items() if other != name]
        if name not in group or not rest:
            continue
        mine = round(value(group[name]), 6)
        own.add(mine)
        others.update(rest)
        met += 1
        highest += mine > max(rest)
        lowest += mine < min(rest)
    if not met:
        return ""
    if not own & others:
        return f"{_range(own)}, others {_range(others)}"
    for count, word in ((highest, "largest"), (lowest, "smallest")):
        if count >= _ALMOST_ALWAYS * met:
            return f"the {word} in {count} of {counted(met, 'trial')}"
    return ""


def _range(values: set[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"

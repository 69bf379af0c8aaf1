"""Counterfactual cases: each case again, with another reference or caption, and nothing else changed.

A cell says which. The method is *shown* the changed case; what it makes is *judged* as an output for the case itself:
against the case's own reference, first frame and caption. So one number says in every cell how much of the case's own
effect is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vapbench.core.case import NO_REFERENCE, Case, Reference
from vapbench.files.atomic import digest
from vapbench.running.run import Selection
from vapbench.validation.pairing import of_other_conditions
from vapbench.validation.probe.captions import Captions
from vapbench.validation.probe.edited import edited

ReferenceLevel = Literal["own", "another", "wrong", "reversed", "still", "none", "both"]
"""Of ``another`` video of the condition, which is not the target; of a ``wrong`` condition, in the same category where
there is one; the own one ``reversed``, or ``still``: its first frame for its whole length, each with its caption;
``both``: the own and another, for methods with a parameter ``references``."""
CaptionLevel = Literal["own", "without", "empty", "wrong"]
"""``without``: the own caption without its effect; ``wrong``: with the effect of the wrong reference's condition, and
where nobody wrote that, the whole caption of that reference's case."""

Cells = Literal["core", "balanced", "full"]
_LONGEST = 160


@dataclass(frozen=True, order=True)
class Cell:
    """Which reference and which caption."""

    reference: ReferenceLevel
    caption: CaptionLevel

    @property
    def name(self) -> str:
        """As ids and rows spell it: ``wrong-own``."""
        return f"{self.reference}-{self.caption}"


OWN, BOTH = Cell("own", "own"), Cell("both", "own")


def cells_of(which: Cells, contrast: CaptionLevel) -> tuple[Cell, ...]:
    """The cells every case has, so that all differences are paired by case.

    Args:
        which: ``core``: reference own or wrong by caption own or without its effect; ``balanced``: these, and every
            other level of either while the other one is the case's own; ``full``: every reference by every caption.
        contrast: the caption that stands against the own one in the core.
    """
    references = tuple(level for level in get_args(ReferenceLevel) if level != "both")
    core = [Cell(reference, caption) for reference in ("own", "wrong") for caption in ("own", contrast)]
    if which == "full":
        return tuple(Cell(reference, caption) for reference in references for caption in get_args(CaptionLevel))
    if which == "balanced":
        core += [Cell(reference, "own") for reference in references]
        core += [Cell("own", caption) for caption in get_args(CaptionLevel) if caption != "without"]
    return tuple(dict.fromkeys(core))


@dataclass(frozen=True)
class Counterfactual:
    """One case in one cell."""

    own: Case
    """The suite's."""
    cell: Cell
    shown: Case
    """What the method sees: by its id the own case, so that nothing but reference and caption can tell."""
    judged: Case
    """What the output is scored as: the own case under an id of its own."""
    donor: str
    """Id of the case that lends the wrong reference and caption."""
    lacking: str = ""
    """Why there is no such case."""

    @property
    def provenance(self) -> dict[str, str]:
        """What the manifest keeps of it."""
        shown = self.shown.reference.video
        return {
            "probe_case": self.own.id,
            "probe_reference": self.cell.reference,
            "probe_caption": self.cell.caption,
            "probe_donor": self.donor,
            "probe_shown": "" if self.shown.reference is NO_REFERENCE else shown.identity,
        }


def counterfactuals(
    selection: Selection, cells: Sequence[Cell], captions: Mapping[str, Captions], folder: Path
) -> list[Counterfactual]:
    """Every case of the selection in every cell but its own.

    Args:
        selection: the cases; references of other cases come from the whole suite.
        cells: which counterfactuals.
        captions: case id -> what is known of its captions.
        folder: where references that are played otherwise are kept.
    """
    return list(_counterfactuals(selection, cells, captions, folder))


def donor_of(case: Case, among: Sequence[Case]) -> Case | None:
    """The case that lends its reference and caption as wrong ones; None where all cases have one condition.

    Drawn from the two cases' names, so that leaving cases out changes nothing for the others. One of the same category
    is the hardest, and is taken where there is one.
    """
    others = of_other_conditions(case, (other for other in among if other.references))
    return min(others, key=lambda other: digest([case.id, other.id]), default=None)


def another_reference(case: Case, among: Sequence[Case]) -> Reference | None:
    """A second video of the case's condition that is neither its reference nor its target; None if there is none."""
    known = {media.identity for media in (case.reference.video, case.target) if media is not None}
    same = [other for other in among if other.condition == case.condition and other.id != case.id]
    found = [*case.references[1:], *(reference for other in same for reference in other.references)]
    return min(
        (reference for reference in found if reference.video.identity not in known),
        key=lambda reference: digest([case.id, reference.video.identity]),
        default=None,
    )


def _counterfactuals(
    selection: Selection, cells: Sequence[Cell], captions: Mapping[str, Captions], folder: Path
) -> Iterator[Counterfactual]:
    for case in selection.cases:
        donor, another = donor_of(case, selection.among), another_reference(case, selection.among)
        for cell in cells:
            if cell == OWN:
                continue
            references = _references(case, cell.reference, donor, another, folder)
            caption = _caption(case, cell.caption, captions.get(case.id, Captions()), donor)
            lacking = [answer for answer in (references, caption) if isinstance(answer, Lacking)]
            if isinstance(references, Lacking) or isinstance(caption, Lacking):
                shown = case
            else:
                shown = case.model_copy(update={"references": references, "caption": caption})
            judged = case.model_copy(update={"id": _id(case, cell)})
            yield Counterfactual(case, cell, shown, judged, donor.id if donor else "", "; ".join(map(str, lacking)))


class Lacking(str):
    """Why there is no such reference or caption."""

    __slots__ = ()


def _references(
    case: Case, level: ReferenceLevel, donor: Case | None, another: Reference | None, folder: Path
) -> tuple[Reference, ...] | Lacking:
    if level == "none":
        return ()
    if level == "wrong":
        return donor.references if donor else Lacking("all cases have one condition: there is no wrong reference")
    if not case.references:
        return Lacking("the case has no reference video")
    if level == "own":
        return case.references
    if level in ("reversed", "still"):
        video = edited(case.reference.video, level, folder)
        return (Reference(video=video, caption=case.reference.caption),)
    if another is None:
        return Lacking(f"the suite has no second reference of {case.condition} beside the target")
    return (case.reference, another) if level == "both" else (another,)


def _caption(case: Case, level: CaptionLevel, known: Captions, donor: Case | None) -> str | Lacking | None:
    if level == "own":
        return case.caption
    if level == "empty":
        return ""
    if level == "without":
        return known.without or Lacking("nobody wrote its caption without the effect (docs/guides/probe.md)")
    wrong = known.wrong or (donor.caption if donor else None)
    return wrong or Lacking("there is no caption of another condition")


def _id(case: Case, cell: Cell) -> str:
    name = f"{case.id}--{cell.name}"
    return name if len(name) <= _LONGEST else f"{case.id[:120]}-{digest(case.id)[:8]}--{cell.name}"

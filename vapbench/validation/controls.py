"""Controls: cases with other videos in their roles, whose scores say something of the judge and not of a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vapbench.core.case import Case, Media, Reference
from vapbench.methods import ResolvedMethod
from vapbench.methods.base import Method
from vapbench.running.plan import RunPlan, plan_run
from vapbench.running.run import Selection
from vapbench.validation.pairing import of_other_conditions

if TYPE_CHECKING:
    import torch

Control = Literal["identical", "swapped", "wrong"]
CONTROLS: Mapping[Control, str] = {
    "identical": "the reference as its own output",
    "swapped": "reference and output in each other's place",
    "wrong": "the output against a reference of another condition",
}


class Given(Method):
    """Finished videos as a method, one for each case."""

    name = "given"
    version = 1
    uses_seed = False

    def __init__(self, videos: Mapping[str, Path]) -> None:
        self._videos = videos

    def inputs(self, case: Case) -> Sequence[Path]:
        """The case's video."""
        return (self._videos[case.id],)

    def setup(self, device: torch.device) -> None:
        """Nothing to load."""

    def generate(self, case: Case, seed: int) -> Path:
        """The case's video."""
        return self._videos[case.id]


def plan_controls(selection: Selection, outputs: Mapping[str, Path], root: Path) -> dict[Control, RunPlan]:
    """Lay every control out as a run of its own under ``root``.

    Args:
        selection: the cases.
        outputs: case id to the video a method made.
        root: where the runs are kept.

    Returns:
        Control to run; without ``wrong`` where the cases have one condition only.
    """
    plans: dict[Control, RunPlan] = {}
    for control in CONTROLS:
        pairs = list(_control(control, selection.cases, outputs))
        if pairs:
            method = ResolvedMethod(Given({case.id: video for case, video in pairs}), None, {}, {})
            cases = [case for case, _ in pairs]
            plans[control] = plan_run(selection.suite.name, selection.task.name, method, cases, [0], root, control)
    return plans


def _control(control: Control, cases: Sequence[Case], outputs: Mapping[str, Path]) -> Iterator[tuple[Case, Path]]:
    """Each case with other videos in its roles, and the video to judge."""
    for index, case in enumerate(cases):
        own, output = case.reference, outputs[case.id]
        if control == "identical":
            yield case.model_copy(update={"image": own.video, "target": None}), own.video.path
        elif control == "swapped":
            reference = Reference(video=Media(path=output), caption=case.caption)
            update = {"references": (reference,), "image": own.video, "caption": own.caption, "target": None}
            yield case.model_copy(update=update), own.video.path
        else:
            others = of_other_conditions(case, cases)
            if others:
                yield case.model_copy(update={"references": others[index % len(others)].references}), output

"""Probes as runs: a method's ordinary run is the cell of own reference and own caption, the rest is a run of its own.

Counterfactual runs lie in ``RESULTS/probe/<suite>/<method>``, where no table of ordinary runs looks. They are run
folders like any other: they resume, and a failure is a row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.core.case import Case, Media
from vapbench.core.clip import Clip
from vapbench.core.registry import Spec
from vapbench.errors import DataError, ErrorKind, NotApplicable, UsageError
from vapbench.files.atomic import canonical_json
from vapbench.methods import ResolvedMethod, resolve
from vapbench.methods.base import Method
from vapbench.methods.folder import Folder
from vapbench.results.rows import Note
from vapbench.running.plan import MetricSpec, RunPlan, columns, plan_run
from vapbench.running.run import Selection
from vapbench.validation.probe.captions import Captions, find_captions
from vapbench.validation.probe.cells import (
    BOTH,
    CaptionLevel,
    Cell,
    Cells,
    Counterfactual,
    cells_of,
    counterfactuals,
    donor_of,
)
from vapbench.validation.probe.edited import Edited

if TYPE_CHECKING:
    import torch

FOLDER = "probe"
LEAKAGE = "reference_leakage[pixels]"
"""Scored beside a suite's own columns: whether the reference's scene came along with its effect."""


class CounterfactualMethod(Method):
    """A method that is shown the counterfactual of each case it is asked for."""

    def __init__(self, inner: Method, cases: Mapping[str, Counterfactual]) -> None:
        """Show ``inner`` what ``cases`` say, by the ids under which outputs are judged."""
        self.inner, self._cases = inner, cases
        self.name, self.version, self.uses_seed = inner.name, inner.version, inner.uses_seed

    @property
    def unhashed_params(self) -> frozenset[str]:  # type: ignore[override]
        """The method's own."""
        return self.inner.unhashed_params

    @property
    def neutral(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The method's own."""
        return self.inner.neutral

    @property
    def label(self) -> str | None:
        """The method's own."""
        return self.inner.label

    def seeds(self, cases: Sequence[Case]) -> Collection[int] | None:
        """The method's own."""
        return self.inner.seeds([self._shown(case) for case in cases])

    def identity(self) -> Mapping[str, Any]:
        """The method's own."""
        return self.inner.identity()

    def inputs(self, case: Case) -> Sequence[Path | Media | str]:
        """What the method is shown, and what it uses besides."""
        if lacking := self._cases[case.id].lacking:
            return (lacking,)
        shown = self._shown(case)
        used = tuple(self.inner.inputs(shown))
        _make(shown, used)
        return (*used, canonical_json(shown.content()))

    def prepare_cases(self, cases: Sequence[Case]) -> None:
        """The method looks at the suite's own cases."""
        self.inner.prepare_cases(cases)

    def batch_key(self, case: Case) -> str:
        """The method's own."""
        return self.inner.batch_key(self._shown(case))

    def provenance(self, case: Case) -> Mapping[str, str]:
        """Which case this is, and what is shown in it."""
        return self._cases[case.id].provenance

    def setup(self, device: torch.device) -> None:
        """Load the method's models."""
        # On a copy, so that they go when this goes.
        self.inner = copy(self.inner)
        self.inner.setup(device)

    def generate(self, case: Case, seed: int) -> Clip | Path:
        """Have the method make a clip of the counterfactual.

        Raises:
            NotApplicable: there is no such counterfactual, or the method cannot do without what it takes away.
        """
        if lacking := self._cases[case.id].lacking:
            raise NotApplicable(lacking)
        shown = self._shown(case)
        _make(shown)
        return self.inner.generate(shown, seed)

    def remarks(self, cases: Sequence[Case]) -> Sequence[str]:
        """The method's own."""
        return self.inner.remarks([self._shown(case) for case in cases])

    def notes(self, case: Case) -> Sequence[Note]:
        """The method's own."""
        return self.inner.notes(self._shown(case))

    def _shown(self, case: Case) -> Case:
        # A method may need another size of clip than the suite's.
        return self._cases[case.id].shown.model_copy(update={"clip": case.clip})


def _make(case: Case, used: Collection[Path | Media | str] | None = None) -> None:
    """Write the references that are played otherwise: all of them, or those that are used already."""
    for video in (reference.video for reference in case.references):
        if isinstance(video, Edited) and (used is None or video.path in used):
            video.make()


@dataclass(frozen=True)
class Probe:
    """One method's part of a probe."""

    method: str
    """What it is called: its run folder's name."""
    own: RunPlan
    """The ordinary run."""
    counterfactual: RunPlan
    both: RunPlan | None
    """With two references; None for a method that does not say it takes several."""

    @property
    def plans(self) -> list[RunPlan]:
        """All of them, in the order to run."""
        return [plan for plan in (self.own, self.counterfactual, self.both) if plan is not None]


@dataclass(frozen=True)
class Setting:
    """What is asked, of whom, and by which columns."""

    selection: Selection
    cells: tuple[Cell, ...]
    contrast: CaptionLevel
    """The caption that stands against the own one: ``empty`` where nobody wrote captions without the effect."""
    cases: tuple[Counterfactual, ...]
    without: int
    """Cases whose caption without the effect is known."""
    columns: tuple[MetricSpec, ...]
    """The first says how much of the reference's effect is there."""
    probes: tuple[Probe, ...]
    root: Path

    @property
    def plans(self) -> list[RunPlan]:
        """Every run."""
        return [plan for probe in self.probes for plan in probe.plans]


def alignment_columns(selection: Selection, metrics: Sequence[str] | None) -> tuple[MetricSpec, ...]:
    """The columns that are asked for; else those of the suite that tell its effect, and its leakage.

    Raises:
        UsageError: the first that is asked for does not, or less of it is better, or the suite has none.
    """
    if metrics:
        wanted = columns(metrics)
        if not _sees_the_effect(wanted[0]):
            raise UsageError(
                f"A probe's first metric must look at the reference, and {wanted[0].label} does not; put another "
                "before it, such as semantic_alignment[judge]:model=MODEL (docs/guides/judge.md).",
                ErrorKind.CONFLICT,
                "metric",
            )
        if not wanted[0].metric.higher_is_better:
            raise UsageError(
                f"Of {wanted[0].label} less is better, and effects are read as more of the reference's effect; "
                "put another before it.",
                ErrorKind.INVALID,
                "metric",
            )
        return tuple(wanted)
    found = [
        column
        for column in columns(selection.suite.metrics)
        if _sees_the_effect(column) and column.metric.higher_is_better
    ]
    if not found:
        raise UsageError(
            f"No usual column of suite {selection.suite.name} looks at the reference; name one: "
            '--metric "semantic_alignment[judge]:model=MODEL" (docs/guides/judge.md)',
            ErrorKind.MISSING,
            "metric",
        )
    return (*found, *columns([LEAKAGE]))


def _sees_the_effect(column: MetricSpec) -> bool:
    """Whether a column knows which effect is meant: from the reference, or because the suite tells it."""
    return "reference" in column.metric.needs or column.metric.name.startswith("semantic_alignment[")


def known_captions(selection: Selection, data: Path | None, file: Path | None) -> dict[str, Captions]:
    """Captions of every case of the suite: of the table, or as the suite writes them.

    Raises:
        DataError: the table cannot be read, or names a case that there is not.
    """
    donors = {case.id: donor.condition for case in selection.among if (donor := donor_of(case, selection.among))}
    return find_captions(selection.suite, selection.among, donors, data, file)


def set_up(
    selection: Selection,
    methods: Sequence[str],
    shared: Mapping[str, str | None],
    metrics: Sequence[str] | None,
    which: Cells,
    seeds: Sequence[int],
    results: Path,
    data: Path | None = None,
    captions: Path | None = None,
    tentative: bool = False,
) -> Setting:
    """Lay out every run of a probe. Nothing is loaded or written.

    Args:
        selection: the cases.
        methods: as the command line spells them.
        shared: parameters for every method that has them.
        metrics: names of columns; None for the suite's that tell its effect, and its leakage.
        which: which counterfactuals.
        seeds: of every case; the same in every cell.
        results: where runs are kept.
        data: the suite's data.
        captions: a table of captions (:mod:`vapbench.validation.probe.captions`).
        tentative: whether absent weights are only noted.

    Raises:
        UsageError: an unknown method, metric or parameter.
        DataError: the table of captions, or the data, is not what it should be, or a folder has no video of any case.
    """
    wanted = alignment_columns(selection, metrics)
    known = known_captions(selection, data, captions)
    without = sum(bool(known[case.id].without) for case in selection.cases if case.id in known)
    contrast: CaptionLevel = "without" if without else "empty"
    cells = cells_of(which, contrast)
    root = results / FOLDER
    made = counterfactuals(selection, (*cells, BOTH), known, root / "references")
    probes = []
    for text in dict.fromkeys(methods):
        resolved = resolve(text, shared, selection.suite.name)
        own = _plan(selection, resolved, selection.cases, seeds, results, tentative)
        single = [each for each in made if each.cell != BOTH]
        shown = _plan(selection, _showing(resolved, single), _judged(single), seeds, root, tentative)
        if isinstance(resolved.method, Folder):
            _refuse_none(resolved.method, selection.cases, _judged(single))
        two = None
        if _takes_several(resolved) and which != "core":
            pairs = [each for each in made if each.cell == BOTH]
            several = resolve(_with_two(text), shared, selection.suite.name)
            two = _plan(selection, _showing(several, pairs), _judged(pairs), seeds, root, tentative)
        probes.append(Probe(own.folder.path.name, own, shown, two))
    return Setting(selection, cells, contrast, tuple(made), without, wanted, tuple(probes), root)


def _showing(method: ResolvedMethod, cases: Sequence[Counterfactual]) -> ResolvedMethod:
    if isinstance(method.method, Folder):
        # Whoever has videos was shown the counterfactuals already, and named the videos after them.
        return method
    return replace(method, method=CounterfactualMethod(method.method, {each.judged.id: each for each in cases}))


def _refuse_none(folder: Folder, own: Sequence[Case], counterfactual: Sequence[Case]) -> None:
    if not folder.seeds([*own, *counterfactual]):
        raise DataError(
            f"{folder.path}: no video of any case; call them {own[0].id}.mp4, {counterfactual[0].id}.mp4, and so on "
            "(docs/guides/probe.md).",
            ErrorKind.MISSING,
            "path",
        )


def _judged(cases: Sequence[Counterfactual]) -> list[Case]:
    return [each.judged for each in cases]


def _plan(
    selection: Selection,
    method: ResolvedMethod,
    cases: Sequence[Case],
    seeds: Sequence[int],
    results: Path,
    tentative: bool,
) -> RunPlan:
    among = [*selection.among, *cases] if isinstance(method.method, Folder) else selection.among
    return plan_run(
        *(selection.suite.name, selection.task.name, method, cases, seeds, results),
        among=among,
        tentative=tentative,
        suite_version=selection.suite.version,
    )


def _takes_several(method: ResolvedMethod) -> bool:
    """Whether it has a parameter ``references`` at 1, the number of references it is shown."""
    return method.parameters.get("references") == 1


def _with_two(text: str) -> str:
    return f"{text}{',' if Spec.parse(text).parameters else ':'}references=2"

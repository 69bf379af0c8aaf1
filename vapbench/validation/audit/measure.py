"""Score known edits of videos, and say of each column what the scores did."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vapbench.core.case import Case, Media, NoMedia, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import write_lossless
from vapbench.errors import NotApplicable
from vapbench.metrics.base import Change, Metric, Score
from vapbench.metrics.view import ClipView
from vapbench.running.plan import MetricSpec
from vapbench.stats.intervals import Estimate, clustered_mean, fixed_conditions
from vapbench.stats.paired import PairedDifference, Pairs, paired_differences
from vapbench.validation.audit.edits import EDITS, Staged

if TYPE_CHECKING:
    import torch

    from vapbench.running.context import Progress

MARGIN = 0.05
"""A change counts from this share of the greatest mean change that any edit makes to the column."""

LEVEL = 0.05
"""Of the sign-flip test that a change must pass: with fewer than 6 units none can."""

Verdict = Literal["sees", "blind", "fooled", "steady", "disturbed", "unclear"]


@dataclass(frozen=True)
class Subject:
    """A case with a video that is right for it."""

    case: Case
    video: Media


@dataclass(frozen=True)
class Scores:
    """What one column gave the original and the edited videos of one case; None: unscored."""

    case: str
    condition: str
    category: str
    original: float | None
    edited: Mapping[Change, float | None]
    reason: str = ""
    """Why something is unscored."""


@dataclass(frozen=True)
class Effect:
    """What an edit does to a column."""

    edit: Change
    change: PairedDifference
    """Edited minus original, in the column's unit, positive where the score got better; signs are flipped by
    condition."""
    share: float
    """How often the original scores better than the edited, ties counting half."""
    verdict: Verdict
    moved: float
    """Mean of the absolute change."""


@dataclass(frozen=True)
class Audit:
    """One column's row of the matrix."""

    column: str
    metric: Metric
    original: Estimate | None
    effects: tuple[Effect, ...]
    broken: tuple[Change, ...]
    """Edits it is declared invariant to, and is not."""
    unscored: Mapping[str, int] = field(default_factory=dict)
    """Why cases have no score, and how many."""


def measure(
    subjects: Sequence[Subject], columns: Sequence[MetricSpec], device: torch.device, progress: Progress
) -> dict[str, list[Scores]]:
    """Score the original and every edit of every subject, by column.

    A column that cannot be set up is left out, as is one that the suite's cases have nothing for; the scores say why.
    """
    metrics = {}
    why: dict[str, str] = {}
    for column in columns:
        try:
            column.metric.setup(device)
            metrics[column.label] = column.metric
        except NotApplicable as error:
            why[column.label] = str(error)
    found: dict[str, list[Scores]] = {column.label: [] for column in columns}
    progress.begin("audit", len(subjects))
    for number, subject in enumerate(subjects):
        with tempfile.TemporaryDirectory() as place:
            stage = _Stage(subject, _other(subjects, number), device, Path(place))
            for label, metric in metrics.items():
                found[label].append(stage.scores(metric))
        for label, reason in why.items():
            found[label].append(stage.without(reason))
        progress.step(subject.case.id, "ok")
    progress.end()
    return found


def audit(column: MetricSpec, scores: Sequence[Scores]) -> Audit:
    """Sum up the scores of a column; changes are tested by :mod:`vapbench.stats.paired`."""
    metric = column.metric
    kept = [score for score in scores if score.original is not None]
    unscored: dict[str, int] = {}
    for score in scores:
        if score.original is None:
            unscored[score.reason] = unscored.get(score.reason, 0) + 1
    if not kept:
        return Audit(column.label, metric, None, (), (), unscored)
    clusters = _clusters(kept)
    original = clustered_mean([_known(score.original) for score in kept], clusters, bounds=metric.range)
    changes = {edit: _changes(metric, kept, edit) for edit in EDITS}
    means = {edit: sum(values.values()) / len(values) for edit, values in changes.items() if values}
    margin = MARGIN * max((abs(mean) for mean in means.values()), default=0.0)
    by_case = {score.case: cluster for score, cluster in zip(kept, clusters, strict=True)}
    effects = _effects(changes, means, by_case, margin)
    broken = tuple(
        effect.edit for effect in effects if effect.edit in metric.invariant_to and effect.moved > max(margin, 1e-9)
    )
    return Audit(column.label, metric, original, tuple(effects), broken, unscored)


def concordance(scores: Sequence[Scores], others: Sequence[Scores], signs: tuple[int, int] = (1, 1)) -> Estimate | None:
    """How often two columns order two versions of one video alike; ties of either count half. 0.5 is chance.

    Args:
        scores: of one column.
        others: of the other, of the same cases.
        signs: 1 for a column where more is better, -1 where less is.
    """
    values, cases = [], []
    for mine, theirs in zip(scores, others, strict=True):
        pairs = [
            (signs[0] * _known(a), signs[1] * _known(b))
            for a, b in zip(_versions(mine), _versions(theirs), strict=True)
            if a is not None and b is not None
        ]
        alike = [
            ((x[0] > y[0]) - (x[0] < y[0])) * ((x[1] > y[1]) - (x[1] < y[1]))
            for n, x in enumerate(pairs)
            for y in pairs[:n]
        ]
        if alike:
            values.append((1 + sum(alike) / len(alike)) / 2)
            cases.append(mine)
    return clustered_mean(values, _clusters(cases), bounds=(0.0, 1.0)) if values else None


def _versions(score: Scores) -> Iterator[float | None]:
    yield score.original
    yield from (score.edited.get(edit) for edit in EDITS)


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _clusters(scores: Sequence[Scores]) -> list[str]:
    conditions = [score.condition for score in scores]
    return [score.case for score in scores] if fixed_conditions(conditions) else conditions


def _changes(metric: Metric, scores: Sequence[Scores], edit: Change) -> dict[str, float]:
    sign = 1 if metric.higher_is_better else -1
    return {
        score.case: sign * (edited - _known(score.original))
        for score in scores
        if (edited := score.edited.get(edit)) is not None
    }


def _effects(
    changes: Mapping[Change, Mapping[str, float]],
    means: Mapping[Change, float],
    clusters: Mapping[str, str],
    margin: float,
) -> list[Effect]:
    family = [
        Pairs(list(of.values()), [0.0] * len(of), [clusters[case] for case in of]) for of in changes.values() if of
    ]
    found = zip(means, paired_differences(family), strict=True)
    return [
        Effect(
            edit,
            change,
            (change.losses + change.ties / 2) / change.n,
            _verdict(change, margin, EDITS[edit].harmless),
            math.fsum(map(abs, changes[edit].values())) / change.n,
        )
        for edit, change in found
    ]


def _verdict(change: PairedDifference, margin: float, harmless: bool) -> Verdict:
    if abs(change.mean) <= margin:
        return "steady" if harmless else "blind"
    if change.p >= LEVEL:
        return "unclear"
    if harmless:
        return "disturbed"
    return "sees" if change.mean < 0 else "fooled"


def _other(subjects: Sequence[Subject], number: int) -> Subject | None:
    """A case of another condition, of the same category where there is one: the hardest to tell apart."""
    case = subjects[number].case
    later = [*subjects[number + 1 :], *subjects[:number]]
    others = [other for other in later if other.case.condition != case.condition]
    return next(iter([other for other in others if other.case.category == case.category] or others), None)


class _Stage:
    """One subject, decoded once, with files for what edits make of its reference."""

    def __init__(self, subject: Subject, other: Subject | None, device: torch.device, place: Path) -> None:
        self._case, self._device, self._place = subject.case, device, place
        self._staged = _stage(subject, other)
        reference = self._staged.reference
        self._reference = ClipView(reference, subject.case, device) if reference else None
        self._views: dict[Change | None, tuple[ClipView, Case] | None] = {}

    def scores(self, metric: Metric) -> Scores:
        original, reason = self._score(metric, None)
        edited: dict[Change, float | None] = {}
        if original is not None:
            for edit in EDITS:
                if edit == "wrong-caption" and "prompt" not in metric.needs and self._case.caption:
                    # What it does not need cannot change it: score keys rest on the same promise.
                    edited[edit] = original
                else:
                    edited[edit], _ = self._score(metric, edit)
        return self._row(original, edited, reason)

    def without(self, reason: str) -> Scores:
        return self._row(None, {}, reason)

    def _row(self, original: float | None, edited: Mapping[Change, float | None], reason: str) -> Scores:
        case = self._case
        return Scores(case.id, case.condition, case.category or "", original, edited, reason)

    def _score(self, metric: Metric, edit: Change | None) -> tuple[float | None, str]:
        if edit not in self._views:
            self._views[edit] = self._view(edit)
        staged = self._views[edit]
        if staged is None:
            return None, ""
        try:
            answer: Any = metric.score(*staged)
        except NotApplicable as error:
            return None, str(error)
        value = answer.value if isinstance(answer, Score) else float(answer)
        return value, answer.note if isinstance(answer, Score) and value is None else ""

    def _view(self, edit: Change | None) -> tuple[ClipView, Case] | None:
        staged = EDITS[edit].apply(self._staged) if edit else self._staged
        if staged is None:
            return None
        case = self._case
        if staged.caption != case.caption:
            case = case.model_copy(update={"caption": staged.caption})
        if staged.reference is not self._staged.reference and staged.reference is not None:
            media = self._write(f"{edit}-reference.mkv", staged.reference)
            case = case.model_copy(update={"references": (Reference(video=media, caption=case.reference.caption),)})
        if staged.image is not self._staged.image and staged.image is not None:
            case = case.model_copy(update={"image": self._write(f"{edit}-image.mkv", Clip(staged.image[None], 1))})
        view = ClipView(staged.clip, case, self._device)
        if staged.reference is self._staged.reference and (reference := self._reference):
            # What one edit's score computed of the reference serves the others.
            view.shared("reference", lambda: reference)
        return view, case

    def _write(self, name: str, clip: Clip) -> Media:
        write_lossless(self._place / name, clip)
        return Media(path=self._place / name)


def _stage(subject: Subject, other: Subject | None = None) -> Staged:
    case = subject.case
    reference = case.reference.video
    return Staged(
        clip=subject.video.read(),
        reference=None if isinstance(reference, NoMedia) else reference.read(),
        image=None if isinstance(case.image, NoMedia) else case.image.first_frame(),
        caption=case.caption,
        other=_stage(other) if other else None,
    )

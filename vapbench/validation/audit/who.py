"""What an audit is made on: right videos of cases, and the columns that can be audited anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vapbench.core.case import Case, Media, NoMedia
from vapbench.errors import DataError, ErrorKind, NotApplicable
from vapbench.metrics import REGISTRY, resolve
from vapbench.metrics.base import PaidMetric
from vapbench.running.run import choose, open_folder
from vapbench.validation.audit.measure import Subject
from vapbench.validation.pairing import in_turn


def subjects_of(suite: str, data: Path | None, task: str, videos: Path | None, limit: int) -> list[Subject]:
    """Cases with a right video each: the ground truth, or one of a folder that is named after the case.

    The gallery has no ground truth: there it is the released output, from which each case's first frame was taken.

    Raises:
        DataError: no case has such a video, or they are all of one condition and fewer than two.
        UsageError: an unknown suite or task, or data that is needed and absent.
    """
    from vapbench.suites import find_suite

    alone = find_suite(suite).data == "videos"
    selection = choose(suite, videos if alone and videos else data, task)
    if videos:
        _, folder = open_folder(videos, "all", selection)
        found = {case.id: folder.video(case.id) for case in selection.cases}
        subjects = [Subject(case, Media(path=path)) for case in selection.cases if (path := found[case.id])]
    else:
        subjects = [Subject(case, video) for case in selection.cases if (video := _right(case))]
    if not subjects:
        raise DataError(
            f"Suite {suite} has no ground truth to edit; name a folder of right videos: --videos DIR",
            ErrorKind.MISSING,
            "videos",
        )
    return _spread_over_conditions(subjects)[:limit]


def _right(case: Case) -> Media | None:
    if case.target:
        return case.target
    released = any(note.kind == "image-from-output" for note in case.notes)
    return case.image if released and not isinstance(case.image, NoMedia) else None


def _spread_over_conditions(subjects: Sequence[Subject]) -> list[Subject]:
    """One of each condition, then a second of each, and so on, categories taking turns."""

    def condition(subject: Subject) -> tuple[str, str]:
        return subject.case.category or "", subject.case.condition

    order = in_turn(dict.fromkeys(map(condition, subjects)), lambda named: named[0])
    return in_turn(sorted(subjects, key=lambda subject: order.index(condition(subject))), condition)


def without_weights() -> list[str]:
    """Built-in metrics of any case that need no download and no payment: without weights, or with those that ship."""
    from vapbench.running.device import torch_device

    found = []
    for entry in REGISTRY:
        if entry.point is not None or issubclass(entry.load(), PaidMetric):
            continue
        metric, _ = resolve(entry.name)
        if metric.cases:
            continue
        try:
            metric.setup(torch_device("cpu"))
        except NotApplicable:
            continue
        found.append(entry.name)
    return found

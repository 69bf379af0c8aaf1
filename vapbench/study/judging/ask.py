"""Asking a model: the blinded media that people see, one question a trial, resumed where it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vapbench.core.images import read_image
from vapbench.core.video import read_video
from vapbench.errors import BudgetSpent, ErrorKind, TooManyFailures, UsageError, VapbenchError
from vapbench.files.text import counted
from vapbench.metrics.base import Cost
from vapbench.metrics.judge.choice import Choice, ChoiceQuestion, Chooser, chooser_of, wording_identity
from vapbench.metrics.judge.question import Shown, picture_shown, video_shown
from vapbench.results.rows import Failure as RowFailure
from vapbench.running.context import Progress
from vapbench.running.plan import MetricSpec
from vapbench.study.design.assign import Trial
from vapbench.study.folder import StudyFolder
from vapbench.study.judging.log import Failure, Head, ModelLog, ModelVote, load_model
from vapbench.study.judging.trials import model_trials
from vapbench.study.protocol import Check, Protocol, StudyCase
from vapbench.study.votes import CHECK_ROLES

MOST_FAILURES = 5
"""In a row: then something is wrong that asking on does not fix."""


@dataclass(frozen=True)
class Asked:
    """What is still to be asked of a model."""

    folder: StudyFolder
    protocol: Protocol
    column: MetricSpec
    chooser: Chooser
    passes: int
    planned: int
    missing: tuple[tuple[str, Trial], ...]


def set_up(folder: StudyFolder, column: MetricSpec, passes: int) -> Asked:
    """Lay out what a model will be asked, without what it has answered.

    Raises:
        UsageError: the metric cannot choose between videos, or the study was not opened.
        DataError: the log of before is damaged.
        IdentityError: the protocol is not the one the study was opened with.
    """
    chooser = chooser_of(column.metric)
    if chooser is None:
        raise UsageError(
            f"{column.label} cannot be a rater: use semantic_alignment[judge] or semantic_alignment[local].",
            ErrorKind.INVALID,
            "metric",
        )
    if not folder.opened:
        raise UsageError(
            f"{folder.path} has not been opened, and its questions may still change: vapbench study serve first.",
            ErrorKind.MISSING,
            "opening.json",
        )
    protocol = folder.protocol()
    known = load_model(folder, protocol, column.slug)
    passes = max(passes, known.head.passes if known else 1)
    trials = model_trials(protocol, passes)
    answered = {vote.trial for vote in known.votes} if known else set()
    missing = tuple((name, trial) for name, trial in trials if name not in answered)
    return Asked(folder, protocol, column, chooser, passes, len(trials), missing)


def cost_of(asked: Asked) -> Cost:
    """What the missing answers cost: counted from what would be sent."""
    ask = _Questions(asked)
    total = Cost()
    for _, trial in asked.missing:
        media = asked.protocol.media[trial.media[0]]
        question = ask.outline(trial)
        total += asked.chooser.choice_cost(question, media.height, media.width)
    return total


def ask(asked: Asked, progress: Progress) -> int:
    """Ask what is missing, several trials at once if the model allows; each answer is on disk before the next.

    Returns:
        Trials that have no usable answer; the log says why, and the same command asks them again.

    Raises:
        TooManyFailures: so many failed one after another.
        BudgetSpent: paid calls ran out; the same command goes on.
    """
    head = Head(
        column=asked.column.label,
        identity={**(asked.column.metric.identity() or {}), "choice": wording_identity()},
        study=asked.protocol.id,
        protocol_sha256=asked.protocol.sha256,
        passes=asked.passes,
    )
    log = ModelLog(asked.folder, asked.column.slug, head)
    progress.begin(f"{asked.protocol.id} · {asked.column.label}", len(asked.missing))
    answered = failed = in_a_row = 0
    try:
        for name, trial, answer in _answers(asked):
            if isinstance(answer, Choice):
                log.add(_vote(name, trial, answer))
                progress.step(name, "ok")
                answered, in_a_row = answered + 1, 0
                continue
            failed, in_a_row = failed + 1, in_a_row + 1
            log.add(Failure(failed=name, problem=str(answer)))
            progress.failed(name, RowFailure(type(answer).__name__, str(answer), ""), "")
            progress.step(name, "failed")
            if in_a_row >= MOST_FAILURES:
                raise TooManyFailures(f"{counted(in_a_row, 'trial')} in a row failed; the last: {answer}")
    except BudgetSpent as error:
        raise BudgetSpent(
            f"{error}: {len(asked.missing) - answered} of {counted(asked.planned, 'trial')} left to ask."
        ) from None
    finally:
        progress.end()
        log.close()
    return failed


def _answers(asked: Asked) -> Iterator[tuple[str, Trial, Choice | VapbenchError]]:
    """Answers as they come; after the budget is spent those under way are still taken."""
    questions, chooser = _Questions(asked), asked.chooser
    waiting = iter(asked.missing)
    spent: BudgetSpent | None = None
    under_way: dict[Future[Choice], tuple[str, Trial]] = {}
    with ThreadPoolExecutor(chooser.concurrency) as pool:
        try:
            while True:
                while spent is None and len(under_way) < chooser.concurrency:
                    if (following := next(waiting, None)) is None:
                        break
                    # Here: decoding shares a cache that is one thread's.
                    question = questions.of(following[1])
                    under_way[pool.submit(chooser.choose, question)] = following
                if not under_way:
                    break
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    name, trial = under_way.pop(future)
                    try:
                        yield name, trial, future.result()
                    except BudgetSpent as error:
                        spent = error
                    except VapbenchError as error:
                        yield name, trial, error
        finally:
            pool.shutdown(cancel_futures=True)
    if spent is not None:
        raise spent


class _Questions:
    """Trials as questions."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        # A case's videos come again soon: its cells follow each other no more than the design allows.
        self._video = lru_cache(maxsize=64)(self._read)

    def of(self, trial: Trial) -> ChoiceQuestion:
        """With pictures."""
        reference, image = self._given(trial)
        return self._question(
            trial,
            self._video(self._path(reference)),
            picture_shown(read_image(self._path(image))) if image else None,
            tuple(self._video(self._path(media)) for media in trial.media),
        )

    def outline(self, trial: Trial) -> ChoiceQuestion:
        """As many pictures, none of them read: for what it costs."""
        reference, image = self._given(trial)
        return self._question(
            trial,
            self._blank(reference),
            self._blank(image) if image else None,
            tuple(self._blank(media) for media in trial.media),
        )

    def _question(
        self, trial: Trial, reference: Shown, image: Shown | None, results: Sequence[Shown]
    ) -> ChoiceQuestion:
        protocol = self._asked.protocol
        question = protocol.question(trial.question)
        prompt = self._item(trial).prompt
        return ChoiceQuestion(question.wording, question.help, prompt, reference, image, tuple(results), protocol.ties)

    def _item(self, trial: Trial) -> StudyCase | Check:
        protocol = self._asked.protocol
        return protocol.check(trial.cell) if trial.role in CHECK_ROLES else protocol.case(trial.case)

    def _given(self, trial: Trial) -> tuple[str, str | None]:
        item = self._item(trial)
        return item.reference, item.image

    def _path(self, media: str) -> Path:
        return self._asked.folder.media_path(self._asked.protocol, media)

    def _read(self, path: Path) -> Shown:
        return video_shown(read_video(path), self._asked.chooser.frames)

    def _blank(self, media: str) -> Shown:
        import numpy as np

        facts = self._asked.protocol.media[media]
        count = min(self._asked.chooser.frames, facts.frames)
        return Shown((np.zeros((1, 1, 3), dtype=np.uint8),) * count, (0.0,) * count)


def _vote(name: str, trial: Trial, answer: Choice) -> ModelVote:
    return ModelVote(
        trial=name,
        role=trial.role,
        cell=trial.cell,
        case=trial.case,
        question=trial.question,
        order=trial.order,
        choice=answer.choice,
        at_us=time.time_ns() // 1000,
        explanation=answer.explanation,
        served_by=answer.served_by,
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
    )

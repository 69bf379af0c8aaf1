"""Generate the videos that a run lacks; the same call resumes.

The stage ends with hashed videos and rows. A case that fails becomes a row and the run goes on, until more fail than
the run allows. What makes every case fail (a full disk, missing weights) ends the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.containers import suffix_of
from vapbench.core.video import read_video, write_lossless, write_video
from vapbench.errors import blaming
from vapbench.files.atomic import file_sha256
from vapbench.files.provenance import now
from vapbench.methods.base import Method
from vapbench.results.rows import GenerationRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import import_video, video_name
from vapbench.running import attempt as attempts
from vapbench.running.attempt import Attempted
from vapbench.running.context import RunContext, Settings
from vapbench.running.device import torch_device
from vapbench.running.isolated import Isolated
from vapbench.running.pending import pending
from vapbench.running.plan import Job, RunPlan


def generate(context: RunContext, plan: RunPlan) -> None:
    """Generate what the run folder lacks.

    Raises:
        TooManyFailures: more cases failed than the settings allow.
        WeightsError: the method's weights cannot be loaded.
        OSError: a video or row cannot be written.
        KeyboardInterrupt: Ctrl-C; the case at hand is finished unless it was pressed twice.
    """
    todo, counts = pending(plan, context.settings.refresh), context.generated
    counts.total, counts.kept, counts.kept_failed = len(plan.jobs), todo.kept, todo.kept_failed
    for row in todo.restored:
        context.writer.append(row)
    if todo.jobs:
        _generate(context, plan, todo.jobs)
        attempts.free_memory()
    context.settings.max_case_failures.check(counts, "case")


def _generate(context: RunContext, plan: RunPlan, jobs: Sequence[Job]) -> None:
    # What setup loads hangs on this copy, and goes with it: the next stage has the memory to itself.
    method = copy(plan.method.method)
    device = torch_device(context.settings.device)
    context.progress.tell(f"Loading {method.name} …")

    def load(job: Job) -> None:
        # Decoded frames stay in this process, so for a method in its own they would be decoded in vain.
        if context.settings.case_timeout is None:
            job.case.reference.video.prefetch()

    def work(job: Job, _: None) -> Attempted:
        attempted = attempt(job.case, job.seed)
        job.case.reference.video.release()
        return attempted

    def finish(job: Job, attempted: Attempted) -> None:
        row = replace(generation_row(job, attempted, plan.folder), code=plan.method.code)
        context.record(row, row.attempts)

    with loaded_method(method, device, context.settings) as attempt:
        context.work_through(jobs, load, work, finish, "generate", len(jobs))


@contextmanager
def loaded_method(method: Method, device: Any, settings: Settings) -> Iterator[Callable[[Case, int], Attempted]]:
    """The method, set up: what gives a clip for a case and a seed."""
    if settings.case_timeout is not None:
        with Isolated(method, device, settings.retries, settings.case_timeout) as isolated:
            yield isolated
        return
    # Code of others may change the working folder; ours names files relative to it.
    with blaming(f"{method.name} cannot be set up"), chdir("."):
        method.setup(device)
    yield lambda case, seed: attempts.attempt(method, case, seed, settings.retries, device)


def generation_row(job: Job, attempted: Attempted, folder: RunFolder) -> GenerationRow:
    """The row of an attempt, after its video is written into ``folder``.

    Raises:
        OSError: the disk does not take the video.
    """
    row = GenerationRow(
        key=job.key,
        case=job.case.id,
        condition=job.case.condition,
        category=job.case.category,
        seed=job.seed,
        status="failed",
        seconds=round(attempted.seconds, 3),
        peak_mb=attempted.peak_mb,
        note=attempted.unscored or attempted.note,
        attempts=attempted.failures,
        ended=now("milliseconds"),
        notes=attempted.notes,
    )
    if info := attempted.info:
        # A header that does not say how many frames there are says 0.
        row = replace(row, frames=info.frames or None, height=info.height, width=info.width, fps=info.fps)
    if attempted.unscored:
        return replace(row, status="unscored")
    if attempted.made is None:
        return row
    made = attempted.made
    # A file that was given stays as it is: written anew, it would score otherwise.
    suffix = ".mp4" if isinstance(made, Clip) else ".mkv" if made.is_dir() else suffix_of(made)
    name = video_name(job.case.id, job.seed, job.key, suffix)
    began = time.perf_counter()
    try:
        if isinstance(made, Clip):
            write_video(folder.videos / name, made)
        elif made.is_dir():
            write_lossless(folder.videos / name, replace(read_video(made), fps=job.case.clip.fps))
        else:
            import_video(made, folder.videos / name)
    except OSError:
        # The disk, not the case: no later case would fare better.
        raise
    except Exception as error:
        return replace(row, attempts=(*row.attempts, attempts.failure_of(error)))
    sha256 = file_sha256(folder.videos / name)
    seconds = round(time.perf_counter() - began, 3)
    return replace(row, status="ok", video=name, sha256=sha256, encode_seconds=seconds, ended=now("milliseconds"))

"""How cost grows with the work: plan, resume and report for 1e2 to 1e6 rows, each in a process of its own.

* plan: lay a run out, every key computed; rows are generations.
* resume: find out that a run is finished. Of its rows one in ten is a generation with a (small) video, whose hash is
  checked; nine are scores.
* report: the whole command, on as many methods as a board might have.

Prints seconds of processor and peak memory, and draws both. Building the rows takes longer than measuring them: about
two minutes and 2 GB of disk for 1e6 rows on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from report import METRICS, environment, write_rows, write_run

from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.files.atomic import file_sha256
from vapbench.methods import resolve
from vapbench.metrics.base import Metric
from vapbench.results.keys import column_slug
from vapbench.results.rows import GenerationRow, ScoreRow
from vapbench.running.pending import pending, pending_scores
from vapbench.running.plan import MetricSpec, RunPlan, plan_run

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
STAGES = ("plan", "resume", "report")
SEEDS, COLUMNS = 5, 9
AIMS = {("plan", 100_000): 1.0, ("resume", 1_000_000): 5.0, ("report", 1_000_000): 5.0}
"""Seconds."""
AIM_GB = 1.0


@dataclass(frozen=True)
class Cost:
    """What one stage took."""

    stage: str
    rows: int
    seconds: float
    """Of processor: what it takes on a machine that does nothing else."""
    peak_mb: float


class Constant(Metric):
    """A metric that is never asked: everything is scored already."""

    version = 1
    higher_is_better = True
    unit = ""
    needs = frozenset({"prompt"})

    def __init__(self, name: str) -> None:
        """Name it."""
        self.name = name


def cases_of(folder: Path, number: int) -> list[Case]:
    """Cases that share one reference and one image, so that building them is not what is measured."""
    for name in ("reference", "image"):
        (folder / name).write_bytes(name.encode())
    reference, image = Media(path=folder / "reference"), Media(path=folder / "image")
    return [
        Case(
            id=f"case-{index}",
            condition=f"condition-{index % 24}",
            category="camera",
            references=(Reference(video=reference),),
            image=image,
            caption=f"Caption {index}.",
            clip=ClipSpec(frames=13, fps=8, height=64, width=64),
        )
        for index in range(number)
    ]


def plan_of(folder: Path, videos: int) -> RunPlan:
    """A plan of about so many videos."""
    cases, method = cases_of(folder, math.ceil(videos / SEEDS)), resolve("noise")
    return plan_run("mini", "all", method, cases, range(SEEDS), folder)


def write_finished(folder: Path, rows: int) -> None:
    """Write a run of which nothing is left to do."""
    plan = plan_of(folder, rows // (1 + COLUMNS))
    plan.folder.videos.mkdir(parents=True)
    (plan.folder.path / "scores").mkdir()
    made = []
    for number, job in enumerate(plan.jobs):
        path = plan.folder.videos / f"{number}.mp4"
        path.write_bytes(number.to_bytes(8))
        row = GenerationRow(job.key, job.case.id, job.case.condition, "camera", job.seed, "ok", path.name)
        made.append(replace(row, sha256=file_sha256(path)))
    write_rows(plan.folder.generations_path, made)
    for column in columns():
        scores = [
            ScoreRow(
                key=column.key(job.case, job.seed, str(row.sha256)),
                metric=column.metric.name,
                version=1,
                params={},
                case=row.case,
                condition=row.condition,
                category=row.category,
                seed=row.seed,
                video_sha256=str(row.sha256),
                case_sha256="",
                status="ok",
                value=0.5,
            )
            for job, row in zip(plan.jobs, made, strict=True)
        ]
        write_rows(plan.folder.scores_path(column_slug(column.metric.name, {})), scores)


def columns() -> list[MetricSpec]:
    """The columns of the finished run."""
    return [MetricSpec(Constant(f"metric_{number}"), {}, ()) for number in range(COLUMNS)]  # type: ignore[arg-type]


@contextmanager
def prepared(stage: str, rows: int) -> Iterator[Path]:
    """A folder with what the stage works on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if stage == "resume":
            write_finished(folder, rows)
        if stage == "report":
            methods = max(1, min(100, rows // 1_000))
            for number in range(methods):
                method = f"method-{number:03}"
                cases = max(1, rows // methods // (1 + METRICS))
                write_run(folder / "mini" / method, method, random.Random(number), cases)
        yield folder


def work(stage: str, folder: Path, rows: int) -> float:
    """Do one stage, in this process, and return its seconds of processor."""
    if stage == "plan":
        began = time.process_time()
        plan_of(folder, rows)
        return time.process_time() - began
    plan = plan_of(folder, rows // (1 + COLUMNS))
    began = time.process_time()
    todo = [*pending(plan, "missing").jobs, *pending_scores(plan.folder, plan.cases, columns(), None, "missing").jobs]
    took = time.process_time() - began
    if todo:
        raise RuntimeError(f"{len(todo)} of a finished run's results are to be made again")
    return took


def measure(stage: str, rows: int) -> Cost:
    """Run one stage in a process of its own."""
    with prepared(stage, rows) as folder:
        command = [sys.executable, __file__, "--inside", stage, str(folder), str(rows)]
        if stage == "report":
            command = [sys.executable, "-m", "vapbench", "report", "--results", str(folder)]
        # wait4 tells the peak of this one child; getrusage would tell that of all so far.
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, stdout=output, env=environment())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = usage.ru_utime + usage.ru_stime
            output.seek(0)
            said = output.read()
    if process.returncode:
        raise RuntimeError(f"{stage} of {rows} rows ended with {process.returncode}")
    if stage != "report":
        seconds = json.loads(said)
    return Cost(stage, rows, seconds, usage.ru_maxrss / 2**10)


def draw(costs: Sequence[Cost], path: Path) -> None:
    """Draw seconds and memory over rows."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for stage in dict.fromkeys(cost.stage for cost in costs):
        chosen = [cost for cost in costs if cost.stage == stage]
        rows = [cost.rows for cost in chosen]
        axes[0].plot(rows, [cost.seconds for cost in chosen], marker="o", label=stage)
        axes[1].plot(rows, [cost.peak_mb for cost in chosen], marker="o", label=stage)
    for place in dict.fromkeys((rows, seconds) for (_, rows), seconds in AIMS.items()):
        stages = " and ".join(stage for (stage, rows), seconds in AIMS.items() if (rows, seconds) == place)
        axes[0].plot(*([value] for value in place), "v", color="grey")
        axes[0].annotate(f"aim: {stages} ", place, ha="right", va="bottom", color="grey", fontsize=8)
    axes[1].axhline(AIM_GB * 1000, color="grey", linestyle=":")
    for axis, label in zip(axes, ("seconds of processor", "peak memory, MB"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="rows", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure every stage at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=SIZES)
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--out", type=Path, help="draw the curves into this PNG")
    parser.add_argument("--inside", nargs=3, metavar=("STAGE", "FOLDER", "ROWS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        stage, folder, rows = arguments.inside
        print(json.dumps(work(stage, Path(folder), int(rows))))
        return
    costs = []
    for stage in arguments.stages:
        for rows in map(int, arguments.sizes):
            costs.append(cost := measure(stage, rows))
            aim = AIMS.get((stage, rows))
            claim = f" (aim: {aim:g} s, {AIM_GB:g} GB)" if aim else ""
            print(f"{stage:7} {rows:9,} rows  {cost.seconds:7.2f} s  {cost.peak_mb:6.0f} MB{claim}", flush=True)
    if arguments.out:
        draw(costs, arguments.out)


if __name__ == "__main__":
    main()

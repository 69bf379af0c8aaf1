"""What workers give and cost, on Ray and as processes that score: throughput, overhead of a case, memory.

The method is CPU-bound: it computes on one core for a fixed time of that core. Throughput is counted between the first
and the last row, so that starting actors (seconds each, once) is not in it. More workers than the machine has cores
mean nothing: the figures say how many there are.

* throughput: cases a second by number of workers, and over one worker's (aim: 1.8 with two).
* overhead: what a case of a method that only waits costs beyond its waiting, with one worker (aim: under 20 ms);
  the local executor's beside it.
* memory: peak of the driving process, by number of videos, local and on Ray (aim: flat).
* scores: without Ray, a folder of videos scored by ``--workers`` processes of one thread each: what one more clip
  takes, by the clock and of processors, told from a small and a large folder, so that starting processes is not in it.
  Clips a second for each process over those of one (aim: 0.8) mean something only where as many cores do nothing else;
  seconds of processors do also beside other work, and say what several processes cost beyond one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from folders import copies

from vapbench import Clip, Method
from vapbench.core.case import Case, Media
from vapbench.core.video import write_video
from vapbench.methods import ResolvedMethod, resolve
from vapbench.metrics import resolve as resolve_metric
from vapbench.results.rows import Failure, Status
from vapbench.running.context import Settings
from vapbench.running.plan import MetricSpec, plan_run
from vapbench.running.run import choose, execute
from vapbench.running.threads import OnRay

PARTS = ("throughput", "overhead", "memory", "scores")
WORKERS = (1, 2, 4, 8)
PROCESSES, FOLDERS = (1, 2), (6, 30)
"""Processes that score, and clips of the small and of the large folder."""
METRICS = ("dynamic_degree[dis]", "motion_smoothness[warp]", "temporal_flickering")
SECONDS = 0.25
WAIT = 0.05


class Busy(Method):
    """Takes ``compute`` seconds of a core, or waits for ``wait``, and answers with a few frames."""

    name, version = "busy", 1

    def __init__(self, compute: float, wait: float) -> None:
        """Choose how."""
        self.compute, self.wait = compute, wait

    def setup(self, device: object) -> None:
        """Nothing to load."""

    def generate(self, case: Case, seed: int) -> Clip:
        """Take the time, then roll the first frame."""
        # Time of this thread's core, not of the clock: on a shared core the same work takes longer.
        until = time.thread_time() + self.compute
        while time.thread_time() < until:
            sum(range(1000))
        time.sleep(self.wait)
        frame = case.image.first_frame()
        return Clip(np.stack([np.roll(frame, seed + t, axis=1) for t in range(13)]), 8)


class Times:
    """A watcher that notes when rows were written."""

    def __init__(self) -> None:
        """Begin with none."""
        self.at: list[float] = []

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Say nothing."""

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
        """Note the time."""
        self.at.append(time.perf_counter())

    def failed(self, label: str, failure: Failure, hint: str) -> None:
        """Fail loudly: a failed case would be a fast one."""
        raise RuntimeError(f"{label}: {failure.message}")

    def tell(self, message: str) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""


def seconds_a_case(method: Busy, videos: int, on: OnRay | None) -> float:
    """Seconds between rows, after as many rows as there are workers."""
    cases = choose("mini", None, "camera").cases
    seeds = range(-(-videos // len(cases)))
    with tempfile.TemporaryDirectory() as results:
        plan = plan_run("mini", "camera", ResolvedMethod(method, None, {}, {}), cases, seeds, Path(results))
        times = Times()
        execute(plan, (), Settings(device="cpu", ray=on), times)
    first = on.workers or 1 if on else 1
    return (times.at[-1] - times.at[first - 1]) / (len(times.at) - first)


def throughput(workers: Sequence[int], videos: int) -> dict[int, float]:
    """Cases a second, by workers."""
    rates = {}
    for number in workers:
        rates[number] = 1 / seconds_a_case(Busy(SECONDS, 0), videos, OnRay(workers=number))
        aim = " (aim: 1.8)" if number == 2 else ""
        ratio = rates[number] / rates[min(rates)]
        beyond = "" if number <= (os.cpu_count() or 1) else f"; the machine has {os.cpu_count()} cores"
        print(f"{number} workers: {rates[number]:5.2f} cases a second, {ratio:.2f} x one{aim}{beyond}", flush=True)
    return rates


def overhead(videos: int) -> None:
    """Print what a case costs beside its own time."""
    for name, on in (("local", None), ("ray", OnRay(workers=1))):
        beyond = seconds_a_case(Busy(0, WAIT), videos, on) - WAIT
        print(f"{name:5} overhead {1000 * beyond:6.1f} ms a case (aim on Ray: under 20)", flush=True)


def memory(videos: Sequence[int]) -> dict[str, list[float]]:
    """Peak MB of the process that drives the run, by videos."""
    peaks: dict[str, list[float]] = {"local": [], "ray": []}
    for executor, found in peaks.items():
        for number in videos:
            command = [sys.executable, __file__, "--inside", executor, str(number)]
            process = subprocess.Popen(command)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError(f"{number} videos on {executor} ended with {process.returncode}")
            found.append(usage.ru_maxrss / 2**10)
            print(f"{executor:5} {number:6} videos: peak {found[-1]:6.0f} MB", flush=True)
    return peaks


def scores(processes: Sequence[int]) -> None:
    """Print what a clip more costs by the number of processes."""
    clock, processor = {}, {}
    for number in processes:
        small, large = (measured(number, clips) for clips in FOLDERS)
        clock[number], processor[number] = ((large[i] - small[i]) / (FOLDERS[1] - FOLDERS[0]) for i in (0, 1))
        one = min(clock)
        each = clock[one] / clock[number] / number * one
        print(
            f"{number} processes: {1 / clock[number]:5.2f} clips a second, {each:.2f} of one's for each (aim: 0.8); "
            f"{processor[number]:.2f} s of processors a clip, {processor[number] / processor[one]:.2f} x one's",
            flush=True,
        )
    print(f"  {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; of one thread: {', '.join(METRICS)}; 49x240x360")


def measured(processes: int, clips: int) -> tuple[float, float]:
    """Seconds of the clock and of processors that scoring a folder takes, in a process of its own."""
    command = [sys.executable, __file__, "--score", str(processes), str(clips)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, env=env)
    after = os.times()
    return time.perf_counter() - began, after[2] + after[3] - before[2] - before[3]


def score_clips(processes: int, clips: int) -> None:
    """Score a folder of so many clips."""
    import cv2

    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        case = choose("mini", None, "camera").cases[0]
        rng = np.random.default_rng(0)
        wide = cv2.resize(rng.integers(0, 256, (30, 60, 3), dtype=np.uint8), (480, 240), interpolation=cv2.INTER_CUBIC)
        write_video(place / "clip.mp4", Clip(np.stack([wide[:, 2 * t : 2 * t + 360] for t in range(49)]), 8))
        shown = case.model_copy(update={"image": Media(path=place / "clip.mp4")})
        cases = copies(shown, clips, place)
        plan = plan_run("own", "all", resolve(f"folder:path={place / 'videos'}"), cases, [0], place / "runs")
        columns = [MetricSpec(resolve_metric(text)[0], {}, ()) for text in METRICS]
        outcome = execute(plan, columns, Settings(device="cpu", workers=processes), Times())
    if outcome.scored.ok != clips * len(METRICS):
        raise RuntimeError(f"of {clips} clips {outcome.scored.ok} scores were made")


def draw(rates: dict[int, float], peaks: dict[str, list[float]], videos: Sequence[int], path: Path) -> None:
    """Draw throughput over workers, memory over videos."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    if rates:
        one = min(rates)
        left.plot(list(rates), [rate / rates[one] for rate in rates.values()], marker="o")
        left.plot(list(rates), list(rates), color="grey", linestyle=":")
        left.axvline(os.cpu_count() or 1, color="grey", linewidth=0.8)
        left.annotate("cores", (os.cpu_count() or 1, 1), color="grey", fontsize=8)
    left.set(xlabel="workers", ylabel="throughput over one worker")
    for executor, found in peaks.items():
        right.plot(videos, found, marker="o", label=executor)
    right.set(xlabel="videos", ylabel="peak memory of the driver, MB", xscale="log", ylim=(0, None))
    if peaks:
        right.legend(frameon=False)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--videos", type=int, default=84, help="of each throughput and overhead measurement")
    parser.add_argument("--memory-videos", type=int, nargs="+", default=(14, 140, 1400))
    parser.add_argument("--out", type=Path, help="draw the curves into this PNG")
    parser.add_argument("--processes", type=int, nargs="+", default=PROCESSES, help="of scores")
    parser.add_argument("--score", type=int, nargs=2, metavar=("PROCESSES", "CLIPS"), help=argparse.SUPPRESS)
    parser.add_argument("--inside", nargs=2, metavar=("EXECUTOR", "VIDEOS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        executor, videos = arguments.inside
        print(json.dumps(seconds_a_case(Busy(0, 0), int(videos), OnRay(workers=1) if executor == "ray" else None)))
        return
    if arguments.score:
        score_clips(*arguments.score)
        return
    rates, peaks = {}, {}
    if "throughput" in arguments.parts:
        rates = throughput(arguments.workers, arguments.videos)
    if "overhead" in arguments.parts:
        overhead(arguments.videos)
    if "memory" in arguments.parts:
        peaks = memory(arguments.memory_videos)
    if "scores" in arguments.parts:
        scores(arguments.processes)
    if arguments.out:
        draw(rates, peaks, arguments.memory_videos, arguments.out)


if __name__ == "__main__":
    main()

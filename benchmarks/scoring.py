"""Print what scoring costs beside VBench's own code, or a loop that does what it does: same weights, same machine.

Each column is timed on both sides in turns, after both were warmed up; seconds of processor and their ratios hold on a
busy machine as well. Then what a whole folder costs: vapbench as ``vapbench score`` runs it, the other side over the
same videos.

    python benchmarks/scoring.py                              49 frames of 480 x 720: some 40 minutes on two cores
    python benchmarks/scoring.py --frames 17 --clips 0        latency only, a third of the frames
    python benchmarks/scoring.py --vbench DIR                 VBench's own code in the loop's place, in your checkout
    python benchmarks/scoring.py --device cuda --clips 48     benchmarks/gpu.py does this and more

``--vbench`` imports the checkout, and needs what it needs (decord, easydict, omegaconf, einops, OpenAI's clip, a
setuptools that still has pkg_resources); nothing of it is part of this project. Without it the loop stands in for
VBench, and differs from it as :data:`STAND_IN` says.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from folders import copies, score_folder
from sides import (
    FILES,
    VBENCH,
    ReferenceLoop,
    Side,
    Spent,
    Vapbench,
    alternate,
    wait,
    watched,
    write_case,
    write_weights,
)
from vbench_checkout import VBenchCheckout

from vapbench.core.case import Case
from vapbench.metrics.features.precision import Precision

STAND_IN = {
    "dynamic_degree[raft]": "torchvision's RAFT in place of VBench's copy of the original, of the same parts",
    "motion_smoothness[amt]": "our AMT-S pair by pair, which is faster than VBench's: compare with --vbench",
    "aesthetic_quality": "one frame at a time, where VBench takes 32",
    "text_alignment[viclip]": "our ViCLIP; not timed against VBench's since it left torch's native attention path",
    "text_alignment[clip]": "no dimension of VBench",
}
"""How the loop's code differs from VBench's own."""

_WARM = 5, 128, 128
"""Frames, height and width of a clip that every network can take."""


def print_latency(
    sides: tuple[Side, Side], columns: Sequence[str], case: Case, warm: Case, rounds: int, device: torch.device
) -> dict[str, list[Spent]]:
    """Time one clip, and print a line per column: both sides' seconds, and the other's over ours."""
    heads = "".join(f" {side.name}, s | of processor |" for side in sides)
    print(f"\n| one clip |{heads} ratio | of processor | difference |\n|---|{'--:|' * 7}", flush=True)
    spent: dict[str, list[Spent]] = {}
    for column in columns:
        spent[column] = alternate(sides, column, case, warm, rounds, device)
        print(line(column, spent[column]), flush=True)
    for chosen, label in {frozenset(columns): "all together", frozenset(VBENCH): "VBench's four together"}.items():
        if chosen <= set(columns) and len(chosen) > 1:
            added = [total([spent[column][number] for column in chosen]) for number in range(2)]
            print(line(f"**{label}**", added), flush=True)
    return spent


def total(spent: Sequence[Spent]) -> Spent:
    """Sum over columns."""
    return Spent(sum(one.wall for one in spent), sum(one.cpu for one in spent))


def line(label: str, spent: Sequence[Spent]) -> str:
    """A row of the table."""
    ours, other = spent
    apart = "" if ours.value is None or other.value is None else f"{abs(ours.value - other.value):.1e}"
    seconds = "".join(f" {side.wall:.2f} | {side.cpu:.2f} |" for side in spent)
    return f"| {label} |{seconds} {other.wall / ours.wall:.2f}x | {other.cpu / ours.cpu:.2f}x | {apart} |"


def print_share_inside(side: Vapbench, columns: Sequence[str], case: Case, device: torch.device) -> float:
    """Print how much of a run's scoring of one clip lies inside the networks; returns their seconds."""
    side.score_together(columns, case)
    with watched(device) as seconds:
        began = time.perf_counter()
        side.score_together(columns, case)
        wait(device)
        whole = time.perf_counter() - began
    inside = sum(seconds.values())
    print(
        f"\nInside the networks, {side.name}: {100 * inside / whole:.1f} % of {whole:.2f} s a clip, decoding included."
    )
    return inside


def print_throughput(
    side: Vapbench, other: Side, columns: Sequence[str], clips: int, compared: int, case: Case, inside: float
) -> None:
    """Print what a folder of clips costs, as ``vapbench score`` runs it and as the other side does.

    Args:
        side: ours, warm.
        other: what it is compared with, warm.
        columns: to score.
        clips: how many videos the folder has.
        compared: how many of them the other scores; its seconds a clip do not depend on how many there are.
        case: what each video is.
        inside: seconds a clip that the networks take by themselves.
    """
    with tempfile.TemporaryDirectory() as place:
        cases = copies(case, clips, Path(place))
        began, spent = time.perf_counter(), time.process_time()
        values = score_folder(side.metrics, columns, cases, Path(place), side.device)
        ours = Spent((time.perf_counter() - began) / clips, (time.process_time() - spent) / clips)
        began, spent = time.perf_counter(), time.process_time()
        others = {(one.id, column): other.score(column, one) for one in cases[:compared] for column in columns}
        wait(side.device)
        theirs = Spent((time.perf_counter() - began) / compared, (time.process_time() - spent) / compared)
    apart = max(abs(values[key] - value) for key, value in others.items())
    print(
        f"\nA folder of {clips} clips, {side.name}: {ours.wall:.3f} s a clip; {other.name} over {compared} of them: "
        f"{theirs.wall:.3f} s a clip: **{theirs.wall / ours.wall:.2f}x** (processor time "
        f"{theirs.cpu / ours.cpu:.2f}x). Scores differ by {apart:.1e} at most. The networks by themselves would take "
        f"{100 * inside / ours.wall:.0f} % of the folder's time.",
        flush=True,
    )


def measure(
    folder: Path,
    columns: Sequence[str],
    precisions: Sequence[Precision],
    size: tuple[int, int, int, float],
    device: torch.device,
    rounds: int = 3,
    clips: int = 0,
    compared: int = 0,
    checkout: Path | None = None,
) -> None:
    """Print latency, share inside the networks, and throughput; weights lie in ``folder``."""
    case = write_case(folder, *size)
    # A processor is warm after a few small frames; an accelerator chooses its kernels by the batch.
    warm = case if device.type == "cuda" else write_case(folder, *_WARM, size[-1], name="warm")
    other: Side = VBenchCheckout(checkout, folder, device) if checkout else ReferenceLoop(folder, device)
    for precision in precisions:
        ours = Vapbench(folder, precision, device)
        print_latency((ours, other), columns, case, warm, rounds, device)
        if clips:
            inside = print_share_inside(ours, columns, case, device)
            print_throughput(ours, other, columns, clips, compared or clips, case, inside)
    if not checkout:
        print("\nHow the reference loop differs from VBench's own code:\n")
        for column in columns:
            print(f"* {column}: {STAND_IN[column]}")


def main() -> None:
    """Score one clip, then a folder, both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--fps", type=float, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1, help="turns of each side; the median is printed")
    parser.add_argument("--clips", type=int, default=2, help="videos in the folder; 0 for latency only")
    parser.add_argument("--compared", type=int, default=0, help="how many of them the other side scores; 0 for all")
    parser.add_argument("--metric", nargs="+", choices=tuple(FILES), default=VBENCH)
    parser.add_argument("--precision", nargs="+", choices=("exact", "fast"), default=("exact", "fast"))
    parser.add_argument("--vbench", type=Path, metavar="DIR", help="a checkout of VBench, timed in the loop's place")
    parser.add_argument("--tiny", action="store_true", help="small towers: shows that it runs, and no more")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    size = (asked.frames, asked.height, asked.width, asked.fps)
    threads, load = torch.get_num_threads(), " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{size[0]} frames of {size[1]} x {size[2]} at {size[3]:g} fps, {threads} threads, load {load}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        write_weights(Path(place), asked.metric, asked.tiny)
        measure(
            Path(place),
            asked.metric,
            asked.precision,
            size,
            torch.device(asked.device),
            asked.rounds,
            asked.clips,
            asked.compared,
            asked.vbench,
        )


if __name__ == "__main__":
    main()

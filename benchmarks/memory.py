"""Print the peak of host memory of the paper's four columns and ViCLIP on one clip, each alone and all in one process.

Networks have the published architectures with seeded random weights, written once; each line is a process of its own,
so that no peak hides another. ``before`` is what the process holds when networks are loaded and the clip is decoded.

    python benchmarks/memory.py                                49 frames of 480 x 720 on a CPU; the claim is 6 GB
    python benchmarks/memory.py --memory 1                     the same in a working memory of 1 GB a metric
    python benchmarks/memory.py --frames 5 --height 128 --width 192 --metric "dynamic_degree[raft]"
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path

from sides import FILES, write_case, write_weights

from vapbench.core.case import Case

CLAIM = 6.0
"""GB at most for all five columns in one process."""


def peak() -> float:
    """Peak resident size of this process so far, in GB."""
    scale = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def score(case: Case, folder: Path, names: tuple[str, ...], memory: int | None) -> tuple[float, float, list[float]]:
    """Score the case with some columns.

    Returns:
        Peak when all is loaded, peak when all is scored, both in GB; the scores.
    """
    import torch

    from vapbench.core.video import read_video
    from vapbench.metrics import resolve
    from vapbench.metrics.view import ClipView

    metrics = [resolve(f"{name}:{FILES[name].format(folder)}")[0] for name in names]
    for metric in metrics:
        metric.setup(torch.device("cpu"))
    view = ClipView(read_video(case.image.path), case, torch.device("cpu"), memory)
    before = peak()
    values = [metric.score(view, case).value for metric in metrics]
    return before, peak(), [float("nan") if value is None else value for value in values]


def prepare(folder: Path, names: tuple[str, ...], size: tuple[int, int, int, float]) -> Case:
    """Write weights and the clip, in a process of their own: drawing random weights takes memory as well."""
    write_weights(folder, names)
    return write_case(folder, *size)


def main() -> None:
    """Measure each column alone, then all together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--fps", type=float, default=16)
    parser.add_argument("--memory", type=float, help="working memory of a metric in GB, as of vapbench score")
    parser.add_argument("--metric", nargs="+", choices=tuple(FILES), default=tuple(FILES))
    asked = parser.parse_args()
    names = tuple(asked.metric)
    memory = None if asked.memory is None else int(asked.memory * 1e9)
    with (
        tempfile.TemporaryDirectory() as place,
        multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as one,
    ):
        folder = Path(place)
        case = one.apply(prepare, (folder, names, (asked.frames, asked.height, asked.width, asked.fps)))
        print(f"{asked.frames} frames of {asked.height}x{asked.width}; GB of resident memory", flush=True)
        print(f"{'':28}{'before':>8}{'peak':>8}{'scoring':>9}")
        for chosen in [*((name,) for name in names), *([names] if len(names) > 1 else [])]:
            before, most, values = one.apply(score, (case, folder, chosen, memory))
            label = chosen[0] if len(chosen) == 1 else "together"
            shown = f"   {values[0]:.6f}" if len(chosen) == 1 else ""
            print(f"{label:28}{before:8.2f}{most:8.2f}{most - before:9.2f}{shown}", flush=True)
        if set(names) == set(FILES):
            print(f"claim: at most {CLAIM:g} GB together: {'holds' if most <= CLAIM else 'FAILS'}")


if __name__ == "__main__":
    main()

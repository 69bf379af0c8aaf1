"""Print where the time goes when one clip is scored with the paper's four columns and ViCLIP, as a table in Markdown.

Decoding, each network, and everything else; docs/lab/scoring-profile.md holds the output. Networks have the published
architectures with seeded random weights.

    python benchmarks/scoring_profile.py                             49 frames of 480 x 720: minutes on two cores
    python benchmarks/scoring_profile.py --precision fast
    python benchmarks/scoring_profile.py --device cuda
    python benchmarks/scoring_profile.py --frames 5 --height 240 --width 360 --metric "dynamic_degree[raft]"
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from sides import FILES, NETWORKS, spec, wait, watched, write_case, write_weights

from vapbench.core.video import read_video
from vapbench.metrics import resolve
from vapbench.metrics.view import ClipView


def main() -> None:
    """Score one clip once, and print who took how long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--fps", type=float, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--precision", choices=("exact", "fast"), default="exact")
    parser.add_argument("--metric", nargs="+", choices=tuple(FILES), default=tuple(FILES))
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    device = torch.device(asked.device)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_weights(folder, asked.metric)
        case = write_case(folder, asked.frames, asked.height, asked.width, asked.fps)
        metrics = [resolve(spec(name, folder, asked.precision))[0] for name in asked.metric]
        for metric in metrics:
            metric.setup(device)
        wait(device)
        with watched(device) as spent:
            began = time.perf_counter()
            view = ClipView(read_video(case.image.path), case, device)
            decoded = time.perf_counter() - began
            for metric in metrics:
                metric.score(view, case)
            wait(device)
            whole = time.perf_counter() - began
    inside = sum(spent.values())
    size = f"{asked.frames} frames of {asked.height} x {asked.width} at {asked.fps:g} fps"
    print(f"{size}, `{asked.precision}`, {device.type}, {torch.get_num_threads()} threads: {whole:.2f} s\n")
    print("| part | seconds | share |\n|---|--:|--:|")
    parts = {**{label: spent[label] for label in NETWORKS if spent[label]}, "decoding the video": decoded}
    parts["the rest: resizing, padding, top 5 %, differences"] = whole - inside - decoded
    for label, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"| {label} | {seconds:.3f} | {100 * seconds / whole:.1f} % |")
    print(f"| **inside the networks** | **{inside:.3f}** | **{100 * inside / whole:.1f} %** |")


if __name__ == "__main__":
    main()

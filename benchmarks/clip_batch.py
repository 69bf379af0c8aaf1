"""Print what CLIP costs by how many frames it is given at once, ViT-L/14's or the mini suite's: the reason for batches.

python benchmarks/clip_batch.py                    on a CPU: minutes; ratios of processor time
python benchmarks/clip_batch.py --mini             the mini suite's CLIP: seconds
python benchmarks/clip_batch.py --device cuda --frames 48
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from sides import clip_weights, wait, write_weights

from vapbench.checkpoints.metric_files import given_or_shipped
from vapbench.metrics.features.clip import ClipEncoder, ClipWeights
from vapbench.metrics.features.precision import Precision

BATCHES = (1, 4, 16)


def main() -> None:
    """Encode the same frames in batches of every size, in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("exact", "fast"), default="exact")
    parser.add_argument("--mini", action="store_true", help="the mini suite's CLIP in place of ViT-L/14")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    with tempfile.TemporaryDirectory() as place:
        encoder = _mini(device, asked.precision) if asked.mini else _full(Path(place), device, asked.precision)
    side = encoder.image_size
    frames = torch.randn(asked.frames, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    encoder.still_features(frames[:1])
    wall, spent = dict.fromkeys(BATCHES, 0.0), dict.fromkeys(BATCHES, 0.0)
    for round_ in range(asked.rounds):
        for batch in BATCHES if round_ % 2 == 0 else BATCHES[::-1]:
            began, before = time.perf_counter(), time.process_time()
            for piece in frames.split(batch):
                encoder.still_features(piece)
            wait(device)
            wall[batch] += time.perf_counter() - began
            spent[batch] += time.process_time() - before
    one = asked.rounds * asked.frames
    for batch in BATCHES:
        ratio = f"{spent[batch] / spent[BATCHES[0]]:.2f} of one by one"
        print(
            f"batches of {batch:2}: {wall[batch] / one:.3f} s a frame, {spent[batch] / one:.3f} s of processor, {ratio}"
        )


def _full(place: Path, device: torch.device, precision: Precision) -> ClipEncoder:
    write_weights(place, ["aesthetic_quality"])
    return ClipEncoder("ViT-L-14", clip_weights(place), device, precision)


def _mini(device: torch.device, precision: Precision) -> ClipEncoder:
    return ClipWeights.of("mini", given_or_shipped(None, "image_text"), precision).load(device)


if __name__ == "__main__":
    main()

"""Score clips of the project page end to end with every VBench column, full-size networks with random weights.

Prints seconds per clip and column, decoding included; the page has no captions, so one is given.

    python benchmarks/gallery.py GALLERY                             every clip: about a minute each on two cores
    python benchmarks/gallery.py GALLERY --limit 1 --metric temporal_flickering motion_smoothness[amt]
    python benchmarks/gallery.py GALLERY --device cuda
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from sides import CAPTION, FILES, write_weights

from vapbench.core.video import read_video
from vapbench.metrics import resolve
from vapbench.metrics.view import ClipView
from vapbench.models.vision.dino import DinoVit
from vapbench.suites import find_suite

DINO = "weights={0}/dino.pth"
COLUMNS = {
    **FILES,
    "subject_consistency": DINO,
    "i2v_subject": DINO,
    "reference_leakage": DINO,
    "background_consistency": "weights={0}/clip-b-32.safetensors",
    "temporal_flickering": "",
}


def write_more_weights(folder: Path, names: tuple[str, ...]) -> None:
    """Write random weights of DINO ViT-B/16 and CLIP ViT-B/32, where columns need them."""
    torch.manual_seed(0)
    if any(COLUMNS[name] == DINO for name in names):
        shapes = {
            "patch_embed.proj.weight": (768, 3, 16, 16),
            "pos_embed": (1, 197, 768),
            "blocks.11.norm1.weight": (768,),
        }
        model = DinoVit({name: torch.Size(shape) for name, shape in shapes.items()})
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.03)
        torch.save(model.state_dict(), folder / "dino.pth")
    if "background_consistency" in names:
        tensors = open_clip.create_model("ViT-B-32", force_quick_gelu=True).state_dict()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "clip-b-32.safetensors")


def main() -> None:
    """Score the clips, and print what each column took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--metric", nargs="+", choices=tuple(COLUMNS), default=tuple(COLUMNS))
    asked = parser.parse_args()
    names, device = tuple(asked.metric), torch.device(asked.device)
    cases = find_suite("gallery").cases(asked.gallery)[: asked.limit]
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_weights(folder, names)
        write_more_weights(folder, names)
        metrics = {name: resolve(f"{name}:{COLUMNS[name].format(folder)}".rstrip(":"))[0] for name in names}
        for metric in metrics.values():
            metric.setup(device)
        for number, case in enumerate(cases, start=1):
            captioned = case.model_copy(update={"caption": CAPTION})
            began = time.perf_counter()
            clip = read_video(case.image.path)
            view = ClipView(clip, captioned, device)
            spent["decoding"] += time.perf_counter() - began
            for name, metric in metrics.items():
                since = time.perf_counter()
                value = metric.score(view, captioned).value
                spent[name] += time.perf_counter() - since
                if value is None or not math.isfinite(value):
                    raise SystemExit(f"{case.id}: {name} answered {value}")
            size = f"{len(clip)}x{clip.height}x{clip.width}"
            print(f"{number} of {len(cases)}: {case.id}, {size}, {time.perf_counter() - began:.1f} s", flush=True)
    print(f"{len(cases)} clips, {len(names)} columns, every score finite; seconds per clip:")
    for name, seconds in spent.items():
        print(f"  {name:28}{seconds / len(cases):9.2f}")
    print(f"  {'together':28}{sum(spent.values()) / len(cases):9.2f}")


if __name__ == "__main__":
    main()

"""VBench's own code as a side to time: a checkout of yours, loaded with the weights that our side has.

Nothing of it is copied: its modules are imported from the folder, with what they need (decord, easydict, omegaconf,
OpenAI's clip). Written for its public state of 2026-03.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from shutil import copyfile
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from sides import CAPTION

from vapbench.core.case import Case
from vapbench.metrics.features.precision import exact_float32

_RAFT_NAMES = Path(__file__).parents[1] / "tests/data/vbench/raft/torchvision_key_map.json"


class VBenchCheckout:
    """Four dimensions of VBench."""

    name = "VBench"

    def __init__(self, checkout: Path, folder: Path, device: torch.device) -> None:
        """Import from ``checkout`` and use the weights in ``folder``, which ``write_weights`` wrote at full size."""
        if not (checkout / "vbench" / "dynamic_degree.py").is_file():
            raise SystemExit(f"{checkout}: no checkout of VBench (no vbench/dynamic_degree.py)")
        sys.path.insert(0, str(checkout))
        # Where it looks for CLIP's vocabulary, which it would download.
        cache = folder / "vbench"
        (cache / "ViCLIP").mkdir(parents=True, exist_ok=True)
        copyfile(_vocabulary(), cache / "ViCLIP" / "bpe_simple_vocab_16e6.txt.gz")
        os.environ["VBENCH_CACHE_DIR"] = str(cache)
        self._checkout, self._folder, self._device = checkout, folder, device
        self._ready: dict[str, Callable[[str], float]] = {}

    def load(self, column: str) -> None:
        """Build the dimension's model."""
        dimensions = {
            "dynamic_degree[raft]": self._dynamic_degree,
            "motion_smoothness[amt]": self._motion_smoothness,
            "aesthetic_quality": self._aesthetic_quality,
            "text_alignment[viclip]": self._overall_consistency,
        }
        if column not in dimensions:
            raise SystemExit(f"{column} is no dimension of VBench; leave it out of --metric, or leave out --vbench")
        if column not in self._ready:
            with redirect_stdout(sys.stderr):  # it says what it loads, in the midst of a table
                self._ready[column] = dimensions[column]()

    def score(self, column: str, case: Case) -> float:
        """Score the case's video as VBench does, in float32 throughout."""
        with exact_float32(self._device):
            return float(self._ready[column](str(case.image.path)))

    def _dynamic_degree(self) -> Callable[[str], float]:
        names = json.loads(_RAFT_NAMES.read_text(encoding="utf-8"))
        ours = torch.load(self._folder / "raft.pth", weights_only=True)
        original = {name: ours[known] for name, known in names.items() if known}
        # The original holds the norms of its shortcuts under two names.
        original |= {name.replace("downsample.1", "norm3"): tensor for name, tensor in original.items()}
        path = self._folder / "raft-original.pth"
        torch.save(original, path)
        arguments = _Arguments(model=str(path), small=False, mixed_precision=False, alternate_corr=False)
        return self._module("dynamic_degree").DynamicDegree(arguments, self._device).infer  # type: ignore[no-any-return]

    def _motion_smoothness(self) -> Callable[[str], float]:
        config = self._checkout / "vbench/third_party/amt/cfgs/AMT-S.yaml"
        weights = str(self._folder / "amt.pth")
        return self._module("motion_smoothness").MotionSmoothness(str(config), weights, self._device).motion_score  # type: ignore[no-any-return]

    def _aesthetic_quality(self) -> Callable[[str], float]:
        module = self._module("aesthetic_quality")
        weights = load_file(self._folder / "clip.safetensors")
        # Built, its weights are of half precision, as VBench's are on CUDA; both sides compute in float32 here.
        model = importlib.import_module("clip.model").build_model(dict(weights)).float()
        model.load_state_dict(weights)
        head = torch.nn.Linear(768, 1)
        head.load_state_dict(torch.load(self._folder / "head.pth", weights_only=True))
        model, head = model.to(self._device), head.to(self._device)
        return lambda video: module.laion_aesthetic(head, model, [video], self._device)[0]  # type: ignore[no-any-return]

    def _overall_consistency(self) -> Callable[[str], float]:
        module = self._module("overall_consistency")
        path = self._folder / "viclip-original.pth"
        torch.save({"model": load_file(self._folder / "viclip.safetensors")}, path)
        tokenizer = module.SimpleTokenizer(_vocabulary())
        model = module.ViCLIP(tokenizer=tokenizer, pretrain=str(path)).to(self._device).eval()
        cases = [{"prompt": CAPTION, "video_list": [""]}]

        def score(video: str) -> float:
            cases[0]["video_list"] = [video]
            # It keeps captions' features from call to call; a benchmark must not.
            module.get_text_features.__defaults__[0].clear()
            return float(module.overall_consistency(model, cases, tokenizer, self._device)[0])

        return score

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"vbench.{name}")


class _Arguments(SimpleNamespace):
    """What RAFT asks of its arguments: attributes, and whether one is among them."""

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)

    def _get_kwargs(self) -> list[tuple[str, Any]]:
        return list(vars(self).items())


def _vocabulary() -> str:
    """CLIP's vocabulary, which open_clip ships."""
    import open_clip

    return str(Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz")

"""The image-text encoder: a tiny CLIP (Radford et al. 2021) on frames and captions of mini clips.

open_clip's classes from a configuration of ours, saved as a folder that open_clip loads by ``local-dir:``. Its
tokenizer lies in the same folder: transformers' T5 class with the words of plain captions, so that a condition's
code name reads ``<unk>`` here as well, and a caption that has one is scored by the scene it describes.

Part of each batch stands in it twice, the second time degraded and with a caption that says so: large CLIPs have read
of blurred photographs, and the quality head can only find in the features what some caption spoke of.

Like every judge it knows all conditions, held-out ones too, and trains on training scenes only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import T5Tokenizer

from mini_recipe.cards import finish_folder
from mini_recipe.clips import judge_specs, validation_specs
from mini_recipe.data import MiniData
from mini_recipe.degradations import FAULTS, degrade
from mini_recipe.prompts import Mix, captions_of, told
from mini_recipe.text import make_tokenizer, tokenise
from vapbench.files.atomic import write_json
from vapbench.metrics.features.clip import CONFIG_FILE, prepare
from vapbench.suites.mini.geometry import SIZE
from vapbench.suites.mini.render import FRAMES, MiniClip, render_batch
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

WEIGHTS = "open_clip_model.safetensors"
_RENDERED_AT_ONCE = 512
_STRENGTHS = (0.2, 1.0)  # of faults
_TELLINGS = Mix(plain=0.5, scene=0.25, benchmark=0.25, empty=0.0, negative=0.0)


@dataclass(frozen=True)
class ImageTextConfig:
    """Sizes of the two towers, and how they are trained."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=500, batch=64, learning_rate=2e-3, matrix_learning_rate=2e-3, warmup=50, ema=0.98, cooldown=0.8
        )
    )
    dimension: int = 128
    """Of the space that images and texts share."""
    width: int = 128
    heads: int = 4
    layers: int = 3
    patch: int = 8
    text_width: int = 96
    text_layers: int = 1
    faulty: int = 32
    """Clips of a batch that stand in it a second time, degraded."""
    clips: int = 150
    """Training clips of each condition."""
    frames: int = 3
    """Frames that are kept of each clip."""
    first_scene: int = 400_000
    """Index of the first training scene."""

    def open_clip(self, words: int, caption_length: int) -> dict[str, Any]:
        """The configuration as open_clip reads it."""
        return {
            "embed_dim": self.dimension,
            "vision_cfg": {
                "image_size": SIZE,
                "patch_size": self.patch,
                "width": self.width,
                "head_width": self.width // self.heads,
                "layers": self.layers,
                "pool_type": "avg",
            },
            "text_cfg": {
                "context_length": caption_length,
                "vocab_size": words,
                "hf_tokenizer_name": ".",  # Any name makes open_clip read the tokenizer of the folder.
                "width": self.text_width,
                "heads": self.heads,
                "layers": self.text_layers,
                "pool_type": "eos",
                "eos_id": 1,
            },
        }


def train_image_text(
    output: Path, config: ImageTextConfig, run: Run, data: MiniData, executor: Executor | None = None
) -> None:
    """Train an image-text encoder and save it in ``output``."""
    torch.manual_seed(config.plan.seed)
    specs = judge_specs(config.clips, config.first_scene, data.judged)
    frames = frames_of(specs, config.frames, executor)
    captions = captions_of(specs)
    words = [*(caption.plain for caption in captions), *FAULTS.values()]
    tokenizer = make_tokenizer(words, data.caption_length)
    settings = config.open_clip(len(tokenizer), data.caption_length)
    model = make_clip(settings).to(run.device)

    def objective(step: int, generator: torch.Generator) -> Losses:
        chosen = torch.randperm(len(specs), generator=generator)[: config.plan.batch]
        which = torch.randint(0, config.frames, (len(chosen),), generator=generator)
        pictures = frames[chosen, which]
        tellings = _TELLINGS.draw(len(chosen), generator)
        texts = [told(captions[row], telling) for row, telling in zip(chosen.tolist(), tellings, strict=True)]
        faulty, said = with_faults(pictures[: config.faulty], texts[: config.faulty], generator)
        images = prepare(torch.cat([pictures, faulty]).to(run.device), SIZE)
        return {"loss": contrast(model, images, tokenise(tokenizer, texts + said).to(run.device))}

    if not fit(model, objective, config.plan, run):
        return

    def save(folder: Path) -> None:
        tokenizer.save_pretrained(folder)
        write_json(folder / CONFIG_FILE, {"model_cfg": settings, "preprocess_cfg": {}})
        save_file({name: value.half().contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS)

    report = _measure(model, tokenizer, run.device, data, executor)
    run.watcher.tell(f"{run.folder.name}: {report}")
    finish_folder(output, "image_text", save, config, run, report)


def make_clip(settings: dict[str, Any]) -> Any:
    """Return open_clip's model of a configuration, new."""
    import open_clip

    return open_clip.CLIP(**settings)


def frames_of(specs: Sequence[MiniClip], count: int, executor: Executor | None = None) -> torch.Tensor:
    """Random frames of clips, the unchanged first left out: ``(B, count, 3, SIZE, SIZE)`` uint8."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for start in range(0, len(specs), _RENDERED_AT_ONCE):
        clips = torch.from_numpy(render_batch(specs[start : start + _RENDERED_AT_ONCE], executor))
        chosen = 1 + torch.rand(len(clips), FRAMES - 1, generator=generator).argsort(dim=1)[:, :count]
        parts.append(clips[torch.arange(len(clips))[:, None], chosen].permute(0, 1, 4, 2, 3).contiguous())
    return torch.cat(parts)


def with_faults(
    frames: torch.Tensor, captions: Sequence[str], generator: torch.Generator
) -> tuple[torch.Tensor, list[str]]:
    """Degrade frames ``(N, 3, H, W)`` uint8, each in a way of its own, and say so in their captions."""
    faulty, said = frames.clone(), list(captions)
    drawn = torch.randint(0, len(FAULTS), (len(frames),), generator=generator)
    for place, (fault, word) in enumerate(FAULTS.items()):
        rows = (drawn == place).nonzero()[:, 0]
        faulty[rows] = degrade(frames[rows], fault, _STRENGTHS, generator)
        for row in rows.tolist():
            said[row] = f"{word} {captions[row]}"
    return faulty, said


def contrast(model: Any, images: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """CLIP's loss: each image picks its text among all of the batch, and each text its image."""
    scale = model.logit_scale.clamp(max=math.log(100)).exp()
    scores = scale * model.encode_image(images, normalize=True) @ model.encode_text(ids, normalize=True).T
    own = torch.arange(len(scores), device=scores.device)
    scores = scores.float()
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2


@torch.no_grad()
def retrieve(
    model: Any, tokenizer: T5Tokenizer, clips: npt.NDArray[np.uint8], captions: Sequence[str], device: torch.device
) -> float:
    """Share of clips ``(B, F, H, W, 3)`` whose own caption scores highest of all, by the mean over frames."""
    texts = model.encode_text(tokenise(tokenizer, captions).to(device), normalize=True)
    found = []
    for clip in clips:
        images = prepare(torch.from_numpy(clip).permute(0, 3, 1, 2).to(device), SIZE)
        found.append(int((model.encode_image(images, normalize=True) @ texts.T).mean(0).argmax()))
    # Captions may be equal, and then none of them is wrong.
    return float(np.mean([captions[place] == caption for place, caption in zip(found, captions, strict=True)]))


def _measure(
    model: Any, tokenizer: T5Tokenizer, device: torch.device, data: MiniData, executor: Executor | None
) -> dict[str, Any]:
    specs = validation_specs(2, data.asked)
    cases = data.cases()
    plain = retrieve(
        model, tokenizer, render_batch(specs, executor), [caption.plain for caption in captions_of(specs)], device
    )
    truths = render_batch([case.target for case in cases], executor)
    benchmark = retrieve(model, tokenizer, truths, [case.target_caption for case in cases], device)
    return {
        "validation_retrieval": {"captions": len(specs), "accuracy": round(plain, 4)},
        "benchmark_retrieval": {"captions": len(cases), "accuracy": round(benchmark, 4)},
    }

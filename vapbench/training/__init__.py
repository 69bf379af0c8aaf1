"""Training of the mini suite's checkpoints, the real architectures, tiny, on procedural data; and LoRAs at any size.

    config      the stages and what each is told; mini runs them in order, resumably: train_mini
    plan        how long and how fast
    loop        the training loop: seeded, resumable, averaged; optimiser, progress, curves, cards
    data        clips; latents of clips; prompts, the captions of training
    vae, text   autoencoder, tokenizer and text encoder
    semantic    the judges
    image_text  a tiny CLIP for the metrics; quality, the head on it that rates frames; faults, what it rates down
    diffusion   scheduler, objective, sampler
    base        the image-to-video model, and the gate it must pass
    lora        an adapter of it for every condition
    vace        structure control: a tiny WanVACE on an autoencoder of its own, wan_vae
    expert      VAP's expert on the frozen base
    lora        an adapter per condition on a frozen base of any size; lora_run, examples

Importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vapbench.training.config import STAGES, MiniConfig
    from vapbench.training.mini import train_mini

__all__ = ["STAGES", "MiniConfig", "train_mini"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "mini" if name == "train_mini" else "config"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)

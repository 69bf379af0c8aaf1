"""How the mini suite's checkpoints are trained: the real architectures, tiny, on procedural clips.

    config           the stages and their settings; train runs them in order, resumably; parallel, several at once
    vae, text        autoencoder; tokenizer and text encoder
    semantic         the judges: encoders of a clip's condition
    image_text       a tiny CLIP for the metrics; quality, the head on it that rates frames; degradations, its negatives
    diffusion        scheduler, objective, sampler
    base             the image-to-video model; gate, the quality check it must pass
    expert           VAP's expert on the frozen base; single, the base itself trained to read references
    wan_vae, vace    structure control: a tiny WanVACE on an autoencoder of its own
    cards, bundle    what is kept beside weights; what ships
    data             the conditions of each version of the suite, and who learns which
    regressor, readings   the judges of the next version: the numbers of a condition, read off a clip

The training loop, the cached latents and the LoRAs per condition are :mod:`vapbench.training`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mini_recipe.config import STAGES, MiniConfig
    from mini_recipe.train import train_mini

__all__ = ["STAGES", "MiniConfig", "train_mini"]

# Imported when asked for: a process of ``parallel`` needs what its own stage does.
_EXPORTS = {"STAGES": "config", "MiniConfig": "config", "train_mini": "train"}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)

"""Video-As-Prompt (arXiv 2510.20888) on upstream diffusers.

A frozen image-to-video model generates; an expert beside it reads reference videos. Names are resolved on
first use, so that importing this package imports neither torch nor diffusers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vapbench.models.cogvideox.mot import CogVideoXTransformer3DMOTModel
    from vapbench.models.cogvideox.pipeline import CogVideoXImageToVideoMOTPipeline
    from vapbench.models.experts import initialise_expert
    from vapbench.models.inputs import NEGATIVE_PROMPT
    from vapbench.models.loading import load_pipeline, load_transformer
    from vapbench.models.pipeline import VideoOutput
    from vapbench.models.upstream import load_upstream_pipeline
    from vapbench.models.wan.mot import WanTransformer3DMOTModel
    from vapbench.models.wan.pipeline import WanImageToVideoMOTPipeline

_HOME = {
    "CogVideoXImageToVideoMOTPipeline": "cogvideox.pipeline",
    "CogVideoXTransformer3DMOTModel": "cogvideox.mot",
    "NEGATIVE_PROMPT": "inputs",
    "VideoOutput": "pipeline",
    "WanImageToVideoMOTPipeline": "wan.pipeline",
    "WanTransformer3DMOTModel": "wan.mot",
    "initialise_expert": "experts",
    "load_pipeline": "loading",
    "load_transformer": "loading",
    "load_upstream_pipeline": "upstream",
}

__all__ = [
    "NEGATIVE_PROMPT",
    "CogVideoXImageToVideoMOTPipeline",
    "CogVideoXTransformer3DMOTModel",
    "VideoOutput",
    "WanImageToVideoMOTPipeline",
    "WanTransformer3DMOTModel",
    "initialise_expert",
    "load_pipeline",
    "load_transformer",
    "load_upstream_pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)

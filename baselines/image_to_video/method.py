"""The base models on their own: a first frame and a caption, no reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from PIL import Image
from pydantic import Field

from vapbench import Case, ClipSpec, PipelineMethod, load_upstream_pipeline, plain_caption

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True, eq=False)
class _ImageToVideo(PipelineMethod):
    """What both models share."""

    captions: Literal["benchmark", "plain"] = "benchmark"
    """``plain``: captions that say the effect in words, which only the mini suite has. How well a perfect reader of
    the reference would do with this model."""

    pipeline_class = ""

    def load(self, folder: Path, dtype: torch.dtype) -> Any:
        """Load upstream's pipeline; a Video-As-Prompt folder gives the base within it."""
        return load_upstream_pipeline(folder, self.pipeline_class, dtype)

    def inputs(self, case: Case) -> Sequence[Path | str]:
        """The plain caption: it is no part of the case, and the frames depend on it."""
        return [plain_caption(case)] if self.captions == "plain" else []

    def make(self, case: Case, clip: ClipSpec, generator: torch.Generator) -> Any:
        """Animate the first frame."""
        caption = plain_caption(case) if self.captions == "plain" else case.caption
        first = Image.fromarray(case.image.first_frame())
        return self.sample(caption, clip, generator, image=first, **self.options())

    def options(self) -> dict[str, Any]:
        """Arguments that only this model's pipeline has."""
        return {}


@dataclass(kw_only=True, eq=False)
class CogVideoXImageToVideo(_ImageToVideo):
    """CogVideoX-5B-I2V."""

    weights: str = "zai-org/CogVideoX-5b-I2V"
    dynamic_guidance: bool = True
    """Whether the scale follows its cosine schedule, as in CogVideoX's own script."""

    pipeline_class = "CogVideoXImageToVideoPipeline"

    def options(self) -> dict[str, Any]:
        """CogVideoX's own."""
        return {"use_dynamic_cfg": self.dynamic_guidance}


@dataclass(kw_only=True, eq=False)
class WanImageToVideo(_ImageToVideo):
    """Wan2.1-I2V-14B at 480p."""

    weights: str = "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"
    guidance: Annotated[float, Field(ge=0)] = 5.0
    negative_prompt: str = "wan"

    pipeline_class = "WanImageToVideoPipeline"

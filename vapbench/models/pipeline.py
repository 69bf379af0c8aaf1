"""What both Video-As-Prompt pipelines share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.video_processor import VideoProcessor
from PIL import Image

from vapbench.errors import ErrorKind, UsageError

OutputType = Literal["np", "pt", "pil", "latent"]
StepCallback = Callable[[Any, int, Any, dict[str, torch.Tensor]], dict[str, torch.Tensor] | None]
"""Called as ``callback(pipeline, step, timestep, {"latents": latents})``; returned latents replace the
current ones."""


@dataclass
class VideoOutput(BaseOutput):  # type: ignore[misc]
    """One generated video."""

    frames: Any
    """``np``: float32 [F, H, W, 3] in [0, 1]; ``pt``: the same as [F, 3, H, W]; ``pil``: a list of images;
    ``latent``: the final latents, in the layout that ``latents`` takes."""


_OWN_TRANSFORMERS = ("CogVideoXTransformer3DMOTModel", "WanTransformer3DMOTModel")


class VapPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Base of the pipelines; offloading, ``to`` and progress bars are those of diffusers.

    Make one with :func:`vapbench.models.load_pipeline`, or from its components.
    """

    float32_components: ClassVar[tuple[str, ...]] = ()
    """Components that are loaded in float32 whatever the type asked for, as the official scripts do."""
    video_processor: VideoProcessor

    def register_to_config(self, **entries: Any) -> None:
        """Record components under the names by which the official code finds them in a saved folder."""
        for name, entry in entries.items():
            # diffusers reads the library from the module path, and takes a folder "wan" for one of its own.
            if isinstance(entry, tuple) and entry[1] in _OWN_TRANSFORMERS:
                entries[name] = ("diffusers", entry[1])
            if entry == ("transformers", "CLIPImageProcessorPil"):
                entries[name] = ("transformers", "CLIPImageProcessor")
        super().register_to_config(**entries)

    def _preprocess(self, frames: list[Image.Image], height: int, width: int) -> torch.Tensor:
        """Return a video [1, 3, F, H, W] in [-1, 1], resized without a crop."""
        video: torch.Tensor = self.video_processor.preprocess_video(frames, height=height, width=width)
        return video.to(self._execution_device)

    def _text(self, caption: str) -> torch.Tensor:
        """Return a caption's embeddings [1, L, D]; a caption is encoded once, whatever the number of seeds."""
        known: dict[str, torch.Tensor] = self.__dict__.setdefault("_known_texts", {})
        if caption not in known:
            known[caption] = self._encode_text(caption).cpu()
        return known[caption].to(self._execution_device, self.transformer.dtype)

    def _encode_text(self, caption: str) -> torch.Tensor:
        """Return a caption's embeddings [1, L, D]."""
        raise NotImplementedError

    def _after_step(
        self, callback: StepCallback | None, step: int, timestep: Any, latents: torch.Tensor
    ) -> torch.Tensor:
        replaced = callback(self, step, timestep, {"latents": latents}) if callback else None
        return (replaced or {}).get("latents", latents)

    def _output(self, latents: torch.Tensor, output_type: OutputType) -> VideoOutput:
        frames: Any = latents
        if output_type != "latent":
            frames = self.video_processor.postprocess_video(self.decode(latents), output_type=output_type)[0]
        self.maybe_free_model_hooks()
        return VideoOutput(frames=frames)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the video [1, 3, F, H, W] in [-1, 1] of final latents."""
        raise NotImplementedError


def check_output_type(output_type: str) -> None:
    """Refuse an unknown output type before an hour of sampling rather than after it.

    Raises:
        UsageError: the type is none of np, pt, pil and latent.
    """
    if output_type not in get_args(OutputType):
        raise UsageError(
            f"Unknown output_type {output_type!r}; use one of {', '.join(get_args(OutputType))}.",
            ErrorKind.UNKNOWN,
            "output_type",
        )


def check_latents(latents: torch.Tensor | None, shape: tuple[int, ...]) -> None:
    """Refuse initial noise of another shape than the one the call will denoise.

    Raises:
        UsageError: the shapes differ.
    """
    if latents is not None and tuple(latents.shape) != shape:
        raise UsageError(f"latents must be {list(shape)}, not {list(latents.shape)}.", ErrorKind.INVALID, "latents")

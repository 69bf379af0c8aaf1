"""VACE steered by the reference as a pixel-aligned control: its frames, its depth, or its optical flow.

The worked example of bringing your own method. Three things make one:

1.  a dataclass whose fields are the parameters of ``--method name:key=value``;
2.  ``load``, which turns a checkpoint folder into a pipeline;
3.  ``make``, which turns a case into frames.

:class:`vapbench.PipelineMethod` brings the rest: weights by folder or hub id and what identifies them, device, type,
offload, tiling, the seed, captions encoded once per run. A method without a pipeline needs none of it: see
``baselines/floors``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from PIL import Image
from pydantic import Field

from vapbench import (
    Case,
    Clip,
    ClipSpec,
    DepthEstimator,
    FlowEstimator,
    PipelineMethod,
    depth_to_rgb,
    flow_to_rgb,
    load_upstream_pipeline,
    rendered_depth,
    rendered_flow,
    renderer_version,
    resize_clip,
    unit_depth,
)

if TYPE_CHECKING:
    import numpy as np
    import torch

    Frames = np.ndarray[Any, np.dtype[np.uint8]]


# 1. The parameters. Whoever changes one gets a run folder, and keys, of their own.
@dataclass(kw_only=True, eq=False)
class StructureControl(PipelineMethod):
    """WanVACEPipeline, its control video made from the reference."""

    weights: str = "Wan-AI/Wan2.1-VACE-14B-diffusers"
    guidance: Annotated[float, Field(ge=0)] = 5.0
    negative_prompt: str = "wan"
    shift: Annotated[float, Field(gt=0)] | None = 16.0
    """Shift of the schedule towards noise; None is that of the checkpoint."""
    control: Literal["original", "depth", "flow"] = "original"
    """What the model is shown of the reference."""
    source: Literal["estimated", "rendered"] = "estimated"
    """Where depth and flow come from: a model, or the mini suite's renderer, which knows them."""
    depth_model: str = "depth-anything/Depth-Anything-V2-Small-hf"
    """Folder or hub id of a transformers model that estimates relative inverse depth."""
    strength: Annotated[float, Field(ge=0)] = 1.0
    """Scale of the control."""

    # Runs made before there was a shift were made with the checkpoint's.
    neutral: ClassVar[Mapping[str, Any]] = {**PipelineMethod.neutral, "shift": None}

    # What decides the frames beyond the parameters. Results are kept under a hash of it, so a model that was
    # fetched again, or trained anew, never passes for the one before.
    def identity(self) -> Mapping[str, Any]:
        """The checkpoint, and the estimator where there is one."""
        estimator = self.estimator()
        if estimator is None:
            return super().identity()
        scale = {"depth_scale": "frame"} if self.control == "depth" else {}
        return {**super().identity(), "estimator": estimator.identity(), **scale}

    def remarks(self, cases: Sequence[Case]) -> Sequence[str]:
        """Which model tells depth: VACE's own is another, and the paper names none."""
        if self.control != "depth" or self.source == "rendered":
            return []
        model = self.depth_model if self.depth_model.count("/") == 1 else Path(self.depth_model).name
        return [f"Depth by {model}, each frame on its own scale; VACE's own annotators are MiDaS and V2-Large."]

    def inputs(self, case: Case) -> Sequence[Path | str]:
        """The renderer's version: what it knows is no part of the case's files."""
        return [renderer_version(case)] if self.source == "rendered" and self.control != "original" else []

    # 2. The models.
    def load(self, folder: Path, dtype: torch.dtype) -> Any:
        """Load upstream's pipeline, its schedule shifted."""
        pipeline = load_upstream_pipeline(folder, "WanVACEPipeline", dtype)
        if self.shift is not None:
            scheduler = pipeline.scheduler
            name = "flow_shift" if "flow_shift" in scheduler.config else "shift"
            pipeline.scheduler = type(scheduler).from_config(scheduler.config, **{name: self.shift})
        return pipeline

    def setup(self, device: torch.device) -> None:
        """Load the pipeline, and the estimator that the control needs."""
        super().setup(device)
        self._controls: dict[tuple[str, str], Frames] = {}
        self._estimator = self.estimator()
        if self._estimator:
            self._estimator.load(device)

    def estimator(self) -> DepthEstimator | FlowEstimator | None:
        """What tells depth or flow from frames, where that is needed."""
        if self.source == "rendered" or self.control == "original":
            return None
        return DepthEstimator(self.depth_model) if self.control == "depth" else FlowEstimator()

    # 3. A case becomes frames.
    def make(self, case: Case, clip: ClipSpec, generator: torch.Generator) -> Any:
        """Generate, the control video steering every frame but the first, which is given."""
        control = self.control_video(case, clip)
        first = resize_clip(Clip(case.image.first_frame()[None], clip.fps), 1, clip.fps, clip.height, clip.width).frames
        video = [Image.fromarray(frame) for frame in (*first, *control[1:])]
        # Black keeps what is there, white generates.
        mask = [Image.new("L", (clip.width, clip.height), level) for level in (0, *[255] * (clip.frames - 1))]
        return self.sample(case.caption, clip, generator, video=video, mask=mask, conditioning_scale=self.strength)

    def control_video(self, case: Case, clip: ClipSpec) -> Frames:
        """The control's frames ``(T, H, W, 3)`` uint8; made once for all seeds of a case."""
        key = case.id, case.reference.video.sha256
        if key not in self._controls:
            made = Clip(self._control(case, clip), clip.fps)
            self._controls = {key: resize_clip(made, clip.frames, clip.fps, clip.height, clip.width).frames}
        return self._controls[key]

    def _control(self, case: Case, clip: ClipSpec) -> Frames:
        if self.source == "rendered" and self.control == "depth":
            return depth_to_rgb(rendered_depth(case))
        if self.source == "rendered" and self.control == "flow":
            return flow_to_rgb(rendered_flow(case))
        frames = resize_clip(case.reference.video.read(), clip.frames, clip.fps, clip.height, clip.width).frames
        if self._estimator is None:
            return frames
        estimated = self._estimator(frames)
        return depth_to_rgb(unit_depth(estimated)) if self.control == "depth" else flow_to_rgb(estimated)

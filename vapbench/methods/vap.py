"""Video-As-Prompt (arXiv 2510.20888): the released CogVideoX and Wan2.1 models as methods."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from vapbench.clip import Clip
from vapbench.errors import NotApplicable, UsageError
from vapbench.methods.checkpoints import checkpoint_folder, checkpoint_identity

if TYPE_CHECKING:
    import torch

    from vapbench.cases import Case, Reference

Dtype = Literal["bfloat16", "float16", "float32"]
Offload = Literal["none", "model", "sequential"]
ReferenceRope = Literal["before", "far", "shared"]


class _VideoAsPrompt:
    """What both models share: weights, placement, and the call."""

    name: str
    version = 1
    # Where the weights come from is recorded; what they are is keyed, by `identity`.
    not_keyed = frozenset({"weights", "revision", "offload"})

    def __init__(
        self,
        weights: str,
        revision: str | None = None,
        steps: int = 50,
        guidance: float = 6.0,
        reference_rope: ReferenceRope = "before",
        frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        dtype: Dtype = "bfloat16",
        offload: Offload = "none",
    ) -> None:
        """Prepare the method; the defaults are those of the official scripts.

        Args:
            weights: checkpoint folder or hub id.
            revision: branch, tag or commit of a hub id.
            steps: denoising steps.
            guidance: scale of classifier-free guidance over the captions; 1 is none.
            reference_rope: where references sit in time: ``before`` the target (the paper's temporal bias),
                ``far`` from it (CogVideoX only), or ``shared`` with it (the paper's ablation).
            frames: number of frames; None is the suite's.
            height: in pixels; None is the suite's.
            width: in pixels; None is the suite's.
            dtype: type of weights and computation.
            offload: what waits in main memory: nothing, whole models, or single layers.
        """
        self.weights = weights
        self.revision = revision
        self.steps = steps
        self.guidance = guidance
        self.reference_rope = reference_rope
        self.size = {"frames": frames, "height": height, "width": width}
        self.dtype = dtype
        self.offload = offload
        self.pipeline: Any = None

    def identity(self) -> dict[str, Any]:
        """Hash of the checkpoint folder, or hub repository and commit.

        Raises:
            WeightsError: the checkpoint is neither here nor to be had.
        """
        return checkpoint_identity(self.weights, self.revision)

    def setup(self, device: torch.device) -> None:
        """Load the pipeline, downloading it first where ``weights`` is a hub id that is not here.

        Raises:
            UsageError: offload was asked for without an accelerator.
            WeightsError: the checkpoint is incomplete, or of a class that is not VAP's.
        """
        import torch

        from vapbench.models import load_pipeline

        _no_bars_in_logs()
        folder = checkpoint_folder(self.weights, self.revision)
        dtype = getattr(torch, self.dtype)
        if self.offload == "none":
            self.pipeline = load_pipeline(folder, dtype, device)
        elif device.type == "cpu":
            raise UsageError(f"--offload {self.offload} moves weights to and from an accelerator; on CPU use none.")
        else:
            self.pipeline = load_pipeline(folder, dtype)
            move = {"model": "enable_model_cpu_offload", "sequential": "enable_sequential_cpu_offload"}
            getattr(self.pipeline, move[self.offload])(device=device)
        self.pipeline.set_progress_bar_config(disable=True)

    def generate(self, case: Case, seed: int) -> Clip:
        """Generate the clip for a case.

        Raises:
            NotApplicable: the case has too few references.
        """
        import torch

        references = self.choose_references(case)
        spec = case.clip.model_copy(update={name: value for name, value in self.size.items() if value})
        output = self.pipeline(
            case.image.first_frame(),
            [reference.video.read().frames for reference in references],
            case.caption,
            [reference.caption or "" for reference in references],
            height=spec.height,
            width=spec.width,
            num_frames=spec.frames,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            reference_rope=self.reference_rope,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
            **self.options(),
        )
        return Clip.from_float(output.frames, spec.fps, f"{self.name} on {case.id}")

    def choose_references(self, case: Case) -> Sequence[Reference]:
        """The references the model is shown."""
        return case.references[:1]

    def options(self) -> dict[str, Any]:
        """Arguments that only this model's pipeline has."""
        return {}


class VideoAsPrompt(_VideoAsPrompt):
    """VAP on CogVideoX-5B, with one reference or more."""

    def __init__(
        self,
        weights: str = "ByteDance/Video-As-Prompt-CogVideoX-5B",
        revision: str | None = None,
        steps: int = 50,
        guidance: float = 6.0,
        dynamic_guidance: bool = True,
        references: int = 1,
        reference_rope: ReferenceRope = "before",
        frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        dtype: Dtype = "bfloat16",
        offload: Offload = "none",
    ) -> None:
        """Prepare the method.

        The parameters of every VAP model, and two of CogVideoX's own: ``dynamic_guidance`` lets the scale follow its
        cosine schedule, and ``references`` says how many of the case's references the model is shown.
        """
        super().__init__(weights, revision, steps, guidance, reference_rope, frames, height, width, dtype, offload)
        self.dynamic_guidance = dynamic_guidance
        self.references = references

    def choose_references(self, case: Case) -> Sequence[Reference]:
        """The first ``references``.

        Raises:
            NotApplicable: the case has fewer.
        """
        if len(case.references) < self.references:
            raise NotApplicable(f"the case has {len(case.references)} reference(s), not {self.references}")
        return case.references[: self.references]

    def options(self) -> dict[str, Any]:
        """CogVideoX's own."""
        return {"dynamic_guidance": self.dynamic_guidance}


class VideoAsPromptWan(_VideoAsPrompt):
    """VAP on Wan2.1-I2V-14B, with one reference."""


def _no_bars_in_logs() -> None:
    if sys.stderr.isatty():
        return
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()

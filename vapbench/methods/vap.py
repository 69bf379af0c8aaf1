"""Video-As-Prompt (arXiv 2510.20888): the released CogVideoX and Wan2.1 models as methods."""

# No postponed annotations: see pipelines.py.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy.typing as npt
from pydantic import Field

from vapbench.checkpoints.folder import checkpoint_folder, checkpoint_identity, local_folder
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.errors import ErrorKind, NotApplicable, WeightsError
from vapbench.files.text import counted
from vapbench.methods.pipelines import Guidance, PipelineMethod, wrong_references

if TYPE_CHECKING:
    import torch

ReferenceRope = Literal["before", "far", "shared"]


@dataclass(kw_only=True, eq=False)
class _VideoAsPrompt(PipelineMethod):
    """What both models share; the defaults are those of the official scripts."""

    negative_prompt: str = "wan"
    base: str | None = None
    """Where ``weights`` is a transformer alone: folder or hub id of the model that gives everything else."""
    reference: Literal["own", "shuffled"] = "own"
    """Whose reference the model is shown: the case's, or that of a case of another condition, which tells how much
    it owes to the reference."""
    reference_rope: ReferenceRope = "before"
    """Where references sit in time: ``before`` the target (the paper's temporal bias), ``far`` from it (CogVideoX
    only), or ``shared`` with it (the paper's ablation)."""
    _swapped: Mapping[str, Sequence[Reference]] = field(init=False, default_factory=dict, repr=False)

    # As `weights`: where it comes from is recorded, what it is is keyed.
    unhashed_params = PipelineMethod.unhashed_params | {"base"}
    neutral: ClassVar[Mapping[str, Any]] = {**PipelineMethod.neutral, "negative_prompt": "wan"}

    def identity(self) -> Mapping[str, Any]:
        """The checkpoint, and the base beside it."""
        own = super().identity()
        return {**own, "base": checkpoint_identity(self.base, None, "base")} if self.base else own

    def remarks(self, cases: Sequence[Case]) -> Sequence[str]:
        """What of the weights is passed over, where they are on this machine."""
        from vapbench.models.layout import read_layout

        folder = local_folder(self.weights, self.revision)
        base = local_folder(self.base) if self.base else None
        if folder is None or (self.base and base is None):
            return ()
        try:
            return [f"Weights: {sentence}" for sentence in read_layout(folder, base).passed_over]
        except WeightsError:
            return ()  # Loading them says what is wrong.

    def prepare_cases(self, cases: Sequence[Case]) -> None:
        """Draw wrong references where they are asked for."""
        if self.reference == "shuffled":
            self._swapped = wrong_references(cases)

    def inputs(self, case: Case) -> Sequence[Path | Media | str]:
        """The wrong reference: it is none of the case's own files."""
        if self.reference == "own":
            return ()
        return [part for reference in self.shown(case) for part in (reference.video, reference.caption or "")]

    def load(self, folder: Path, dtype: "torch.dtype") -> Any:
        """Load the pipeline.

        Raises:
            WeightsError: the folder is incomplete, or of a class that is not VAP's.
        """
        from vapbench.models import load_pipeline

        return load_pipeline(folder, dtype, base=checkpoint_folder(self.base, None, "base") if self.base else None)

    def make(self, case: Case, clip: ClipSpec, generator: "torch.Generator") -> npt.ArrayLike:
        """Generate the frames for a case.

        Raises:
            NotApplicable: the case has too few references.
        """
        references = self.shown(case)
        frames: npt.ArrayLike = self.pipeline(
            case.image.first_frame(),
            [reference.video.read().frames for reference in references],
            case.caption,
            [reference.caption or "" for reference in references],
            height=clip.height,
            width=clip.width,
            num_frames=clip.frames,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            negative_prompt=self.negative_text(),
            negative_reference_prompt=self.negative_text(),
            reference_rope=self.reference_rope,
            generator=generator,
            output_type="np",
            **self.options(),
        ).frames
        return frames

    def shown(self, case: Case) -> Sequence[Reference]:
        """The reference the model is shown.

        Raises:
            NotApplicable: the case has none.
        """
        references = case.references if self.reference == "own" else self._swapped[case.id]
        if not references:
            raise NotApplicable("the case has 0 references, not 1", field="references")
        return references[:1]

    def options(self) -> dict[str, Any]:
        """Arguments that only this model's pipeline has."""
        return {}


@dataclass(kw_only=True, eq=False)
class VideoAsPrompt(_VideoAsPrompt):
    """VAP on CogVideoX-5B, with one reference or more."""

    weights: str = "ByteDance/Video-As-Prompt-CogVideoX-5B"
    dynamic_guidance: bool = True
    """Whether the scale follows its cosine schedule."""
    references: Annotated[int, Field(ge=1)] = 1
    """How many references the model is shown."""

    def shown(self, case: Case) -> Sequence[Reference]:
        """The first ``references``.

        Raises:
            NotApplicable: the case has fewer.
        """
        available = case.references if self.reference == "own" else self._swapped[case.id]
        if len(available) < self.references:
            raise NotApplicable(
                f"the case has {counted(len(available), 'reference')}, not {self.references}",
                ErrorKind.NOT_APPLICABLE,
                "references",
            )
        return available[: self.references]

    def options(self) -> dict[str, Any]:
        """CogVideoX's own."""
        return {"dynamic_guidance": self.dynamic_guidance}


@dataclass(kw_only=True, eq=False)
class VideoAsPromptWan(_VideoAsPrompt):
    """VAP on Wan2.1-I2V-14B, with one reference."""

    weights: str = "ByteDance/Video-As-Prompt-Wan2.1-14B"
    guidance: Guidance = 5.0

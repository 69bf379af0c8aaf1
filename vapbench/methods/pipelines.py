"""What every method on a diffusers pipeline shares: weights, placement, captions and videos encoded once, the seed.

A subclass says which pipeline it is and makes frames; ``baselines/image_to_video`` is the shortest one.
"""

# No postponed annotations here: subclasses in other modules inherit these fields, and their types must be types.
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vapbench.checkpoints.folder import checkpoint_folder, checkpoint_identity
from vapbench.core.case import Case, ClipSpec, Reference
from vapbench.core.clip import Clip, Export
from vapbench.core.limits import MOST_FRAMES, MOST_PIXELS
from vapbench.core.video import check_official_export
from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.files.atomic import digest
from vapbench.methods.base import Method
from vapbench.methods.reuse import EncodedOnce

if TYPE_CHECKING:
    import torch

Dtype = Literal["bfloat16", "float16", "float32"]
Offload = Literal["none", "model", "sequential"]
Steps = Annotated[int, Field(ge=1, le=1000)]
"""As many as the schedulers were trained with at most."""
Guidance = Annotated[float, Field(ge=0)]
Side = Annotated[int, Field(ge=2, le=MOST_PIXELS // 2, multiple_of=2)]

_LONGEST_CAPTION = 512
_NEXT_STEP = {
    "none": "run again with --refresh failed --offload model",
    "model": "run again with --refresh failed --offload sequential",
    "sequential": "add tiling=true to the method, or ask for fewer frames with frames=",
}


@dataclass(kw_only=True, eq=False)
class PipelineMethod(Method):
    """A diffusers pipeline as a method. The fields are the parameters that ``--method name:key=value`` sets."""

    weights: str
    """Checkpoint folder, hub id, or ``vapbench:…`` for weights that come with vapbench."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    steps: Steps = 50
    """Denoising steps."""
    guidance: Guidance = 6.0
    """Scale of classifier-free guidance over the captions; 1 is none."""
    negative_prompt: str = ""
    """What guidance leads away from; ``wan`` is Wan's own long text."""
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)] | None = None
    """Number of frames; None is the suite's."""
    height: Side | None = None
    """In pixels; None is the suite's."""
    width: Side | None = None
    """In pixels; None is the suite's."""
    dtype: Dtype = "bfloat16"
    """Type of weights and computation."""
    offload: Offload = "none"
    """What waits in main memory: nothing, whole models, or single layers."""
    tiling: bool = False
    """Whether the autoencoder works on tiles: less memory, and seams at most faintly visible."""
    compile: bool = False
    """Whether the transformer is compiled: minutes at the first case, faster afterwards."""
    generator: Literal["cpu", "cuda"] = "cpu"
    """Where noise is drawn: ``cpu`` gives every device the same, ``cuda`` the official scripts' (their seed is 42)."""
    export: Export = "fine"
    """How clips are written: ``official`` as the official scripts do (``export_to_video``), which costs detail."""
    pipeline: Any = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a frame that is larger than can be read back."""
        if (self.height or 0) * (self.width or 0) > MOST_PIXELS:
            raise UsageError(
                f"{self.width}x{self.height} is more than the {MOST_PIXELS:,} pixels that are read.",
                ErrorKind.LIMIT,
                "size",
            )

    name = ""
    version = 1
    # Where weights come from is recorded; what they are is keyed, by `identity`. Offloading moves work, not results;
    # compiling rounds otherwise, as another device does, and devices are not keyed either.
    unhashed_params = frozenset({"weights", "revision", "offload", "compile"})
    may_be_empty = frozenset({"negative_prompt"})
    # Parameters that came later, at the value that means what was done before: rows made then stay what they are.
    neutral: ClassVar[Mapping[str, Any]] = {"negative_prompt": "", "generator": "cpu", "export": "fine"}

    def identity(self) -> Mapping[str, Any]:
        """Hash of the checkpoint folder, or hub repository and commit.

        Raises:
            WeightsError: the checkpoint is neither here nor to be had.
        """
        return checkpoint_identity(self.weights, self.revision)

    def load(self, folder: Path, dtype: "torch.dtype") -> Any:
        """Load the pipeline from its folder, onto the CPU.

        Raises:
            WeightsError: the folder is incomplete, or holds another pipeline.
        """
        raise NotImplementedError

    def make(self, case: Case, clip: ClipSpec, generator: "torch.Generator") -> npt.ArrayLike:
        """Return frames ``(T, H, W, 3)``, float in 0..1, for a case."""
        raise NotImplementedError

    def setup(self, device: "torch.device") -> None:
        """Load the pipeline and place it, downloading it first where ``weights`` is a hub id that is not here.

        Raises:
            UsageError: offload was asked for without an accelerator, noise from CUDA without CUDA, or the official
                export without its packages.
            WeightsError: the checkpoint is incomplete, or of another class.
            VapbenchError: the weights do not fit into the device's memory.
        """
        import torch

        from vapbench.models.convolutions import convolve_in_planes

        if self.offload != "none" and device.type == "cpu":
            raise UsageError(
                f"--offload {self.offload} moves weights to and from an accelerator; on CPU use none.",
                ErrorKind.CONFLICT,
                "offload",
            )
        if self.generator == "cuda" and device.type != "cuda":
            raise UsageError(
                f"generator=cuda draws the noise on a CUDA device, and this runs on {device}: its noise cannot be made "
                "elsewhere; leave generator=cuda out.",
                ErrorKind.CONFLICT,
                "generator",
            )
        if self.export == "official":
            check_official_export()
        no_bars_in_logs()
        self.pipeline = self.load(checkpoint_folder(self.weights, self.revision), getattr(torch, self.dtype))
        self._embedded: dict[str, Any] = {}
        self._device = device
        self.pipeline.set_progress_bar_config(disable=True)
        if device.type == "cpu":
            convolve_in_planes(self.pipeline.vae)
        if self.tiling:
            self.pipeline.vae.enable_tiling()
        self.pipeline.vae.encode = EncodedOnce(self.pipeline.vae.encode)
        if self.compile:
            self.pipeline.transformer.compile()
        try:
            place(self.pipeline, self.offload, device)
        except torch.OutOfMemoryError as error:
            hint = "--offload sequential" if self.offload == "model" else "--offload model"
            raise VapbenchError(
                f"{self.name}: its weights do not fit into {device}'s memory; try {hint}.", ErrorKind.LIMIT, "memory"
            ) from error

    def generate(self, case: Case, seed: int) -> Clip:
        """Generate the clip for a case; the seed decides all of its randomness.

        Raises:
            OutOfMemoryError: with what to try next.
        """
        import torch

        clip = self.clip_of(case)
        generator = torch.Generator(self._device if self.generator == "cuda" else "cpu").manual_seed(seed)
        try:
            made = self.make(case, clip, generator)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(f"{error} Next: {_NEXT_STEP[self.offload]}.") from error
        # An even number of latent frames comes out of CogVideoX's autoencoder with three frames too many in front.
        frames = np.asarray(made)[-clip.frames :]
        return replace(Clip.from_float(frames, clip.fps, f"{self.name} on {case.id}"), export=self.export)

    def sample(
        self, caption: str | None, clip: ClipSpec, generator: "torch.Generator", **own: Any
    ) -> npt.NDArray[np.float32]:
        """Run the pipeline, guided away from the negative prompt.

        Args:
            caption: of the target.
            clip: size and length to make.
            generator: of all randomness.
            own: arguments of this pipeline alone, such as its image.

        Returns:
            Frames ``(T, H, W, 3)``, in 0..1.
        """
        made: npt.NDArray[np.float32] = self.pipeline(
            prompt_embeds=self.embed(caption),
            negative_prompt_embeds=self.embed(self.negative_text()),
            height=clip.height,
            width=clip.width,
            num_frames=clip.frames,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=generator,
            output_type="np",
            **own,
        ).frames[0]
        return made

    def negative_text(self) -> str:
        """The negative prompt, written out."""
        from vapbench.models import NEGATIVE_PROMPT

        return NEGATIVE_PROMPT if self.negative_prompt == "wan" else self.negative_prompt

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Hold the pipeline still while its layers are exchanged: offloading is taken off, then put on again.

        Diffusers does so by itself for adapters, but puts it on for the first accelerator it finds.
        """
        if self.offload == "none":
            yield
            return
        self.pipeline.remove_all_hooks()
        try:
            yield
        finally:
            place(self.pipeline, self.offload, self._device)

    def clip_of(self, case: Case) -> ClipSpec:
        """Size and length to generate: the suite's, but for what the parameters say."""
        own = {"frames": self.frames, "height": self.height, "width": self.width}
        return case.clip.model_copy(update={name: value for name, value in own.items() if value})

    def embed(self, caption: str | None) -> "torch.Tensor":
        """Embedding ``(1, L, D)`` of a caption by the pipeline's text encoder, computed once per run."""
        import torch

        caption = caption or ""
        if caption not in self._embedded:
            length = min(getattr(self.pipeline.tokenizer, "model_max_length", _LONGEST_CAPTION), _LONGEST_CAPTION)
            # CogVideoX with learned positions takes exactly as many tokens as its config says.
            length = getattr(self.pipeline.transformer.config, "max_text_seq_length", length)
            with torch.no_grad():
                encoded = self.pipeline.encode_prompt(
                    caption, do_classifier_free_guidance=False, max_sequence_length=length
                )[0]
            self._embedded[caption] = encoded.cpu()
        embedded: torch.Tensor = self._embedded[caption].to(self.pipeline._execution_device)
        return embedded


def load_upstream_pipeline(folder: str | PathLike[str], name: str, dtype: "torch.dtype") -> Any:
    """Load a pipeline of upstream's, checked; see :mod:`vapbench.models.upstream`.

    Importing a method must not import torch, so the loader is imported when it is called.

    Raises:
        WeightsError: the folder is incomplete or damaged, or holds another pipeline.
    """
    from vapbench.models import load_upstream_pipeline as load

    return load(folder, name, dtype)


def place(pipeline: Any, offload: Offload, device: "torch.device") -> None:
    """Put a pipeline onto a device, or let it visit the device model by model or layer by layer."""
    if offload == "none":
        pipeline.to(device)
    elif offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)


def wrong_references(cases: Sequence[Case]) -> dict[str, tuple[Reference, ...]]:
    """References of another condition for each case, by its id: always the same ones for the same cases.

    Which one is drawn from the two cases' names, so that the order of the cases, and cases that are left out, change
    nothing for the others.

    Raises:
        UsageError: all cases have one condition.
    """
    swapped = {}
    for case in cases:
        others = [other for other in cases if other.condition != case.condition]
        if not others:
            raise UsageError(
                f"A wrong reference needs a second condition; every case shows {case.condition}. "
                "Use a task with more conditions.",
                ErrorKind.CONFLICT,
                "reference",
            )
        swapped[case.id] = min(others, key=lambda other: digest([case.id, other.id])).references
    return swapped


def no_bars_in_logs() -> None:
    """Keep the loaders' progress bars out of what is no terminal."""
    if sys.stderr.isatty():
        return
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()

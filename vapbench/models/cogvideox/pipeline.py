"""Video-As-Prompt on CogVideoX: first frame, captions and any number of reference videos in, one video out.

Behaves as the official pipeline (bytedance/Video-As-Prompt @0f30aed), random numbers included. From one
generator are drawn, in this order: the first frame's latents, the initial noise, each reference's latents,
each reference's first-frame latents, and what the scheduler draws at each step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from transformers import T5EncoderModel, T5Tokenizer

from vapbench.errors import ErrorKind, UsageError
from vapbench.models.cogvideox.mot import CogVideoXTransformer3DMOTModel
from vapbench.models.inputs import (
    FrameSelection,
    Picture,
    Request,
    Video,
    check_size,
    negative_or_default,
    read_request,
    warn_of_cut_caption,
)
from vapbench.models.pipeline import (
    OutputType,
    StepCallback,
    VapPipeline,
    VideoOutput,
    check_latents,
    check_output_type,
)
from vapbench.models.rope import (
    ReferenceRope,
    Rotary,
    cogvideox_rotary,
    reference_positions,
    target_positions,
)


class _Latents(NamedTuple):
    noise: torch.Tensor
    """[1, T, C, h, w], scaled for the scheduler."""
    first_frame: torch.Tensor
    """[1, T, C, h, w], zeros after the first latent frame."""
    references: torch.Tensor
    """Video and first-frame latents of all references, [1, n * T, 2C, h, w]."""


class CogVideoXImageToVideoMOTPipeline(VapPipeline):
    """First-frame-to-video with reference videos as prompts, on CogVideoX 1.0.

    Raises:
        UsageError: components of CogVideoX 1.5, for which there are no weights and the official code is not
            defined.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"

    def __init__(
        self,
        tokenizer: T5Tokenizer,
        text_encoder: T5EncoderModel,
        vae: AutoencoderKLCogVideoX,
        transformer: CogVideoXTransformer3DMOTModel,
        scheduler: CogVideoXDDIMScheduler | CogVideoXDPMScheduler,
    ) -> None:
        super().__init__()
        if transformer.config.patch_size_t is not None or vae.config.invert_scale_latents:
            raise UsageError(
                "CogVideoX 1.5 (patch_size_t or invert_scale_latents is set) is not supported.",
                ErrorKind.INVALID,
                "transformer",
            )
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=vae,
            transformer=transformer,
            scheduler=scheduler,
        )
        self.spatial_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.temporal_factor = int(vae.config.temporal_compression_ratio)
        self.video_processor = VideoProcessor(vae_scale_factor=self.spatial_factor)

    @torch.no_grad()
    def __call__(
        self,
        image: Picture,
        reference_videos: Sequence[Video],
        prompt: str | None = None,
        reference_prompts: Sequence[str] | str | None = None,
        *,
        negative_prompt: str | None = None,
        negative_reference_prompt: str | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int = 49,
        num_inference_steps: int = 50,
        guidance_scale: float = 6.0,
        dynamic_guidance: bool = False,
        reference_rope: ReferenceRope = "before",
        frame_selection: FrameSelection = "evenly",
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        output_type: OutputType = "np",
        callback_on_step_end: StepCallback | None = None,
    ) -> VideoOutput:
        """Generate one video.

        Args:
            image: first frame, uint8 [H, W, 3] or PIL; resized without a crop.
            reference_videos: one or more, each uint8 [F, H, W, 3] or PIL images, of any length.
            prompt: the target's caption; None is an empty one.
            reference_prompts: one caption per reference; a string where there is one reference; None is empty
                ones.
            negative_prompt: None is :data:`vapbench.models.NEGATIVE_PROMPT`. Unused without guidance.
            negative_reference_prompt: the same, for every reference.
            height: in pixels; None is the model's own, and models with learned positions take no other.
            width: as height.
            num_frames: 4k + 1.
            num_inference_steps: denoising steps.
            guidance_scale: of classifier-free guidance over the captions; 1 or less is none, at half the
                cost.
            dynamic_guidance: let the scale follow upstream's cosine schedule; the official scripts do.
            reference_rope: where the references sit in time, see :mod:`vapbench.models.rope`.
            frame_selection: "evenly" over each reference, or its "first" frames.
            generator: the only source of randomness.
            latents: initial noise [1, T, C, h, w] instead of drawn.
            output_type: see :class:`vapbench.models.VideoOutput`.
            callback_on_step_end: see :data:`vapbench.models.pipeline.StepCallback`.

        Raises:
            UsageError: arguments that contradict each other or the model.
            DataError: an image or video that cannot be used.
        """
        config = self.transformer.config
        height = height or config.sample_height * self.spatial_factor
        width = width or config.sample_width * self.spatial_factor
        check_output_type(output_type)
        step = self.spatial_factor * config.patch_size
        check_size(height, width, num_frames, step, self.temporal_factor, num_inference_steps)
        frames, rows, columns = self._latent_size(num_frames, height, width)
        own_size = (rows, columns) == (config.sample_height, config.sample_width)
        if config.use_learned_positional_embeddings and not own_size:
            raise UsageError(
                f"This model's learned positions fit {config.sample_height * self.spatial_factor} x "
                f"{config.sample_width * self.spatial_factor} pixels only, not {height} x {width}.",
                ErrorKind.INVALID,
                "height",
            )
        check_latents(latents, (1, frames, config.out_channels, rows, columns))
        request = read_request(image, reference_videos, prompt, reference_prompts, num_frames, frame_selection)
        rotary, reference_rotary = self._rotary(frames, rows, columns, len(request.references), reference_rope)

        guided = guidance_scale > 1.0
        copies = 2 if guided else 1
        negatives = negative_or_default(negative_prompt), negative_or_default(negative_reference_prompt)
        text, reference_text = self._encode_captions(request, negatives if guided else None)
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        latents, first_frame, references = self._encode_videos(request, height, width, generator, latents)

        previous = _Previous()
        for index, timestep in enumerate(self.progress_bar(self.scheduler.timesteps)):
            noisy = self.scheduler.scale_model_input(latents, timestep)
            prediction = self.transformer(
                hidden_states=torch.cat([noisy, first_frame], dim=2).repeat(copies, 1, 1, 1, 1),
                encoder_hidden_states=text,
                timestep=timestep.expand(copies),
                image_rotary_emb=rotary,
                reference_hidden_states=references.repeat(copies, 1, 1, 1, 1),
                reference_encoder_hidden_states=reference_text,
                reference_rotary_emb=reference_rotary,
                return_dict=False,
            )[0].float()
            if guided:
                scale = guidance_scale
                if dynamic_guidance:
                    scale = dynamic_scale(guidance_scale, float(timestep), num_inference_steps)
                negative, positive = prediction.chunk(2)
                prediction = negative + scale * (positive - negative)
            latents = self._step(prediction, timestep, latents, previous, generator).to(text.dtype)
            latents = self._after_step(callback_on_step_end, index, timestep, latents)
        return self._output(latents, output_type)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the video [1, 3, F, H, W] in [-1, 1] of final latents [1, T, C, h, w], F = 4(T - 1) + 1.

        The autoencoder gives an even number of latent frames four frames each, the first one too, which stands for
        one: the three that precede it are dropped. The released models' 13 latent frames never meet this.
        """
        frames = (latents.shape[1] - 1) * self.temporal_factor + 1
        latents = latents.transpose(1, 2) / self.vae.config.scaling_factor
        video: torch.Tensor = self.vae.decode(latents.to(self.vae.dtype)).sample
        return video[:, :, -frames:]

    def _latent_size(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        frames = (num_frames - 1) // self.temporal_factor + 1
        return frames, height // self.spatial_factor, width // self.spatial_factor

    def _rotary(
        self, frames: int, rows: int, columns: int, references: int, placement: ReferenceRope
    ) -> tuple[Rotary | None, Rotary | None]:
        """Return the tables of target and references."""
        config = self.transformer.config
        positions = reference_positions(frames, references, placement)
        if not config.use_rotary_positional_embeddings:
            return None, None
        patch, device = config.patch_size, self._execution_device
        grid, base = (
            (rows // patch, columns // patch),
            (config.sample_height // patch, config.sample_width // patch),
        )
        target = cogvideox_rotary(target_positions(frames), grid, base, config.attention_head_dim, device)
        return target, cogvideox_rotary(positions, grid, base, config.attention_head_dim, device)

    def _encode_captions(
        self, request: Request, negatives: tuple[str, str] | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return text [B, L, D] and reference text [B, n * L, D].

        B is 2 with negatives, which come first, else 1.
        """
        text = self._text(request.prompt)
        reference = torch.cat([self._text(caption) for caption in request.reference_prompts], dim=1)
        if negatives is None:
            return text, reference
        negative, negative_reference = (self._text(caption) for caption in negatives)
        negative_reference = negative_reference.repeat(1, len(request.reference_prompts), 1)
        return torch.cat([negative, text]), torch.cat([negative_reference, reference])

    def _encode_text(self, caption: str) -> torch.Tensor:
        length = self.transformer.config.max_text_seq_length
        tokens = self.tokenizer(
            [caption], padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )
        if len(self.tokenizer(caption).input_ids) > length:
            warn_of_cut_caption(caption, length)
        text: torch.Tensor = self.text_encoder(tokens.input_ids.to(self._execution_device))[0]
        return text.to(self.transformer.dtype)

    def _encode_videos(
        self,
        request: Request,
        height: int,
        width: int,
        generator: torch.Generator | None,
        latents: torch.Tensor | None,
    ) -> _Latents:
        """Encode pictures and videos; the order of the draws from the generator is the official one."""
        first_frame = self._encode(self._preprocess([request.image], height, width), generator)
        num_frames = len(request.references[0])
        frames, rows, columns = self._latent_size(num_frames, height, width)
        dtype, device = self.transformer.dtype, self._execution_device
        if latents is None:
            shape = (1, frames, self.transformer.config.out_channels, rows, columns)
            latents = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        noise = latents.to(device, dtype) * self.scheduler.init_noise_sigma

        videos = [self._preprocess(frames, height, width) for frames in request.references]
        clean = torch.cat([self._encode(video, generator) for video in videos], dim=1)
        stills = [_pad(self._encode(video[:, :, :1], generator), frames) for video in videos]
        return _Latents(noise, _pad(first_frame, frames), torch.cat([clean, torch.cat(stills, dim=1)], dim=2))

    def _encode(self, video: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """Return latents [1, T, C, h, w], drawn from the autoencoder's posterior."""
        posterior = self.vae.encode(video.to(self.vae.dtype)).latent_dist
        latents: torch.Tensor = posterior.sample(generator).to(self.transformer.dtype)
        return latents.transpose(1, 2) * float(self.vae.config.scaling_factor)

    def _step(
        self,
        prediction: torch.Tensor,
        timestep: torch.Tensor,
        latents: torch.Tensor,
        previous: _Previous,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """Return the latents of the next timestep; the DPM solver also looks back one step."""
        if isinstance(self.scheduler, CogVideoXDPMScheduler):
            latents, previous.clean = self.scheduler.step(
                prediction,
                previous.clean,
                timestep,
                previous.timestep,
                latents,
                generator=generator,
                return_dict=False,
            )
            previous.timestep = timestep
            return latents
        stepped: torch.Tensor = self.scheduler.step(
            prediction, timestep, latents, generator=generator, return_dict=False
        )[0]
        return stepped


class _Previous:
    """What the DPM solver keeps of the step before."""

    clean: Any = None
    timestep: Any = None


def dynamic_scale(guidance_scale: float, timestep: float, steps: int) -> float:
    """Return the guidance scale at a timestep in [0, 999], by upstream's formula.

    The cosine is meant to run once over the whole sampling, but the formula divides the timestep by the
    number of steps, so the scale oscillates. Released results were made with it, hence it stays.
    """
    progress = (steps - timestep) / steps
    return 1 + guidance_scale * (1 - math.cos(math.pi * progress**5.0)) / 2


def _pad(latents: torch.Tensor, frames: int) -> torch.Tensor:
    """Append zero frames to [1, 1, C, h, w]."""
    zeros = latents.new_zeros(1, frames - latents.shape[1], *latents.shape[2:])
    return torch.cat([latents, zeros], dim=1)

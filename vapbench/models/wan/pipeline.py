"""Video-As-Prompt on Wan 2.1: first frame, captions and one reference video in, one video out.

Behaves as the official pipeline (bytedance/Video-As-Prompt @0f30aed). The initial noise is all that is drawn
from the
generator: the autoencoder's mode is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from PIL import Image
from transformers import CLIPVisionModel, T5TokenizerFast, UMT5EncoderModel

from vapbench.errors import ErrorKind, UsageError
from vapbench.models.inputs import (
    FrameSelection,
    Picture,
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
from vapbench.models.rope import ReferenceRope
from vapbench.models.wan.mot import WanTransformer3DMOTModel

TEXT_TOKENS = 512
REFERENCE_TIMESTEP = 1


class _Captions(NamedTuple):
    text: torch.Tensor
    """[1, 512, D]."""
    reference: torch.Tensor
    """[1, 512, D]."""


class WanImageToVideoMOTPipeline(VapPipeline):
    """First-frame-to-video with one reference video as the prompt, on Wan 2.1."""

    model_cpu_offload_seq = "text_encoder->image_encoder->transformer->vae"
    float32_components: ClassVar[tuple[str, ...]] = ("vae", "image_encoder")

    def __init__(
        self,
        tokenizer: T5TokenizerFast,
        text_encoder: UMT5EncoderModel,
        image_encoder: CLIPVisionModel,
        image_processor: Any,
        vae: AutoencoderKLWan,
        transformer: WanTransformer3DMOTModel,
        scheduler: UniPCMultistepScheduler | FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            image_encoder=image_encoder,
            image_processor=image_processor,
            vae=vae,
            transformer=transformer,
            scheduler=scheduler,
        )
        self.temporal_factor = 2 ** sum(vae.config.temperal_downsample)
        self.spatial_factor = 2 ** len(vae.config.temperal_downsample)
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
        height: int = 480,
        width: int = 832,
        num_frames: int = 49,
        num_inference_steps: int = 50,
        guidance_scale: float = 5.0,
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
            reference_videos: a list with one video, uint8 [F, H, W, 3] or PIL images, of any length.
            prompt: the target's caption; None is an empty one.
            reference_prompts: the reference's caption, as a string or a list with one; None is an empty one.
            negative_prompt: None is :data:`vapbench.models.NEGATIVE_PROMPT`. Unused without guidance.
            negative_reference_prompt: the same, for the reference.
            height: in pixels, a multiple of 16.
            width: in pixels, a multiple of 16.
            num_frames: 4k + 1.
            num_inference_steps: denoising steps.
            guidance_scale: of classifier-free guidance over the captions; 1 or less is none, at half the
                cost.
            reference_rope: where the reference sits in time, see :mod:`vapbench.models.rope`.
            frame_selection: "evenly" over the reference, or its "first" frames.
            generator: the only source of randomness.
            latents: initial noise [1, C, T, h, w] instead of drawn.
            output_type: see :class:`vapbench.models.VideoOutput`.
            callback_on_step_end: see :data:`vapbench.models.pipeline.StepCallback`.

        Raises:
            UsageError: arguments that contradict each other or the model, such as more than one reference.
            DataError: an image or video that cannot be used.
        """
        check_output_type(output_type)
        step = self.spatial_factor * self.transformer.config.patch_size[1]
        check_size(height, width, num_frames, step, self.temporal_factor, num_inference_steps)
        frames = (num_frames - 1) // self.temporal_factor + 1
        shape = (
            1,
            self.vae.config.z_dim,
            frames,
            height // self.spatial_factor,
            width // self.spatial_factor,
        )
        check_latents(latents, shape)
        request = read_request(image, reference_videos, prompt, reference_prompts, num_frames, frame_selection)
        if len(request.references) != 1:
            raise UsageError(
                f"Wan takes one reference video, not {len(request.references)}.", ErrorKind.INVALID, "reference_videos"
            )
        reference = request.references[0]

        device, dtype = self._execution_device, self.transformer.dtype
        captions = [_Captions(self._text(request.prompt), self._text(request.reference_prompts[0]))]
        if guidance_scale > 1.0:
            negatives = negative_or_default(negative_prompt), negative_or_default(negative_reference_prompt)
            captions.append(_Captions(*(self._text(caption) for caption in negatives)))
        image_embeds, reference_embeds = self._encode_image(request.image), self._encode_image(reference[0])

        set_timesteps(self.scheduler, num_inference_steps, device)
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=device, dtype=torch.float32)
        latents = latents.to(device, torch.float32)
        first_frame = self._first_frame_latents(self._preprocess([request.image], height, width), num_frames)
        video = self._preprocess(reference, height, width)
        references = torch.cat([self._encode(video), self._first_frame_latents(video[:, :, :1], num_frames)], dim=1)
        references = references.to(dtype)

        for index, timestep in enumerate(self.progress_bar(self.scheduler.timesteps)):
            predictions = [
                self.transformer(
                    hidden_states=torch.cat([latents, first_frame], dim=1).to(dtype),
                    timestep=timestep.expand(1),
                    encoder_hidden_states=caption.text,
                    encoder_hidden_states_image=image_embeds,
                    reference_hidden_states=references,
                    reference_timestep=torch.full_like(timestep.expand(1), REFERENCE_TIMESTEP),
                    reference_encoder_hidden_states=caption.reference,
                    reference_encoder_hidden_states_image=reference_embeds,
                    reference_rope=reference_rope,
                    return_dict=False,
                )[0]
                for caption in captions
            ]
            prediction = predictions[0]
            if len(predictions) == 2:
                negative = predictions[1]
                prediction = negative + guidance_scale * (prediction - negative)
            latents = self.scheduler.step(prediction, timestep, latents, return_dict=False)[0]
            latents = self._after_step(callback_on_step_end, index, timestep, latents)
        return self._output(latents, output_type)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the video [1, 3, F, H, W] in [-1, 1] of final latents [1, C, T, h, w]."""
        mean, std = self._statistics(latents.device)
        video: torch.Tensor = self.vae.decode((latents * std + mean).to(self.vae.dtype), return_dict=False)[0]
        return video

    def _encode_text(self, caption: str) -> torch.Tensor:
        """Return embeddings [1, 512, D], zero after the caption's end."""
        caption = prompt_clean(caption)
        tokens = self.tokenizer(
            [caption],
            padding="max_length",
            max_length=TEXT_TOKENS,
            truncation=True,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self._execution_device)
        if len(self.tokenizer(caption).input_ids) > TEXT_TOKENS:
            warn_of_cut_caption(caption, TEXT_TOKENS)
        text: torch.Tensor = self.text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        text = text * tokens.attention_mask[..., None].to(text.dtype)
        return text.to(self.transformer.dtype)

    def _encode_image(self, image: Image.Image) -> torch.Tensor:
        """Return CLIP's last but one layer [1, 257, D] of the picture at its own size."""
        pixels = self.image_processor(images=image, return_tensors="pt").pixel_values
        pixels = pixels.to(self._execution_device, self.image_encoder.dtype)
        hidden: torch.Tensor = self.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]
        return hidden.to(self.transformer.dtype)

    def _first_frame_latents(self, picture: torch.Tensor, num_frames: int) -> torch.Tensor:
        """Encode a picture [1, 3, 1, H, W] and grey after it as [mask 4, latents C], [1, 4 + C, T, h, w]."""
        grey = picture.new_zeros(*picture.shape[:2], num_frames - 1, *picture.shape[3:])
        latents = self._encode(torch.cat([picture, grey], dim=2))
        mask = latents.new_zeros(1, self.temporal_factor, *latents.shape[2:])
        mask[:, :, 0] = 1
        return torch.cat([mask, latents], dim=1)

    def _encode(self, video: torch.Tensor) -> torch.Tensor:
        """Return normalised float32 latents [1, C, T, h, w], the mode of the autoencoder's posterior."""
        latents = self.vae.encode(video.to(self.vae.dtype)).latent_dist.mode().float()
        mean, std = self._statistics(latents.device)
        normalised: torch.Tensor = (latents - mean) / std
        return normalised

    def _statistics(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of the latents, float32 [1, C, 1, 1, 1]."""
        config = self.vae.config
        mean, std = (torch.tensor(values, device=device) for values in (config.latents_mean, config.latents_std))
        return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)


def set_timesteps(scheduler: Any, steps: int, device: torch.device | str) -> None:
    """Set the schedule the released model was sampled with.

    UniPC spaces its flow sigmas differently since diffusers 0.37.1; the grid before that is passed
    explicitly. The scheduler's flow shift applies to it.
    """
    if isinstance(scheduler, UniPCMultistepScheduler) and scheduler.config.use_flow_sigmas:
        sigmas = np.linspace(1 - 1 / scheduler.config.num_train_timesteps, 0, steps + 1)[:-1]
        scheduler.set_timesteps(sigmas=sigmas, device=device)
    else:
        scheduler.set_timesteps(steps, device=device)

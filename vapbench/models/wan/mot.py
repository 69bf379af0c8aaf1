"""The Wan 2.1 Mixture-of-Transformers of Video-As-Prompt (arXiv 2510.20888).

The class carries the name of the official repository (bytedance/Video-As-Prompt @0f30aed), so that saved
folders are interchangeable with it. As there, the model takes exactly one reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from torch import nn

from vapbench.errors import ErrorKind, UsageError
from vapbench.models.experts import SUFFIX, ExpertModel, twin
from vapbench.models.rope import ReferenceRope, Rotary, reference_positions, wan_rotary
from vapbench.models.wan.block import Condition, Reference, WanExpertBlock, modulate


@dataclass
class WanExpertOutput(BaseOutput):  # type: ignore[misc]
    """What the transformer predicts."""

    sample: torch.Tensor
    """For the target, [B, C, T, h, w]."""


class WanTransformer3DMOTModel(ExpertModel, WanTransformer3DModel):  # type: ignore[misc]
    """Wan 2.1 image-to-video with an expert for one reference video.

    Configs hold the fields of ``WanTransformer3DModel`` and these:

    - ``block_idx_with_mot_ref``: the blocks with an expert (released model: every fourth of 40).
    - ``supported_effect_types``, ``num_ref_embeddings``: taken and never read, as in the official model.
    - ``attention_head_dim_mot_ref``, ``reference_train_mode``: fields of official configs that do not run there;
      they must be null.

    Tables and norms that upstream keeps in float32 stay so in the expert too. The official code keeps the
    expert's in the checkpoint's type, with the same results: both are converted to float32 before use.

    Without a reference it is exactly the base model.

    Raises:
        UsageError: a config this class cannot follow.
    """

    _no_split_modules = ("WanTransformerBlock", "WanExpertBlock")
    _repeated_blocks = ("WanTransformerBlock", "WanExpertBlock")
    _keep_in_fp32_modules = [  # noqa: RUF012
        *WanTransformer3DModel._keep_in_fp32_modules,
        "scale_shift_table" + SUFFIX,
        "norm2" + SUFFIX,
    ]

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        block_idx_with_mot_ref: Sequence[int] = (0, 10, 20),
        attention_head_dim_mot_ref: int | None = None,
        supported_effect_types: Sequence[str] | None = None,
        num_ref_embeddings: int | None = None,
        reference_train_mode: str | None = None,
    ) -> None:
        super().__init__(**self._base_config(WanTransformer3DModel))
        self._check_expert_config(num_layers, attention_head_dim)
        if reference_train_mode:
            raise UsageError(
                "Wan has no reference_train_mode: set it to null.", ErrorKind.INVALID, "reference_train_mode"
            )

        self.patch_embedding_mot_ref = twin(self.patch_embedding)
        self.condition_embedder_mot_ref = twin(self.condition_embedder)
        for index in block_idx_with_mot_ref:
            self.blocks[index] = WanExpertBlock(
                num_attention_heads * attention_head_dim,
                ffn_dim,
                num_attention_heads,
                qk_norm,
                cross_attn_norm,
                eps,
                added_kv_proj_dim,
                updates_reference=index != max(block_idx_with_mot_ref),
            )

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor | None = None,
        *,
        reference_hidden_states: torch.Tensor | None = None,
        reference_timestep: torch.Tensor | None = None,
        reference_encoder_hidden_states: torch.Tensor | None = None,
        reference_encoder_hidden_states_image: torch.Tensor | None = None,
        reference_rope: ReferenceRope = "before",
        return_dict: bool = True,
    ) -> WanExpertOutput | tuple[torch.Tensor]:
        """Predict the target's flow.

        Args:
            hidden_states: [noisy target latents, first-frame mask, first-frame latents], [B, 36, T, h, w].
            timestep: [B].
            encoder_hidden_states: caption embeddings [B, 512, text_dim]; the length is fixed upstream.
            encoder_hidden_states_image: embeddings of the first frame [B, 257, image_dim].
            reference_hidden_states: the same of the reference, with clean latents, [B, 36, T, h, w]. None
                runs the base model alone.
            reference_timestep: [B] or [1]; released models are trained and run with 1.
            reference_encoder_hidden_states: the reference's caption.
            reference_encoder_hidden_states_image: the reference's first frame.
            reference_rope: where the reference sits in time; released models use "before".
            return_dict: False returns a tuple.

        Raises:
            UsageError: reference inputs that do not fit the target, such as more than one reference.
        """
        shape = hidden_states.shape
        rotary = self.rope(hidden_states)
        video = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()
        temb, modulation, context = _condition(
            self.condition_embedder, timestep, encoder_hidden_states, encoder_hidden_states_image
        )

        reference = None
        if reference_hidden_states is not None:
            _check_reference(hidden_states, reference_hidden_states)
            if reference_timestep is None or reference_encoder_hidden_states is None:
                raise UsageError(
                    "A reference needs reference_timestep and reference_encoder_hidden_states.",
                    ErrorKind.MISSING,
                    "reference_timestep",
                )
            _, reference_modulation, reference_context = _condition(
                self.condition_embedder_mot_ref,
                reference_timestep,
                reference_encoder_hidden_states,
                reference_encoder_hidden_states_image,
            )
            reference = Reference(
                self.patch_embedding_mot_ref(reference_hidden_states).flatten(2).transpose(1, 2),
                Condition(
                    reference_context,
                    reference_modulation,
                    self._reference_rotary(shape, reference_rope, video),
                ),
            )

        for block in self.blocks:
            inputs: tuple[Any, ...] = (video, context, modulation, rotary)
            reads_reference = reference is not None and isinstance(block, WanExpertBlock)
            if reads_reference:
                inputs = (*inputs, reference)
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                outputs = self._gradient_checkpointing_func(block, *inputs)
            else:
                outputs = block(*inputs)
            video, reference = outputs if reads_reference else (outputs, reference)

        shift, scale = (self.scale_shift_table.to(temb.device) + temb.unsqueeze(1)).chunk(2, dim=1)
        patches = self.proj_out(modulate(self.norm_out, video, shift.to(video.device), scale.to(video.device)))
        sample = self._unpatchify(patches, shape)
        return WanExpertOutput(sample=sample) if return_dict else (sample,)

    def _reference_rotary(self, shape: torch.Size, placement: ReferenceRope, like: torch.Tensor) -> Rotary:
        p_t, p_h, p_w = self.config.patch_size
        positions = reference_positions(shape[2] // p_t, 1, placement)
        grid = (shape[3] // p_h, shape[4] // p_w)
        return wan_rotary(positions, grid, self.config.attention_head_dim, like.device)

    def _unpatchify(self, patches: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Return [B, C, T, h, w] from patches; ``shape`` is that of the input latents."""
        patch = self.config.patch_size
        grid = tuple(size // step for size, step in zip(shape[2:], patch, strict=True))
        patches = patches.reshape(len(patches), *grid, *patch, -1).permute(0, 7, 1, 4, 2, 5, 3, 6)
        return patches.flatten(6, 7).flatten(4, 5).flatten(2, 3)


def _condition(
    embedder: nn.Module, timestep: torch.Tensor, text: torch.Tensor, image: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the time embedding [B, D], its projection [B, 6, D] and the context [B, tokens, D]."""
    temb, modulation, text, image = embedder(timestep, text, image)
    context = text if image is None else torch.cat([image, text], dim=1)
    return temb, torch.unflatten(modulation, 1, (6, -1)), context


def _check_reference(target: torch.Tensor, reference: torch.Tensor) -> None:
    if reference.shape != target.shape:
        raise UsageError(
            f"Reference latents {list(reference.shape)} differ from the target's {list(target.shape)}: "
            "Wan takes one reference of the target's length and size.",
            ErrorKind.INVALID,
            "reference_hidden_states",
        )

"""The CogVideoX Mixture-of-Transformers of Video-As-Prompt (arXiv 2510.20888).

The class carries the name of the official repository (bytedance/Video-As-Prompt @0f30aed), so that saved
folders are interchangeable with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import CogVideoXTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from torch import nn

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.text import counted
from vapbench.models.cogvideox.ablations import ResidualAdditionBlock, SingleEncoderBlock
from vapbench.models.cogvideox.block import CogVideoXExpertBlock, Reference, Tokens
from vapbench.models.experts import ExpertModel, twin
from vapbench.models.rope import Rotary


@dataclass
class CogVideoXExpertOutput(BaseOutput):  # type: ignore[misc]
    """What the transformer predicts."""

    sample: torch.Tensor
    """For the target, [B, T, C, h, w]."""
    reference_sample: torch.Tensor | None = None
    """For the references, [B, n * T, C, h, w]; only with ``reference_train_mode="reference_independent"``."""


class CogVideoXTransformer3DMOTModel(ExpertModel, CogVideoXTransformer3DModel):  # type: ignore[misc]
    """CogVideoX with an expert for reference videos.

    Configs hold the fields of ``CogVideoXTransformer3DModel`` and these:

    - ``block_idx_with_mot_ref``: the blocks with an expert (released model: 0..40 of 42).
    - ``num_ref_embeddings``: learned embeddings of a reference's place, counted from the last; None for none.
    - ``supported_effect_types``: names with a learned embedding each; None for none.
    - ``reference_train_mode``: None, or ``"reference_independent"`` to predict noise for the references as
      well.
    - ``ablation_single_encoder``, ``ablation_residual_addition``: other ways to read one reference, see
      :mod:`vapbench.models.cogvideox.ablations`.
    - ``attention_head_dim_mot_ref``: a field of official configs; must be null (as wide as the base).

    Without references it is exactly the base model.

    Raises:
        UsageError: a config this class cannot follow.
    """

    _no_split_modules = (
        "CogVideoXBlock",
        "CogVideoXExpertBlock",
        "CogVideoXPatchEmbed",
        "ResidualAdditionBlock",
        "SingleEncoderBlock",
    )

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_attention_heads: int = 30,
        attention_head_dim: int = 64,
        in_channels: int = 16,
        out_channels: int | None = 16,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        time_embed_dim: int = 512,
        ofs_embed_dim: int | None = None,
        text_embed_dim: int = 4096,
        num_layers: int = 30,
        dropout: float = 0.0,
        attention_bias: bool = True,
        sample_width: int = 90,
        sample_height: int = 60,
        sample_frames: int = 49,
        patch_size: int = 2,
        patch_size_t: int | None = None,
        temporal_compression_ratio: int = 4,
        max_text_seq_length: int = 226,
        activation_fn: str = "gelu-approximate",
        timestep_activation_fn: str = "silu",
        norm_elementwise_affine: bool = True,
        norm_eps: float = 1e-5,
        spatial_interpolation_scale: float = 1.875,
        temporal_interpolation_scale: float = 1.0,
        use_rotary_positional_embeddings: bool = False,
        use_learned_positional_embeddings: bool = False,
        patch_bias: bool = True,
        block_idx_with_mot_ref: Sequence[int] = (0, 10, 20),
        attention_head_dim_mot_ref: int | None = None,
        supported_effect_types: Sequence[str] | None = None,
        num_ref_embeddings: int | None = None,
        reference_train_mode: str | None = None,
        ablation_single_encoder: bool = False,
        ablation_residual_addition: bool = False,
    ) -> None:
        super().__init__(**self._base_config(CogVideoXTransformer3DModel))
        self._check_expert_config(num_layers, attention_head_dim)
        if ablation_single_encoder and ablation_residual_addition:
            raise UsageError(
                "ablation_single_encoder and ablation_residual_addition exclude each other.",
                ErrorKind.CONFLICT,
                "ablation_single_encoder",
            )
        if reference_train_mode not in (None, "reference_independent"):
            raise UsageError(
                f"Unknown reference_train_mode {reference_train_mode!r}; use null.",
                ErrorKind.UNKNOWN,
                "reference_train_mode",
            )
        predicts_references = reference_train_mode == "reference_independent"

        self.patch_embed_mot_ref = twin(self.patch_embed)
        self.time_embedding_mot_ref = twin(self.time_embedding)
        dim = num_attention_heads * attention_head_dim
        block_class = CogVideoXExpertBlock
        if ablation_single_encoder:
            block_class = SingleEncoderBlock
        if ablation_residual_addition:
            block_class = ResidualAdditionBlock
        for index in block_idx_with_mot_ref:
            self.transformer_blocks[index] = block_class(
                dim=dim,
                num_attention_heads=num_attention_heads,
                attention_head_dim=attention_head_dim,
                time_embed_dim=time_embed_dim,
                dropout=dropout,
                activation_fn=activation_fn,
                attention_bias=attention_bias,
                norm_elementwise_affine=norm_elementwise_affine,
                norm_eps=norm_eps,
                updates_reference=predicts_references or index != max(block_idx_with_mot_ref),
            )
        if predicts_references:
            self.norm_final_mot_ref = twin(self.norm_final)
            self.norm_out_mot_ref = twin(self.norm_out)
            self.proj_out_mot_ref = twin(self.proj_out)
        if num_ref_embeddings:
            self.ref_embeddings = _embeddings([f"ref_{place}" for place in range(num_ref_embeddings)], dim)
        if supported_effect_types:
            self.effect_embeddings = _embeddings(supported_effect_types, dim)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        *,
        ofs: torch.Tensor | None = None,
        image_rotary_emb: Rotary | None = None,
        reference_hidden_states: torch.Tensor | None = None,
        reference_encoder_hidden_states: torch.Tensor | None = None,
        reference_rotary_emb: Rotary | None = None,
        reference_timesteps: torch.Tensor | None = None,
        effect_types: Sequence[str] | None = None,
        return_dict: bool = True,
    ) -> CogVideoXExpertOutput | tuple[torch.Tensor, ...]:
        """Predict the target's v (or noise, as the weights were trained).

        Args:
            hidden_states: noisy target latents and first-frame latents, [B, T, in_channels, h, w].
            encoder_hidden_states: caption embeddings [B, L, text_embed_dim].
            timestep: [B].
            ofs: the offset input of CogVideoX 1.5 image-to-video, [1].
            image_rotary_emb: the target's table, see :func:`vapbench.models.rope.cogvideox_rotary`.
            reference_hidden_states: clean reference latents, n videos one after another, [B, n * T,
                in_channels, h, w]. None runs the base model alone.
            reference_encoder_hidden_states: reference captions, one after another, [B, n * L,
                text_embed_dim].
            reference_rotary_emb: table of all references.
            reference_timesteps: [B, n]; None gives the references the target's timestep, as released models
                are run.
            effect_types: a name for each of the first references, for configs with ``supported_effect_types``; the
                rest get none.
            return_dict: False returns a tuple.

        Raises:
            UsageError: reference inputs that do not fit the target or the config.
        """
        shape, text_length = hidden_states.shape, encoder_hidden_states.shape[1]
        self._check_target(shape, ofs)
        temb = self._embed_time(self.time_embedding, timestep, ofs, hidden_states.dtype)
        tokens = self.embedding_dropout(self.patch_embed(encoder_hidden_states, hidden_states))
        video, text = tokens[:, text_length:], tokens[:, :text_length]

        reference = None
        if reference_hidden_states is not None:
            latents, captions = _split_references(
                hidden_states, reference_hidden_states, reference_encoder_hidden_states
            )
            if reference_timesteps is None:
                reference_timesteps = timestep[:, None]
            self._check_ablation(latents.shape[1])
            timesteps = reference_timesteps.expand(latents.shape[:2]).flatten()
            reference = Reference(
                self._embed_references(latents, captions, effect_types),
                self._embed_time(self.time_embedding_mot_ref, timesteps, ofs, hidden_states.dtype),
                reference_rotary_emb,
            )

        for block in self.transformer_blocks:
            inputs: tuple[Any, ...] = (video, text, temb, image_rotary_emb)
            reads_reference = reference is not None and isinstance(block, CogVideoXExpertBlock)
            if reads_reference:
                inputs = (*inputs, None, reference)
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                outputs = self._gradient_checkpointing_func(block, *inputs)
            else:
                outputs = block(*inputs)
            video, text = outputs[:2]
            reference = outputs[2] if reads_reference else reference

        sample = self.proj_out(self.norm_out(self.norm_final(video), temb=temb))
        sample, reference_sample = self._unpatchify(sample, shape), None
        if reference is not None and self.config.reference_train_mode == "reference_independent":
            normed = self.norm_final_mot_ref(reference.tokens.video)
            patches = self.proj_out_mot_ref(self.norm_out_mot_ref(normed, temb=reference.temb))
            frames = self._unpatchify(patches, shape)
            reference_sample = torch.unflatten(frames, 0, (shape[0], -1)).flatten(1, 2)
        if not return_dict:
            return (sample,) if reference_sample is None else (sample, reference_sample)
        return CogVideoXExpertOutput(sample=sample, reference_sample=reference_sample)

    def _embed_time(
        self, embedder: nn.Module, timestep: torch.Tensor, ofs: torch.Tensor | None, dtype: torch.dtype
    ) -> torch.Tensor:
        temb: torch.Tensor = embedder(self.time_proj(timestep).to(dtype))
        if self.ofs_embedding is not None:
            temb = temb + self.ofs_embedding(self.ofs_proj(ofs).to(dtype))
        return temb

    def _embed_references(
        self, latents: torch.Tensor, text: torch.Tensor, effect_types: Sequence[str] | None
    ) -> Tokens:
        """Embed [B, n, T, C, h, w] and [B, n, L, text_embed_dim]; frames count from 0 in each."""
        count, length = text.shape[1:3]
        tokens = self.patch_embed_mot_ref(text.flatten(0, 1), latents.flatten(0, 1))
        tokens = torch.unflatten(self.embedding_dropout(tokens), 0, (-1, count))
        if self.config.num_ref_embeddings:
            if count > self.config.num_ref_embeddings:
                raise UsageError(
                    f"The model tells {counted(self.config.num_ref_embeddings, 'reference')} apart, not {count}.",
                    ErrorKind.LIMIT,
                    "references",
                )
            places = [self.ref_embeddings[f"ref_{place}"] for place in reversed(range(count))]
            tokens = tokens + torch.stack(places, dim=1)
        if effect_types is not None:
            effects = self._effects(effect_types, count)
            told = tokens[:, : len(effects)] + torch.stack(effects, dim=1) if effects else tokens[:, :0]
            tokens = torch.cat([told, tokens[:, len(effects) :]], dim=1)
        tokens = tokens.flatten(0, 1)
        return Tokens(video=tokens[:, length:], text=tokens[:, :length])

    def _effects(self, effect_types: Sequence[str], references: int) -> list[torch.Tensor]:
        known = self.config.supported_effect_types or ()
        if len(effect_types) > references or not set(effect_types) <= set(known):
            raise UsageError(
                f"effect_types {list(effect_types)} must name one of {list(known)} for each of at most "
                f"{counted(references, 'reference')}.",
                ErrorKind.UNKNOWN,
                "effect_types",
            )
        return [self.effect_embeddings[effect] for effect in effect_types]

    def _unpatchify(self, patches: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Return [B, T, C, h, w] from patches; ``shape`` is that of the input latents."""
        p, p_t = self.config.patch_size, self.config.patch_size_t or 1
        grid = (shape[1] // p_t, shape[3] // p, shape[4] // p)
        patches = patches.reshape(len(patches), *grid, -1, p_t, p, p).permute(0, 1, 5, 4, 2, 6, 3, 7)
        return patches.flatten(6, 7).flatten(4, 5).flatten(1, 2)

    def _check_ablation(self, references: int) -> None:
        ablated = self.config.ablation_single_encoder or self.config.ablation_residual_addition
        if ablated and references != 1:
            raise UsageError(
                f"The model's ablation is defined for one reference, not {references}.",
                ErrorKind.CONFLICT,
                "references",
            )

    def _check_target(self, shape: torch.Size, ofs: torch.Tensor | None) -> None:
        if shape[1] % (self.config.patch_size_t or 1):
            raise UsageError(
                f"latent frames ({shape[1]}) are no multiple of patch_size_t {self.config.patch_size_t}.",
                ErrorKind.INVALID,
                "frames",
            )
        if self.ofs_embedding is not None and ofs is None:
            raise UsageError("This model has an ofs_embedding and needs ofs.", ErrorKind.MISSING, "ofs")


def _embeddings(names: Sequence[str], dim: int) -> nn.ParameterDict:
    return nn.ParameterDict({name: nn.Parameter(torch.zeros(1, 1, dim)) for name in names})


def _split_references(
    target: torch.Tensor, latents: torch.Tensor, text: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return latents [B, n, T, C, h, w] and text [B, n, L, D] of n references, one after another on input."""
    references, rest = divmod(latents.shape[1], target.shape[1])
    same_size = latents.shape[:1] + latents.shape[2:] == target.shape[:1] + target.shape[2:]
    if rest or not references or not same_size:
        raise UsageError(
            f"Reference latents {list(latents.shape)} are not whole videos like the target's {list(target.shape)}.",
            ErrorKind.INVALID,
            "reference_hidden_states",
        )
    if text is None or text.shape[1] % references:
        raise UsageError(
            f"{references} references need as many captions of equal length in one tensor.",
            ErrorKind.INVALID,
            "reference_encoder_hidden_states",
        )
    return torch.unflatten(latents, 1, (references, -1)), torch.unflatten(text, 1, (references, -1))

"""RAFT on a sequence of frames (Teed & Deng 2020): torchvision's ``raft_large``, arranged to do nothing twice.

The arithmetic is that of the module's own ``forward``; only the order of sums differs, by float32 rounding. What is
saved at 480 x 720: a frame is encoded once rather than for each of its two pairs, the part of the recurrent unit that
reads the context (a third of its input, the same in every update) is computed once per pair, and only the last flow is
brought to full resolution.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, unfold
from torchvision.models.optical_flow import raft_large

from vapbench.checkpoints.state_dict import load_tensors
from vapbench.errors import ErrorKind, WeightsError
from vapbench.models.vision.correlation import AllPairs, Volumes, grid
from vapbench.models.vision.instance_norm import InstanceNorm

_UPDATES = 20
_LEVELS, _RADIUS = 4, 4
_CONTEXT = 128


def load_raft(checkpoint: Path, device: torch.device) -> Any:
    """Torchvision's ``raft_large`` with the weights of a checkpoint, in evaluation mode.

    Raises:
        WeightsError: the checkpoint is absent, damaged, or not of ``raft_large``.
    """
    model: Any = raft_large(weights=None, progress=False)
    try:
        model.load_state_dict(load_tensors(checkpoint))
    except RuntimeError as error:
        raise WeightsError(
            f"{checkpoint}: not a checkpoint of torchvision's raft_large; fetch it again.", ErrorKind.INVALID, "weights"
        ) from error
    return model.eval().to(device)


class RaftSequence:
    """Flow between neighbours, given the module that holds the weights."""

    def __init__(self, model: Any) -> None:
        """Arrange ``model``, a ``raft_large`` in evaluation mode on its device; its batch norms are folded away."""
        self.model = model.to(memory_format=torch.channels_last)
        _fold_batch_norms(self.model.context_encoder)
        _keep_layout(self.model.feature_encoder)
        recurrent = model.update_block.recurrent_block
        self._units = [_Gru(recurrent.convgru1), _Gru(recurrent.convgru2)]

    def features(self, frames: Tensor) -> Tensor:
        """What frames are compared by: ``(n, 3, H, W)`` in -1..1 to ``(n, 256, H / 8, W / 8)``."""
        features: Tensor = self.model.feature_encoder(frames.contiguous(memory_format=torch.channels_last))
        return features

    def flow(
        self,
        frames: Tensor,
        features: Tensor,
        later: Tensor,
        budget: int | None = None,
        volumes: Volumes | None = None,
    ) -> Tensor:
        """Flow of each pair.

        Args:
            frames: the earlier frames, ``(n, 3, H, W)`` in -1..1.
            features: :meth:`features` of the earlier frames.
            later: :meth:`features` of the later ones.
            budget: bytes the correlation may take; None for any.
            volumes: of the pair before, see :class:`AllPairs`.

        Returns:
            ``(n, 2, H, W)`` float32, columns then rows, in pixels.
        """
        update = self.model.update_block
        correlation = AllPairs(features, later, levels=_LEVELS, radius=_RADIUS, budget=budget, volumes=volumes)
        hidden, context = self.model.context_encoder(frames.contiguous(memory_format=torch.channels_last)).split(
            [_CONTEXT, _CONTEXT], dim=1
        )
        hidden = hidden.tanh()
        terms = [unit.context_terms(context.relu()) for unit in self._units]
        start = grid(features).float()
        flow = torch.zeros_like(start, memory_format=torch.channels_last)
        for _ in range(_UPDATES):
            # It ends with the flow itself, in float32: without the cast every reader would make its own.
            motion = update.motion_encoder(flow, correlation.lookup(start + flow)).to(hidden.dtype)
            for unit, added in zip(self._units, terms, strict=True):
                hidden = unit.step(hidden, motion, added)
            flow = flow + update.flow_head(hidden).float()
        return _upsample(flow, self.model.mask_predictor(hidden).float())


class _Gru:
    """One convolutional gated unit, its weights split by what they read: hidden state, context, motion."""

    def __init__(self, unit: Any) -> None:
        gates = [unit.convz, unit.convr, unit.convq]
        self._padding = unit.convz.padding
        context = slice(_CONTEXT, 2 * _CONTEXT)
        weights = [gate.weight[:, context].detach() for gate in gates]
        biases = [gate.bias.detach() for gate in gates]
        self._context = (torch.cat(weights[:2]), torch.cat(biases[:2])), (weights[2], biases[2])
        rest = [torch.cat([gate.weight[:, :_CONTEXT], gate.weight[:, 2 * _CONTEXT :]], dim=1) for gate in gates]
        self._gates_weight, self._candidate_weight = torch.cat(rest[:2]).detach(), rest[2].detach()

    def context_terms(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """What the context adds to both gates, and to the candidate; biases included."""
        gates, candidate = (conv2d(context, weight, bias, padding=self._padding) for weight, bias in self._context)
        return gates, candidate

    def step(self, hidden: Tensor, motion: Tensor, terms: tuple[Tensor, Tensor]) -> Tensor:
        """The next hidden state."""
        read = torch.cat([hidden, motion], dim=1)
        gates = conv2d(read, self._gates_weight, padding=self._padding).add_(terms[0]).sigmoid_()
        update, reset = gates.chunk(2, dim=1)
        read[:, :_CONTEXT].mul_(reset)
        candidate = conv2d(read, self._candidate_weight, padding=self._padding).add_(terms[1]).tanh_()
        return hidden.lerp(candidate, update)


def _fold_batch_norms(module: nn.Module) -> None:
    """Put each batch norm into the convolution before it; an identity stands where it was."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    before: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        else:
            _fold_batch_norms(child)
        before = name, child


def _keep_layout(module: nn.Module) -> None:
    """Replace each instance norm by one that keeps the layout of its maps where it can."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.InstanceNorm2d):
            setattr(module, name, InstanceNorm(child.num_features, eps=child.eps))
        else:
            _keep_layout(child)


def _upsample(flow: Tensor, mask: Tensor) -> Tensor:
    """Convex upsampling (RAFT, section 3.3): a fine pixel is a weighted mean of 3 x 3 coarse neighbours."""
    count, _, height, width = flow.shape
    weights = mask.reshape(count, 1, 9, 8, 8, height, width).softmax(dim=2)
    neighbours = unfold(8 * flow, kernel_size=3, padding=1).view(count, 2, 9, 1, 1, height, width)
    fine = (weights * neighbours).sum(dim=2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(count, 2, 8 * height, 8 * width)

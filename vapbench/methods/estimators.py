"""Depth and optical flow of frames, for methods that are controlled by them."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vapbench.checkpoints import catalogue as weights
from vapbench.checkpoints.folder import checkpoint_folder, checkpoint_identity, local_folder
from vapbench.core.clip import Frames
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.files.atomic import content_sha256

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

_RAFT = "raft-large"
_RAFT_SMALLEST_SIDE = 128
_RAFT_UPDATES = 20
_RELATIVE_DEPTH = ("depth_anything", "dpt")
"""Families of models whose output grows with nearness, on no particular scale."""


class DepthEstimator:
    """A transformers depth model whose output is relative inverse depth, as Depth-Anything-V2's is."""

    def __init__(self, model: str) -> None:
        """Take a model folder or hub id; nothing is loaded yet."""
        self.model = model
        self._network: Any = None

    def identity(self) -> dict[str, Any]:
        """What the model is; one that is here is looked at, so that a wrong one is refused before anything is written.

        Raises:
            UsageError: its output has another meaning.
            WeightsError: it is neither here nor to be had.
        """
        if folder := local_folder(self.model):
            with suppress(OSError, ValueError):
                config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
                self._refuse_other_scales(config.get("model_type"), config.get("depth_estimation_type"))
        return checkpoint_identity(self.model, None, "depth_model")

    def _refuse_other_scales(self, family: str | None, kind: str | None) -> None:
        if (family and family not in _RELATIVE_DEPTH) or (kind or "relative") != "relative":
            what = ", ".join(filter(None, (family, kind)))
            raise UsageError(
                f"{self.model} ({what}) does not answer with relative inverse depth, larger being nearer; "
                "give a depth_model that does, such as depth-anything/Depth-Anything-V2-Small-hf.",
                ErrorKind.INVALID,
                "depth_model",
            )

    def load(self, device: torch.device) -> None:
        """Load the model.

        Raises:
            UsageError: its output has another meaning.
            WeightsError: it is no depth model, or incomplete.
        """
        from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

        folder = checkpoint_folder(self.model, None, "depth_model")
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            self._refuse_other_scales(config.model_type, getattr(config, "depth_estimation_type", None))
            self._processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            network = AutoModelForDepthEstimation.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(
                f"{folder} cannot be loaded as a depth model ({reason}); fetch it again.",
                ErrorKind.DAMAGED,
                "depth_model",
            ) from error
        self._network = network.eval().to(device)

    def __call__(self, frames: Frames) -> Floats:
        """Depth ``(T, H, W)`` float32 of frames ``(T, H, W, 3)`` uint8, larger is nearer, one frame at a time."""
        import torch

        made = []
        for frame in frames:
            inputs = self._processor(images=frame, return_tensors="pt").to(self._network.device)
            with torch.no_grad():
                depth = self._network(**inputs).predicted_depth[:, None]
            full = torch.nn.functional.interpolate(depth, frame.shape[:2], mode="bicubic", align_corners=False)
            made.append(full[0, 0].float().cpu().numpy())
        return np.stack(made)


class FlowEstimator:
    """RAFT (Teed & Deng 2020), torchvision's ``raft_large``, in float32."""

    def __init__(self) -> None:
        self._network: Any = None

    def identity(self) -> dict[str, Any]:
        """Hash of its weights.

        Raises:
            WeightsError: they are not on this machine.
        """
        path = weights.locate(_RAFT)
        if path is None:
            raise WeightsError(
                f"RAFT's weights are not on this machine; fetch them: vapbench data weights fetch {_RAFT}",
                ErrorKind.MISSING,
                "weights",
            )
        return {"sha256": content_sha256(path)}

    def load(self, device: torch.device) -> None:
        """Load the model.

        Raises:
            WeightsError: its weights are absent or damaged.
        """
        from vapbench.models.vision.raft import load_raft

        self.identity()
        self._network = load_raft(weights.require(_RAFT), device)
        self._device = device

    def __call__(self, frames: Frames) -> Floats:
        """Flow ``(T - 1, H, W, 2)`` float32 in pixels, (right, down), from each frame to the next.

        Raises:
            UsageError: the frames are too small for RAFT.
        """
        import torch

        height, width = frames.shape[1:3]
        if min(height, width) < _RAFT_SMALLEST_SIDE or height % 8 or width % 8:
            raise UsageError(
                f"RAFT takes sides of at least {_RAFT_SMALLEST_SIDE} pixels that are multiples of 8, not {height} x "
                f"{width}; on the mini suite use source=rendered.",
                ErrorKind.INVALID,
                "size",
            )
        video = torch.from_numpy(frames).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(self._device)
        made = []
        with torch.no_grad():
            for first, second in itertools.pairwise(video):
                flow = self._network(first[None], second[None], num_flow_updates=_RAFT_UPDATES)[-1]
                made.append(flow[0].permute(1, 2, 0).cpu().numpy())
        return np.stack(made)

"""fvd: how far apart are the outputs and the ground-truth videos, as two distributions?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.core.clip import linspace_indices
from vapbench.errors import ErrorKind, NotApplicable, WeightsError
from vapbench.files.atomic import expand
from vapbench.files.parsing import parse_json, read_text
from vapbench.metrics.features.precision import exact_float32
from vapbench.metrics.sets import Features, frechet_distance

if TYPE_CHECKING:
    import torch

    from vapbench.metrics.view import ClipView

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_PREPARATION = "preprocessor_config.json"


class Fvd:
    """Fréchet distance between features of the outputs and of their ground-truth videos.

    Formula: ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` over one vector per video: the mean of the last hidden
    states of a video transformer.
    Range: 0 or more, lower is closer. It depends on the network and, strongly, on the number of videos (fewer videos,
    higher value): compare only columns of one network and n.
    Source: Unterthiner et al. 2018 (FVD), with a network of your choice in I3D's place (Ge et al. 2024 show that
    self-supervised ones see motion better). Weights: the network's own; nothing is downloaded here.
    """

    name = "fvd"
    title = "FVD"
    version = 2
    higher_is_better = False
    unit = "distance"
    digits = 2

    def __init__(self, model: str) -> None:
        """Choose the network.

        Args:
            model: a folder, or the hub id of a model that is in the hub's cache, of a video transformer that
                transformers loads from safetensors and that takes ``(n, T, 3, S, S)`` (VideoMAE, ViViT,
                TimeSformer).
        """
        self._name = model
        self._model: Any = None

    def weights(self) -> tuple[Path, ...]:
        """The model's folder.

        Raises:
            NotApplicable: it is not on this machine.
        """
        return (self._folder(),)

    def setup(self, device: torch.device) -> None:
        """Load the network onto ``device``.

        Raises:
            NotApplicable: it is not on this machine.
            WeightsError: it cannot be loaded, or is no video transformer.
        """
        from transformers import AutoModel

        folder = self._folder()
        try:
            model = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"{folder}: cannot be loaded as a video network: {error}", ErrorKind.INVALID, "model"
            ) from error
        if not all(hasattr(model.config, name) for name in ("num_frames", "image_size")):
            raise WeightsError(
                f"{folder}: {type(model).__name__} is no video transformer (VideoMAE, ViViT, …).",
                ErrorKind.INVALID,
                "model",
            )
        self._mean, self._std = _statistics(folder)
        self._model = model.float().eval().to(device)

    def features(self, clip: ClipView) -> Features:
        """Features of evenly chosen frames, resized without keeping the aspect: ``(D,)``.

        Colours are normalised by the network's own mean and deviation, or ImageNet's where its folder names none.
        """
        from torchvision.transforms.functional import normalize, resize

        size = self._model.config.image_size
        sides = [size, size] if isinstance(size, int) else list(size)
        chosen = linspace_indices(len(clip), self._model.config.num_frames)
        with exact_float32(clip.device):
            frames = clip.tensor[chosen].to(clip.device).contiguous().float() / 255
            prepared = normalize(resize(frames, sides, antialias=True), self._mean, self._std)
            hidden: torch.Tensor = self._model(prepared[None]).last_hidden_state
            return np.asarray(hidden[0].mean(dim=0).cpu().double().numpy(), dtype=np.float64)

    def reduce(self, outputs: Features, targets: Features) -> float:
        """The distance.

        Raises:
            NotApplicable: there are fewer than 2 videos.
        """
        return frechet_distance(outputs, targets)

    def _folder(self) -> Path:
        path = expand(self._name)
        if path.is_dir():
            return path
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            found = try_to_load_from_cache(self._name, "config.json")
        except HFValidationError:
            found = None
        if not isinstance(found, str):
            fetch = f"; fetch it with: hf download {self._name}" if self._name.count("/") == 1 else "; check model="
            raise NotApplicable(
                f"{self._name} is neither a folder nor in the hub's cache{fetch}", ErrorKind.MISSING, "model"
            )
        return Path(found).parent


def _statistics(folder: Path) -> tuple[list[float], list[float]]:
    """Mean and deviation of each colour that a network was trained with; ViViT's and TimeSformer's are not ImageNet's.

    Raises:
        WeightsError: the folder's preparation cannot be read.
    """
    path = folder / _PREPARATION
    if not path.is_file():
        return list(_MEAN), list(_STD)
    try:
        found = parse_json(read_text(path))
        return [float(part) for part in found["image_mean"]], [float(part) for part in found["image_std"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            f"{path} names no image_mean and image_std ({error}); fetch the model again.",
            ErrorKind.MISSING,
            "image_mean",
        ) from error

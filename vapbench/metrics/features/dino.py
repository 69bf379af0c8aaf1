"""DINO features, computed once per clip for every metric that reads them."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.checkpoints.catalogue import require
from vapbench.checkpoints.metric_files import given_or_catalogued, present
from vapbench.checkpoints.state_dict import load_tensors
from vapbench.core.clip import Frames
from vapbench.errors import ErrorKind, WeightsError
from vapbench.metrics.base import Metric
from vapbench.metrics.features.clip import unit_length
from vapbench.metrics.features.precision import Precision, arithmetic, round_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from vapbench.metrics.view import ClipView
    from vapbench.models.vision.dino import DinoVit

    Prepare = Callable[[torch.Tensor], torch.Tensor]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_SIDE = 224
_SIDE_BEFORE_CROP = 256
_FRAMES_AT_ONCE = 16


class DinoEncoder:
    """DINO ViT-B/16 (or any DINO transformer whose heads are 64 wide)."""

    def __init__(self, path: Path, device: torch.device, precision: Precision) -> None:
        """Load a checkpoint.

        Raises:
            WeightsError: it is absent, damaged, or not DINO's.
        """
        from vapbench.models.vision.dino import DinoVit

        tensors = load_tensors(path)
        model = DinoVit({name: tensor.shape for name, tensor in tensors.items()})
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise WeightsError(
                f"{path}: not a DINO checkpoint; fetch dino-vit-b-16 again.", ErrorKind.INVALID, "weights"
            ) from error
        self.model: DinoVit = model.float().eval().to(device)
        round_weights(self.model, device, precision)
        self.source, self.device, self.precision = str(path), device, precision

    def whole_frames(self, clip: ClipView) -> torch.Tensor:
        """Unit-length features of whole frames, ``(T, D)`` float32: shorter side 224, nothing cropped."""
        return clip.shared(("dino whole", self.source, self.precision), lambda: self._encode(clip, prepare_whole))

    def cropped_frames(self, clip: ClipView) -> torch.Tensor:
        """Unit-length features of the middle of each frame, ``(T, D)`` float32: shorter side 256, 224 kept."""
        return clip.shared(("dino cropped", self.source, self.precision), lambda: self._encode(clip, prepare_cropped))

    def cropped_still(self, image: Frames) -> torch.Tensor:
        """Unit-length features of the middle of an ``(H, W, 3)`` uint8 image, ``(D,)`` float32."""
        return self._features(prepare_still(image).to(self.device))[0]

    def _encode(self, clip: ClipView, prepare: Prepare) -> torch.Tensor:
        import torch

        height, width = clip.clip.height, clip.clip.width
        tokens = (_SIDE / 16) ** 2 * max(height, width) / min(height, width)
        # The frame in float32 a few times over, and what the transformer keeps of its tokens.
        each = 60 * height * width + 60_000 * tokens
        return torch.cat([self._features(prepare(frames)) for frames in clip.pieces(each, _FRAMES_AT_ONCE)])

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        with arithmetic(self.device, self.precision):
            return unit_length(self.model(images).float())


class DinoMetric(Metric):
    """What metrics on DINO features share: one checkpoint, loaded once."""

    def __init__(self, weights: Path | None = None, precision: Precision = "exact") -> None:
        """Choose the checkpoint.

        Args:
            weights: a checkpoint of DINO's vision transformer; by default the catalogue's ``dino-vit-b-16``.
            precision: ``exact``, or ``fast`` for DINO in bfloat16 where the hardware has it.

        Raises:
            UsageError: there is no such checkpoint.
        """
        self._given = present(weights)
        self._precision: Precision = precision

    def weights(self) -> tuple[Path, ...]:
        """The checkpoint, if it is on this machine."""
        return given_or_catalogued(self._given, "dino-vit-b-16")

    def setup(self, device: torch.device) -> None:
        """Load DINO onto ``device``.

        Raises:
            NotApplicable: the checkpoint is not on this machine.
            WeightsError: it is no checkpoint of DINO.
        """
        self._encoder = load_dino(self._given, device, self._precision)

    @property
    def encoder(self) -> DinoEncoder:
        """The loaded model."""
        return self._encoder


def load_dino(given: Path | None, device: torch.device, precision: Precision) -> DinoEncoder:
    """Load the model, or return the one already loaded in this process for another metric.

    Raises:
        NotApplicable: the weights are not on this machine.
        WeightsError: they are not DINO's.
    """
    path = given or require("dino-vit-b-16")
    key = (str(path), path.stat().st_mtime_ns, str(device), precision)
    encoder = _LOADED.get(key)
    if encoder is None:
        encoder = _LOADED[key] = DinoEncoder(path, device, precision)
    return encoder


def prepare_whole(frames: torch.Tensor) -> torch.Tensor:
    """Prepare ``(n, 3, H, W)`` uint8 frames as VBench's ``subject_consistency`` does.

    The shorter side becomes 224 by a bilinear filter without antialiasing, in float32; nothing is cropped.
    """
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import resize

    return _normalise(resize(frames.float(), [_SIDE], InterpolationMode.BILINEAR, antialias=False) / 255)


def prepare_cropped(frames: torch.Tensor) -> torch.Tensor:
    """Prepare ``(n, 3, H, W)`` uint8 frames as VBench's ``i2v_subject`` does.

    The shorter side becomes 256 by a bicubic filter without antialiasing, in float32; the middle 224 are kept.
    """
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import center_crop, resize

    resized = resize(frames.float(), [_SIDE_BEFORE_CROP], InterpolationMode.BICUBIC, antialias=False)
    return _normalise(center_crop(resized, [_SIDE, _SIDE]) / 255)


def prepare_still(image: Frames) -> torch.Tensor:
    """Prepare an ``(H, W, 3)`` uint8 image as VBench's ``i2v_subject`` does: as its frames, but by PIL's filter.

    PIL's filter is antialiased and rounds, so that an image differs a little from a frame that shows the same.
    """
    from PIL import Image
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import center_crop, resize, to_tensor

    resized = resize(Image.fromarray(image), [_SIDE_BEFORE_CROP], InterpolationMode.BICUBIC)
    return _normalise(to_tensor(center_crop(resized, [_SIDE, _SIDE]))[None])


def _normalise(images: torch.Tensor) -> torch.Tensor:
    import torch

    mean, std = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (_MEAN, _STD))
    normalised: torch.Tensor = (images - mean) / std
    return normalised


# Models live as long as a metric holds them; metrics with the same weights hold the same one.
_LOADED: weakref.WeakValueDictionary[tuple[str, int, str, str], DinoEncoder] = weakref.WeakValueDictionary()

"""CLIP features, computed once per clip for every metric that reads them.

Frames are prepared as VBench does for its aesthetic score, which is not CLIP's own preprocessing: no
antialiasing, and the overshoot of the bicubic filter is kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.checkpoints.catalogue import require
from vapbench.checkpoints.metric_files import given_or_catalogued, present
from vapbench.checkpoints.state_dict import unreadable
from vapbench.errors import ErrorKind, UsageError, WeightsError, did_you_mean
from vapbench.metrics.base import Metric
from vapbench.metrics.features.precision import Precision, arithmetic, exact_float32, round_weights

if TYPE_CHECKING:
    import torch

    from vapbench.metrics.view import ClipView

CATALOGUED = {"ViT-L-14": "clip-vit-l-14", "ViT-B-32": "clip-vit-b-32"}
"""open_clip's model name to the name of OpenAI's weights in the catalogue."""

CONFIG_FILE = "open_clip_config.json"

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_FRAMES_AT_ONCE = 16
_FEW_THREADS = 2
_LARGE = 20_000_000  # weights of the part that sees; OpenAI's smallest has 86 million


@dataclass(frozen=True)
class ClipWeights:
    """Which CLIP: an architecture of open_clip, and where its weights lie."""

    model: str
    given: Path | None
    """A checkpoint with OpenAI's activation (QuickGELU), or a folder with ``open_clip_config.json``."""
    precision: Precision = "exact"

    @classmethod
    def of(cls, model: str, path: Path | None, precision: Precision = "exact") -> ClipWeights:
        """Check the choice, without loading anything.

        Raises:
            UsageError: the model is not in the catalogue and no path is given, or the path does not exist.
        """
        if path is None and model not in CATALOGUED:
            raise UsageError(
                f"No weights are known for CLIP {model!r}: give weights=….{did_you_mean(model, CATALOGUED)}",
                ErrorKind.UNKNOWN,
                "model",
            )
        given = present(path)
        if given is not None and given.is_dir() and not (given / CONFIG_FILE).is_file():
            raise UsageError(
                f"{given}: a folder of CLIP weights must hold {CONFIG_FILE}; give a checkpoint file instead.",
                ErrorKind.MISSING,
                CONFIG_FILE,
            )
        return cls(model, given, precision)

    def files(self) -> tuple[Path, ...]:
        """What the features depend on, as far as it is on this machine."""
        return given_or_catalogued(self.given, CATALOGUED.get(self.model, ""))

    def load(self, device: torch.device) -> ClipEncoder:
        """Load the model, or return the one already loaded in this process for another metric.

        Raises:
            NotApplicable: the weights are not on this machine.
            WeightsError: they are not of this model.
        """
        path = self.given or require(CATALOGUED[self.model])
        key = (self.model, str(path), path.stat().st_mtime_ns, str(device), self.precision)
        encoder = _LOADED.get(key)
        if encoder is None:
            encoder = _LOADED[key] = ClipEncoder(self.model, path, device, self.precision)
        return encoder


class ClipEncoder:
    """A CLIP model, and the tokenizer that goes with it."""

    def __init__(self, model: str, path: Path, device: torch.device, precision: Precision = "exact") -> None:
        """Load the open_clip ``model`` from a checkpoint, or any from a folder that holds its configuration.

        Raises:
            WeightsError: the checkpoint is absent, damaged, or of another architecture.
        """
        import open_clip
        from open_clip.tokenizer import HFTokenizer

        from vapbench.models.vision.summary import skip_unread_tokens

        local = f"local-dir:{path}" if path.is_dir() else None
        try:
            loaded = open_clip.create_model(
                local or model,
                pretrained=None if local else str(path),
                precision="fp32",
                device=device,
                # OpenAI trained with QuickGELU, which the plain configurations do not say.
                force_quick_gelu=local is None,
                require_pretrained=True,
                weights_only=True,
            )
            tokenizer = open_clip.get_tokenizer(local or model)
        except Exception as error:
            # open_clip says what does not fit; torch's advice would be to run what the file holds.
            reason = unreadable(error) if "weights_only" in str(error) or not str(error) else str(error)
            raise WeightsError(
                f"{path}: cannot be loaded as CLIP {model}: {reason}", ErrorKind.INVALID, "weights"
            ) from error
        if not isinstance(tokenizer, open_clip.SimpleTokenizer | HFTokenizer):
            raise WeightsError(
                f"{path}: its tokenizer is neither CLIP's own nor one of transformers in the folder.",
                ErrorKind.INVALID,
                "tokenizer",
            )
        self.source = str(path)
        self.device = device
        self.precision = precision
        self.model: Any = loaded.eval()
        skip_unread_tokens(self.model.visual)
        # Captions are encoded exactly in either precision: that costs nothing.
        round_weights(self.model.visual, device, precision)
        self._weights = sum(parameter.numel() for parameter in self.model.visual.parameters())
        self.tokenizer: Any = tokenizer
        self.context_length = int(self.model.context_length)
        size = self.model.visual.image_size
        self.image_size = int(size if isinstance(size, int) else size[0])

    def image_features(self, clip: ClipView) -> torch.Tensor:
        """Unit-length features of every frame, ``(T, D)`` float32, computed once per clip."""
        key = ("clip image features", self.source, self.precision)
        at_once = frames_at_once(self.device, self._weights)
        return clip.shared(key, lambda: self._encode(clip.pieces(self._bytes_each(clip), at_once)))

    def still_features(self, image: torch.Tensor) -> torch.Tensor:
        """Unit-length features of prepared images ``(n, 3, S, S)``: ``(n, D)`` float32."""
        with arithmetic(self.device, self.precision):
            return unit_length(self.model.encode_image(image).float())

    def text_features(self, text: str) -> tuple[torch.Tensor, int]:
        """Unit-length features of a caption, ``(D,)`` float32, and how many of its tokens did not fit."""
        tokens = self._tokens(text)
        surplus = max(0, len(tokens) - self.context_length)
        if surplus:
            tokens = [*tokens[: self.context_length - 1], tokens[-1]]
        with exact_float32(self.device):
            features = self.model.encode_text(self._batch_of(tokens))
            return unit_length(features)[0], surplus

    def _tokens(self, text: str) -> list[int]:
        if custom := getattr(self.tokenizer, "tokenizer", None):  # of transformers, from the model's folder
            return list(custom(self.tokenizer.clean_fn(text)).input_ids)
        return [self.tokenizer.sot_token_id, *self.tokenizer.encode(text), self.tokenizer.eot_token_id]

    def _batch_of(self, tokens: Sequence[int]) -> torch.Tensor:
        import torch

        padding = getattr(getattr(self.tokenizer, "tokenizer", None), "pad_token_id", 0)
        padded = [*tokens, *[padding] * (self.context_length - len(tokens))]
        return torch.tensor([padded], device=self.device)

    def _encode(self, pieces: Iterable[torch.Tensor]) -> torch.Tensor:
        import torch

        with exact_float32(self.device):
            return torch.cat([self.still_features(prepare(frames, self.image_size)) for frames in pieces])

    def _bytes_each(self, clip: ClipView) -> int:
        # A frame in float32 a few times over while it is resized, and what the transformer keeps of it.
        return 60 * clip.clip.height * clip.clip.width + (64 << 20)


def frames_at_once(device: torch.device, weights: int) -> int:
    """How many frames a vision transformer of so many weights is given together; no score depends on it.

    A large one takes them one by one on a CPU of one or two threads: what it keeps of several leaves the caches. With
    more threads that was not measured, and batches stay; a small one loses more to the calls themselves
    (``benchmarks/clip_batch.py`` compares, of both).
    """
    import torch

    alone = device.type == "cpu" and torch.get_num_threads() <= _FEW_THREADS and weights >= _LARGE
    return 1 if alone else _FRAMES_AT_ONCE


class ClipModelMetric(Metric):
    """What metrics on CLIP features share: one checkpoint, loaded once."""

    def __init__(self, clip: ClipWeights) -> None:
        """Read features by ``clip``."""
        self._clip = clip

    def weights(self) -> tuple[Path, ...]:
        """The checkpoint, if it is on this machine."""
        return self._clip.files()

    def setup(self, device: torch.device) -> None:
        """Load CLIP onto ``device``.

        Raises:
            NotApplicable: the checkpoint is not on this machine.
            WeightsError: it is no checkpoint of the model.
        """
        self._encoder = self._clip.load(device)

    @property
    def encoder(self) -> ClipEncoder:
        """The model."""
        return self._encoder


def prepare(frames: torch.Tensor, size: int = 224) -> torch.Tensor:
    """Prepare frames for CLIP as VBench's aesthetic score does.

    The shorter side becomes ``size`` by a bicubic filter without antialiasing, in float32 and without
    clamping; then centre crop, division by 255, and CLIP's mean and standard deviation.

    Args:
        frames: ``(n, 3, H, W)`` uint8 RGB.
        size: side of the model's input, in pixels.

    Returns:
        ``(n, 3, size, size)`` float32.
    """
    return _resize_and_crop(frames.float(), size)


def prepare_rounded(frames: torch.Tensor, size: int = 224) -> torch.Tensor:
    """Prepare frames as VBench does for ViCLIP: as :func:`prepare`, resized in uint8, so clamped and rounded."""
    return _resize_and_crop(frames, size)


def _resize_and_crop(frames: torch.Tensor, size: int) -> torch.Tensor:
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import center_crop, resize

    resized = resize(frames, [size], InterpolationMode.BICUBIC, antialias=False)
    cropped = center_crop(resized, [size, size]) / 255
    mean, std = (torch.tensor(values, device=frames.device).view(3, 1, 1) for values in (_MEAN, _STD))
    prepared: torch.Tensor = (cropped - mean) / std
    return prepared


def unit_length(features: torch.Tensor) -> torch.Tensor:
    """Features ``(…, D)``, each divided by its length."""
    unit: torch.Tensor = features / features.norm(dim=-1, keepdim=True)
    return unit


# Models live as long as a metric holds them; two metrics with the same weights hold the same one.
_LOADED: weakref.WeakValueDictionary[tuple[str, str, int, str, str], ClipEncoder] = weakref.WeakValueDictionary()

"""text_alignment[mini-clip] and aesthetic_quality[mini]: small models in place of CLIP and LAION's head.

Both read the image-text encoder that ``vapbench train mini`` makes; one forward pass serves both. Their values
compare with nothing but themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.checkpoints.metric_files import given_or_shipped, require_shipped
from vapbench.errors import ErrorKind, WeightsError
from vapbench.metrics.aesthetic_quality import load_head
from vapbench.metrics.base import Metric, Need, Score
from vapbench.metrics.features.clip import ClipEncoder, ClipWeights
from vapbench.metrics.features.precision import exact_float32
from vapbench.metrics.text_alignment import clip_score

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

HEAD = "model.safetensors"


class MiniTextAlignment(Metric):
    """CLIP score by the mini suite's own CLIP.

    Formula: ``100 x mean over frames of cos(image, caption)``, as ``text_alignment[clip]``.
    Range: -100 to 100, higher is better.
    Source: Hessel et al. 2021 (CLIPScore) without its factor 2.5 and its clipping at 0. Weights: ``image_text`` of
    ``vapbench train mini``, trained on mini clips with plain captions. A condition's code name is an unknown word
    to it, so on the benchmark's captions it says whether the frames show the *scene*, not whether the effect is right.
    """

    name = "text_alignment[mini-clip]"
    title = "Text alignment (mini CLIP)"
    version = 1
    higher_is_better = True
    unit = "cosine x 100"
    scale = 1.0
    range = (-100.0, 100.0)
    digits = 2
    needs: frozenset[Need] = frozenset({"prompt"})

    def __init__(self, weights: Path | None = None) -> None:
        """Choose the encoder.

        Args:
            weights: a folder ``image_text`` that ``vapbench train mini`` made; by default the one that ships.

        Raises:
            UsageError: there is no such folder.
        """
        self._folder = given_or_shipped(weights, "image_text")

    def weights(self) -> tuple[Path, ...]:
        """The encoder's folder, if it is on this machine."""
        return (self._folder,) if self._folder else ()

    def setup(self, device: torch.device) -> None:
        """Load the encoder onto ``device``.

        Raises:
            NotApplicable: it is not on this machine.
            WeightsError: the folder holds something else.
        """
        self._encoder = _encoder(self._folder, device)

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the case has no caption.
        """
        return clip_score(self._encoder, clip)


class MiniAestheticQuality(Metric):
    """How cleanly the frames are drawn, by a linear head that ranks clean renders above degraded ones.

    Formula: ``mean over frames of sigmoid(w . f + b)``, with ``f`` the unit-length feature of a frame by the mini
    suite's image encoder. ``w`` is fitted by the Bradley-Terry model, preferred with probability ``sigmoid(w . (f1 -
    f2))``: a clean render over a blurred, noisy, blocky or ghosted one, and the lesser degree of a fault over the
    worse. ``b`` puts 0.5 half-way between clean and badly degraded training frames.
    Range: 0 to 1, higher is better.
    Source: the protocol of VBench's ``aesthetic_quality`` (all frames, one by one) with a head of our own. It knows
    nothing of beauty, and is blind to motion. Weights: ``image_text`` and ``quality`` of ``vapbench train mini``.
    """

    name = "aesthetic_quality[mini]"
    title = "Clean frames (mini)"
    version = 1
    higher_is_better = True
    unit = "probability"
    scale = 100.0
    range = (0.0, 1.0)
    digits = 1

    def __init__(self, weights: Path | None = None, head: Path | None = None) -> None:
        """Choose encoder and head.

        Args:
            weights: a folder ``image_text`` that ``vapbench train mini`` made; by default the one that ships.
            head: a folder ``quality`` that belongs to it; by default the one that ships.

        Raises:
            UsageError: there is no such folder.
        """
        self._folder = given_or_shipped(weights, "image_text")
        self._head_folder = given_or_shipped(head, "quality")

    def weights(self) -> tuple[Path, ...]:
        """Encoder and head, as far as they are on this machine."""
        head = (self._head_folder / HEAD,) if self._head_folder else ()
        return (self._folder, *head) if self._folder else head

    def setup(self, device: torch.device) -> None:
        """Load encoder and head onto ``device``.

        Raises:
            NotApplicable: one is not on this machine.
            WeightsError: a folder holds something else.
        """
        self._encoder = _encoder(self._folder, device)
        weight, bias = load_head(require_shipped(self._head_folder, "quality") / HEAD)
        self._head = weight.to(device), bias.to(device)

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            WeightsError: the head is for features of another length.
        """
        features, (weight, bias) = self._encoder.image_features(clip), self._head
        if features.shape[1] != weight.shape[1]:
            raise WeightsError(
                f"the quality head takes {weight.shape[1]} features, the encoder gives {features.shape[1]}; "
                "use the two that were trained together.",
                ErrorKind.CONFLICT,
                "head",
            )
        with exact_float32(features.device):
            ratings = (features @ weight[0] + bias).sigmoid().cpu().double().tolist()
        return Score(sum(ratings) / len(ratings), {"per_frame": ratings})


def _encoder(folder: Path | None, device: torch.device) -> ClipEncoder:
    return ClipWeights.of("mini", require_shipped(folder, "image_text")).load(device)

"""semantic_alignment[embedding]: does the output carry the reference's semantic?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.checkpoints.metric_files import given_or_shipped, require_shipped
from vapbench.core.clip import resize_clip
from vapbench.metrics.base import Metric, Need, Score
from vapbench.metrics.features.precision import exact_float32

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView
    from vapbench.models.semantic_encoder import SemanticEncoder


_FILES = ("config.json", "model.safetensors")


class EmbeddingSemanticAlignment(Metric):
    """Probability that output and reference show the same condition, as the mini suite's semantic encoder reads them.

    Formula: ``100 x sum over conditions c of p(c | output) p(c | reference)``, with ``p(c | clip) = softmax_c(16 cos(e,
    w_c))``, ``e`` the clip's semantic embedding and ``w_c`` the direction that the encoder learnt for a condition.
    Range: 0 to 100, higher is better. Of 33 conditions, a clip that shows none of them has about 3. Another clip of the
    same condition has 80 to 90, because the encoder is never quite sure; the row ``ground-truth`` says how much.
    Source: the paper's alignment score asks a language model whether two videos share their semantic; this asks a
    small network that knows the mini suite's conditions and nothing else, so it says nothing of other suites. A
    copy of the reference scores as high as the ground truth: read it next to ``first_frame_psnr``. Weights:
    ``semantic`` of ``vapbench train mini``.
    """

    name = "semantic_alignment[embedding]"
    title = "Semantic alignment (embedding)"
    version = 1
    higher_is_better = True
    unit = "% probability"
    scale = 1.0
    range = (0.0, 100.0)
    digits = 1
    needs: frozenset[Need] = frozenset({"reference"})

    def __init__(self, weights: Path | None = None) -> None:
        """Choose the encoder.

        Args:
            weights: a folder ``semantic`` that ``vapbench train mini`` made; by default the one that ships.

        Raises:
            UsageError: there is no such folder.
        """
        self._folder = given_or_shipped(weights, "semantic")

    def weights(self) -> tuple[Path, ...]:
        """The encoder's configuration and weights, if they are on this machine."""
        return tuple(self._folder / name for name in _FILES) if self._folder else ()

    def setup(self, device: torch.device) -> None:
        """Load the encoder onto ``device``.

        Raises:
            NotApplicable: it is not on this machine.
            WeightsError: the folder holds something else.
        """
        from vapbench.models.semantic_encoder import SemanticEncoder

        self._encoder = SemanticEncoder.from_pretrained(require_shipped(self._folder, "semantic")).to(device)

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip; frames are chosen evenly and resized to what the encoder was trained on."""
        output, reference = (self._read(self._encoder, each) for each in (clip, clip.reference))
        names = self._encoder.conditions
        parts = {
            "reads": names[int(output.argmax())],
            "reads_of_reference": names[int(reference.argmax())],
            "confidence": float(output.max()),
        }
        return Score(100 * float(output @ reference), parts)

    def _read(self, encoder: SemanticEncoder, clip: ClipView) -> torch.Tensor:
        """``p(condition | clip)``, ``(conditions,)`` float64."""
        from vapbench.suites.mini.geometry import SIZE
        from vapbench.suites.mini.render import FRAMES

        frames = resize_clip(clip.clip, FRAMES, clip.clip.fps, SIZE, SIZE).frames
        with exact_float32(clip.device):
            return encoder.scores(frames[None])[0].cpu().double().softmax(0)

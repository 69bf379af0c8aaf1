"""text_alignment: does the video show what the target caption says?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.files.text import counted
from vapbench.metrics.base import CAPTION_CUT, Need, Score
from vapbench.metrics.features.clip import ClipEncoder, ClipModelMetric, ClipWeights
from vapbench.metrics.features.precision import Precision

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


class ClipTextAlignment(ClipModelMetric):
    """CLIP score: similarity of the frames and the target caption.

    Formula: ``100 x mean over frames of cos(CLIP image, CLIP text)``.
    Range: -100 to 100, higher is better; with OpenAI's ViT-L/14, matching pairs usually lie between 20 and
    35.
    Source: Hessel et al. 2021 (CLIPScore) without its factor 2.5 and its clipping at 0, on the frames and the
    preprocessing of VBench's ``aesthetic_quality``. Weights: OpenAI CLIP (MIT). A caption longer than CLIP's
    77 tokens loses its end; ``parts["tokens_dropped"]`` says how much.
    """

    name = "text_alignment[clip]"
    title = "Text alignment (CLIP)"
    version = 1
    higher_is_better = True
    unit = "cosine x 100"
    scale = 1.0
    range = (-100.0, 100.0)
    digits = 2
    needs: frozenset[Need] = frozenset({"prompt"})

    def __init__(self, model: str = "ViT-L-14", weights: Path | None = None, precision: Precision = "exact") -> None:
        """Choose the model.

        Args:
            model: ``ViT-L-14``, ``ViT-B-32``, or with ``weights`` any name open_clip knows.
            weights: a checkpoint of ``model`` with OpenAI's activation, or a folder with
                ``open_clip_config.json``; by default OpenAI's from the catalogue.
            precision: ``exact``, or ``fast`` for the frames' features in bfloat16 where the hardware has it.

        Raises:
            UsageError: there is no such checkpoint, or no weights are known for the model.
        """
        super().__init__(ClipWeights.of(model, weights, precision))

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the case has no caption.
        """
        return clip_score(self.encoder, clip)


def clip_score(encoder: ClipEncoder, clip: ClipView) -> Score:
    """``100 x mean over frames of cos(image, caption)``.

    Raises:
        NotApplicable: the case has no caption.
    """
    text, dropped = encoder.text_features(clip.prompt)
    cosines = (100 * (encoder.image_features(clip) @ text).cpu().double()).tolist()
    note = f"the caption lost {counted(dropped, 'token')} beyond CLIP's {encoder.context_length}" if dropped else ""
    return Score(
        sum(cosines) / len(cosines),
        {"per_frame": cosines, "tokens_dropped": dropped},
        note,
        CAPTION_CUT if dropped else "",
    )

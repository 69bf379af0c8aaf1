"""text_alignment[viclip]: does the video, motion included, show what the target caption says?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.checkpoints.catalogue import require
from vapbench.checkpoints.metric_files import given_or_catalogued, present
from vapbench.checkpoints.state_dict import load_tensors
from vapbench.errors import ErrorKind, WeightsError
from vapbench.files.text import counted
from vapbench.metrics.base import CAPTION_CUT, Metric, Need, Score
from vapbench.metrics.features.clip import prepare_rounded, unit_length
from vapbench.metrics.features.precision import Precision, arithmetic, exact_float32, round_weights

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


def middle_frames(total: int, wanted: int) -> list[int]:
    """Index of the middle frame of each of ``wanted`` equal parts; a short clip repeats its last one."""
    parts = min(total, wanted)
    edges = [total * part // parts for part in range(parts + 1)]
    middles = [(start + end - 1) // 2 for start, end in pairwise(edges)]
    return middles + middles[-1:] * (wanted - parts)


class ViClipTextAlignment(Metric):
    """Similarity of the video, as one piece, and the target caption.

    Formula: ``cos(ViCLIP video, ViCLIP text)`` of 8 evenly chosen frames and the caption's first 32 tokens.
    Range: -1 to 1, higher is better; with the public weights, matching pairs usually lie between 0.2 and 0.3.
    Source: VBench, dimension ``overall_consistency``, preprocessing included. Weights: ViCLIP-L/14 trained on
    InternVid-10M-FLT (see ``vapbench data weights list`` for its licence). ``parts["tokens_dropped"]`` says how much
    of a long caption was not read.
    """

    name = "text_alignment[viclip]"
    title = "Text alignment (ViCLIP)"
    version = 1
    higher_is_better = True
    unit = "cosine"
    scale = 100.0
    range = (-1.0, 1.0)
    digits = 2
    needs: frozenset[Need] = frozenset({"prompt"})

    def __init__(self, weights: Path | None = None, precision: Precision = "exact") -> None:
        """Choose the checkpoint.

        Args:
            weights: a checkpoint of ViCLIP; by default the catalogue's ``viclip-l-14``.
            precision: ``exact``, or ``fast`` for the video's features in bfloat16 where the hardware has it.

        Raises:
            UsageError: there is no such checkpoint.
        """
        self._given = present(weights)
        self._precision: Precision = precision
        self._model: Any = None
        self._tokenizer: Any = None

    def weights(self) -> tuple[Path, ...]:
        """The checkpoint, if it is on this machine."""
        return given_or_catalogued(self._given, "viclip-l-14")

    def setup(self, device: torch.device) -> None:
        """Load ViCLIP onto ``device``.

        Raises:
            NotApplicable: the checkpoint is not on this machine.
            WeightsError: it is no checkpoint of ViCLIP.
        """
        from open_clip import SimpleTokenizer

        from vapbench.models.vision.viclip import ViClip

        path = self._given or require("viclip-l-14")
        tensors = load_tensors(path)
        model = ViClip({name: tensor.shape for name, tensor in tensors.items()})
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise WeightsError(
                f"{path}: not a ViCLIP checkpoint; fetch viclip-l-14 again.", ErrorKind.INVALID, "weights"
            ) from error
        self._model = model.float().eval().to(device)
        round_weights(self._model.vision_encoder, device, self._precision)
        self._tokenizer = SimpleTokenizer()

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the case has no caption.
        """
        tokens, dropped = self.tokens(clip.prompt)
        chosen = middle_frames(len(clip), self._model.frames)
        similarity = float(self._text_features(tokens, clip.device) @ self._video_features(clip, chosen))
        limit = self._model.context_length
        note = f"the caption lost {counted(dropped, 'token')} beyond ViCLIP's {limit}" if dropped else ""
        return Score(similarity, {"frames": chosen, "tokens_dropped": dropped}, note, CAPTION_CUT if dropped else "")

    def tokens(self, text: str) -> tuple[list[int], int]:
        """Token ids of a caption, padded to the model's length, and how many did not fit."""
        ids = [self._tokenizer.sot_token_id, *self._tokenizer.encode(text), self._tokenizer.eot_token_id]
        limit = self._model.context_length
        surplus = max(0, len(ids) - limit)
        if surplus:
            ids = [*ids[: limit - 1], ids[-1]]
        return [*ids, *[0] * (limit - len(ids))], surplus

    def _text_features(self, tokens: list[int], device: torch.device) -> torch.Tensor:
        import torch

        with exact_float32(device):
            return unit_length(self._model.encode_text(torch.tensor([tokens], device=device)))[0]

    def _video_features(self, clip: ClipView, chosen: list[int]) -> torch.Tensor:
        with arithmetic(clip.device, self._precision):
            frames = prepare_rounded(clip.tensor[chosen].to(clip.device).contiguous(), self._model.image_size)
            return unit_length(self._model.encode_video(frames[None]).float())[0]

"""semantic_alignment[local]: the judge's question, put to a vision-language model in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from vapbench.checkpoints.metric_files import present
from vapbench.errors import ErrorKind, NotApplicable, WeightsError
from vapbench.metrics.base import BatchMetric, Cost, Need, Score
from vapbench.metrics.judge.answer import Answer, combined
from vapbench.metrics.judge.choice import Choice, ChoiceQuestion
from vapbench.metrics.judge.filling import MOST_AT_ONCE, FormFiller, Sheet
from vapbench.metrics.judge.form import Blank, rating_form
from vapbench.metrics.judge.question import Question, ask_about
from vapbench.metrics.judge.rubric import load_rubrics
from vapbench.metrics.memory import quarter_of_free

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


@dataclass(frozen=True)
class Asked:
    """What is asked about one clip, and the bytes there are to work in."""

    question: Question
    memory: int


class SemanticAlignmentLocal(BatchMetric):
    """A local vision-language model's rating of how well the output carries the reference's semantic.

    Formula: median over ``repeats`` answers of the rubric's 0 to 100 score. Question, pictures and rubric are those of
    ``semantic_alignment[judge]``. The model fills in a form: the text of the answer is given, and of its numbers the
    likeliest digits that keep them in range are taken, so that there is always an answer, and always the same. It
    gives no explanation. Repeats differ in which video is shown first, and are answered in one batch; a model whose
    weights are float32 answers about several clips at once, with the numbers it would write about each alone.
    Range: 0 to 100, higher is better.
    Source: as for ``semantic_alignment[judge]``. Weights: any image-text-to-text model of transformers
    (Qwen2.5-VL, Qwen3-VL, …), under its own licence; no code of a checkpoint is run.
    """

    name = "semantic_alignment[local]"
    title = "Semantic alignment (local judge)"
    version = 2
    higher_is_better = True
    unit = "points of 100"
    scale = 1.0
    range = (0.0, 100.0)
    digits = 1
    needs: frozenset[Need] = frozenset({"reference", "image", "category"})
    concurrency = 1

    def __init__(
        self,
        weights: Path | None = None,
        frames: Annotated[int, Field(ge=1, le=64)] = 8,
        repeats: Annotated[int, Field(ge=1, le=2)] = 2,
    ) -> None:
        """Choose the model.

        Args:
            weights: folder of an image-text-to-text model, as ``hf download REPOSITORY --local-dir DIR`` makes it.
            frames: of each video.
            repeats: 2 shows either video first once, 1 saves half of the time.

        Raises:
            UsageError: there is no such folder.
        """
        self._folder, self.frames, self._repeats = present(weights), frames, repeats
        self._device: Any = None
        self._filler: FormFiller | None = None

    def identity(self) -> Mapping[str, Any]:
        """What sets the column apart: the model's folder by its content, and its name for readers."""
        model = {"model": self._folder.name, "weights": str(self._folder)} if self._folder else {}
        return {
            **model,
            "rubric": load_rubrics().identity,
            "frames": self.frames,
            "repeats": self._repeats,
        }

    def weights(self) -> tuple[Path, ...]:
        """The model's folder, if it is on this machine."""
        return (self._folder,) if self._folder else ()

    def setup(self, device: torch.device) -> None:
        """Load the model onto ``device``, in the type its weights are stored in.

        Raises:
            NotApplicable: no model is given.
            WeightsError: it is no image-text-to-text model with a processor.
        """
        if self._folder is None:
            raise NotApplicable(
                "no model is given: hf download Qwen/Qwen2.5-VL-7B-Instruct --local-dir DIR, "
                "then --metric semantic_alignment[local]:weights=DIR",
                ErrorKind.MISSING,
                "weights",
            )
        from transformers import AutoModelForImageTextToText, AutoProcessor

        try:
            processor = AutoProcessor.from_pretrained(self._folder, local_files_only=True, trust_remote_code=False)
            model = AutoModelForImageTextToText.from_pretrained(
                self._folder, local_files_only=True, dtype="auto", use_safetensors=True, trust_remote_code=False
            )
        except (ValueError, OSError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WeightsError(
                f"{self._folder} is no image-text-to-text model that can be loaded: {reason}",
                ErrorKind.INVALID,
                "weights",
            ) from error
        if not hasattr(processor, "tokenizer"):
            raise WeightsError(
                f"{self._folder} has no processor for pictures and text; is the download complete?",
                ErrorKind.MISSING,
                "weights",
            )
        self._filler = FormFiller(model.to(device).eval(), processor)
        self.at_once = MOST_AT_ONCE // self._repeats if self._filler.exact else 1
        self._device = device

    def take(self, clip: ClipView, case: Case) -> Asked:
        """Take the frames that the model is to see."""
        return Asked(ask_about(clip, case, load_rubrics(), self.frames), clip.memory)

    def score_many(self, taken: Sequence[Asked]) -> list[Score]:
        """Score several clips, every repeat of each a form of its own."""
        sheets = [sheet for asked in taken for sheet in self.sheets(asked.question)]
        filled = iter(self.filler.fill(sheets, min(asked.memory for asked in taken)))
        return [self._combined(asked.question, list(islice(filled, self._repeats))) for asked in taken]

    def sheets(self, question: Question) -> list[Sheet]:
        """What there is to fill in about a clip: a form for each repeat."""
        form = rating_form(question.rubric)
        return [Sheet(form, question.system, list(question.parts(order))) for order in self._orders(question)]

    def choose(self, question: ChoiceQuestion) -> Choice:
        """Answer a trial of a preference study; see :class:`vapbench.metrics.judge.choice.Chooser`."""
        blank = Blank(len(question.results), least=0 if question.ties else 1)
        sheet = Sheet(['{"choice": ', blank, "}"], question.system, list(question.parts()))
        ((said,),) = self.filler.fill([sheet], quarter_of_free(self._device))
        return Choice(said - 1 if said else "tie", served_by=self._folder.name if self._folder else "")

    def choice_cost(self, question: ChoiceQuestion, height: int, width: int) -> Cost:
        """Nobody is paid."""
        return Cost()

    @property
    def filler(self) -> FormFiller:
        """The loaded model."""
        if self._filler is None:
            raise RuntimeError(f"{self.name} is asked before setup")
        return self._filler

    def _orders(self, question: Question) -> list[bool]:
        """Whether each repeat shows the output first."""
        return [question.starts_with_output != (repeat % 2 == 1) for repeat in range(self._repeats)]

    def _combined(self, question: Question, filled: Sequence[Sequence[int]]) -> Score:
        """The score of one clip, from the numbers of its forms."""
        answers = [
            Answer(float(score), dict(zip(question.rubric.criteria, map(float, ratings), strict=True)))
            for *ratings, score in filled
        ]
        return combined(
            answers,
            {
                "orders": ["output first" if order else "reference first" for order in self._orders(question)],
                "rubric": f"{question.rubric.category} {question.rubrics.identity}",
                "pictures": question.pictures(),
            },
        )

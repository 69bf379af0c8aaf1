"""semantic_alignment[local]: the judge's question, put to a vision-language model in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from vapbench.checkpoints.metric_files import present
from vapbench.errors import ErrorKind, NotApplicable, WeightsError
from vapbench.metrics.base import Cost, Metric, Need, Score
from vapbench.metrics.judge.answer import Answer, combined
from vapbench.metrics.judge.choice import Choice, ChoiceQuestion
from vapbench.metrics.judge.form import Blank, Form, rating_form
from vapbench.metrics.judge.question import Part, Question, ask_about
from vapbench.metrics.judge.rubric import load_rubrics

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


class SemanticAlignmentLocal(Metric):
    """A local vision-language model's rating of how well the output carries the reference's semantic.

    Formula: median over ``repeats`` answers of the rubric's 0 to 100 score. Question, pictures and rubric are those of
    ``semantic_alignment[judge]``. The model fills in a form: the text of the answer is given, and of its numbers the
    likeliest digits that keep them in range are taken, so that there is always an answer, and always the same. It
    gives no explanation. Repeats differ in which video is shown first; more than two are the first two again.
    Range: 0 to 100, higher is better.
    Source: as for ``semantic_alignment[judge]``. Weights: any image-text-to-text model of transformers
    (Qwen2.5-VL, Qwen3-VL, …), under its own licence; no code of a checkpoint is run.
    """

    name = "semantic_alignment[local]"
    title = "Semantic alignment (local judge)"
    version = 1
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
        self._model: Any = None
        self._processor: Any = None
        self._device: Any = None

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
            self._processor = AutoProcessor.from_pretrained(
                self._folder, local_files_only=True, trust_remote_code=False
            )
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
        if not hasattr(self._processor, "tokenizer"):
            raise WeightsError(
                f"{self._folder} has no processor for pictures and text; is the download complete?",
                ErrorKind.MISSING,
                "weights",
            )
        self._model, self._device = model.to(device).eval(), device

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip."""
        question = ask_about(clip, case, load_rubrics(), self.frames)
        orders = [question.starts_with_output != (repeat % 2 == 1) for repeat in range(self._repeats)]
        answers = [self._answer(question, output_first) for output_first in orders]
        return combined(
            answers,
            {
                "orders": ["output first" if order else "reference first" for order in orders],
                "rubric": f"{question.rubric.category} {question.rubrics.identity}",
                "pictures": question.pictures(),
            },
        )

    def choose(self, question: ChoiceQuestion) -> Choice:
        """Answer a trial of a preference study; see :class:`vapbench.metrics.judge.choice.Chooser`."""
        blank = Blank(len(question.results), least=0 if question.ties else 1)
        (said,) = self._fill(['{"choice": ', blank, "}"], question.system, question.parts())
        return Choice(said - 1 if said else "tie", served_by=self._folder.name if self._folder else "")

    def choice_cost(self, question: ChoiceQuestion, height: int, width: int) -> Cost:
        """Nobody is paid."""
        return Cost()

    def _answer(self, question: Question, output_first: bool) -> Answer:
        form = rating_form(question.rubric)
        *ratings, score = self._fill(form, question.system, question.parts(output_first))
        return Answer(float(score), dict(zip(question.rubric.criteria, map(float, ratings), strict=True)))

    def _fill(self, blanks: Sequence[str | Blank], system: str, parts: Iterable[Part]) -> list[int]:
        """The numbers that the model writes into a form."""
        import torch

        form = Form(self._processor.tokenizer, blanks)
        inputs = self._processor.apply_chat_template(
            _messages(system, parts),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._device, dtype=self._model.dtype)
        length = inputs["input_ids"].shape[1]
        with torch.no_grad():
            made = self._model.generate(
                **inputs,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=form.longest,
                prefix_allowed_tokens_fn=lambda _, ids: form.allowed(ids[length:].tolist()),
            )
        return form.numbers(made[0, length:].tolist())


def _messages(system: str, parts: Iterable[Part]) -> list[dict[str, Any]]:
    from PIL import Image

    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": Image.fromarray(part)}
        for part in parts
    ]
    return [
        {"role": "system", "content": [{"type": "text", "text": system}]},
        {"role": "user", "content": content},
    ]

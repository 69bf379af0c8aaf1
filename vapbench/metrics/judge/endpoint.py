"""semantic_alignment[judge]: does the output carry the reference's semantic? Asked of a model behind a server."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from vapbench.core.clip import Frames
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import CallBudget, Cost, Need, PaidMetric, Score
from vapbench.metrics.judge.answer import Answer, MalformedAnswer, combined, read, schema
from vapbench.metrics.judge.choice import Choice, ChoiceQuestion, read_choice
from vapbench.metrics.judge.client import ChatClient, Pace, Reply, check_key, check_url, host_of
from vapbench.metrics.judge.question import NOTHING, Part, Question, ask_about, caption_of, scaled_size
from vapbench.metrics.judge.rubric import load_rubrics
from vapbench.metrics.judge.tokens import CHARACTERS_PER_TOKEN, picture_tokens

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"
_ANSWER_TOKENS = 200
Answered = TypeVar("Answered")


class SemanticAlignmentJudge(PaidMetric):
    """A vision-language model's rating of how well the output carries the reference's semantic.

    Formula: median over ``repeats`` answers of the rubric's 0 to 100 score. The judge sees evenly spread frames of the
    reference and of the output, the first frame and the reference's caption, and rates the criteria of the category's
    rubric before the whole. Repeats take turns in which video is shown first.
    Range: 0 to 100, higher is better.
    Source: Video-As-Prompt (arXiv 2510.20888), whose alignment score is Gemini-2.5-pro's rating of the pair under
    evaluation rules; the rules are not published, so the rubrics are vapbench's own. Weights: none here; the model is
    the endpoint's, under its terms.
    """

    name = "semantic_alignment[judge]"
    title = "Semantic alignment (judge)"
    version = 1
    higher_is_better = True
    unit = "points of 100"
    scale = 1.0
    range = (0.0, 100.0)
    digits = 1
    needs: frozenset[Need] = frozenset({"reference", "image", "category"})

    def __init__(
        self,
        model: str = "gemini-2.5-pro",
        base_url: str = GEMINI,
        frames: Annotated[int, Field(ge=1, le=64)] = 8,
        repeats: Annotated[int, Field(ge=1, le=15)] = 3,
        seed: int | None = None,
        key_env: str = "VAPBENCH_JUDGE_KEY",
        concurrency: Annotated[int, Field(ge=1, le=64)] = 4,
        per_minute: Annotated[float, Field(gt=0)] | None = None,
        timeout: Annotated[float, Field(gt=0)] = 180.0,
    ) -> None:
        """Choose the judge. The first five parameters are part of the column, with the host of ``base_url``.

        Args:
            model: what the endpoint calls it.
            base_url: any endpoint that speaks OpenAI's chat protocol, up to ``/chat/completions``.
            frames: of each video.
            repeats: answers per case.
            seed: sent with each request, one higher for each repeat; by default none, as some endpoints refuse it.
            key_env: environment variable that holds the key.
            concurrency: requests under way at once.
            per_minute: requests a minute at most.
            timeout: seconds for one answer.

        Raises:
            UsageError: ``base_url`` is no address, or holds a secret.
        """
        self._model, self._base_url = model, check_url(base_url)
        self.frames, self._repeats, self._seed = frames, repeats, seed
        self._key_env, self._timeout = key_env, timeout
        self._pace = Pace(per_minute)
        self.concurrency = concurrency
        self.budget = CallBudget()

    def identity(self) -> Mapping[str, Any]:
        """What sets the column apart: never the key, and of the address only the host."""
        return {
            "model": self._model,
            "endpoint": host_of(self._base_url),
            "rubric": load_rubrics().identity,
            "frames": self.frames,
            "repeats": self._repeats,
            **({"seed": self._seed} if self._seed is not None else {}),
        }

    def setup(self, device: torch.device) -> None:
        """Read the key.

        Raises:
            NotApplicable: there is none, and the endpoint is not on this machine or network.
            UsageError: the key cannot be sent.
        """
        key = check_key(os.environ.get(self._key_env, ""), self._key_env, self._base_url)
        if not key and host_of(self._base_url) != "local":
            raise NotApplicable(
                f"{host_of(self._base_url)} needs a key; put it into the variable {self._key_env}, "
                "then run again with --refresh failed",
                ErrorKind.MISSING,
                "key_env",
            )
        self._client = ChatClient(self._base_url, key, self._timeout, self._pace, self.budget)

    def cost(self, case: Case) -> Cost:
        """Estimate one case: calls exactly if none is repeated; tokens by the published rule of the model's family."""
        rubrics = load_rubrics()
        question = Question(rubrics, rubrics.of(case.category), NOTHING, caption_of(case))
        images = 1 + self.frames + min(self.frames, case.clip.frames)
        picture = picture_tokens(self._model, *scaled_size(case.clip.height, case.clip.width))
        tokens = images * picture + question.characters() // CHARACTERS_PER_TOKEN
        times = self._repeats
        return Cost(times, times * images, times * tokens, times * _ANSWER_TOKENS)

    def begin(self, clip: ClipView, case: Case) -> Callable[[], Score]:
        """Take what the judge is to see; what is returned asks and waits.

        Raises:
            BudgetSpent: the answers would cost more calls than are left.
        """
        question = ask_about(clip, case, load_rubrics(), self.frames)
        self.budget.take(self._repeats)
        return lambda: self._ask(question)

    def _ask(self, question: Question) -> Score:
        """Ask as often as there are repeats.

        Raises:
            JudgeUnreachable: the endpoint refuses or does not answer.
            MalformedAnswer: twice in a row what came back was no answer.
            BudgetSpent: something had to be asked again, and no call was left.
        """
        pictures = _encoded(question.parts(False))
        answers: list[Answer] = []
        replies: list[Reply] = []
        orders = []
        for repeat in range(self._repeats):
            output_first = question.starts_with_output != (repeat % 2 == 1)
            payload = self._payload(question.system, question.parts(output_first), schema(question.rubric), pictures)
            if self._seed is not None:
                payload["seed"] = self._seed + repeat
            answer, reply = self._answer(payload, partial(read, rubric=question.rubric))
            answers.append(answer)
            replies.append(reply)
            orders.append("output first" if output_first else "reference first")
        return combined(
            answers,
            {
                "orders": orders,
                "rubric": f"{question.rubric.category} {question.rubrics.identity}",
                "pictures": question.pictures(),
                "served_by": sorted({reply.model for reply in replies}),
                "tokens_in": _sum(reply.tokens_in for reply in replies),
                "tokens_out": _sum(reply.tokens_out for reply in replies),
            },
        )

    def choose(self, question: ChoiceQuestion) -> Choice:
        """Answer a trial of a preference study; see :class:`vapbench.metrics.judge.choice.Chooser`."""
        self.budget.take()
        payload = self._payload(question.system, question.parts(), question.schema(), _encoded(question.parts()))
        if self._seed is not None:
            payload["seed"] = self._seed
        chosen, reply = self._answer(payload, lambda text: read_choice(text, len(question.results), question.ties))
        return replace(chosen, served_by=reply.model, tokens_in=reply.tokens_in or 0, tokens_out=reply.tokens_out or 0)

    def choice_cost(self, question: ChoiceQuestion, height: int, width: int) -> Cost:
        """One call; tokens as in :meth:`cost`."""
        images = sum(not isinstance(part, str) for part in question.parts())
        picture = picture_tokens(self._model, *scaled_size(height, width))
        return Cost(1, images, images * picture + question.characters() // CHARACTERS_PER_TOKEN, _ANSWER_TOKENS)

    def _answer(self, payload: Mapping[str, Any], read: Callable[[str], Answered]) -> tuple[Answered, Reply]:
        try:
            reply = self._client.ask(payload)
            return read(reply.text), reply
        except MalformedAnswer:
            self.budget.take()
        reply = self._client.ask(payload)
        return read(reply.text), reply

    def _payload(
        self, system: str, parts: Iterable[Part], form: Mapping[str, Any], pictures: Mapping[int, str]
    ) -> dict[str, Any]:
        def content(part: Part) -> dict[str, Any]:
            if isinstance(part, str):
                return {"type": "text", "text": part}
            return {"type": "image_url", "image_url": {"url": pictures[id(part)]}}

        return {
            "model": self._model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": [content(part) for part in parts]},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "rating", "strict": True, "schema": form},
            },
        }


def _encoded(parts: Iterable[Part]) -> dict[int, str]:
    """Each picture, by its id, as it is sent: encoded once, however often it is shown."""
    return {id(part): _data_url(part) for part in parts if not isinstance(part, str)}


def _data_url(frame: Frames) -> str:
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(frame).save(held, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode('ascii')}"


def _sum(counts: Iterable[int | None]) -> int | None:
    """Of all; None where one is not known."""
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)

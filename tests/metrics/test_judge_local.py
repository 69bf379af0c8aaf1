"""semantic_alignment[local] with a real, tiny vision-language model, and the form it fills in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.metrics.conftest import CPU, TinyWeights, moving_clip, view
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, NotApplicable, UsageError, WeightsError
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric
from vapbench.metrics.judge.form import Form, rating_form
from vapbench.metrics.judge.rubric import load_rubrics
from vapbench.running.plan import columns

NAME = "semantic_alignment[local]"


def test_a_model_rates_every_criterion_and_the_whole(build: Callable[[str], Metric], case: Case) -> None:
    metric = build(NAME)
    camera = case.model_copy(update={"category": "camera"})
    first, second = (metric.score(view(moving_clip(5), camera), camera) for _ in range(2))
    assert first == second
    assert len(first.parts["scores"]) == 2 and all(0 <= score <= 100 for score in first.parts["scores"])
    assert set(first.parts["criteria"]) == {"same_move", "same_direction", "steady_scene"}
    assert all(0 <= value <= 10 for value in first.parts["criteria"].values())
    assert sorted(first.parts["orders"]) == ["output first", "reference first"]
    json.dumps(dict(first.parts), allow_nan=False)


def test_the_model_sees_the_pictures(
    build: Callable[[str], Metric], case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric: Any = build(NAME)
    seen: list[tuple[int, ...]] = []
    real = metric.filler._model.generate

    def watch(**inputs: Any) -> Any:
        seen.append(tuple(inputs["image_grid_thw"].shape))
        return real(**inputs)

    monkeypatch.setattr(metric.filler._model, "generate", watch)
    metric.score(view(moving_clip(5), case), case)
    assert seen == [(2 * (2 + 1 + 2), 3)]


def test_clips_are_scored_together_as_each_alone(tiny: TinyWeights, case: Case) -> None:
    metric: Any = resolve(f"{NAME}:weights={tiny.vlm},frames=1,repeats=1")[0]
    metric.setup(CPU)
    assert metric.at_once == 8
    clips = [(case.model_copy(update={"category": name}), moving_clip(2, 28, 28)) for name in ("camera", "style")]
    scores = metric.score_many([metric.take(view(clip, own), own) for own, clip in clips])
    own, clip = clips[1]
    assert scores[1] == metric.score(view(clip, own), own)
    assert [score.parts["rubric"].split()[0] for score in scores] == ["camera", "style"]


def test_other_weights_are_another_column(tiny: TinyWeights, tmp_path: Path) -> None:
    (column,) = columns([f"{NAME}:weights={tiny.vlm}"])
    assert column.params["model"] == "tiny-vlm" and len(column.params["weights"]) == 12
    assert str(tiny.vlm) not in column.label
    assert len(column.weights) == 1


def test_without_a_model_it_says_how_to_get_one(tmp_path: Path) -> None:
    with refuses(NotApplicable, ErrorKind.MISSING, "weights", "hf download", "weights=DIR"):
        resolve(NAME)[0].setup(CPU)
    with refuses(UsageError, ErrorKind.MISSING, "weights"):
        resolve(f"{NAME}:weights={tmp_path}/nothing")
    with refuses(WeightsError, ErrorKind.INVALID, "weights"):
        resolve(f"{NAME}:weights={tmp_path}")[0].setup(CPU)


class Bytes:
    """A tokenizer whose tokens are single characters, and ``25`` and ``100``."""

    words = (*'{}:, "_abcdefghijklmnopqrstuvwxyz0123456789', "25", "100", "<end>")
    eos_token_id = len(words) - 1

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [self.words.index(character) for character in text]

    def batch_decode(self, tokens: list[list[int]]) -> list[str]:
        return ["".join(self.words[token] for token in one) for one in tokens]


def fill(form: Form, wishes: list[str]) -> str:
    """Write the form, with the first wish that is allowed at each place."""
    made: list[int] = []
    while True:
        allowed = [Bytes.words[token] for token in form.allowed(made)]
        word = next((wish for wish in wishes if wish in allowed), allowed[-1])
        made.append(Bytes.words.index(word))
        if word == "<end>":
            break
    assert len(made) <= form.longest
    text = "".join(Bytes.words[token] for token in made[:-1])
    assert form.numbers(made) == list(json.loads(text).values())
    return text


@pytest.mark.parametrize(
    ("wishes", "score"), [(["9"], 99), (["0"], 0), (["100"], 100), (["25"], 25), (["1", "0"], 11), ([",", "}", "7"], 7)]
)
def test_a_filled_form_is_always_a_valid_answer(wishes: list[str], score: int) -> None:
    rubric = load_rubrics().of("motion")
    found = json.loads(fill(Form(Bytes(), rating_form(rubric)), wishes))
    assert list(found) == [*rubric.criteria, "score"]
    assert found["score"] == score
    assert all(0 <= found[name] <= 10 for name in rubric.criteria)

"""Forms filled in by a real, tiny vision-language model: several at once, as each would be alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.metrics.judges import write_tiny_vlm
from vapbench.metrics.judge.filling import MOST_AT_ONCE, FormFiller, Sheet
from vapbench.metrics.judge.form import Blank, digit_tokens

AMPLE = 1 << 34
FORM: list[str | Blank] = ['{"likeness": ', Blank(10), ', "score": ', Blank(100), "}"]
CHOICE: list[str | Blank] = ['{"choice": ', Blank(4, least=1), "}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vlm")
    write_tiny_vlm(folder)
    return folder


def load(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """The model, with weights so large that its answers depend on what it is shown, and its processor."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return model.eval(), AutoProcessor.from_pretrained(folder)


def sheets(count: int) -> list[Sheet]:
    """Forms whose questions differ in length, in pictures, and in what there is to fill in."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        pictures = [rng.integers(0, 256, (28, 28 * (1 + number % 3), 3), dtype=np.uint8) for _ in range(1 + number % 2)]
        form = FORM if number % 3 else CHOICE
        made.append(Sheet(form, "Rate.", ["Look. " * number, *pictures, "Answer."]))
    return made


@dataclass
class Watched:
    """A model's ``generate``: what it was given, call by call; it refuses more forms than it has ``room`` for."""

    real: Any
    room: int = 100
    masks: list[torch.Tensor] = field(default_factory=list)

    def __call__(self, **inputs: Any) -> Any:
        self.masks.append(inputs["attention_mask"])
        if len(self.masks[-1]) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.real(**inputs)

    def calls(self) -> list[int]:
        """Forms in each call since this was asked."""
        sizes = [len(mask) for mask in self.masks]
        self.masks.clear()
        return sizes


@pytest.fixture
def filler(folder: Path) -> FormFiller:
    return FormFiller(*load(folder))


@pytest.fixture
def seen(filler: FormFiller, monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched(filler._model.generate)
    monkeypatch.setattr(filler._model, "generate", watched)
    return watched


@pytest.fixture(scope="module")
def alone(folder: Path) -> list[list[int]]:
    """What is written into each of ten forms by a filler that never sees two."""
    single = FormFiller(*load(folder))
    return [single.fill([sheet], AMPLE)[0] for sheet in sheets(10)]


def test_many_are_filled_in_as_each_would_be_alone(filler: FormFiller, seen: Watched, alone: list[list[int]]) -> None:
    assert filler.fill(sheets(10), AMPLE) == alone
    assert len({tuple(numbers) for numbers in alone}) > 4  # the model does look
    first = seen.masks[0]
    assert seen.calls() == [MOST_AT_ONCE, 2]
    # Filled up in front: what is written follows what was read.
    assert first[:, -1].all() and not first[:-1, 0].any() and (first.diff(dim=1) >= 0).all()


def test_a_number_that_rounding_might_decide_is_asked_for_again_alone(
    filler: FormFiller, seen: Watched, alone: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapbench.metrics.judge.filling._NOISE", 10.0)
    assert filler.fill(sheets(3), AMPLE) == alone[:3]
    assert seen.calls() == [3, 1, 1, 1]


def test_digits_that_are_as_likely_as_each_other_are_too_close(filler: FormFiller, seen: Watched) -> None:
    head, digits = filler._model.lm_head.weight, list(digit_tokens(filler._processor.tokenizer))
    with torch.no_grad():
        head[digits] = head[digits[0]].clone()
    filler.fill(sheets(2), AMPLE)
    assert seen.calls() == [2, 1, 1]


def test_a_batch_that_does_not_fit_is_halved_and_not_tried_again(
    filler: FormFiller, seen: Watched, alone: list[list[int]]
) -> None:
    seen.room = 3
    assert filler.fill(sheets(8), AMPLE) == alone[:8]
    assert seen.calls() == [8, 4, 2, 2, 4, 2, 2]
    assert filler.fill(sheets(4), AMPLE) == alone[:4]
    assert seen.calls() == [2, 2]


def test_the_memory_there_is_says_how_many_are_tried(filler: FormFiller, seen: Watched, alone: list[list[int]]) -> None:
    assert filler.fill(sheets(4), 1) == alone[:4]
    assert seen.calls() == [1, 1, 1, 1]


def test_what_fails_alone_fails(filler: FormFiller, seen: Watched) -> None:
    seen.room = 0
    with pytest.raises(torch.OutOfMemoryError):
        filler.fill(sheets(2), AMPLE)


def test_in_half_precision_what_is_close_is_not_asked_for_again(folder: Path) -> None:
    filler = FormFiller(*load(folder, torch.bfloat16))
    seen = filler._model.generate = Watched(filler._model.generate)
    ((score,), _) = filler.fill([sheets(1)[0]] * 2, AMPLE)
    assert not filler.exact and 1 <= score <= 4 and seen.calls() == [2]

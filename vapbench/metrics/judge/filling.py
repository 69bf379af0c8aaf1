"""Forms filled in by a local vision-language model: several at once, and as each would be alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vapbench.metrics.judge.form import Blank, Form
from vapbench.metrics.judge.question import Part
from vapbench.metrics.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

MOST_AT_ONCE = 8
"""Forms: more would fill a card no better, and hold more clips back until their answers are written."""
_NOISE = 2e-5
"""How far a batch may move a float32 logit, as a share of the largest: four times what was seen on a CPU with random
models of 28 layers (5e-6)."""


@dataclass(frozen=True)
class Sheet:
    """A form, and what the model is told and shown before it writes."""

    blanks: Sequence[str | Blank]
    system: str
    parts: Sequence[Part]


class FormFiller:
    """A model that writes the likeliest numbers into forms.

    A batch rounds otherwise than a single form does. In float32, a form with a number so close that this might have
    decided it is filled in again alone: what is written never depends on what else is asked. In half precision,
    where a rounding is thousands of times coarser, only what always belongs together may share a batch; :attr:`exact`
    tells.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        """Take an image-text-to-text model of transformers, on its device, and its processor."""
        import torch

        self._model, self._processor = model, processor
        self.exact = model.dtype == torch.float32
        self._most = MOST_AT_ONCE
        tokenizer = processor.tokenizer
        # What is written follows at once what was read: the shorter ones are filled up in front.
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    def fill(self, sheets: Sequence[Sheet], memory: int) -> list[list[int]]:
        """The numbers written into each form.

        Args:
            sheets: what to fill in.
            memory: bytes to work in: a batch that is estimated to take more is halved.

        Raises:
            Exception: what filling in a single form raises.
        """
        numbers: list[list[int]] = []
        while left := sheets[len(numbers) :]:
            numbers += self._together(left[: self._most], memory)
        return numbers

    def _together(self, sheets: Sequence[Sheet], memory: int) -> list[list[int]]:
        half = len(sheets) // 2
        if not half:
            return [self._alone(sheets[0])]
        written, too_large = [], False
        try:
            inputs = self._inputs(sheets)
            too_large = len(sheets) * self._bytes_each(inputs["input_ids"].shape[1]) > memory
            if not too_large:
                written = self._write(sheets, inputs)
        except Exception as error:
            # Whichever form is to blame raises again when it is alone; a processor may also not take all together.
            too_large = is_out_of_memory(error)
            if not too_large:
                log.warning(
                    "%d forms in smaller batches, since together they cannot be filled in: %s", len(sheets), error
                )
        if written:
            return [
                self._alone(sheet) if close else numbers
                for sheet, (numbers, close) in zip(sheets, written, strict=True)
            ]
        if too_large:
            self._most = half
        return [*self._together(sheets[:half], memory), *self._together(sheets[half:], memory)]

    def _alone(self, sheet: Sheet) -> list[int]:
        return self._write([sheet], self._inputs([sheet]))[0][0]

    def _write(self, sheets: Sequence[Sheet], inputs: Any) -> list[tuple[list[int], bool]]:
        """Numbers of each form, and whether rounding might have decided one of them."""
        import torch
        from transformers import LogitsProcessorList

        forms = [Form(self._processor.tokenizer, sheet.blanks) for sheet in sheets]
        length = inputs["input_ids"].shape[1]
        pen = _Pen(forms, length, _NOISE if self.exact else 0.0)
        with torch.no_grad():
            made = self._model.generate(
                **inputs.to(self._model.device, dtype=self._model.dtype),
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=max(form.longest for form in forms),
                logits_processor=LogitsProcessorList([pen]),
            )
        texts = made[:, length:].tolist()
        return [(form.numbers(text), close) for form, text, close in zip(forms, texts, pen.close, strict=True)]

    def _inputs(self, sheets: Sequence[Sheet]) -> Any:
        from PIL import Image

        texts = self._processor.apply_chat_template(
            [_messages(sheet) for sheet in sheets], add_generation_prompt=True, tokenize=False
        )
        pictures = [[Image.fromarray(part) for part in sheet.parts if not isinstance(part, str)] for sheet in sheets]
        begins = self._processor.tokenizer.bos_token
        return self._processor(
            text=texts,
            images=pictures,
            padding=True,
            return_tensors="pt",
            # Templates that write the first token themselves would have it twice.
            **({"add_special_tokens": False} if begins and texts[0].startswith(begins) else {}),
        )

    def _bytes_each(self, tokens: int) -> float:
        """What a form takes of the device: keys and values of every layer, and a layer's work on every token."""
        config = self._model.config.get_text_config()
        heads = config.num_attention_heads
        kept = 2 * config.num_hidden_layers * config.hidden_size * config.num_key_value_heads / heads
        at_work = 16 * config.hidden_size + 4 * config.intermediate_size
        # Attention that is not computed in pieces holds a weight of each token for every other.
        between = heads * tokens if self._model.config._attn_implementation == "eager" else 0
        return float(tokens * (kept + at_work + between) * self._model.dtype.itemsize)


class _Pen:
    """Lets a model write nothing but the forms, and notes which of them rounding might have decided."""

    def __init__(self, forms: Sequence[Form], length: int, noise: float) -> None:
        self._forms, self._length, self._noise = forms, length, noise
        self.close = [False] * len(forms)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Keep of ``scores`` ``(forms, tokens)`` those of the tokens that may follow."""
        import torch

        masked = torch.full_like(scores, -torch.inf)
        scale = torch.where(scores.isfinite(), scores.abs(), 0).amax(dim=1)
        for row, (form, made) in enumerate(zip(self._forms, input_ids[:, self._length :].tolist(), strict=True)):
            allowed = form.allowed(made)
            masked[row, allowed] = scores[row, allowed]
            if len(allowed) > 1:
                first, second = scores[row, allowed].topk(2).values
                self.close[row] |= bool(first - second < self._noise * scale[row])
        return masked


def _messages(sheet: Sheet) -> list[dict[str, Any]]:
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in sheet.parts]
    return [
        {"role": "system", "content": [{"type": "text", "text": sheet.system}]},
        {"role": "user", "content": content},
    ]

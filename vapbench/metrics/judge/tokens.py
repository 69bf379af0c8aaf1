"""What a picture costs in tokens, by the rules that makers of vision models publish, before anything is sent.

Every rule is its maker's, in our words; ``benchmarks/judge_tokens.py`` prints them side by side. Rules change without
notice: a row's ``tokens_in`` holds what the endpoint counted in the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 4
"""Of English text (Gemini API, "Understand and count tokens": a token is about 4 characters)."""


@dataclass(frozen=True)
class PictureRule:
    """How one family of models counts a picture."""

    tokens: Callable[[int, int], int]
    """Tokens of a picture of some height and width, in pixels."""
    models: tuple[str, ...]
    """How names of its models begin, without the maker's name before a slash."""
    source: str


def _gemini_2(height: int, width: int) -> int:
    if max(height, width) <= 384:
        return 258
    unit = min(768, max(256, min(height, width) // 1.5))
    return 258 * math.ceil(height / unit) * math.ceil(width / unit)


def _gemini_3(height: int, width: int) -> int:
    return 1120


def _openai_tiles(height: int, width: int) -> int:
    scale = min(1.0, 2048 / max(height, width))
    scale *= 768 / (min(height, width) * scale)
    return 85 + 170 * math.ceil(round(height * scale) / 512) * math.ceil(round(width * scale) / 512)


def _openai_patches(height: int, width: int) -> int:
    return math.ceil(2.46 * min(1536, math.ceil(height / 32) * math.ceil(width / 32)))


def _claude(height: int, width: int) -> int:
    return math.ceil(height * width / 750)


def _patches(side: int) -> Callable[[int, int], int]:
    # Sides are rounded to whole patches, and never to none.
    return lambda height, width: max(4, max(1, round(height / side)) * max(1, round(width / side)))


RULES: Mapping[str, PictureRule] = {
    "Gemini 2": PictureRule(
        _gemini_2,
        ("gemini-2", "gemini-1"),
        "Gemini API, Image understanding: 258 where no side exceeds 384 px, else 258 per tile, the tile being "
        "floor(shorter side / 1.5) px, 256 to 768",
    ),
    "Gemini 3": PictureRule(
        _gemini_3, ("gemini-3",), "Gemini API, Media resolution: at most 1120 at the default resolution of pictures"
    ),
    "OpenAI, tiles": PictureRule(
        _openai_tiles,
        ("gpt-4o", "gpt-4.5", "o1", "o3", "chatgpt"),
        "OpenAI API, Images and vision: within 2048 px, shorter side 768 px, 170 per 512 px tile, and 85 (high detail)",
    ),
    "OpenAI, patches": PictureRule(
        _openai_patches,
        ("gpt-4.1", "gpt-5", "o4"),
        "OpenAI API, Images and vision: patches of 32 px, at most 1536, times at most 2.46 by model",
    ),
    "Claude": PictureRule(_claude, ("claude",), "Claude API, Vision: height x width / 750"),
    "Qwen2-VL, Qwen2.5-VL": PictureRule(
        _patches(28), ("qwen2", "qwen-vl"), "transformers, Qwen2VLImageProcessor: one per 28 px square"
    ),
    "Qwen3-VL": PictureRule(_patches(32), ("qwen3",), "transformers, Qwen3-VL: one per 32 px square"),
}


def rule_of(model: str) -> str | None:
    """Name of the rule for a model as an endpoint calls it; None for a family that is not known here."""
    name = model.rpartition("/")[2].lower()
    return next((rule for rule, item in RULES.items() if name.startswith(item.models)), None)


def picture_tokens(model: str, height: int, width: int) -> int:
    """Tokens of a picture by the rule of the model's family; the most of all rules for an unknown family."""
    rule = rule_of(model)
    if rule:
        return RULES[rule].tokens(height, width)
    return max(item.tokens(height, width) for item in RULES.values())

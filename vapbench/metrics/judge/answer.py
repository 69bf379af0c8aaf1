"""Reading a judge's answer: exactly what was asked for, or an error; nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from vapbench.errors import VapbenchError
from vapbench.files.parsing import parse_json
from vapbench.metrics.base import Score
from vapbench.metrics.judge.rubric import CRITERION_MAXIMUM, SCORE_MAXIMUM, Rubric

_LONGEST_EXPLANATION = 2000
_SHOWN = 300
_FENCE = re.compile(r"^```(?:json)?\s*\n(.*)\n```$", re.DOTALL)
_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


class MalformedAnswer(VapbenchError):
    """The judge answered something that is no answer; the message holds its beginning."""

    field = "answer"


@dataclass(frozen=True)
class Answer:
    """One answer."""

    score: float
    """0 to 100."""
    criteria: Mapping[str, float]
    """Name to rating, 0 to 10."""
    explanation: str = ""


def schema(rubric: Rubric) -> dict[str, Any]:
    """JSON schema of an answer. Ranges are in the text and checked by :func:`read`: not every server takes them."""
    numbers = {name: {"type": "integer", "description": f"0 to {CRITERION_MAXIMUM}"} for name in rubric.criteria}
    properties: dict[str, Any] = {
        "explanation": {"type": "string"},
        **numbers,
        "score": {"type": "integer", "description": f"0 to {SCORE_MAXIMUM}"},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read(text: str, rubric: Rubric) -> Answer:
    """Read one answer: a JSON object, alone or in a code fence, after the model's thoughts if it shows them.

    Raises:
        MalformedAnswer: it is anything else, a number is missing or outside its range.
    """
    found = object_in(text)
    criteria = {name: _number(found, name, CRITERION_MAXIMUM, text) for name in rubric.criteria}
    score = _number(found, "score", SCORE_MAXIMUM, text)
    return Answer(score, criteria, explanation_of(found))


def object_in(text: str) -> dict[str, Any]:
    """The JSON object of an answer: alone or in a code fence, after the model's thoughts if it shows them.

    Raises:
        MalformedAnswer: there is none.
    """
    stripped = _THOUGHT.sub("", text).strip()
    fenced = _FENCE.match(stripped)
    try:
        found = parse_json(fenced[1] if fenced else stripped, unique=True)
    except ValueError:
        raise MalformedAnswer(f"the judge did not answer with JSON but with {beginning(text)}") from None
    if not isinstance(found, dict):
        raise MalformedAnswer(f"the judge did not answer with a JSON object but with {beginning(text)}")
    return found


def explanation_of(found: Mapping[str, Any]) -> str:
    """What an answer gives as its reason, cut to a length that rows can hold."""
    explanation = found.get("explanation")
    return explanation[:_LONGEST_EXPLANATION] if isinstance(explanation, str) else ""


def combined(answers: Sequence[Answer], parts: Mapping[str, Any]) -> Score:
    """One score from repeated answers: their median, with everything they said.

    Args:
        answers: one or more.
        parts: what else to keep.
    """
    value = median(answer.score for answer in answers)
    typical = min(answers, key=lambda answer: abs(answer.score - value))
    kept = {
        "scores": [answer.score for answer in answers],
        "criteria": {name: median(answer.criteria[name] for answer in answers) for name in answers[0].criteria},
        "explanations": [answer.explanation for answer in answers],
        **parts,
    }
    return Score(value, kept, beginning(typical.explanation, quoted=False))


def beginning(text: str, quoted: bool = True) -> str:
    """The first 300 characters, in one line."""
    line = " ".join(text[: 4 * _SHOWN].split())
    short = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
    return json.dumps(short, ensure_ascii=False) if quoted else short


def _number(found: Mapping[str, Any], name: str, maximum: int, text: str) -> float:
    value = found.get(name)
    # bool is an int to Python, and NaN passes as a float through its JSON reader; neither is a rating.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise MalformedAnswer(f'the judge gave no "{name}" from 0 to {maximum}; it answered {beginning(text)}')
    return float(value)

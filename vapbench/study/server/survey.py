"""A study's own words for the page, and the answers to its questions before and after the trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vapbench.study.protocol import Protocol, Question, Survey
from vapbench.study.server.refused import Refused
from vapbench.study.texts import said


def words_of(protocol: Protocol, language: str) -> dict[str, Any]:
    """What the protocol says to raters, in a language."""

    def put(key: str, original: str) -> str:
        return said(protocol, language, key, original)

    return {
        "title": put("title", protocol.title),
        "consent": {"version": protocol.consent.version, "text": put("consent.text", protocol.consent.text)},
        "contact": put("contact", protocol.contact),
        "review": put("review", protocol.review),
        "instructions": [
            {"title": put(f"step.{n}.title", step.title), "text": put(f"step.{n}.text", step.text)}
            for n, step in enumerate(protocol.instructions)
        ],
        **{
            when: [
                {
                    "key": question.key,
                    "ask": put(f"{when}.{question.key}.ask", question.ask),
                    "kind": question.kind,
                    "options": [put(f"{when}.{question.key}.{n}", text) for n, text in enumerate(question.options)],
                    "required": question.required,
                }
                for question in asked
            ]
            for when, asked in (("before", protocol.before), ("after", protocol.after))
        },
    }


def asking(protocol: Protocol, question: Question, language: str) -> dict[str, Any]:
    """A question about a trial in a language, and how it is answered."""
    start = f"question.{question.key}"
    return {
        "key": question.key,
        "wording": said(protocol, language, f"{start}.wording", question.wording),
        "help": said(protocol, language, f"{start}.help", question.help),
        "required": question.required,
        "steps": question.steps,
        "both_bad": question.both_bad,
        "tags": [said(protocol, language, f"{start}.tag.{n}", tag) for n, tag in enumerate(question.tags)],
    }


def check_answers(asked: Sequence[Survey], answers: Mapping[str, str]) -> dict[str, str | float]:
    """Answers as they are stored: of a choice the option's text in the protocol's first language.

    Raises:
        Refused: an answer to nothing that was asked, an option that was not offered, or a required one missing.
    """
    known = {question.key: question for question in asked}
    if strangers := set(answers) - set(known):
        raise Refused(422, "answers", f"{min(strangers)} was not asked.")
    missing = [key for key, question in known.items() if question.required and not answers.get(key, "").strip()]
    if missing:
        raise Refused(422, "answers", f"{missing[0]} needs an answer.")
    return {key: _checked(known[key], text) for key, text in answers.items()}


def _checked(question: Survey, text: str) -> str | float:
    if question.kind == "choice":
        if not text.isdecimal() or len(text) > 3 or int(text) >= len(question.options):
            raise Refused(422, "answers", f"{question.key}: that was not offered.")
        return question.options[int(text)]
    if question.kind == "number":
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not 0 <= number <= 200:
            raise Refused(422, "answers", f"{question.key}: write a number.")
        return number
    return text

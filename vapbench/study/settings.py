"""``study.yaml``: what a researcher decides about a study in words, beside the protocol that ``plan`` writes.

Until a study is opened its words come from this file; opening freezes them in the protocol. A text is one string, or
one for each language.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import write_text
from vapbench.files.faults import field_of, unusable
from vapbench.files.parsing import read_yaml
from vapbench.study.folder import StudyFolder
from vapbench.study.protocol import (
    MOST_TAGS,
    AnswerKind,
    Consent,
    Exclusions,
    Frozen,
    Instruction,
    Language,
    Protocol,
    Question,
    SmallWindow,
    SurveyKind,
    UnfitEntry,
)
from vapbench.study.server.recruitment import BY_LINK, Recruitment
from vapbench.study.texts import SHIPPED, shipped

STUDY_FILE = "study.yaml"
Line = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


def _is_text(value: Any) -> Any:
    """Refuse what is no text in one sentence, before each kind of text does in its own."""
    if not isinstance(value, str | dict) or not value:
        raise ValueError("a text is one string, not empty, or one for each language; quote a number, yes or no")
    return value


def _distinct(texts: tuple[str | dict[str, str], ...]) -> tuple[str | dict[str, str], ...]:
    """Refuse two that read alike in a language: nobody could tell their answers apart."""
    for language in sorted({language for text in texts if isinstance(text, dict) for language in text} or {""}):
        words = [text if isinstance(text, str) else text.get(language) for text in texts]
        if twice := next((word for place, word in enumerate(words) if word and word in words[:place]), None):
            raise ValueError(f"{twice!r} is there twice; remove one")
    return texts


def _apart(texts: tuple[str | dict[str, str], ...]) -> tuple[str | dict[str, str], ...]:
    """Refuse what exports put between tags."""
    words = [word for text in texts for word in ([text] if isinstance(text, str) else text.values())]
    if held := next((word for word in words if ";" in word), None):
        raise ValueError(f"{held!r}: a tag has no semicolon, which stands between tags in votes.csv")
    return _distinct(texts)


Text = Annotated[Line | dict[Language, Line], BeforeValidator(_is_text)]
Pixels = Annotated[int, Field(ge=200, le=4000, strict=True)]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class ConsentText(Frozen):
    """What a rater agrees to."""

    version: str = Field(default="1", min_length=1, max_length=64)
    text: Text


class QuestionText(Frozen):
    """Other words for a planned question, and how it is answered."""

    wording: Text
    help: Text = ""
    answer: AnswerKind = "choice"
    both_bad: bool = False
    tags: Annotated[tuple[Text, ...], AfterValidator(_apart)] = Field(default=(), max_length=MOST_TAGS)


class AlsoText(QuestionText):
    """A question beside the planned one, on the same trial."""

    required: bool = True


class Step(Frozen):
    """One step of the instructions."""

    title: Text
    text: Text


class SurveyText(Frozen):
    """One question before or after the trials."""

    key: Key
    ask: Text
    kind: SurveyKind = "choice"
    options: Annotated[tuple[Text, ...], AfterValidator(_distinct)] = ()
    required: bool = False


class StudyFile(Frozen):
    """The file; everything in it is optional."""

    title: Text | None = None
    languages: tuple[Language, ...] = Field(default=("en",), min_length=1)
    contact: Text | None = None
    review: Text | None = None
    """Ethics review: board and number."""
    consent: ConsentText | None = None
    instructions: tuple[Step, ...] = ()
    questions: dict[str, QuestionText] = Field(default_factory=dict)
    """Planned questions in other words, in the order in which their passes rotate."""
    also: dict[Key, AlsoText] = Field(default_factory=dict)
    """Questions on the same trial as the only planned one, in their order on the page."""
    before: tuple[SurveyText, ...] = ()
    after: tuple[SurveyText, ...] = ()
    exclusions: Exclusions | None = None
    window: tuple[Pixels, Pixels] | None = None
    """Smallest width and height of the browser's window, in CSS pixels."""
    small_window: SmallWindow = "refuse"
    """What the server does with a vote from a smaller one."""
    texts: dict[Language, dict[str, Line]] = Field(default_factory=dict)
    """Any text of the pages, by language and key; for a language that is not shipped, all of them."""
    recruitment: Recruitment = BY_LINK
    """Read when the study is served, and not frozen: codes and addresses may be corrected."""


def settings_path(folder: StudyFolder) -> Path:
    """Where a study's ``study.yaml`` is."""
    return folder.path / STUDY_FILE


def read_settings(folder: StudyFolder) -> StudyFile:
    """Read ``study.yaml``; without one everything is as it comes.

    Raises:
        DataError: it is not valid; the message names the entry.
    """
    import yaml

    path = settings_path(folder)
    if not path.is_file():
        return StudyFile()
    try:
        return StudyFile.model_validate(read_yaml(path) or {})
    except ValidationError as error:
        raise unusable(path, error, ". Entries: docs/guides/study.md.", StudyFile) from error
    except yaml.MarkedYAMLError as error:
        said = f"{error}\nCorrect it; put text with a colon in quotes."
        raise DataError(f"{path}: {said}", ErrorKind.DAMAGED, path.name) from error
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{path}: {error}; correct it.", ErrorKind.DAMAGED, path.name) from error


def write_template(folder: StudyFolder) -> bool:
    """Write a ``study.yaml`` to fill in, unless there is one: nobody's words are ever overwritten.

    Returns:
        Whether it was written.
    """
    path = settings_path(folder)
    if path.exists():
        return False
    write_text(path, (files("vapbench.study") / "study.template.yaml").read_text(encoding="utf-8"))
    return True


def freeze_words(folder: StudyFolder) -> Protocol:
    """Put the words of ``study.yaml`` into the protocol of a study that has not been opened; harmless on one that has.

    Raises:
        DataError: the file is not valid, or a text lacks a language.
    """
    protocol = folder.protocol()
    if folder.opened:
        return protocol
    told = worded(protocol, read_settings(folder), str(settings_path(folder)))
    if told != protocol:
        folder.save(told, folder.key(protocol))
    return told


def worded(protocol: Protocol, file: StudyFile, where: str) -> Protocol:
    """The protocol in the words of a study file.

    Args:
        protocol: as planned.
        file: the words.
        where: the file, for messages.

    Raises:
        DataError: a question was not planned, a text lacks a language, or an entry is none that a protocol allows.
    """
    try:
        return _worded(protocol, file, where)
    except ValidationError as error:
        first = error.errors()[0]
        raised = first.get("ctx", {}).get("error")
        entry = raised.entry if isinstance(raised, UnfitEntry) else field_of(first)
        raise DataError(f"{where}: {first['msg'].removeprefix('Value error, ')}.", ErrorKind.INVALID, entry) from error


def _worded(protocol: Protocol, file: StudyFile, where: str) -> Protocol:
    first, *others = file.languages
    translations: dict[str, dict[str, str]] = {
        language: dict(file.texts.get(language, {})) for language in file.languages
    }
    original = dict(_texts_of(protocol))
    for language in file.languages:
        lacking = set(shipped("en")) - set(shipped(language)) - set(translations[language])
        if lacking:
            raise DataError(
                f"{where}: texts.{language} lacks {min(lacking)}; shipped are {', '.join(SHIPPED)}.",
                ErrorKind.MISSING,
                f"texts.{language}",
            )

    for language, texts in file.texts.items():
        if strange := sorted(texts.keys() - shipped("en").keys() - original.keys()):
            near = difflib.get_close_matches(strange[0], shipped("en"), n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise DataError(
                f"{where}: texts.{language}.{strange[0]}: the pages have no such text{hint}.",
                ErrorKind.UNKNOWN,
                f"texts.{language}.{strange[0]}",
            )

    def put(key: str, text: Text | None) -> str:
        """The text in the first language; the others are noted. What ``texts`` has of it goes before all else."""

        def said(language: str) -> str:
            own = file.texts.get(language, {}).get(key)
            return own or _in_language(language, key, text, original.get(key, ""), where)

        for language in others:
            translations[language][key] = said(language)
        return said(first)

    if strangers := set(file.questions) - {question.key for question in protocol.questions}:
        raise DataError(
            f"{where}: questions.{min(strangers)} was not planned; plan it with --question {min(strangers)}.",
            ErrorKind.UNKNOWN,
            f"questions.{min(strangers)}",
        )
    order = [*file.questions, *(q.key for q in protocol.questions if q.key not in file.questions)]
    questions = []
    for key in order:
        own = file.questions.get(key)
        words = put(f"question.{key}.wording", own.wording if own else None)
        help_text = put(f"question.{key}.help", own.help or None if own else None) if not own or own.help else ""
        changed = {"wording": words, "help": help_text, **_answered(key, own, put)}
        questions.append(protocol.question(key).model_copy(update=changed))
    consent = file.consent
    changes: dict[str, Any] = {
        "title": put("title", file.title),
        "languages": file.languages,
        "contact": put("contact", file.contact) if file.contact else "",
        "review": put("review", file.review) if file.review else "",
        "consent": Consent(
            version=consent.version if consent else protocol.consent.version,
            text=put("consent.text", consent.text if consent else None),
        ),
        "instructions": tuple(
            Instruction(title=put(f"step.{n}.title", step.title), text=put(f"step.{n}.text", step.text))
            for n, step in enumerate(file.instructions)
        ),
        "questions": tuple(questions),
        "also": tuple(
            Question(
                key=key,
                wording=put(f"question.{key}.wording", own.wording),
                help=put(f"question.{key}.help", own.help) if own.help else "",
                required=own.required,
                **_answered(key, own, put),
            )
            for key, own in file.also.items()
        ),
        "checks": tuple(
            check.model_copy(update={"feedback": put(f"feedback.{check.question}", None)}) if check.feedback else check
            for check in protocol.checks
        ),
        "before": _survey("before", file.before, put),
        "after": _survey("after", file.after, put),
        "exclusions": file.exclusions or protocol.exclusions,
        "window": file.window,
        "small_window": file.small_window if file.window else "mark",
    }
    changes["texts"] = {language: texts for language, texts in translations.items() if texts}
    return Protocol.model_validate(protocol.model_dump() | {name: _plain(value) for name, value in changes.items()})


def _answered(key: str, own: QuestionText | None, put: Any) -> dict[str, Any]:
    """How a question is answered; one that the file says nothing of by a choice."""
    tags = own.tags if own else ()
    return {
        "answer": own.answer if own else "choice",
        "both_bad": bool(own and own.both_bad),
        "tags": tuple(put(f"question.{key}.tag.{n}", tag) for n, tag in enumerate(tags)),
    }


def _survey(when: str, asked: tuple[SurveyText, ...], put: Any) -> tuple[dict[str, Any], ...]:
    return tuple(
        question.model_dump()
        | {
            "ask": put(f"{when}.{question.key}.ask", question.ask),
            "options": [put(f"{when}.{question.key}.{n}", option) for n, option in enumerate(question.options)],
        }
        for question in asked
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.model_dump() if isinstance(value, Frozen) else value


def _texts_of(protocol: Protocol) -> Iterator[tuple[str, str]]:
    yield "title", protocol.title
    yield "consent.text", protocol.consent.text
    for question in protocol.questions:
        yield f"question.{question.key}.wording", question.wording
        yield f"question.{question.key}.help", question.help
    for check in protocol.checks:
        if check.feedback:
            yield f"feedback.{check.question}", check.feedback


def _in_language(language: str, key: str, text: Text | None, as_planned: str, where: str) -> str:
    """A text in one language: from the file, or for what comes with the program from its translation."""
    if isinstance(text, dict):
        if language not in text:
            raise DataError(
                f"{where}: {key} has no text in {language}; add one, or texts.{language}.{key}.", ErrorKind.MISSING, key
            )
        return text[language]
    if text is not None:
        # One string is for every language: a name, a number, an address.
        return text
    if language == "en":
        return as_planned
    if key not in shipped(language):
        raise DataError(
            f"{where}: {key} has no text in {language}; write it as texts.{language}.{key} (shipped are "
            f"{', '.join(SHIPPED)}).",
            ErrorKind.MISSING,
            key,
        )
    return shipped(language)[key]

"""What raters read, by language: the pages' own texts, and a study's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from vapbench.study.protocol import Protocol

_FOLDER = Path(__file__).parent / "server" / "page" / "texts"
SHIPPED = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))
"""Languages whose page texts come with the program."""


@cache
def shipped(language: str) -> Mapping[str, str]:
    """The pages' texts in a language; empty for one that is not shipped."""
    path = _FOLDER / f"{language}.json"
    texts: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if language in SHIPPED else {}
    return texts


def page_texts(protocol: Protocol, language: str) -> dict[str, str]:
    """Every text of the pages: the study's own, else the shipped, else English."""
    return {**shipped("en"), **shipped(language), **protocol.texts.get(language, {})}


def said(protocol: Protocol, language: str, key: str, original: str) -> str:
    """A text of the protocol in a language: ``original``, unless there is a translation of it."""
    return protocol.texts.get(language, {}).get(key, original)


def best_language(protocol: Protocol, asked: Iterable[str]) -> str:
    """The first language asked for that the study speaks, else its first (``de-AT`` is German)."""
    wanted = (name.partition(";")[0].strip().lower().partition("-")[0] for name in asked)
    return next((name for name in wanted if name in protocol.languages), protocol.languages[0])

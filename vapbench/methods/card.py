"""Cards: what a method is, for people and for tables; ``card.yaml`` beside its module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vapbench.core.case import Name
from vapbench.files.atomic import file_sha256
from vapbench.files.faults import unusable
from vapbench.files.parsing import read_yaml
from vapbench.methods.hardware import Resources, Size
from vapbench.methods.protocol import Item, Setting

Kind = Literal["unified", "per-condition", "structure", "text", "outputs", "floor", "ceiling"]


class Card(BaseModel):
    """What a method is. One card may declare several variants of one class."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: Name
    title: str
    """As the paper's table calls it."""
    summary: str
    kind: Kind
    """How it is told the semantic: one model for all, one per condition, pixel-aligned, by text, given videos."""
    cls: str = Field(alias="class")
    """Class in ``method.py``, or ``module:Class``."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """Values this variant fixes."""
    suites: Mapping[str, Mapping[str, Any] | None] = Field(default_factory=dict)
    """Values it takes on a suite that full-size weights do not fit, by the suite's name; null: nothing is known of that
    suite. Weights or adapters that are null have to be given."""
    paper: str = ""
    """Its row in the paper's table."""
    backbone: str = ""
    """The generator it builds on."""
    weights: str = ""
    """Where its weights come from; empty for none."""
    licence: str = ""
    """Licence of the weights."""
    needs: str = ""
    """What else it needs: other models, files, a step before."""
    size: Size | None = None
    """How large it is and how much it computes."""
    sizes: Mapping[str, Size] = Field(default_factory=dict)
    """The same of other published weights it may be given, by hub id."""
    protocol: Mapping[Item, Setting] = Field(default_factory=dict)
    """Where steps, guidance, shift, negative prompt and size come from, on suites not named in ``suites``."""
    resources: Resources | None = None
    """What a worker of a cluster asks for, where size and kind do not say it."""
    memory: str = ""
    """Accelerator memory it needs, with the command's options."""
    clip: Mapping[Literal["frames", "fps", "height", "width"], float] = Field(default_factory=dict)
    """What it needs differently from the suite's clip spec, on suites not named in ``suites``; printed under the
    table."""
    notes: tuple[str, ...] = ()
    """What a reader of its numbers must know; printed under the table."""

    def values(self, suite: str | None) -> dict[str, Any]:
        """The values this variant fixes on a suite."""
        brought = self.suites.get(suite or "") or {}
        return {**self.parameters, **{name: brought[name] for name in brought if name not in self.to_give(suite)}}

    def to_give(self, suite: str | None) -> tuple[str, ...]:
        """Parameters that have to be given on a suite: what it has no weights for."""
        brought = self.suites.get(suite or "", {})
        if brought is None:
            return ("weights",)
        return tuple(name for name in ("weights", "adapters") if name in brought and brought[name] is None)


def read_cards(path: Path) -> list[Card]:
    """Read ``card.yaml``: one card, or a list of cards that share the folder.

    Raises:
        DataError: it is not valid YAML, or not a valid card.
    """
    return list(_read_cards(path, file_sha256(path)))


@lru_cache
def _read_cards(path: Path, _content: str) -> tuple[Card, ...]:
    """Parse a file once for as long as it stays as it is: a table asks for every card with each of its runs."""
    try:
        data = read_yaml(path)
        return tuple(Card.model_validate(item) for item in (data if isinstance(data, list) else [data]))
    except (yaml.YAMLError, ValidationError) as error:
        raise unusable(path, error) from error

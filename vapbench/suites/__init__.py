"""Suites: sources of cases with their protocol, declared in ``tasks/suites/*.yaml``."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vapbench.core.case import Case, ClipSpec, Name
from vapbench.errors import DataError, UsageError, blaming, did_you_mean
from vapbench.files.parsing import read_yaml
from vapbench.files.resources import resource
from vapbench.suites.tasks import explain

log = logging.getLogger(__name__)

Reader = Callable[..., list[Case]]
"""A suite's reader: ``(data: Path, clip: ClipSpec)`` where data is required, else ``(clip: ClipSpec)``."""


class Protocol(BaseModel):
    """What a suite is published to hold, for plans made without its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: int = Field(ge=1)
    conditions: int = Field(ge=1)


class Suite(BaseModel):
    """A declared suite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: str
    description: str = ""
    reader: str
    """``module:function`` of type :data:`Reader`."""
    data: Literal["required", "none"]
    """Whether ``--data DIR`` must name a folder."""
    clip: ClipSpec
    """What every method is asked for."""
    metrics: tuple[str, ...]
    """Scored unless ``--metric`` says otherwise."""
    protocol: Protocol | None = None
    """Of the task ``all``."""

    def cases(self, data: Path | None) -> list[Case]:
        """Read and validate the suite's cases.

        Raises:
            UsageError: ``data`` is needed and absent.
            DataError: the data is not what the suite's layout says.
        """
        if self.data == "required" and data is None:
            raise UsageError(f"Suite {self.name} reads files: add --data DIR. Its layout: docs/suites.md")
        if self.data == "none" and data is not None:
            raise UsageError(
                f"Suite {self.name} needs no data; drop --data, or say which suite reads {data}: --suite …"
            )
        if data is not None and not data.is_dir():
            raise DataError(f"{data}: no such folder; check --data, or fetch the data first.")
        module, _, function = self.reader.partition(":")
        try:
            reader: Reader = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise DataError(f"Suite {self.name}: its reader {self.reader} cannot be imported ({error}).") from error
        with blaming(f"Suite {self.name}: its reader {self.reader} failed"):
            cases = reader(data, self.clip) if self.data == "required" else reader(self.clip)
        _refuse_duplicates(cases, self.name)
        return cases


def load_suites() -> dict[str, Suite]:
    """Every suite by name: the declared ones, then those of installed packages (``vapbench.suites``)."""
    suites: dict[str, Suite] = {}
    for path in sorted((resource("tasks") / "suites").glob("*.yaml")):
        suite = _read(path)
        suites[suite.name] = suite
    for point in entry_points(group="vapbench.suites"):
        try:
            suite = _from_entry_point(point.load(), point.name)
        except (Exception, SystemExit) as error:
            # Broken suites of others must not keep anybody's commands from running.
            log.warning("Suite %s of %s cannot be imported: %s", point.name, point.value, error)
            continue
        if suite.name in suites:
            raise UsageError(f"Suite {suite.name!r} of {point.value} exists already; uninstall or rename it.")
        suites[suite.name] = suite
    return suites


def find_suite(name: str) -> Suite:
    """Look a suite up by name, or read it from a ``.yaml`` path.

    Raises:
        UsageError: there is no such suite (with a suggestion).
    """
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    suites = load_suites()
    if name not in suites:
        raise UsageError(f"Unknown suite {name!r}.{did_you_mean(name, suites)}")
    return suites[name]


def _read(path: Path) -> Suite:
    try:
        return Suite.model_validate(read_yaml(path))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such suite file; write it, or see: vapbench list suites") from None
    except (yaml.YAMLError, ValidationError) as error:
        raise DataError(f"{path}: {explain(error)}") from error


def _from_entry_point(value: Any, name: str) -> Suite:
    if not isinstance(value, Suite):
        raise UsageError(f"Entry point {name!r} must be a vapbench.suites.Suite, not {type(value).__name__}.")
    return value


def _refuse_duplicates(cases: list[Case], suite: str) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise DataError(f"{suite}: two cases have the id {case.id}; remove or rename one row.")
        seen.add(case.id)

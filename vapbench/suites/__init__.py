"""Suites: sources of cases with their protocol, declared in ``tasks/suites/*.yaml``."""

from __future__ import annotations

import importlib
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vapbench.core.case import Case, ClipSpec, check_name
from vapbench.core.registry import Spec, defaults, installed
from vapbench.errors import DataError, ErrorKind, UsageError, blaming, did_you_mean
from vapbench.files.faults import unusable
from vapbench.files.parsing import read_yaml
from vapbench.files.resources import resource
from vapbench.files.text import counted
from vapbench.suites import own_cases
from vapbench.suites.tasks import find_task, select

log = logging.getLogger(__name__)

Reader = Callable[..., list[Case]]
"""A suite's reader: ``(clip: ClipSpec)`` where the suite needs no data, else ``(data: Path, clip: ClipSpec)``. Further
parameters with defaults are the suite's options."""

_FILES = re.compile(r"(.+?\.(?:ya?ml|csv|tsv))(?::(.*))?", re.IGNORECASE | re.DOTALL)


class Protocol(BaseModel):
    """What a suite is published to hold, for plans made without its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: int = Field(ge=1)
    conditions: int = Field(ge=1)


def family(suite: str) -> str:
    """A suite's name without its version: ``mini`` of ``mini@2``."""
    return suite.partition("@")[0]


def check_suite_name(name: str) -> str:
    """Return ``name`` if it can be part of a file name, and only a version stands behind ``@``.

    Raises:
        ValueError: it has another character, or something else stands there.
    """
    check_name(family(name))
    if "@" in name and not re.fullmatch(r"[1-9][0-9]{0,3}", name.partition("@")[2]):
        raise ValueError(f"{name!r}: behind '@' stands a version, such as mini@2")
    return name


SuiteName = Annotated[str, AfterValidator(check_suite_name)]


class Suite(BaseModel):
    """A declared suite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SuiteName
    """What it is asked for by. Another version than the usual one says so behind ``@``: ``mini@2``."""
    title: str
    description: str = ""
    reader: str
    """``module:function`` of type :data:`Reader`."""
    data: Literal["required", "optional", "none", "videos"]
    """Whether ``--data DIR`` must name a folder; ``videos``: the folder of videos that are scored is the data."""
    clip: ClipSpec | None = None
    """What every method is asked for; None where the cases say so."""
    metrics: tuple[str, ...]
    """Scored unless ``--metric`` says otherwise."""
    protocol: Protocol | None = None
    """Of the task ``all``."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    """Those of its board, where each case takes part with each; a run of your own may have others."""
    version: int = Field(default=1, ge=1)
    """Raised by whatever moves a number: another case, condition or caption, another clip, other tasks. It is recorded
    with every session of a run, and told under tables; keys hold the content of each case itself."""
    effect_captions: str = ""
    """``module:function`` that writes, of a case and the name of another condition, the case's caption without its
    effect, and with that condition's: what ``vapbench probe`` asks methods with. Empty where nobody can."""
    own_conditions: bool = False
    """Whether its conditions are its own, so that no task need list them."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """What the reader is given besides."""

    def with_options(self, given: Mapping[str, str]) -> Suite:
        """The suite with options as written on the command line: ``name:key=value``.

        Raises:
            UsageError: it has no such option (with a suggestion), or the value cannot be one.
        """
        reader: Any = self.reader_function()
        known = {
            name
            for name, parameter in signature(reader).parameters.items()
            if parameter.default is not Parameter.empty and name not in self.options
        }
        if unknown := sorted(set(given) - known):
            raise UsageError(
                f"Suite {self.name} has no option {unknown[0]!r}.{did_you_mean(unknown[0], known)} "
                "See docs/reference/suites.md",
                ErrorKind.UNKNOWN,
                unknown[0],
            )
        values = {name: value for name, value in defaults(reader, given, self.name).items() if name in given}
        return self.model_copy(update={"options": {**self.options, **values}})

    def cases(self, data: Path | None) -> list[Case]:
        """Read and validate the suite's cases.

        Raises:
            UsageError: ``data`` is needed and absent.
            DataError: the data is not what the suite's layout says.
        """
        if self.data in ("required", "videos") and data is None:
            raise UsageError(
                f"Suite {self.name} reads files: add --data DIR. Its layout: docs/reference/suites.md",
                ErrorKind.MISSING,
                "data",
            )
        if self.data == "none" and data is not None:
            raise UsageError(
                f"Suite {self.name} needs no data; drop --data, or say which suite reads {data}: --suite …",
                ErrorKind.CONFLICT,
                "data",
            )
        if data is not None and not data.exists():
            raise DataError(
                f"{data}: no such folder; check --data, or fetch the data first.", ErrorKind.MISSING, "data"
            )
        places = () if self.data == "none" else (data,)
        reader = self.reader_function()
        with blaming(f"Suite {self.name}: its reader {self.reader} failed"):
            cases = reader(*places, self.clip, **self.options)
        _refuse_duplicates(cases, self.name)
        self._compare(cases)
        return cases

    def reader_function(self) -> Reader:
        """Import the reader.

        Raises:
            DataError: there is none of that name.
        """
        reader: Reader = self._imported("reader", self.reader)
        return reader

    def captions_of(self, case: Case, other: str) -> tuple[str, str] | None:
        """The case's caption without its effect, and with that of another condition; None where nobody can say.

        Raises:
            DataError: the function that says so cannot be imported.
        """
        if not self.effect_captions:
            return None
        without, wrong = self._imported("effect_captions", self.effect_captions)(case, other)
        return without, wrong

    def _imported(self, what: str, where: str) -> Any:
        module, _, function = where.partition(":")
        try:
            return getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise DataError(
                f"Suite {self.name}: its {what} {where} cannot be imported ({error}).", ErrorKind.FAILED, what
            ) from error

    def _compare(self, cases: Sequence[Case]) -> None:
        """Say where the data holds another number of cases than the suite was published with."""
        if self.protocol is None:
            return
        chosen = select(cases, find_task("all"))
        found = Counter(case.condition for case in chosen)
        if (len(chosen), len(found)) != (self.protocol.cases, self.protocol.conditions):
            log.warning(
                "%s: this data has %s of %s in task all; published are %d of %d. Its numbers are not "
                "those of the published suite.",
                *(
                    self.name,
                    counted(len(chosen), "case"),
                    counted(len(found), "condition"),
                    self.protocol.cases,
                    self.protocol.conditions,
                ),
            )


def load_suites() -> dict[str, Suite]:
    """Every suite by name: the declared ones, then those of installed packages (``vapbench.suites``)."""
    suites = {suite.name: suite for suite in _declared(resource("tasks") / "suites")}
    for point in installed("vapbench.suites"):
        try:
            suite = _from_entry_point(point.load(), point.name)
        except (Exception, SystemExit) as error:
            # Broken suites of others must not keep anybody's commands from running.
            log.warning("Suite %s of %s cannot be imported: %s", point.name, point.value, error)
            continue
        if suite.name in suites:
            raise UsageError(
                f"Suite {suite.name!r} of {point.value} exists already; uninstall or rename it.",
                ErrorKind.CONFLICT,
                "suite",
            )
        suites[suite.name] = suite
    return suites


@cache
def _declared(folder: Path) -> tuple[Suite, ...]:
    return tuple(map(_read, sorted(folder.glob("*.yaml"))))


def find_suite(name: str) -> Suite:
    """Look a suite up by name, or read it from a path.

    Args:
        name: a name, a ``.yaml`` file that declares a suite, or own cases: a ``.csv`` file, or the folder of a
            ``cases.csv``. Options may follow: ``vap-data:train_references=refuse``.

    Raises:
        UsageError: there is no such suite or option (with a suggestion).
        DataError: the file is no suite, or no table of cases.
    """
    if file := _FILES.fullmatch(name):
        path = Path(file[1]).expanduser()
        suite = _read(path) if path.suffix.lower() in (".yaml", ".yml") else _own(path)
        return suite.with_options(Spec.parse(f"{suite.name}:{file[2]}").parameters) if file[2] else suite
    suites = load_suites()
    if name not in suites and Path(name).expanduser().is_dir():
        return _own(own_cases.table_in(Path(name).expanduser()))
    spec = Spec.parse(name)
    if spec.name not in suites:
        raise UsageError(
            f"Unknown suite {spec.name!r}.{did_you_mean(spec.name, suites)} For cases of your own name their table, "
            "such as --suite my_cases/cases.csv: docs/guides/own-cases.md",
            ErrorKind.UNKNOWN,
            "suite",
        )
    return suites[spec.name].with_options(spec.parameters)


def suite_called(text: str) -> str:
    """What a suite is called that a user names as :func:`find_suite` takes it; its runs are kept under that name.

    The suite of old runs may be gone: what is no file and no folder of own cases is taken as a name.

    Raises:
        UsageError: there is no such file.
        DataError: the file declares no suite.
    """
    if _FILES.fullmatch(text) or (Path(text).expanduser() / own_cases.TABLE).is_file():
        return find_suite(text).name
    return text


def _own(table: Path) -> Suite:
    """The suite that a table of somebody's own cases is: scored as the paper's suite is."""
    suites = load_suites()
    name = own_cases.name_of(table)
    if name in suites:
        raise UsageError(
            f"{table}: its suite would be called {name}, which there is already; rename its folder.",
            ErrorKind.CONFLICT,
            "suite",
        )
    return Suite(
        name=name,
        title=f"Cases of {table}",
        reader="vapbench.suites.own_cases:load",
        data="optional",
        metrics=suites["vap-data"].metrics,
        own_conditions=True,
        options={"table": table},
    )


def _read(path: Path) -> Suite:
    try:
        return Suite.model_validate(read_yaml(path))
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such suite file; write it, or see: vapbench list suites", ErrorKind.MISSING, "suite"
        ) from None
    except (yaml.YAMLError, ValidationError) as error:
        raise unusable(path, error) from error


def _from_entry_point(value: Any, name: str) -> Suite:
    if not isinstance(value, Suite):
        raise UsageError(
            f"Entry point {name!r} must be a vapbench.suites.Suite, not {type(value).__name__}.",
            ErrorKind.INVALID,
            "suite",
        )
    return value


def _refuse_duplicates(cases: list[Case], suite: str) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise DataError(
                f"{suite}: two cases have the id {case.id}; remove or rename one row.", ErrorKind.CONFLICT, "id"
            )
        seen.add(case.id)

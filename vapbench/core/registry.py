"""Names to classes, imported only when used.

There are three ways in, for methods and metrics alike:

* built in: a table of ``name -> "module:Class"``;
* an entry point of an installed package (``vapbench.methods``, ``vapbench.metrics``, ``vapbench.suites``);
* a path: ``./my_method/`` (``card.yaml`` and ``method.py``), or ``my_metric.py:MyMetric``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vapbench.errors import ErrorKind, UsageError, blaming, did_you_mean
from vapbench.files.atomic import digest, expand, file_sha256

PLUGIN = "vapbench_plugin_"
"""How the names of modules begin that were imported by path."""


@dataclass(frozen=True)
class Spec:
    """A name with parameters, as written on the command line: ``vap:steps=50,guidance=6``."""

    name: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Split ``name:key=value,key=value``. A value with commas is in brackets, braces or double quotes.

        Raises:
            UsageError: a part has no ``=``, or a parameter is given twice.
        """
        # A path to a metric file reads ``my.py:MyMetric``: its colon belongs to the name.
        head, colon, tail = text.partition(":")
        if head.endswith(".py"):
            attribute, colon, tail = tail.partition(":")
            head = f"{head}:{attribute}"
        elif head == "torchmetrics":
            attribute, colon, tail = tail.partition(":")
            head = f"{head}:{attribute}"
        parameters = {}
        for part in _parts(tail) if colon else ():
            key, equals, value = part.partition("=")
            if not equals or not key.strip():
                raise UsageError(
                    f"{text!r}: expected name:key=value,key=value, but {part!r} has no '='.", ErrorKind.INVALID
                )
            if key.strip() in parameters:
                raise UsageError(
                    f"{text!r}: {key.strip()} is given twice; which is meant?", ErrorKind.CONFLICT, key.strip()
                )
            parameters[key.strip()] = _unquoted(value.strip())
        return cls(head, MappingProxyType(parameters))


_JSON = json.JSONDecoder()


def _parts(text: str) -> list[str]:
    """What stands between commas; a value that JSON spells, in quotes, brackets or braces, may hold some."""
    parts, start = list[str](), 0
    while True:
        key, equals, value = text[start:].partition("=")
        end = text.find(",", start)
        if equals and "," not in key and value[:1] in ('"', "[", "{"):
            with suppress(ValueError):
                stop = start + len(key) + 1 + _JSON.raw_decode(value)[1]
                end = stop if text[stop : stop + 1] == "," else -1 if stop == len(text) else end
        if end < 0:
            return [*parts, text[start:]]
        parts.append(text[start:end])
        start = end + 1


def _unquoted(value: str) -> str:
    """A value without the quotes around the whole of it."""
    if value[:1] == '"':
        with suppress(ValueError):
            return str(json.loads(value))
    return value


def spelled(value: object) -> str:
    """A value as a command line spells it."""
    if isinstance(value, (list, dict)) or (isinstance(value, str) and ("," in value or value[:1] in ('"', "[", "{"))):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


@dataclass(frozen=True)
class Registered:
    """Something that can be asked for by name, not yet imported."""

    name: str
    target: str
    """``module:Class``, for messages and import."""
    origin: str
    """``built in``, the package that brings it, or its folder."""
    point: EntryPoint | None = None

    def load(self) -> type[Any]:
        """Import the class.

        Raises:
            PluginError: the import fails; the message names the origin.
        """
        with blaming(f"{self.name} ({self.origin}) cannot be imported"):
            if self.point is not None:
                loaded: type[Any] = self.point.load()
                return loaded
            module, _, attribute = self.target.partition(":")
            return load_attribute(importlib.import_module(module), attribute, self.origin)


Found = TypeVar("Found", bound=Registered)


class Registry:
    """The built-in table of one kind, together with what installed packages add."""

    def __init__(self, kind: str, builtin: Mapping[str, str]) -> None:
        """Make a registry of ``kind`` (``method``, ``metric``, ``suite``) from ``name -> "module:Class"``."""
        self.kind = kind
        self._builtin = builtin

    def __iter__(self) -> Iterator[Registered]:
        """Every entry, built-in ones first, without importing any."""
        yield from (Registered(name, target, "built in") for name, target in self._builtin.items())
        yield from plugins(self.kind)

    def find(self, name: str) -> Registered:
        """Look a name up.

        Raises:
            UsageError: nothing has the name (with a suggestion), or two packages claim it.
        """
        return the_one(self.kind, name, list(self))


def plugins(kind: str) -> Iterator[Registered]:
    """What installed packages add of a kind; nothing is imported."""
    for point in installed(f"vapbench.{kind}s"):
        yield Registered(point.name, point.value, point.dist.name if point.dist else "entry point", point)


def installed(group: str) -> EntryPoints:
    """The entry points of a group that the packages on the import path have."""
    return _installed(group, tuple(sys.path))


@cache
def _installed(group: str, path: tuple[str, ...]) -> EntryPoints:
    # Every package's metadata is read: milliseconds, which a plan would spend for each of its metrics.
    return entry_points(group=group)


def the_one(kind: str, name: str, known: Sequence[Found], hint: str = "") -> Found:
    """The entry of a name.

    Raises:
        UsageError: nothing has the name (with a suggestion, and ``hint``), or two claim it.
    """
    found = [entry for entry in known if entry.name == name]
    if not found:
        raise UsageError(
            f"Unknown {kind} {name!r}.{did_you_mean(name, {entry.name for entry in known})}{hint}",
            ErrorKind.UNKNOWN,
            kind,
        )
    if len(found) > 1:
        origins = " and ".join(entry.origin for entry in found)
        raise UsageError(
            f"{kind.capitalize()} {name!r} is claimed by {origins}; uninstall or rename one.", ErrorKind.CONFLICT, kind
        )
    return found[0]


class _Uncached(SourceFileLoader):
    """Compiles the file itself: the cache beside it cannot tell edits of one second and one length apart."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Have none, so that no cache is read or written."""
        raise OSError


def load_module(path: Path) -> ModuleType:
    """Import a Python file by path, once per content of ``path``.

    Raises:
        UsageError: the file is missing.
        PluginError: it raises while it is imported.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; write it, or check the path.", ErrorKind.MISSING, path.name)
    # By content too: a file that was edited since, as beside a notebook, is another module.
    name = f"{PLUGIN}{digest([str(path.resolve()), file_sha256(path)])[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=_Uncached(name, str(path)))
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file.", ErrorKind.INVALID, path.name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with blaming(f"{path} cannot be imported"), chdir("."):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_attribute(module: ModuleType, attribute: str, origin: str) -> type[Any]:
    """Return the class ``attribute`` of ``module``.

    Raises:
        UsageError: there is no such class (with a suggestion).
    """
    value = getattr(module, attribute, None)
    if not inspect.isclass(value):
        classes = [name for name, item in vars(module).items() if inspect.isclass(item)]
        raise UsageError(
            f"{origin} has no class {attribute!r}.{did_you_mean(attribute, classes)}", ErrorKind.UNKNOWN, attribute
        )
    return value


def parameters(cls: type[Any], spec: Spec, fixed: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Every ``__init__`` parameter of ``cls`` with its value, converted by its annotation.

    Args:
        cls: class whose ``__init__`` takes keyword parameters.
        spec: the name and the parameters as text.
        fixed: parameters that are given already (by a card); the spec's own win over them.

    Raises:
        UsageError: a parameter is unknown (with a suggestion), missing, or has an unusable value.
    """
    signature = _signature(cls)
    given = {**fixed, **spec.parameters}
    if unknown := set(given) - set(signature):
        name = min(unknown)
        raise UsageError(
            f"{spec.name} has no parameter {name!r}.{did_you_mean(name, signature)}", ErrorKind.UNKNOWN, name
        )
    # A card may say that a text is empty; on the command line that is a slip, but where the class allows it.
    allowed: frozenset[str] = getattr(cls, "may_be_empty", frozenset())
    if empty := [name for name, value in spec.parameters.items() if value == "" and name not in allowed]:
        raise UsageError(
            f"{spec.name}: {empty[0]}= has no value; give one, or leave it out.", ErrorKind.INVALID, empty[0]
        )
    values = defaults(cls, given, spec.name)
    if missing := [name for name in signature if name not in values]:
        raise UsageError(
            f"{spec.name} needs {missing[0]}: write {spec.name}:{missing[0]}=…", ErrorKind.MISSING, missing[0]
        )
    return values


def defaults(cls: type[Any], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Parameters of ``cls`` that have a value: ``given`` ones converted, the others' defaults."""
    values = {}
    for name, parameter in _signature(cls).items():
        if name in given:
            values[name] = _convert(owner, parameter, given[name])
        elif parameter.default is not parameter.empty:
            values[name] = parameter.default
    return values


def _signature(cls: type[Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(cls, eval_str=True).parameters
    except NameError as error:
        raise UsageError(
            f"{cls.__name__}.__init__: {error}; parameters' types must be imported when the module is.",
            ErrorKind.INVALID,
        ) from error


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON holds them: paths resolved, as text; tuples as lists."""
    found = {}
    for name, value in values.items():
        if isinstance(value, (set, frozenset)):
            # Equal sets have no order of their own, and must have one key.
            value = sorted(value, key=str)
        try:
            found[name] = _ANYTHING.dump_python(
                expand(value).resolve() if isinstance(value, Path) else value, mode="json"
            )
        # What it cannot turn into JSON is a ValueError of pydantic's own.
        except ValueError as error:
            raise UsageError(
                f"{name} is a {type(value).__name__}, which no row can hold; take text or numbers.",
                ErrorKind.INVALID,
                name,
            ) from error
    return found


def annotation_of(parameter: inspect.Parameter) -> Any:
    """The type of a parameter; that of its default where none is written."""
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    return type(parameter.default) if isinstance(parameter.default, (bool, int, float, str, list, tuple, dict)) else Any


_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
_CONFIG = ConfigDict(allow_inf_nan=False)


def _convert(owner: str, parameter: inspect.Parameter, value: Any) -> Any:
    annotation = annotation_of(parameter)
    if value in ("none", "None", "null"):
        value = None if type(None) in getattr(annotation, "__args__", ()) else value
    adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=_CONFIG)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        if isinstance(value, str) and value[:1] in ("[", "{"):
            with suppress(ValueError):
                return adapter.validate_python(json.loads(value))
        reason = error.errors()[0]["msg"]
        raise UsageError(
            f"{owner}: {parameter.name}={value}: {reason[0].lower()}{reason[1:]}.", ErrorKind.INVALID, parameter.name
        ) from error

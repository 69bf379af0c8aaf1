"""From ``name:key=value`` to a method that is built, with every parameter known."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vapbench.checkpoints.folder import BUNDLED
from vapbench.core.registry import Spec, defaults, parameters, plain
from vapbench.errors import ErrorKind, UsageError, blaming
from vapbench.files.atomic import content_sha256, expand
from vapbench.methods.base import Method
from vapbench.methods.card import Card
from vapbench.methods.catalogue import MethodEntry, find
from vapbench.methods.hardware import Size


@dataclass(frozen=True)
class ResolvedMethod:
    """A method built from ``name:key=value``."""

    method: Method
    card: Card | None
    parameters: Mapping[str, Any]
    """Every parameter with its value."""
    changed: Mapping[str, Any]
    """Parameters whose value is not the default: what the run folder's name tells apart."""
    clip: Mapping[str, float] = field(default_factory=dict)
    """What it needs differently from the suite's clip spec."""
    code: str = ""
    """Hash of ``method.py``, for a method given by path: while it is written, its version says too little."""

    def size(self, suite: str) -> Size | None:
        """Counts of the weights it loads on a suite: a folder is taken for a copy of the usual ones.

        Returns:
            None where nobody has counted: other weights, or those that a suite brings.
        """
        card, weights = self.card, str(self.parameters.get("weights", ""))
        if card is None:
            return None
        if weights in card.sizes:
            return card.sizes[weights]
        if weights and weights in (card.weights, getattr(type(self.method), "weights", "")):
            return card.size
        given = bool(weights) and not weights.startswith(BUNDLED)
        if given and not expand(weights).is_dir():
            return None
        return None if suite in card.suites else card.size


def resolve(text: str, extra: Mapping[str, Any] | None = None, suite: str | None = None) -> ResolvedMethod:
    """Build a method from ``name:key=value,…``.

    Args:
        text: the method as written on the command line.
        extra: options shared by all methods (``dtype``, ``offload``), given to methods that have such a parameter.
        suite: the suite it will run on, which may bring weights and values of its own.

    Raises:
        UsageError: the name or a parameter is unknown, a value unusable, or there are no weights for the suite.
    """
    spec = Spec.parse(text)
    entry = find(spec.name)
    cls = entry.load()
    check_class(cls)
    accepted = inspect.signature(cls).parameters
    shared = {name: value for name, value in (extra or {}).items() if name in accepted and value is not None}
    if entry.card:
        _refuse_without_weights(entry.card, spec, suite)
    fixed = entry.card.values(suite) if entry.card else {}
    values = parameters(cls, spec, {**fixed, **shared})
    with blaming(f"{spec.name} cannot be made"):
        method = cls(**values)
    method.name = entry.name
    usual = _usual(entry, fixed)
    recorded = plain(values)
    changed = {
        name: value
        for name, value in recorded.items()
        if name not in method.unhashed_params and (name not in usual or usual[name] != value)
    }
    code = content_sha256(entry.folder / "method.py") if entry.folder and entry.origin == str(entry.folder) else ""
    clip = entry.card.clip if entry.card and suite not in entry.card.suites else {}
    differing = {str(name): value for name, value in clip.items()}
    return ResolvedMethod(method, entry.card, recorded, changed, differing, code)


def _refuse_without_weights(card: Card, spec: Spec, suite: str | None) -> None:
    absent = [name for name in card.to_give(suite) if name not in spec.parameters]
    if absent:
        raise UsageError(
            f"{card.name} has no {' and no '.join(absent)} for the suite {suite}: use --suite vap-data --data DIR, "
            f"or give a folder: {card.name}:{','.join(f'{name}=DIR' for name in absent)}",
            ErrorKind.MISSING,
            absent[0],
        )


def check_class(cls: type[Any]) -> None:
    """Refuse a class that is no method.

    Raises:
        UsageError: it is not derived from :class:`Method`, or ``setup`` or ``generate`` take other arguments.
    """
    if not (isinstance(cls, type) and issubclass(cls, Method)) or cls.generate is Method.generate:
        raise UsageError(
            f"{cls.__name__} is no method: derive it from vapbench.Method and write generate(case, seed); "
            "see docs/guides/add-a-method.md",
            ErrorKind.INVALID,
            "class",
        )
    for name, wanted in (("setup", ["self", "device"]), ("generate", ["self", "case", "seed"])):
        given = list(inspect.signature(getattr(cls, name)).parameters)
        if given != wanted:
            raise UsageError(
                f"{cls.__name__}.{name} takes ({', '.join(given)}), it must take ({', '.join(wanted)})",
                ErrorKind.INVALID,
                name,
            )


def usual_parameters(name: str, suite: str) -> dict[str, Any]:
    """Parameters of a method, by name, that have a value on a suite without being given one.

    Raises:
        UsageError: nothing has the name.
        PluginError: it cannot be imported.
    """
    entry = find(name)
    return _usual(entry, entry.card.values(suite) if entry.card else {})


def _usual(entry: MethodEntry, fixed: Mapping[str, Any]) -> dict[str, Any]:
    return plain(defaults(entry.load(), fixed, entry.name))


def resolve_folder(path: Path, panel: str = "all") -> ResolvedMethod:
    """The ``folder`` method on ``path``, which may hold any character."""
    entry = find("folder")
    cls = entry.load()
    values = parameters(cls, Spec("folder", {}), {"path": path, "panel": panel})
    changed = {"panel": panel} if panel != "all" else {}
    return ResolvedMethod(cls(**values), entry.card, plain(values), changed)

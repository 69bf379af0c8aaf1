"""Methods: names, cards, and the loader of method folders.

A method folder holds ``card.yaml`` and ``method.py``. The card says what the method is, for people and for tables;
the class it names does the work. Built-in methods have cards as well, beside their modules.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vapbench.checkpoints.folder import BUNDLED
from vapbench.core.case import Name
from vapbench.core.registry import (
    Entry,
    Spec,
    defaults,
    load_attribute,
    load_module,
    parameters,
    plain,
    plugins,
    the_one,
)
from vapbench.errors import DataError, UsageError, blaming
from vapbench.files.atomic import content_sha256, expand, file_sha256
from vapbench.files.parsing import read_yaml
from vapbench.files.resources import resource
from vapbench.methods.base import Method
from vapbench.methods.hardware import Resources, Size
from vapbench.methods.protocol import Item, Setting

Kind = Literal["unified", "per-condition", "structure", "text", "outputs", "floor", "ceiling"]
_BUILT_IN = Path(__file__).parent / "cards"


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
    """Values it takes on a suite that full-size weights do not fit, by the suite's name; null: there are no weights
    for that suite."""
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
        return {**self.parameters, **(self.suites.get(suite or "") or {})}


@dataclass(frozen=True)
class MethodEntry(Entry):
    """A method that can be asked for by name, not yet imported."""

    card: Card | None = None
    folder: Path | None = None

    def load(self) -> type[Any]:
        """Import the class: of the folder's ``method.py``, where the card names no module.

        Raises:
            PluginError: the import fails.
            UsageError: there is no such class.
        """
        if self.folder is None or ":" in self.target:
            return super().load()
        source = self.folder / "method.py"
        return load_attribute(load_module(source), self.target, str(source))


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


def methods() -> Iterator[MethodEntry]:
    """Every method known by name: built-in, baselines, installed packages. Nothing is imported.

    Raises:
        DataError: a card is not valid.
    """
    yield from _entries(_BUILT_IN, "built in", folder=None)
    for folder in sorted(path.parent for path in resource("baselines").glob("*/card.yaml")):
        yield from _entries(folder, f"baselines/{folder.name}", folder)
    yield from (MethodEntry(each.name, each.target, each.origin, each.point) for each in plugins("method"))


def find(text: str) -> MethodEntry:
    """Look a method up by name, or by the path of a method folder.

    Raises:
        UsageError: nothing has the name (with a suggestion), two claim it, or the folder is not one.
    """
    # Only what is spelled like a path is one: a folder that happens to be called vap must not hide the method.
    if text.startswith((".", "/", "~")) or "/" in text:
        return _in_folder(expand(text))
    hint = f" For a folder write ./{text}." if Path(text).is_dir() else ""
    return the_one("method", text, list(methods()), hint)


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
    if suite and card.suites.get(suite, {}) is None and "weights" not in spec.parameters:
        raise UsageError(
            f"{card.name} has no weights for the suite {suite}: use --suite vap-data --data DIR, "
            f"or give a folder: {card.name}:weights=DIR"
        )


def check_class(cls: type[Any]) -> None:
    """Refuse a class that is no method.

    Raises:
        UsageError: it is not derived from :class:`Method`, or ``setup`` or ``generate`` take other arguments.
    """
    if not (isinstance(cls, type) and issubclass(cls, Method)) or cls.generate is Method.generate:
        raise UsageError(
            f"{cls.__name__} is no method: derive it from vapbench.Method and write generate(case, seed); "
            "see docs/guides/add-a-method.md"
        )
    for name, wanted in (("setup", ["self", "device"]), ("generate", ["self", "case", "seed"])):
        given = list(inspect.signature(getattr(cls, name)).parameters)
        if given != wanted:
            raise UsageError(f"{cls.__name__}.{name} takes ({', '.join(given)}), it must take ({', '.join(wanted)})")


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


def _entries(where: Path, origin: str, folder: Path | None) -> Iterator[MethodEntry]:
    for path in sorted(where.glob("*.yaml")):
        for card in read_cards(path):
            yield MethodEntry(card.name, card.cls, origin, card=card, folder=folder)


def _in_folder(folder: Path) -> MethodEntry:
    if not (folder / "card.yaml").is_file():
        raise UsageError(
            f"{folder}: no card.yaml there. A method folder holds card.yaml and method.py: "
            "docs/guides/add-a-method.md; "
            "to score videos you have, use: vapbench score DIR"
        )
    cards = read_cards(folder / "card.yaml")
    if len(cards) > 1:
        names = ", ".join(card.name for card in cards)
        raise UsageError(
            f"{folder} declares several methods ({names}); give it one card, or install it under baselines/."
        )
    for known in methods():
        if known.name == cards[0].name and (known.folder is None or known.folder.resolve() != folder.resolve()):
            raise UsageError(f"{folder}: the name {known.name} is taken ({known.origin}); give the card another one.")
    return MethodEntry(cards[0].name, cards[0].cls, str(folder), card=cards[0], folder=folder)


def read_cards(path: Path) -> list[Card]:
    """Read ``card.yaml``: one card, or a list of cards that share the folder.

    Raises:
        DataError: it is not valid YAML, or not a valid card.
    """
    return list(_read_cards(path, file_sha256(path)))


@lru_cache
def _read_cards(path: Path, _content: str) -> tuple[Card, ...]:
    """Parse a file once for as long as it stays as it is: a table asks for every card with each of its runs."""
    from vapbench.suites.tasks import explain

    try:
        data = read_yaml(path)
        return tuple(Card.model_validate(item) for item in (data if isinstance(data, list) else [data]))
    except (yaml.YAMLError, ValidationError) as error:
        raise DataError(f"{path}: {explain(error)}") from error

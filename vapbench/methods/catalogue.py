"""Methods by name: built in, baselines, installed packages; or by the path of a method folder. Nothing is imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vapbench.core.registry import Registered, load_attribute, load_module, plugins, the_one
from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import expand
from vapbench.files.resources import resource
from vapbench.methods.card import Card, read_cards

_BUILT_IN = Path(__file__).parent / "cards"


@dataclass(frozen=True)
class MethodEntry(Registered):
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


def _entries(where: Path, origin: str, folder: Path | None) -> Iterator[MethodEntry]:
    for path in sorted(where.glob("*.yaml")):
        for card in read_cards(path):
            yield MethodEntry(card.name, card.cls, origin, card=card, folder=folder)


def _in_folder(folder: Path) -> MethodEntry:
    if not (folder / "card.yaml").is_file():
        raise UsageError(
            f"{folder}: no card.yaml there. A method folder holds card.yaml and method.py: "
            "docs/guides/add-a-method.md; "
            f"of videos you have: vapbench score {folder}, or --method folder:path={folder}",
            ErrorKind.MISSING,
            "card.yaml",
        )
    cards = read_cards(folder / "card.yaml")
    if len(cards) > 1:
        names = ", ".join(card.name for card in cards)
        raise UsageError(
            f"{folder} declares several methods ({names}); give it one card, or install it under baselines/.",
            ErrorKind.CONFLICT,
            "card.yaml",
        )
    for known in methods():
        if known.name == cards[0].name and (known.folder is None or known.folder.resolve() != folder.resolve()):
            raise UsageError(
                f"{folder}: the name {known.name} is taken ({known.origin}); give the card another one.",
                ErrorKind.CONFLICT,
                "name",
            )
    return MethodEntry(cards[0].name, cards[0].cls, str(folder), card=cards[0], folder=folder)

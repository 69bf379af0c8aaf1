from __future__ import annotations

from pathlib import Path

import pytest

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, PluginError, UsageError
from vapbench.methods import find, methods, read_cards, resolve

CARD = "name: mine\ntitle: Mine\nsummary: S.\nkind: unified\nclass: Mine\n"
CODE = """
from vapbench import Method


class Mine(Method):
    version = 1

    def __init__(self, steps: int = 5) -> None:
        self.steps = steps

    def setup(self, device): ...

    def generate(self, case, seed): ...
"""


def folder(path: Path, card: str = CARD, code: str = CODE) -> Path:
    path.mkdir()
    (path / "card.yaml").write_text(card)
    (path / "method.py").write_text(code)
    return path


def test_the_papers_methods_are_listed_without_being_imported() -> None:
    names = {entry.name for entry in methods()}
    assert {"vap", "vap-wan", "folder", "noise", "frozen", "copy-reference", "ground-truth"} <= names
    assert all(entry.card and entry.card.title and entry.card.summary for entry in methods())


def test_a_folder_is_a_method(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine")
    resolved = resolve(f"{path}:steps=7")
    assert resolved.method.name == "mine"
    assert resolved.method.steps == 7  # type: ignore[attr-defined]
    assert resolved.changed == {"steps": 7}
    assert resolve(str(path)).changed == {}


def test_variants_of_one_class_differ_by_their_cards_parameters() -> None:
    wan = resolve("vap-wan:weights=w")
    assert wan.parameters["guidance"] == 5.0
    assert wan.changed == {}
    assert resolve("vap-wan:guidance=6").changed == {"guidance": 6.0}


def test_shared_options_reach_only_methods_that_have_them() -> None:
    assert resolve("vap", {"dtype": "float32", "offload": "model"}).changed == {"dtype": "float32"}
    assert resolve("frozen", {"dtype": "float32"}).parameters == {}


@pytest.mark.parametrize(
    ("text", "kind", "field"),
    [
        ("vpa", ErrorKind.UNKNOWN, "method"),
        ("vap:stesp=3", ErrorKind.UNKNOWN, "stesp"),
        ("./nowhere", ErrorKind.MISSING, "card.yaml"),
        ("folder", ErrorKind.MISSING, "path"),
    ],
)
def test_a_wrong_method_is_named(text: str, kind: ErrorKind, field: str) -> None:
    with refuses(UsageError, kind, field):
        resolve(text)


def test_a_folder_beside_a_name_never_hides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "vap")
    folder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find("vap").origin == "built in"
    with refuses(UsageError, ErrorKind.UNKNOWN, "method", "For a folder write ./mine"):
        find("mine")


@pytest.mark.parametrize(
    ("card", "kind", "field"),
    [
        ("name: x\n", ErrorKind.MISSING, "title"),
        (CARD + "colour: red\n", ErrorKind.UNKNOWN, "colour"),
        (CARD.replace("unified", "magic"), ErrorKind.INVALID, "kind"),
        ("[", ErrorKind.DAMAGED, "card.yaml"),
    ],
)
def test_a_malformed_card_is_named(tmp_path: Path, card: str, kind: ErrorKind, field: str) -> None:
    path = folder(tmp_path / "mine", card=card)
    with refuses(DataError, kind, field) as caught:
        read_cards(path / "card.yaml")
    assert "card.yaml" in str(caught.value)


def test_all_that_is_wrong_with_a_card_is_named_at_once(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine", card="name: 3\nkind: magic\ncolour: red\n")
    with refuses(DataError, ErrorKind.UNKNOWN, "colour") as caught:
        read_cards(path / "card.yaml")
    said = str(caught.value)
    assert "title, summary, class: fields required; name: input should be a valid string; kind: " in said
    assert "; colour: there is no such field" in said


def test_a_broken_module_fails_when_used(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine", code="import no_such_package\n")
    entry = find(str(path))
    with refuses(PluginError, ErrorKind.FAILED) as caught:
        _ = entry.load()
    assert "method.py cannot be imported: ModuleNotFoundError" in str(caught.value)
    path = folder(tmp_path / "other", code="class Mein: ...\n")
    with refuses(UsageError, ErrorKind.UNKNOWN, "Mine"):
        _ = find(str(path)).load()


def test_a_card_that_was_edited_is_read_anew(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine") / "card.yaml"
    (before,) = read_cards(path)
    assert read_cards(path) == [before]
    path.write_text(path.read_text().replace(before.title, before.title[::-1]))
    assert [card.title for card in read_cards(path)] == [before.title[::-1]]

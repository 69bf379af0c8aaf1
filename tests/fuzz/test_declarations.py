"""Declarations (YAML): tasks, suites and cards from anybody, read without running or multiplying anything."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.hostile import fuzzed, held, mutated, values
from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind
from vapbench.methods import read_cards
from vapbench.suites import find_suite
from vapbench.suites.tasks import conditions_of, find_task
from vapbench.validation.declarations import check_target

TASK = (
    b"name: mine\ntitle: Mine\ncategory: style\nconditions: [vidu_ghibli, vidu_lego]\n"
    b"includes: [camera]\nunlisted: no\n"
)
SUITE = (
    b"name: mine\ntitle: Mine\nreader: vapbench.suites.mini.reader:load\ndata: none\n"
    b"clip: {frames: 9, fps: 8, height: 64, width: 64}\nmetrics: [temporal_flickering]\n"
)
CARD = b"name: mine\ntitle: Mine\nsummary: One.\nkind: unified\nclass: Mine\nparameters: {steps: 3}\nnotes: [a]\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
SPECIAL = (
    BOMB,
    f"conditions: {'[' * 5000}",
    f"conditions: {'[' * 200}{']' * 200}",
    "&a [*a]",
    "conditions: &a [*a]",
    "name: !!python/object/apply:os.system ['touch ran']",
    "name: !!python/name:os.system",
    "!!python/object/new:subprocess.Popen [[touch, ran]]",
    "name: !!bool maybe",
    "name: !!int ''",
    "name: !!timestamp x",
    "name: 2001-99-99",
    "name: !!float _",
    "name: !!binary ***",
    "? [a, b]\n: c",
    "? {a: b}\n: c",
    "conditions: [[a], [b]]",
    "conditions: [{a: b}]",
    "conditions: {[a]: b}",
    "name: ../../x",
    "name: nul",
    'name: "\\ud800"',
    'title: "\\ud800"',
    "clip: {frames: 1000000000, fps: .inf, height: -2, width: .nan}",
    "clip: {frames: 1e9, fps: .nan, height: 100000, width: 100000}",
    "name: mine\nname: other",
    "<<: 1",
    "<<: [1, 2]",
    "- a\n- b",
    "%YAML 9.9\n---\na",
    "\x00",
    "\t",
    "--- a\n--- b",
    "",
)


def read_in_every_way(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "mine.yaml"
        path.write_bytes(data)
        begun = time.process_time()
        held(lambda: conditions_of(find_task(str(path))))
        held(lambda: find_suite(str(path)))
        held(lambda: read_cards(path))
        for finding in held(lambda: check_target(str(path))) or ():
            assert finding.ok or "\n" not in finding.problem
        assert time.process_time() - begun < 30
        assert [found.name for found in Path(root).iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize("text", SPECIAL, ids=range(len(SPECIAL)))
def test_known_tricks(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read_in_every_way(text.encode("utf-8", "surrogatepass"))
    read_in_every_way(TASK + text.encode("utf-8", "surrogatepass"))
    assert not (tmp_path / "ran").exists()


def test_aliases_do_not_multiply(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(BOMB)
    with refuses(DataError, ErrorKind.DAMAGED, "bomb.yaml", "line 4", "more than 20 aliases"):
        find_task(str(path))
    path.write_text("name: mine\ntitle: Mine\nname: other\n")
    with refuses(DataError, ErrorKind.DAMAGED, "bomb.yaml", "line 3", "'name'"):
        find_task(str(path))
    path.write_bytes(b"# " + b"x" * (1 << 20))
    with refuses(DataError, ErrorKind.DAMAGED, "bomb.yaml", "262,144"):
        find_task(str(path))


@fuzzed(25, 2000)
@given(st.sampled_from([TASK, SUITE, CARD]).flatmap(mutated))
def test_tampered_declarations(data: bytes) -> None:
    read_in_every_way(data)


@fuzzed(25, 2000)
@given(
    st.sampled_from([TASK, SUITE, CARD]),
    st.dictionaries(st.sampled_from(["name", "title", "conditions", "includes", "clip", "metrics", "reader"]), values),
)
@example(TASK, {"conditions": [[1]]})
def test_fields_of_other_types(source: bytes, fields: dict[str, object]) -> None:
    whole = yaml.safe_load(source) | fields
    read_in_every_way(yaml.safe_dump(whole, allow_unicode=False).encode())

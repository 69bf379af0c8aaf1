"""Text that somebody else wrote, where it is shown."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from markupsafe import Markup

import vapbench
from vapbench.files.text import counted, encodable, escaped, for_page, for_public_page, in_a_row, visible

HOSTILE = "a\x1b[2J\x00b\tc\nd\r\x9b\ud800e\ufffe\u202ef é 猫"


@pytest.mark.parametrize("clean", [visible, in_a_row, encodable, escaped, for_page, for_public_page])
def test_cleaned_text_is_utf8_and_plain_text_stays(clean: object) -> None:
    assert callable(clean)
    clean(HOSTILE).encode("utf-8")
    assert clean("A dog, é, 猫.") == "A dog, é, 猫."


def test_a_terminal_is_not_driven() -> None:
    assert visible(HOSTILE) == "a�[2J�b�c\nd���e��f é 猫"
    assert in_a_row(HOSTILE) == "a [2J b c d   e  f é 猫"
    assert "\n" not in in_a_row(HOSTILE)


def test_lone_surrogates_become_a_mark_or_their_escape() -> None:
    assert encodable("x\udc80") == "x?"
    assert escaped("x\udc80") == r"x\udc80"


def test_pages_keep_line_breaks_and_markup_and_only_public_ones_refuse_to_be_turned() -> None:
    assert for_page(HOSTILE) == "a�[2J�b\tc\nd���e�\u202ef é 猫"
    assert for_public_page(HOSTILE) == "a�[2J�b\tc\nd���e��f é 猫"
    assert for_page(Markup("<b>\x00</b>")) == Markup("<b>\x00</b>")
    assert for_page(7) == 7


def test_one_thing_is_counted_as_one() -> None:
    assert [counted(n, "tie") for n in (0, 1, 2, 1200)] == ["0 ties", "1 tie", "2 ties", "1,200 ties"]
    assert [counted(n, "case is", "cases are") for n in (1, 3)] == ["1 case is", "3 cases are"]


# What is always several where it is printed.
SEVERAL = {
    ("checkpoints/tensors.py", "len(files)"),
    ("cli/extras.py", "methods"),
    ("cli/results.py", "len(folders)"),
    ("core/clip.py", "array.size"),
    ("core/containers.py", "samples"),
    ("core/limits.py", "frames"),
    ("leaderboard/rescore.py", "self.rows"),
    ("leaderboard/rows.py", "len(values)"),
    ("leaderboard/texts.py", "len(text)"),
    ("models/cogvideox/mot.py", "references"),
    ("report/page/templates/show.html", "it.seeds | length"),
    ("report/read/facts.py", "len(sessions)"),
    ("report/render/effects.py", "len(figure.methods)"),
    ("report/render/figures_means.py", "len(groups)"),
    ("report/render/figures_means.py", "len(methods)"),
    ("running/prepare.py", "len(resolved)"),
    ("stats/agreement.py", "units"),
    ("study/analysis/reviewers.py", "len(protocol.methods)"),
    ("study/analysis/text.py", "len(protocol.questions)"),
    ("suites/table.py", "count"),
}
THINGS = (
    "adapters answers captions cases categories cells characters clips columns conditions figures files frames "
    "generations groups images items layers methods notes outputs pairs participants passes preferences raters "
    "records references repeats rows runs samples scores seeds sessions shards snapshots submissions tensors ties "
    "times tokens trials units values videos votes"
)
PLURAL = re.compile(rf" (?:(?!of |holds )[\w-]+ )?({THINGS.replace(' ', '|')})\b")


def numbers_before_plurals(path: Path) -> Iterator[str]:
    """What stands before a plural in the f-strings or the template of a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        yield from (found[1].strip() for found in re.finditer(rf"\{{\{{([^}}']*)\}}\}}(?={PLURAL.pattern})", text))
        return
    for node in ast.walk(ast.parse(text)):
        for value, after in pairwise(node.values if isinstance(node, ast.JoinedStr) else []):
            if isinstance(value, ast.FormattedValue) and PLURAL.match(str(getattr(after, "value", ""))):
                number = ast.unparse(value.value)
                # Constants are large; ``.1f`` and ``g`` are of measures; before a verb there is a name.
                spec = value.format_spec.values if isinstance(value.format_spec, ast.JoinedStr) else []
                measured = "".join(str(getattr(part, "value", "")) for part in spec)[-1:] in {"f", "g", "%"}
                named = re.search(r"(?:where|path|name|have)$|^_?\w+\((?<!len\()(?<!sum\()", number)
                if not (measured or named or number.rsplit(".")[-1].isupper()):
                    yield number


@pytest.mark.parametrize("suffix", [".py", ".html"])
def test_no_text_says_one_things(suffix: str) -> None:
    package = Path(vapbench.__file__).parent
    found = {
        (path.relative_to(package).as_posix(), number)
        for path in package.rglob(f"*{suffix}")
        for number in numbers_before_plurals(path)
    }
    assert found <= SEVERAL, f"use counted() of files/text.py: {sorted(found - SEVERAL)}"

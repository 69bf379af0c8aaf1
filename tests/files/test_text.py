"""Text that somebody else wrote, where it is shown."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from vapbench.files.text import encodable, escaped, for_page, for_public_page, in_a_row, visible

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

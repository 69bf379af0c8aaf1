"""Tables of plain text: aligned whatever the letters, and readable in a narrow terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from vapbench.core.text_table import natural_width, table_lines

ROWS = [
    ("condition", "vap", "cogvideox", "lora"),
    ("orbit", "0.71 [0.50, 0.84]", "-", "0.55 (1/2)"),
    ("猫", "-0.10", "12.00", "2.00"),
]


def test_numbers_end_where_their_head_ends() -> None:
    assert table_lines(ROWS) == [
        "condition                vap  cogvideox        lora",
        "orbit      0.71 [0.50, 0.84]          -  0.55 (1/2)",
        "猫                     -0.10      12.00        2.00",
    ]
    assert natural_width(ROWS) == max(map(cell_len, table_lines(ROWS)))


def test_what_a_terminal_has_no_room_for_goes_on_below_beside_the_first_column() -> None:
    lines = table_lines(ROWS, 42, indent=2)
    assert lines == [
        "  condition                vap  cogvideox",
        "  orbit      0.71 [0.50, 0.84]          -",
        "  猫                     -0.10      12.00",
        "",
        "  condition        lora",
        "  orbit      0.55 (1/2)",
        "  猫               2.00",
    ]


def test_text_is_folded_and_no_word_of_it_is_lost() -> None:
    said = "the output against a reference that shows another condition of the same category"
    lines = table_lines([("wrong", "71.2 [60.1, 80.3]  n=24", said)], 60, left=3, indent=2)
    assert len(lines) > 1 and " ".join(line[32:].strip() for line in lines) == said


@pytest.mark.parametrize("width", [12, 20, 60, 80])
@pytest.mark.parametrize("left", [1, 4])
def test_no_line_is_wider_than_the_terminal(width: int, left: int) -> None:
    assert max(map(cell_len, table_lines(ROWS, width, left=left))) <= width

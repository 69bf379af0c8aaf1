"""What people preferred, on the board: real votes of simulated raters, analysed and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.refusals import refuses
from tests.study.conftest import Population, code, collect, make_protocol
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import write_json
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.documents import leaderboard_section
from vapbench.study.analysis.fit import analyse
from vapbench.study.protocol import Key, KeyedMethod
from vapbench.study.votes import Rater

from .conftest import HOSTILE, Board
from .test_site import line_of


def identity(method: str, **changes: Any) -> dict[str, Any]:
    """What the board's runs say they are."""
    return {"suite": "mini", "name": method, "version": 1, **changes}


@pytest.fixture(scope="module")
def section() -> dict[str, Any]:
    """VAP against the base, clearly better; videos from two runs of the board."""
    key = Key(
        methods={
            code(0): KeyedMethod(name="VAP", run="/home/somebody/results/mini/vap", identity=identity("vap")),
            code(1): KeyedMethod(name="base", run="results/mini/i2v", identity=identity("i2v")),
        }
    )
    protocol = make_protocol(methods=2, key_sha256=key.sha256)
    votes = collect(protocol, 12, Population((1.0, -1.0)))
    raters = tuple(Rater(rater=f"rater-{n:03}", index=n, status="finished") for n in range(12))
    return leaderboard_section(analyse(Ballots(protocol, key, tuple(votes), raters, votes[-1].hash)))


Put = Callable[..., None]


@pytest.fixture
def put(board: Board, section: dict[str, Any]) -> Put:
    def write(**changes: Any) -> None:
        write_json(board.home / "studies" / "preference.json", section | changes)

    board.fill()
    return write


def test_the_board_shows_shares_with_intervals_and_ranks_and_who_voted(
    board: Board, put: Put, section: dict[str, Any]
) -> None:
    put()
    board.build(videos=False)
    page = board.page("index.html")
    first = section["rows"][0]
    assert first["method"] == "VAP" and f"<b>{100 * first['value']:.1f}</b>" in page
    assert f"[{100 * first['low']:.1f}, {100 * first['high']:.1f}]" in page
    assert f"{section['votes']:,} votes of 12 raters on 12 cases" in page and "#1" in page
    assert 'href="method/mini/vap.html">VAP</a>' in page, "a share leads to what was shown"
    assert "human study" in line_of(page, "vap") and "human study" not in line_of(page, "lora")
    assert "somebody" not in page


def test_another_run_in_the_judged_one_s_place_bears_no_badge(board: Board, put: Put, section: dict[str, Any]) -> None:
    judged = section["methods"] | {"VAP": {"run": "results/mini/vap", "identity": identity("vap", weights="other")}}
    put(methods=judged)
    board.build(videos=False)
    page = board.page("index.html")
    assert "human study" in line_of(page, "i2v") and "human study" not in line_of(page, "vap")
    assert 'href="method/mini/vap.html">VAP</a>' not in page, "its page shows other videos than people saw"


def test_the_shown_study_can_be_downloaded_without_where_its_runs_lay(board: Board, put: Put) -> None:
    put()
    board.build(videos=False)
    (name,) = (board.site / "data").glob("*study*.json")
    document = json.loads(name.read_text(encoding="utf-8"))
    assert document["methods"]["VAP"]["run"] == "mini/vap" and "somebody" not in name.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "kind", "field", "named"),
    [
        ({"closed": False}, ErrorKind.CONFLICT, "closed", "close it"),
        ({"rows": []}, ErrorKind.INVALID, "rows", "leaderboard.json that vapbench study report writes"),
        ({"methods": {}}, ErrorKind.INVALID, "the file", "VAP is not among its methods"),
        ({"suite": "elsewhere"}, ErrorKind.UNKNOWN, "suite", "elsewhere"),
        ({"votes": "many"}, ErrorKind.INVALID, "votes", "integer"),
    ],
)
def test_what_is_no_closed_study_of_a_board_is_refused(
    board: Board, put: Put, changes: dict[str, Any], kind: ErrorKind, field: str, named: str
) -> None:
    put(**changes)
    with refuses(DataError, kind, field, named):
        board.build(videos=False)


def test_a_hostile_study_is_text(board: Board, put: Put, section: dict[str, Any]) -> None:
    rows = [row | {"question": HOSTILE} for row in section["rows"]]
    put(title=HOSTILE, study=HOSTILE, rows=rows)
    board.build(videos=False)
    assert "<script>alert" not in board.page("index.html") and "<img" not in board.page("index.html")

from __future__ import annotations

import pytest

from vapbench.report.read.scores import ReadScore, Scores
from vapbench.results.rows import Failure

FAILED = ReadScore("psnr", "failed", None, "", Failure("OSError", "no room"), {})


def noted(value: float, kind: str) -> ReadScore:
    return ReadScore("psnr", "ok", value, "half a caption", None, {}, kind)


def test_a_number_reads_as_the_score_it_was() -> None:
    scores = Scores("psnr")
    scores.add_number(("a", 0), 0.5)
    scores.add(("b", 0), FAILED)
    scores.add(("c", 1), noted(0.25, "cut"))
    assert scores["a", 0] == ReadScore("psnr", "ok", 0.5, "", None, {})
    assert scores["b", 0] is FAILED
    assert dict(scores) == {("a", 0): scores["a", 0], ("b", 0): FAILED, ("c", 1): noted(0.25, "cut")}
    assert (len(scores), scores.numbers) == (3, {("a", 0): 0.5, ("c", 1): 0.25})
    assert ("a", 1) not in scores and scores.get(("a", 1)) is None
    with pytest.raises(KeyError):
        scores["a", 1]


def test_the_last_score_of_a_place_stands() -> None:
    scores = Scores("psnr")
    for score in (noted(0.1, "cut"), FAILED, ReadScore("psnr", "ok", 0.5, "", None, {})):
        scores.add(("a", 0), score)
        assert dict(scores) == {("a", 0): score}
    scores.add(("a", 0), FAILED)
    assert dict(scores) == {("a", 0): FAILED} and not scores.numbers


def test_kinds_of_notes_count_cases_that_have_a_number() -> None:
    scores = Scores("psnr")
    scores.add(("a", 0), noted(0.1, "cut"))
    scores.add(("a", 1), noted(0.2, "cut"))
    scores.add(("b", 0), noted(0.2, "turned"))
    scores.add(("c", 0), FAILED._replace(kind="cut"))
    assert scores.kinds() == {"cut": {"a"}, "turned": {"b"}}

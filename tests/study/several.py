"""Studies of several questions on one trial, and votes on them."""

from __future__ import annotations

from typing import Any

from tests.study.conftest import Population, collect, key_of, make_protocol, rechain
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.protocol import Protocol, Question
from vapbench.study.votes import Given, Rater, Vote


def several(**changes: Any) -> Protocol:
    """A study of one pass with two questions beside it."""
    draft = make_protocol(methods=3, cases=8, trials=12, raters=10)
    also = (Question(key="motion", wording="Which moves better?"), Question(key="looks", wording="?", required=False))
    checks = [check for check in draft.checks if check.question == "semantic"]
    fields = draft.model_dump() | {"questions": draft.model_dump()["questions"][:1], "also": also, "checks": checks}
    return Protocol.model_validate(fields | changes)


def turned(vote: Vote) -> Given:
    """The other side."""
    return Given(choice=1 - vote.choice if isinstance(vote.choice, int) else "tie")


def opposed(protocol: Protocol, raters: int = 10) -> list[Vote]:
    """Votes whose second question is answered the other way round, and whose third is left out by every other trial."""
    votes = collect(protocol, raters, Population((1.0, 0.0, -1.0), rater_sd=0.1, item_sd=0.1))
    return rechain(
        [
            vote.model_copy(
                update={
                    "beside": {"motion": turned(vote)} | ({"looks": Given(choice=0)} if n % 2 and n > 4 else {}),
                    "comment": "why" if n == 7 else "",
                }
            )
            for n, vote in enumerate(votes)
        ]
    )


def several_ballots() -> Ballots:
    """Ten raters' votes on such a study."""
    protocol = several()
    votes = opposed(protocol)
    raters = tuple(
        Rater(rater=name, index=n, status="finished")
        for n, name in enumerate(dict.fromkeys(vote.rater for vote in votes))
    )
    return Ballots(protocol, key_of(3), tuple(votes), raters, votes[-1].hash)

"""The exclusion rules of a protocol, for one rater's votes: while the study runs, and in its report."""

from __future__ import annotations

from collections.abc import Sequence

from vapbench.files.text import counted
from vapbench.stats.paired import fair_coin_p
from vapbench.study.protocol import Protocol
from vapbench.study.votes import CHECK_ROLES, Vote


def broken_rules(protocol: Protocol, votes: Sequence[Vote]) -> tuple[str, ...]:
    """The rules that one rater's votes break; empty: they count."""
    rules, broken = protocol.exclusions, []
    right, asked = gold_right(protocol, votes)
    if asked >= rules.gold_trials and right < rules.gold_accuracy * asked:
        broken.append(f"gold trials: {right} of {asked} right")
    fast, timed = too_fast(protocol, votes)
    if fast > rules.fast_share * timed:
        broken.append(f"too fast: {fast} of {counted(timed, 'vote')}")
    (left, decisive), side_p = sides(protocol, votes)
    if decisive >= rules.side_trials and side_p < rules.side_p:
        broken.append(f"one side: {left} of {counted(decisive, 'vote')} for the left")
    return tuple(broken)


def gold_right(protocol: Protocol, votes: Sequence[Vote]) -> tuple[int, int]:
    """Right answers, and gold trials."""
    expected = {check.id: str(check.expected) for check in protocol.checks}
    answers = [vote.chosen == expected[vote.case] for vote in votes if vote.role == "gold"]
    return sum(answers), len(answers)


def too_fast(protocol: Protocol, votes: Sequence[Vote]) -> tuple[int, int]:
    """Votes below the time floor, and votes timed (all but practice)."""
    timed = [vote for vote in votes if vote.role != "training"]
    floor = protocol.exclusions.time_floor
    fast = sum(vote.response_ms / 1000 < floor * clip_seconds(protocol, vote) for vote in timed)
    return fast, len(timed)


def clip_seconds(protocol: Protocol, vote: Vote) -> float:
    """Duration of the longest clip of a vote's trial."""
    if vote.role in CHECK_ROLES:
        media: Sequence[str] = protocol.check(vote.case).candidates
    else:
        candidates = protocol.case(vote.case).candidates
        media = [candidates[code] for code in vote.order]
    return max(protocol.media[name].seconds for name in media)


def sides(protocol: Protocol, votes: Sequence[Vote]) -> tuple[tuple[int, int], float]:
    """Votes for the first place and decisive votes; the exact p-value of so one-sided a choice, 1 for best of n."""
    decisive = [vote for vote in votes if vote.role in ("main", "repeat") and vote.choice != "tie"]
    left = sum(vote.choice == 0 for vote in decisive)
    if not decisive or protocol.kind != "pair":
        return (left, len(decisive)), 1.0
    return (left, len(decisive)), fair_coin_p(left, len(decisive))

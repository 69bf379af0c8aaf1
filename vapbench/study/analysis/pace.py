"""How far a study is: votes, raters, times, checks. Nothing here reads a choice between methods."""

from __future__ import annotations

from collections import Counter
from statistics import median

from vapbench.files.text import counted
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.lines import GAP
from vapbench.study.analysis.quality import conducts, main_votes
from vapbench.study.design.assign import Design

_HOUR_US = 3_600_000_000


def pace_lines(ballots: Ballots, now_us: int) -> list[str]:
    """What may be known of a study that is not closed.

    Args:
        ballots: its votes so far.
        now_us: the time, in microseconds since 1970.
    """
    protocol = ballots.protocol
    per_cell, cells = protocol.votes_per_cell, Design(protocol).cells
    main, people = main_votes(ballots.votes), conducts(ballots)
    out = {person.rater for person in people if person.excluded}
    usable = [vote for vote in main if vote.rater not in out]
    done = Counter(vote.cell for vote in usable)
    kind = protocol.kind.replace("_", " ")
    lines = [f"study {protocol.id} · {kind} · {protocol.suite} · no results before it is closed"]
    for question in protocol.questions:
        counts = [done[cell.id] for cell in cells if cell.question == question.key]
        filled = sum(min(count, per_cell) for count in counts)
        lines.append(
            f"{question.key}: {filled:,} of {counted(len(counts) * per_cell, 'vote')} wanted "
            f"({min(counts)} to {max(counts)} on each of {counted(len(counts), 'cell')}, {per_cell} wanted)"
        )
    for question in protocol.also:
        given = sum(question.key in vote.beside for vote in usable)
        lines.append(f"{question.key}, on the same trials: answered in {given:,} of {len(usable):,}")
    if len(usable) < len(main):
        lines.append(f"left out by rule: {len(main) - len(usable):,} of {counted(len(main), 'vote')}")
    states = Counter(rater.status.replace("_", " ") for rater in ballots.raters)
    said = ", ".join(f"{count} {status}" for status, count in sorted(states.items()))
    lines.append(f"raters: {len(ballots.raters)} of {protocol.raters} came{': ' if said else ''}{said}")
    if main:
        hour = sum(vote.stored_us > now_us - _HOUR_US for vote in main)
        seconds = median(vote.response_ms for vote in main) / 1000
        lines.append(f"pace: {counted(hour, 'vote')} in the last hour; median {seconds:.1f} s a vote")
    gold = [sum(person.gold[place] for person in people) for place in (0, 1)]
    fast = [sum(person.fast[place] for person in people) for place in (0, 1)]
    lines.append(
        f"checks: {gold[0]} of {counted(gold[1], 'gold trial')} right; {fast[0]} of {counted(fast[1], 'vote')} "
        "below the time floor; "
        f"{len(out)} of {counted(len(people), 'rater')} excluded by rule"
    )
    lines += [f"{GAP}{person.rater} flagged: {'; '.join(person.flags)}" for person in people if person.flags]
    return lines

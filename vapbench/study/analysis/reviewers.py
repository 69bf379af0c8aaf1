"""What reviewers ask of a study: where every rater went, and how it was done, in one paragraph."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from statistics import median

from vapbench.files.text import counted
from vapbench.stats import STATISTICS_VERSION
from vapbench.study.analysis.results import StudyResult
from vapbench.study.protocol import ANALYSIS_VERSION, Protocol, Question

_BEYOND = (
    " The model takes from a grade which one is better, and takes both bad as a tie; mean grades and shares of both "
    "bad are described beside it, their intervals made as those of shares, on the scale's own length."
)


@dataclass(frozen=True)
class Flow:
    """Raters from consent to analysis."""

    consented: int
    declined: int
    lost: tuple[tuple[str, int], ...]
    """Why raters who consented are in no analysis, and how many; each rater once, at the first reason."""
    analysed: int
    """Raters whose votes the published analysis has."""
    votes: int
    """Those votes."""


def flow_of(result: StudyResult) -> Flow:
    """Count where raters went; an analysed rater may have left before the end: what was answered counts."""
    ballots = result.ballots
    conduct = {person.rater: person for person in result.people}
    lost: Counter[str] = Counter()
    analysed = 0
    for rater in ballots.raters:
        person = conduct.get(rater.rater)
        if rater.status == "withdrawn":
            lost["withdrew"] += 1
        elif rater.status in ("screened_out", "evicted"):
            lost[rater.status.replace("_", " ")] += 1
        elif rater.excluded:
            lost["excluded by an administrator"] += 1
        elif person is not None and person.excluded:
            lost[f"excluded, {person.excluded[0].partition(':')[0]}"] += 1
        elif person is None or not person.votes:
            lost["left before a vote"] += 1
        else:
            analysed += 1
    declined = sum(event.kind == "declined" for event in ballots.events or ())
    return Flow(len(ballots.raters), declined, tuple(lost.most_common()), analysed, result.votes)


def flow_lines(flow: Flow) -> list[str]:
    """The flow as text, one step a line."""
    return [
        f"{flow.consented + flow.declined} asked for consent",
        *([f"  - {flow.declined} declined"] if flow.declined else []),
        f"{flow.consented} consented",
        *(f"  - {count} {why}" for why, count in flow.lost),
        f"{flow.analysed} analysed, with {counted(flow.votes, 'vote')}",
    ]


def analysis_of(protocol: Protocol) -> str:
    """The version of this analysis, and of the one that was planned where that was another."""
    planned = protocol.analysis_version
    return str(ANALYSIS_VERSION) + ("" if planned == ANALYSIS_VERSION else f" (planned with {planned})")


def methods_text(result: StudyResult) -> str:
    """A methods section to begin from, in Markdown: every number is the study's own."""
    protocol, flow = result.protocol, flow_of(result)
    pair = protocol.kind == "pair"
    shown = "two results side by side" if pair else f"the results of all {len(protocol.methods)} methods at once"
    answer = f"chose the {'better' if pair else 'best'} one" + (", or no difference" if protocol.ties else "")
    model = (
        "Davidson's extension of the Bradley-Terry model for ties, with a side effect"
        if pair
        else "Luce's choice model, and choice shares that weigh every case alike"
    )
    seconds = [vote.response_ms / 1000 for vote in result.ballots.votes if vote.role == "main"]
    pace = f" The median answer took {median(seconds):.1f} s." if seconds else ""
    asked = "; ".join(map(_asked, protocol.asked))
    more = any(question.steps or question.both_bad for question in protocol.asked)
    viewing = "All were answered on the same trial" if protocol.also else "Each question was a pass of its own"
    lost = "; ".join(f"{count} {why}" for why, count in flow.lost) or "none was left out"
    looks = len(result.ballots.looks)
    blind = (
        "No result by method was seen before the study was closed."
        if not looks and result.ballots.closed
        else f"Results by method were seen {counted(max(looks, 1), 'time')} before the study was closed."
    )
    template = (files("vapbench.study.analysis") / "methods.template.md").read_text(encoding="utf-8")
    return template.format(
        title=protocol.title,
        methods=len(protocol.methods),
        cases=len(protocol.cases),
        suite=protocol.suite,
        shown=shown,
        answer=answer,
        asked=asked,
        viewing=viewing,
        beyond=_BEYOND if more else "",
        per_cell=protocol.votes_per_cell,
        consented=flow.consented,
        analysed=flow.analysed,
        votes=flow.votes,
        lost=lost,
        sha256=protocol.sha256[:16],
        pace=pace,
        blind=blind,
        model=model,
        analysis_version=analysis_of(protocol),
        statistics_version=STATISTICS_VERSION,
        seed=protocol.seed,
        flow="\n".join(flow_lines(flow)),
    )


def _asked(question: Question) -> str:
    said = [f"graded on {2 * question.steps + 1} steps"] if question.steps else []
    said += ['"both are bad" offered'] if question.both_bad else []
    said += ["reasons to tick"] if question.tags else []
    said += [] if question.required else ["might be left out"]
    return f'"{question.wording}"' + (f" [{', '.join(said)}]" if said else "")

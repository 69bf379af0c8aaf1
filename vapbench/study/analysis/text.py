"""A study's plan and its analysis as plain text: aligned columns, every number with its n and its interval."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from vapbench.files.text import counted
from vapbench.stats import STATISTICS_VERSION
from vapbench.stats.shares import print_shares
from vapbench.study.analysis.details import details_lines, details_of
from vapbench.study.analysis.lines import GAP, percent, plain_interval, span, table, with_ends
from vapbench.study.analysis.results import Agreement, QuestionResult, StudyResult
from vapbench.study.analysis.reviewers import analysis_of
from vapbench.study.design.blinding import BlindSpec
from vapbench.study.design.planning import Planned, idle_rules, session_minutes, session_roles
from vapbench.study.design.simulation import Assumptions, Forecast
from vapbench.study.protocol import Protocol, TrialKind

POWER = 0.8
"""What a study is usually planned for."""
MOST_CHECKS = 1 / 3


def plan_lines(
    planned: Planned, forecast: Forecast, assumed: Assumptions, formats: dict[str, str], left_out: dict[str, str]
) -> list[str]:
    """What will be asked of whom, what that can find out, and what it costs."""
    protocol = planned.protocol
    minutes = session_minutes(protocol)
    asked = " and ".join(question.key for question in protocol.questions)
    lines = [
        f"study {protocol.id} · {protocol.kind.replace('_', ' ')} · {protocol.suite} · {asked}",
        f"{counted(len(protocol.methods), 'method')}, {counted(len(protocol.cases), 'case')}",
        "",
        *table(("method", "videos before blinding"), list(formats.items()), right=False),
        "",
        f"Blinded to {_format(planned.spec)} ({planned.spec.seconds:.2g} s), equal bytes within a trial. "
        + ("No property of a file gives a method away." if not planned.leaks else ""),
    ]
    lines += [f"LEAK: {leak}." for leak in planned.leaks]
    if left_out:
        case, reason = next(iter(left_out.items()))
        more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        lines.append(f"Left out: {case} ({reason}){more}.")
    lines += [f"Note: {note}" for note in planned.notes]
    roles = session_roles(protocol)
    passes = f"{len(protocol.questions)} passes, " if len(protocol.questions) > 1 else ""
    lines += [
        "",
        f"{counted(protocol.raters, 'rater')} x {minutes:.0f} minutes = {protocol.raters * minutes:,.0f} "
        f"rater-minutes: {passes}"
        f"{counted(roles['main'], 'trial')}, {roles['gold']} gold, {roles['identical']} identical, "
        f"{counted(roles['repeat'], 'repeat')}, "
        f"{roles['training']} training.",
        *check_share_lines(check_share(protocol)),
        *(f"Warning: {rule}" for rule in idle_rules(protocol)),
        *_forecast_lines(planned, forecast, assumed),
    ]
    return lines


def check_share(protocol: Protocol) -> float:
    """Share of a session's trials that ask nothing about the methods: checks, repeats and practice."""
    roles = session_roles(protocol)
    return 1 - roles["main"] / roles.total()


def check_share_lines(share: float) -> list[str]:
    """How much of a session that is, and what to do if it is much."""
    said = f"{share:.0%} of a session's trials are checks, repeats and practice"
    if share <= MOST_CHECKS:
        return [f"{said}."]
    return [f"Warning: {said}, more than a third: longer sessions (fewer --raters), or one --question, cost less."]


def plan_document(planned: Planned, forecast: Forecast) -> dict[str, Any]:
    """The plan as plain values."""
    minutes = session_minutes(planned.protocol)
    return {
        "study": planned.protocol.id,
        "folder": str(planned.folder.path),
        "protocol_sha256": planned.protocol.sha256,
        "blinded_to": asdict(planned.spec),
        "leaks": [str(leak) for leak in planned.leaks],
        "notes": list(planned.notes),
        "raters": planned.protocol.raters,
        "check_share": check_share(planned.protocol),
        "minutes_per_rater": minutes,
        "rater_minutes": planned.protocol.raters * minutes,
        "forecast": asdict(forecast),
    }


def report_lines(result: StudyResult) -> list[str]:
    """The analysis: one block per question, then the raters."""
    protocol = result.protocol
    lines = [f"study {protocol.id} · {protocol.kind.replace('_', ' ')} · {protocol.suite}"]
    if not result.ballots.closed:
        lines.append("UNBLINDED: this study is not closed. Votes that come from now on are other votes.")
    lines += [f"Seen before it was closed: {_when(look.at_us)} ({look.detail})." for look in result.ballots.looks]
    if result.votes < result.target:
        lines.append(f"Incomplete: {result.votes:,} of {counted(result.target, 'vote')}.")
    if not result.questions:
        return [*lines, "No votes of included raters yet."]
    details = {each.question: each for each in details_of(result)}
    for question in result.questions:
        everyone = next(other for other in result.everyone if other.question == question.question)
        lines += ["", *question_lines(protocol.kind, question, everyone)]
        if question.question in details:
            lines += details_lines(details[question.question])
    lines += ["", *_rater_lines(result)]
    lines += [
        "",
        "Brackets: 95 % intervals, two-way cluster-robust (raters and items), t on the smaller number of clusters.",
        f"Protocol {protocol.sha256[:12]}, votes {result.ballots.head[:12]}, analysis {analysis_of(protocol)}, "
        f"statistics {STATISTICS_VERSION}, seed {protocol.seed}.",
    ]
    return lines


def _forecast_lines(planned: Planned, forecast: Forecast, assumed: Assumptions) -> list[str]:
    pair = planned.protocol.kind == "pair"
    per = f"{forecast.votes_per_pair:.0f} per pair of methods" if pair else "all methods in each"
    lines = [
        f"Simulated through the assigner, {assumed.dropout:.0%} of raters leaving midway and {assumed.excluded:.0%} "
        "excluded: "
        f"{forecast.votes:.0f} votes per question, {per}, "
        f"{forecast.least_per_cell} to {forecast.most_per_cell} per cell; "
        f"no method's share of {'left' if pair else 'first'} places is over {100 * forecast.left_share:.1f} points "
        "from balance.",
        "",
    ]
    if forecast.reason:
        return [*lines, f"No interval can be given: {forecast.reason}. Add --raters, or more cases."]
    rows = [
        (f"{100 * power.win_rate:.0f}:{100 - 100 * power.win_rate:.0f}", f"{power.power:.2f}",
         f"±{100 * power.half_width:.1f} points", "more cases" if raters is None else f"{raters:,}")
        for power, raters in zip(forecast.powers, forecast.raters_needed, strict=True)
    ]  # fmt: skip
    header = ("true preference", "power", "95 % interval of the win probability", "raters for power 0.8")
    return [
        *lines,
        *table(header, rows),
        "",
        *underpowered(forecast),
        "Power: share of simulated studies that tell neighbouring methods apart, two-sided 5 %, not corrected for many "
        "pairs.",
        "Raters for power 0.8: by the closed form, sessions staying as long; those who leave or are excluded count.",
        f"Assumed: log-strengths vary by {assumed.rater_sd:g} (SD) among raters and {assumed.item_sd:g} among items, "
        "methods are equally far apart.",
    ]


def underpowered(forecast: Forecast) -> list[str]:
    """What to do about a study that would miss even the largest of the differences."""
    largest = forecast.powers[-1]
    if largest.power >= POWER:
        return []
    preference = f"{100 * largest.win_rate:.0f}:{100 - 100 * largest.win_rate:.0f}"
    return [
        f"Underpowered: even {preference} is told apart in {100 * largest.power:.0f} of 100 such studies. Plan "
        "it again with more cases, or more votes and raters (--votes-per-cell), before it is served.",
        "",
    ]


def question_lines(kind: TrialKind, question: QuestionResult, everyone: QuestionResult) -> list[str]:
    """One question: methods, pairs, and what a reader must know of them."""
    pair = kind == "pair"
    tied = f", {counted(question.ties, 'tie')}" if pair else ""
    lines = [
        f"{question.question}: {question.wording}",
        f"{counted(question.votes, 'vote')}{tied} · {counted(question.raters, 'rater')} · "
        f"{counted(question.items, 'item')}",
        "",
    ]
    lines += _pair_table(question, everyone) if pair else _choice_table(question, everyone)
    lines += ["", *_duels(question), ""]
    lines += _category_lines(question, "Luce" if pair else "choice")
    lines += _footers(question, pair)
    return lines


def _pair_table(question: QuestionResult, everyone: QuestionResult) -> list[str]:
    luce = _luce_column(question)
    wins = print_shares([method.share.estimate if method.share else 0.0 for method in question.methods])
    before = {method.name: method.luce_share for method in everyone.methods}
    rows = [
        (
            method.name,
            method.rank,
            f"{luce[row]} {span(method.luce_share)}",
            percent(method.mean_win_rate),
            f"{wins[row]} of {100 * method.share_bound:.1f}",
            f"{method.elo:.0f}" if len(question.pieces) == 1 else "",
            f"{method.shown:,}",
            percent(before[method.name]),
        )
        for row, method in enumerate(question.methods)
    ]
    header = (
        *("method", "rank", "Luce share %", "win rate %", "win share %, of at most", "Elo", "votes"),
        "Luce share %, all raters",
    )
    return table(header, rows)


def _choice_table(question: QuestionResult, everyone: QuestionResult) -> list[str]:
    before = {method.name: method.share for method in everyone.methods}
    complete = all(method.share for method in question.methods)
    shares = (
        print_shares([method.share.estimate if method.share else 0.0 for method in question.methods])
        if complete
        else []
    )
    rows = [
        (
            method.name,
            method.rank,
            f"{shares[row]} {span(method.share)}" if complete and method.share else "",
            percent(method.luce_share),
            f"{method.design_effect:.1f}" if method.design_effect is not None else "",
            f"{method.shown:,}",
            percent(before[method.name]),
        )
        for row, method in enumerate(question.methods)
    ]
    header = ("method", "rank", "choice share %", "Luce share %", "DEFF", "votes", "choice share %, all raters")
    return table(header, rows)


def _luce_column(question: QuestionResult) -> list[str]:
    """Luce shares as printed: those of a piece sum to 100."""
    shown: list[str] = []
    for piece in question.pieces:
        shares = [method.luce_share.estimate for method in question.methods if method.name in piece]
        shown += print_shares(shares) if len(piece) > 1 else [""]
    return shown


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _duels(question: QuestionResult) -> list[str]:
    rows = [
        (f"{duel.a} over {duel.b}", percent(duel.win_probability), f"{duel.wins}/{duel.ties}/{duel.losses}",
         f"{duel.n:,}", "" if duel.p is None else _p(duel.p), "yes" if duel.certain else "no")
        for duel in question.pairs
    ]  # fmt: skip
    return table(("pair", "win probability %", "won/tied/lost", "n", "p", "told apart"), rows)


def _category_lines(question: QuestionResult, share: str) -> list[str]:
    if not question.categories:
        return []
    header = (f"{share} share % on", *(f"{part.category} (n = {part.votes:,})" for part in question.categories))
    rows = [
        (method.name, *(percent(part.methods[row].share) for part in question.categories))
        for row, method in enumerate(question.methods)
    ]
    notes = [f"Note: {part.category}: {part.note}." for part in question.categories if part.note]
    return [*table(header, rows), *notes, ""]


def _footers(question: QuestionResult, pair: bool) -> list[str]:
    agreement = question.agreement
    lines = []
    if pair:
        lines.append(
            "Luce share: how often a method would be chosen of all, from the Davidson model; it compares with a "
            "preference rate. Win share: part of all pairwise wins; it does not."
        )
    else:
        lines.append(
            "Choice share: how often a method was chosen of all, cases weighing the same: the preference rate."
        )
    lines.append('Ranks and "told apart" hold for all methods at once (95 %, max-t); p is adjusted for all pairs.')
    if question.left_share is not None:
        side = f"; model's left advantage {plain_interval(question.side)} log-odds" if question.side else ""
        lines.append(f"Side: {percent(question.left_share)} % of decisive votes for the left{side}.")
    lines.append(_agreement_line(agreement, pair))
    if agreement.circular:
        circular, complete = agreement.circular
        said = (
            f"{circular} of {counted(complete, 'triad')} circular (chance: a quarter)"
            if complete
            else "no complete triads"
        )
        lines.append(f"Transitivity, three methods judged by one rater on one case: {said}.")
    lines += [f"Note: {note}." for note in question.notes]
    intervals = [share for method in question.methods for share in (method.luce_share, method.share) if share]
    reasons = {interval.reason for interval in (*intervals, *(duel.win_probability for duel in question.pairs))} - {""}
    return [*lines, *(f"Note: {reason}." for reason in sorted(reasons))]


def _agreement_line(agreement: Agreement, pair: bool) -> str:
    alpha = agreement.alpha
    reason = f" ({alpha.reason})" if alpha.reason else ""
    raw = f", {agreement.raw:.0%} of pairs of votes equal" if agreement.raw is not None else ""
    both = "" if agreement.both_ways is None else f", {agreement.both_ways:.2f} with every vote read both ways round"
    same, repeats = agreement.repeats
    return (
        f"Agreement: Krippendorff's alpha{' (interval; +1 is the first of two by name)' if pair else ' (nominal)'} "
        f"{with_ends(alpha.alpha, alpha.low, alpha.high)}{reason}{both}{raw}; "
        f"repeats answered alike {same} of {repeats}."
    )


def _rater_lines(result: StudyResult) -> list[str]:
    people, excluded = result.people, result.excluded
    flagged = [person for person in people if person.flags and not person.excluded]
    lines = [f"raters: {len(people)} voted, {len(excluded)} excluded, {len(flagged)} flagged"]
    lines += [f"{GAP}{person.rater} excluded: {'; '.join(person.excluded)}" for person in excluded]
    lines += [f"{GAP}{person.rater} flagged, kept: {'; '.join(person.flags)}" for person in flagged]
    gold = (sum(person.gold[0] for person in people), sum(person.gold[1] for person in people))
    fast = (sum(person.fast[0] for person in people), sum(person.fast[1] for person in people))
    lines.append(
        f"{GAP}gold {gold[0]} of {gold[1]} right; {fast[0]} of {counted(fast[1], 'vote')} below the time floor"
    )
    if protocol_window := result.protocol.window:
        small = sum(vote.small_window for vote in result.ballots.votes)
        least = " x ".join(map(str, protocol_window))
        lines.append(f"{GAP}{small} of {counted(len(result.ballots.votes), 'vote')} from a window below {least}")
    alike, several = (sum(person.alike[place] for person in people) for place in range(2))
    if several:
        lines.append(f"{GAP}one answer to all questions of a trial: {alike} of {counted(several, 'trial')}")
    same, left, right = (sum(person.identical[place] for person in people) for place in range(3))
    if same + left + right:
        lines.append(
            f"{GAP}identical videos: no difference said {same} of {counted(same + left + right, 'time')}; "
            f"else {left} for the left, {right} for the right"
        )
    return lines


def _when(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _format(spec: BlindSpec) -> str:
    return f"{spec.width}x{spec.height}, {spec.fps:g} fps, {counted(spec.frames, 'frame')}"

"""What was decided before the first vote, as text for a registry."""

from __future__ import annotations

from importlib.resources import files

from vapbench.files.text import counted
from vapbench.study.design.assign import Design
from vapbench.study.design.planning import session_minutes, session_roles
from vapbench.study.protocol import Protocol, Question

_BESIDE = """
All are answered on the same trial, in one viewing, and confirmed together. Checks and exclusions look at the first
alone; each is analysed by itself.
"""
_FURTHER = """; so one-sided a choice on a further
  question has p < {side_p:g} over at least {side_trials} decisive answers"""


def preregistration(protocol: Protocol) -> str:
    """Markdown that names design, sample, questions, exclusions and analysis of a study; no method is named in it."""
    cells, roles = len(Design(protocol).cells), session_roles(protocol)
    pair = protocol.kind == "pair"
    needed, first = protocol.session.qualification
    window = ""
    if protocol.window:
        done = "refused" if protocol.small_window == "refuse" else "marked, and analysed"
        window = f"* Votes from a browser window below {protocol.window[0]} x {protocol.window[1]} are {done}.\n"
    template = (files("vapbench.study") / "preregistration.template.md").read_text(encoding="utf-8")
    return template.format(
        title=protocol.title,
        id=protocol.id,
        sha256=protocol.sha256,
        methods=len(protocol.methods),
        cases=len(protocol.cases),
        suite=protocol.suite,
        shown="two results side by side" if pair else "the results of all methods at once",
        answers="the better one, or no difference" if protocol.ties else "the better one" if pair else "the best one",
        questions="\n".join(_asked(question) for question in protocol.asked),
        viewing=_BESIDE if protocol.also else "",
        raters=protocol.raters,
        per_cell=protocol.votes_per_cell,
        cells=cells,
        votes=cells * protocol.votes_per_cell,
        **{role: roles[role] for role in ("main", "gold", "identical", "repeat", "training")},
        minutes=counted(max(1, round(session_minutes(protocol))), "minute"),
        needed=needed,
        first=first,
        **protocol.exclusions.model_dump(exclude={"version"}),
        further=_FURTHER.format(side_p=protocol.exclusions.side_p, side_trials=protocol.exclusions.side_trials)
        if protocol.also and pair
        else "",
        window=window,
        model="Davidson's model (Bradley-Terry with ties) with a side effect"
        if pair
        else "Luce's choice model and choice shares",
        analysis_version=protocol.analysis_version,
        seed=protocol.seed,
    )


def _asked(question: Question) -> str:
    said = [f"* `{question.key}`: {question.wording} {question.help}".rstrip()]
    if question.steps:
        said.append(f"Graded on {2 * question.steps + 1} steps; the model takes the side, mean grades are described.")
    if question.both_bad:
        said.append('"Both are bad" is an answer, a tie for the model, and counted.')
    if question.tags:
        said.append(f"Reasons to tick, counted: {'; '.join(question.tags)}.")
    if not question.required:
        said.append("May be left out.")
    return " ".join(said)

"""From sources to a frozen study: blinded media, checks with known answers, a protocol and its key."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vapbench.core.images import is_media
from vapbench.errors import ErrorKind, IdentityError, UsageError
from vapbench.files.atomic import content_sha256
from vapbench.stats.clusters import MIN_CLUSTERS
from vapbench.study.design.assign import session
from vapbench.study.design.blinding import ENCODED, BlindSpec, MediaStore, Sketch, Take, common_spec
from vapbench.study.design.sources import SourceCase, Sources
from vapbench.study.folder import StudyFolder
from vapbench.study.leaks import Leak, protocol_leaks
from vapbench.study.protocol import Check, Consent, Key, KeyedMethod, Protocol, Question, Session, StudyCase, TrialKind
from vapbench.study.votes import TrialRole

LONGEST_PASS = 26
"""Main trials of one question that a rater does in about a quarter of an hour."""
TRAINING_TRIALS = 2
GOLD_SHARE, REPEAT_SHARE = 0.1, 0.05
LEAST_IDENTICAL = 3
"""In a session: enough for a side to show."""
LEAST_GOLD, LEAST_REPEATS = 3, 2

SEMANTIC = Question(
    key="semantic",
    wording="Which video carries over the reference's effect better?",
    help="Look at what the reference does (its style, motion, camera or change), not at how pretty a video is.",
)
OVERALL = Question(
    key="overall",
    wording="Which video is better overall?",
    help="Weigh everything: picture quality, natural motion, and whether it stays true to its first frame.",
)
QUESTIONS = {question.key: question for question in (SEMANTIC, OVERALL)}

CONSENT = Consent(
    version="1",
    text=(
        "What is kept: Your answers, how long they took, what was played, comments if you write any, the size of your "
        "window and the family of your browser, under a random name: no address, no account. The answers may be "
        "published in that form. If a platform sent you, your id there is kept apart and never published.\n"
        "You can stop: Taking part is voluntary. You can stop at any time and without a reason, with Leave at the top "
        "of every page. If you withdraw, your answers are left out of the analysis.\n"
        "Flashing images: Some of the videos, made by computers, flicker. Do not take part if that can harm you.\n"
        "Who can take part: You must be at least 18 years old."
    ),
)


@dataclass(frozen=True)
class Wanted:
    """What the planner was asked for."""

    id: str
    kind: TrialKind
    questions: tuple[str, ...]
    votes_per_cell: int
    raters: int | None
    """None: as many as keep a session at two quarters of an hour, and as an interval needs."""
    seed: int
    title: str = "Which video is better?"
    attrition: float = 0.2
    """Share of raters assumed to leave somewhere in the middle."""
    exclusion: float = 0.1
    """Share of raters assumed to be excluded by the rules, with all their votes."""

    @property
    def usable(self) -> float:
        """Share of the votes that are left: whoever leaves has given half of theirs."""
        return (1 - self.attrition / 2) * (1 - self.exclusion)


@dataclass(frozen=True)
class Planned:
    """A study on disk, not yet opened."""

    folder: StudyFolder
    protocol: Protocol
    key: Key
    spec: BlindSpec
    leaks: tuple[Leak, ...]
    """Empty, or the study will refuse to open."""
    notes: tuple[str, ...]
    """What the planner could not do, one sentence each."""


def write_study(
    sources: Sources, wanted: Wanted, folder: StudyFolder, progress: Callable[[str], None] = lambda _: None
) -> Planned:
    """Blind every video and write protocol, key and media; an unopened study of that name is replaced.

    Args:
        sources: cases and videos.
        wanted: what was asked for.
        folder: where. Encoded videos are kept beside it, so that another design of them encodes nothing.
        progress: called with what is being written.

    Raises:
        UsageError: an unknown question.
        IdentityError: the study has been opened.
        DataError: a video cannot be read, or is too short.
    """
    if folder.opening_path.exists():
        raise IdentityError(
            f"{folder.path} has been opened: its protocol is final. Plan another with --id NAME.",
            ErrorKind.CONFLICT,
            "protocol",
        )
    spec = _spec(sources)
    media = folder.path / "media"
    store = MediaStore(media, spec, folder.path.parent / ENCODED)
    _check_questions(wanted)
    for leftover in media.glob("*") if media.is_dir() else ():
        leftover.unlink()
    planned = _lay_out(sources, wanted, folder, store, progress)
    folder.save(planned.protocol, planned.key)
    return planned


def sketch_study(sources: Sources, wanted: Wanted, folder: StudyFolder) -> Planned:
    """The same design without encoding or writing anything: for a forecast.

    Raises:
        UsageError: an unknown question.
        DataError: a video cannot be read, or is too short.
    """
    _check_questions(wanted)
    return _lay_out(sources, wanted, folder, Sketch(folder.path, _spec(sources), folder.path), lambda _: None)


def _spec(sources: Sources) -> BlindSpec:
    return common_spec([method.videos[case.id] for method in sources.methods for case in sources.cases])


def _check_questions(wanted: Wanted) -> None:
    unknown = set(wanted.questions) - set(QUESTIONS)
    if unknown:
        raise UsageError(
            f"Unknown question {min(unknown)!r}. Known: {', '.join(QUESTIONS)}.", ErrorKind.UNKNOWN, "question"
        )


def _lay_out(
    sources: Sources, wanted: Wanted, folder: StudyFolder, store: MediaStore, progress: Callable[[str], None]
) -> Planned:
    codes = _codes(sources)
    cases = tuple(_case(case, sources, codes, store, progress) for case in sources.cases)
    checks, notes = _checks(sources, wanted, store, progress)
    key = _key(sources, codes)
    plan, raters = _session(cases, wanted)
    protocol = Protocol(
        id=wanted.id,
        title=wanted.title,
        suite=sources.suite,
        kind=wanted.kind,
        # In the order of the codes, which are random: the command line's order would be a clue.
        methods=tuple(sorted(codes.values())),
        key_sha256=key.sha256,
        cases=cases,
        questions=tuple(QUESTIONS[name] for name in wanted.questions),
        ties=wanted.kind == "pair",
        votes_per_cell=wanted.votes_per_cell,
        raters=raters,
        session=plan,
        checks=checks,
        consent=CONSENT,
        media=store.facts,
        seed=wanted.seed,
    )
    return Planned(folder, protocol, key, store.spec, protocol_leaks(protocol, key.names()), tuple(notes))


def session_minutes(protocol: Protocol) -> float:
    """Estimated minutes of one rater's session.

    Assumed: two looks at each trial's clips, a quarter of a minute to decide, and half of that for each question more.
    """
    seconds = max(facts.seconds for facts in protocol.media.values())
    return session_roles(protocol).total() * (2 * seconds + 15 + 7.5 * len(protocol.also)) / 60


def session_roles(protocol: Protocol) -> Counter[TrialRole]:
    """How many trials of each role one rater's session has, all passes together."""
    return Counter(place.role for place in session(protocol, "planned", 0))


def idle_rules(protocol: Protocol) -> list[str]:
    """One sentence for each rule on raters that needs more trials than a session has, so that it never applies."""
    roles, rules = session_roles(protocol), protocol.exclusions
    needs = [
        ("gold_trials", "known answers", rules.gold_trials, roles["gold"]),
        ("repeat_trials", "repeats", rules.repeat_trials, roles["repeat"]),
    ]
    if protocol.kind == "pair":
        needs.append(("side_trials", "answers for one side", rules.side_trials, roles["main"] + roles["repeat"]))
    return [
        f"the rule on {what} never applies: it needs at least {least}, and a session has {there} "
        f"(study.yaml: exclusions.{name})."
        for name, what, least, there in needs
        if there < least
    ]


def _codes(sources: Sources) -> dict[str, str]:
    codes: dict[str, str] = {}
    while len(set(codes.values())) < len(sources.methods):
        codes = {method.name: secrets.token_hex(4) for method in sources.methods}
    return codes


def _key(sources: Sources, codes: dict[str, str]) -> Key:
    return Key(
        methods={
            codes[method.name]: KeyedMethod(
                name=method.name,
                run=method.run,
                identity=dict(method.identity),
                sources={case.id: content_sha256(method.videos[case.id]) for case in sources.cases},
            )
            for method in sources.methods
        }
    )


def _case(
    case: SourceCase, sources: Sources, codes: dict[str, str], store: MediaStore, progress: Callable[[str], None]
) -> StudyCase:
    progress(case.id)
    # Written in random order, so that neither the order of files nor their times tell methods apart.
    order = [sources.methods[i] for i in np.random.default_rng(secrets.randbits(64)).permutation(len(sources.methods))]
    media = store.candidates([Take(method.videos[case.id]) for method in order])
    return StudyCase(
        id=case.id,
        condition=case.condition,
        category=case.category,
        prompt=case.prompt,
        reference=store.reference(case.reference),
        image=store.image(case.image) if case.image else None,
        candidates=dict(sorted((codes[method.name], name) for method, name in zip(order, media, strict=True))),
    )


def _session(cases: Sequence[StudyCase], wanted: Wanted) -> tuple[Session, int]:
    cells = sum(_cells(len(case.candidates), wanted.kind) for case in cases)
    votes = cells * wanted.votes_per_cell
    # Fewer raters than that give no interval, whatever they vote.
    least = math.ceil(max(wanted.votes_per_cell, MIN_CLUSTERS) / (1 - wanted.exclusion) / (1 - wanted.attrition))
    raters = wanted.raters or max(math.ceil(votes / min(LONGEST_PASS, cells) / wanted.usable), least)
    trials = min(cells, math.ceil(votes / raters / wanted.usable))
    distance = min(10, max(1, trials // 2))
    plan = Session(
        trials=trials,
        gold=max(LEAST_GOLD, round(GOLD_SHARE * trials)),
        repeats=max(LEAST_REPEATS, round(REPEAT_SHARE * trials)) if trials > distance else 0,
        repeat_distance=distance,
        # Among more than two, one video throughout would look like a fault; and without ties there is no right answer.
        identical=math.ceil(LEAST_IDENTICAL / len(wanted.questions)) if wanted.kind == "pair" else 0,
        training=TRAINING_TRIALS,
    )
    return plan, raters


def _cells(candidates: int, kind: TrialKind) -> int:
    return math.comb(candidates, 2) if kind == "pair" else 1


def _checks(
    sources: Sources, wanted: Wanted, store: MediaStore, progress: Callable[[str], None]
) -> tuple[tuple[Check, ...], list[str]]:
    """Gold, identical and training trials from ground truth: never a real method's video."""
    known = [case for case in sources.cases if case.target is not None and is_media(case.target)]
    if not known:
        nothing = "there are no gold, identical or training trials, and no rater can be excluded by them"
        return (), [f"No case has a ground-truth video: {nothing}."]
    notes: list[str] = []
    made: list[Check] = []
    candidates = 2 if wanted.kind == "pair" else len(sources.methods)
    needed = TRAINING_TRIALS + max(LEAST_GOLD, round(GOLD_SHARE * LONGEST_PASS))
    random = np.random.default_rng([wanted.seed, 1])
    for question in wanted.questions:
        order = [known[i] for i in random.permutation(len(known))]
        if wanted.kind == "pair":
            twice = [order[-1 - n % len(order)] for n in range(LEAST_IDENTICAL)]
            made += [_identical(case, question, number, store) for number, case in enumerate(twice, start=1)]
        usable = [case for case in order if question != SEMANTIC.key or _strangers(case, known)]
        if not usable:
            notes.append(
                f"All ground truth is of one condition: the question {question} has no gold and no training trials."
            )
            continue
        for number in range(needed):
            case = usable[number % len(usable)]
            progress(f"check {question} {number + 1} of {needed}")
            made.append(_check(case, known, question, number, candidates, store, random))
    return tuple(made), notes


def _strangers(case: SourceCase, known: Sequence[SourceCase]) -> list[SourceCase]:
    return [other for other in known if other.condition != case.condition]


def _check(
    case: SourceCase,
    known: Sequence[SourceCase],
    question: str,
    number: int,
    candidates: int,
    store: MediaStore,
    random: np.random.Generator,
) -> Check:
    assert case.target is not None
    right = Take(case.target)
    if question == SEMANTIC.key:
        others = _strangers(case, known)
        wrong = [others[i] for i in random.permutation(len(others))]
        wrong_takes = [Take(wrong[i % len(wrong)].target or case.target) for i in range(candidates - 1)]
        feedback = "The right answer shows the reference's effect; the others show something else."
    else:
        seed = int(random.integers(2**31))
        wrong_takes = [replace(right, spoilt=level, seed=seed) for level in range(1, candidates)]
        feedback = "The right answer is the clean video; the others were spoilt on purpose."
    media = store.candidates([right, *wrong_takes])
    kind = "training" if number < TRAINING_TRIALS else "gold"
    return Check(
        id=f"{kind}-{question}-{number + 1}",
        kind=kind,
        question=question,
        condition=case.condition,
        prompt=case.prompt,
        reference=store.reference(case.reference),
        image=store.image(case.image) if case.image else None,
        candidates=tuple(media),
        expected=0,
        feedback=feedback if kind == "training" else "",
    )


def _identical(case: SourceCase, question: str, number: int, store: MediaStore) -> Check:
    assert case.target is not None
    (video,) = store.candidates([Take(case.target)])
    return Check(
        id=f"identical-{question}-{number}",
        kind="identical",
        question=question,
        condition=case.condition,
        prompt=case.prompt,
        reference=store.reference(case.reference),
        image=store.image(case.image) if case.image else None,
        candidates=(video, video),
        expected=None,
    )

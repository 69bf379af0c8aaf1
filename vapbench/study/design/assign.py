"""Who sees what next: pure and seeded, so that the server, the simulation and a test see the same study.

Cells are filled evenly: the next trial comes from the cells with the fewest votes and open leases, among those from
what this rater has seen least, and ties fall by a hash of seed, rater and place. Sides are balanced within each cell
first, then within each rater. The design is fixed: nothing here looks at an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from vapbench.study.protocol import Check, Protocol
from vapbench.study.votes import TrialRole

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One thing to ask: a question about a case and a set of methods."""

    id: str
    """``<question>:<case>:<code>+<code>``."""
    question: str
    case: str
    methods: tuple[str, ...]
    """Blind codes, sorted."""


@dataclass(frozen=True)
class Trial:
    """What a rater is shown next."""

    role: TrialRole
    cell: str
    """Id of the design cell, or of the check."""
    case: str
    """Case id; for checks their own id."""
    question: str
    order: tuple[str, ...]
    """Left to right: blind codes; for checks the candidates' indices."""
    media: tuple[str, ...]
    """Media ids, left to right."""
    repeats: int | None = None
    """Place in the rater's history of the trial this one repeats."""


@dataclass(frozen=True)
class Place:
    """What stands at one place of a rater's session, before anything is assigned."""

    question: str
    role: TrialRole


@dataclass(frozen=True)
class RaterState:
    """What the assigner may know of a rater."""

    rater: str
    """Pseudonym."""
    index: int
    """Order of arrival, from 0: counterbalances the passes."""
    history: tuple[Trial, ...] = ()
    """Every trial handed out so far, in order, whatever came of it."""


class Design:
    """The cells of a protocol, with the arrays that make assignment quick."""

    def __init__(self, protocol: Protocol) -> None:
        """Lay out the cells of ``protocol``: those whose candidates all exist."""
        self.protocol = protocol
        self.cells = tuple(_cells(protocol))
        self.index: Mapping[str, int] = {cell.id: number for number, cell in enumerate(self.cells)}
        self.cases = {case.id: case for case in protocol.cases}
        self._sessions: dict[tuple[str, int], tuple[Place, ...]] = {}

    def session(self, rater: str, index: int) -> tuple[Place, ...]:
        """:func:`session` of the protocol, remembered."""
        if (rater, index) not in self._sessions:
            self._sessions[rater, index] = session(self.protocol, rater, index)
        return self._sessions[rater, index]

    @cached_property
    def of_question(self) -> Mapping[str, Counts]:
        """Question -> indices of its cells."""
        asked: dict[str, list[int]] = {question.key: [] for question in self.protocol.questions}
        for number, cell in enumerate(self.cells):
            asked[cell.question].append(number)
        return {question: np.array(numbers, dtype=np.int64) for question, numbers in asked.items()}

    @cached_property
    def case_of(self) -> Counts:
        """Cell -> number of its case."""
        return _numbered([cell.case for cell in self.cells])

    @cached_property
    def set_of(self) -> Counts:
        """Cell -> number of its set of methods."""
        return _numbered(["+".join(cell.methods) for cell in self.cells])


@dataclass
class Coverage:
    """How far the cells have been filled; the one thing that assignment changes."""

    taken: Counts
    """Cell -> stored votes and open leases."""
    first_left: Counts
    """Cell -> how many of those showed the first of its methods at the left (pairs)."""

    @classmethod
    def empty(cls, design: Design) -> Coverage:
        """Nothing taken yet."""
        zeros = np.zeros(len(design.cells), dtype=np.int64)
        return cls(zeros, zeros.copy())

    @classmethod
    def of(cls, design: Design, trials: Iterable[Trial]) -> Coverage:
        """Recount from trials that were voted on or are still out; other roles than ``main`` do not count."""
        coverage = cls.empty(design)
        for trial in trials:
            coverage.add(design, trial)
        return coverage

    def add(self, design: Design, trial: Trial, times: int = 1) -> None:
        """Count a trial; ``times=-1`` gives it back (a lease that expired or was skipped)."""
        if trial.role != "main":
            return
        number = design.index[trial.cell]
        self.taken[number] += times
        self.first_left[number] += times * (trial.order[0] == design.cells[number].methods[0])

    def missing(self, design: Design) -> int:
        """Votes that the cells lack, those under way not counted among them."""
        return int(np.maximum(design.protocol.votes_per_cell - self.taken, 0).sum())


@dataclass(frozen=True)
class _Seen:
    """A rater's main trials, counted."""

    cells: frozenset[int]
    cases: Counts
    sets: Counts
    last_case: int
    left: Mapping[str, int] = field(default_factory=dict)
    """Blind code -> times at the left minus times at the right."""


def session(protocol: Protocol, rater: str, index: int) -> tuple[Place, ...]:
    """The places of a rater's session: for each question's pass training, then main trials, checks and repeats mixed.

    The order of the passes rotates with the order of arrival. Gold and identical trials are spread over the pass, one
    in each equal part, the first gold within the first few; repeats stand only where something can be repeated.
    """
    keys = [question.key for question in protocol.questions]
    keys = keys[index % len(keys) :] + keys[: index % len(keys)]
    return tuple(place for key in keys for place in _pass(protocol, rater, key))


def next_trial(design: Design, coverage: Coverage, rater: RaterState) -> Trial | None:
    """The trial that comes next, or None at the end of the session. Changes nothing: see :meth:`Coverage.add`.

    Main trials never show a rater the same cell twice. A place that nothing fits (a repeat of trials that do not
    exist, a rater who has seen every cell) is skipped.
    """
    places = design.session(rater.rater, rater.index)
    # Places that nothing fitted left no trace, so the history is matched with the places from the start.
    start = _place_after(places, rater)
    for number in range(start, len(places)):
        trial = _fill(design, coverage, rater, places[number], number)
        if trial is not None:
            return trial
    return None


def trials_left(design: Design, rater: RaterState) -> int:
    """Number of places after the rater's history, for a progress bar."""
    places = design.session(rater.rater, rater.index)
    return len(places) - _place_after(places, rater)


def _cells(protocol: Protocol) -> Iterable[Cell]:
    for question in protocol.questions:
        for case in protocol.cases:
            present = sorted(case.candidates)
            sets = combinations(present, 2) if protocol.kind == "pair" else [tuple(present)]
            for methods in sets:
                yield Cell(f"{question.key}:{case.id}:{'+'.join(methods)}", question.key, case.id, tuple(methods))


def _numbered(names: Sequence[str]) -> Counts:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _random(protocol: Protocol, *what: object) -> np.random.Generator:
    text = "\0".join(map(str, (protocol.seed, *what)))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def _pass(protocol: Protocol, rater: str, question: str) -> list[Place]:
    plan = protocol.session
    random = _random(protocol, "session", rater, question)
    checks = [check for check in protocol.checks if check.question == question]
    gold = min(plan.gold, plan.trials) if any(check.kind == "gold" for check in checks) else 0
    identical = min(plan.identical, plan.trials) if any(check.kind == "identical" for check in checks) else 0
    training = min(plan.training, sum(check.kind == "training" for check in checks))
    roles: list[TrialRole] = ["main"] * plan.trials
    repeats = plan.repeats if plan.trials > plan.repeat_distance else 0
    for _ in range(repeats):
        # A gold trial may still come between, which only adds to the distance.
        roles.insert(int(random.integers(plan.repeat_distance + 1, len(roles) + 1)), "repeat")
    _spread(roles, "identical", identical, random)
    _spread(roles, "gold", gold, random)
    return [Place(question, "training")] * training + [Place(question, role) for role in roles]


def _spread(roles: list[TrialRole], role: TrialRole, times: int, random: np.random.Generator) -> None:
    """Insert ``role``, once in each of as many equal parts."""
    edges = np.linspace(0, len(roles), times + 1).astype(int)
    for start, end in reversed(list(pairwise(edges))):
        roles.insert(int(random.integers(start, max(start + 1, end))), role)


def _place_after(places: Sequence[Place], rater: RaterState) -> int:
    number = 0
    for trial in rater.history:
        while number < len(places) and (places[number].role, places[number].question) != (trial.role, trial.question):
            number += 1
        number += 1
    return number


def _fill(design: Design, coverage: Coverage, rater: RaterState, place: Place, number: int) -> Trial | None:
    if place.role == "main":
        return _main(design, coverage, rater, place.question, number)
    if place.role == "repeat":
        return _repeat(design, rater, place.question, number)
    return _check(design, rater, place, number)


def _main(design: Design, coverage: Coverage, rater: RaterState, question: str, number: int) -> Trial | None:
    seen = _seen(design, rater)
    cells = design.of_question[question]
    if seen.cells:
        unseen = np.ones(len(design.cells), dtype=bool)
        unseen[list(seen.cells)] = False
        cells = cells[unseen[cells]]
    if not len(cells):
        return None
    cases = design.case_of[cells]
    keys = (coverage.taken[cells], seen.cases[cases], seen.sets[design.set_of[cells]], cases == seen.last_case)
    kept = np.arange(len(cells))
    for key in keys:
        values = key[kept]
        kept = kept[values == values.min()]
    random = _random(design.protocol, "cell", rater.rater, number)
    chosen = int(cells[kept[random.integers(len(kept))]])
    cell = design.cells[chosen]
    if design.protocol.kind == "pair":
        order = _sides(cell, int(coverage.taken[chosen]), int(coverage.first_left[chosen]), seen, random)
    else:
        order = _rotation(design.protocol, cell, rater, question)
    candidates = design.cases[cell.case].candidates
    return Trial("main", cell.id, cell.case, question, order, tuple(candidates[code] for code in order))


def _seen(design: Design, rater: RaterState) -> _Seen:
    cells = [design.index[trial.cell] for trial in rater.history if trial.role == "main"]
    cases = np.bincount(design.case_of[cells], minlength=int(design.case_of.max()) + 1)
    sets = np.bincount(design.set_of[cells], minlength=int(design.set_of.max()) + 1)
    left: dict[str, int] = {}
    for trial in rater.history:
        if trial.role == "main" and len(trial.order) == 2:
            left[trial.order[0]] = left.get(trial.order[0], 0) + 1
            left[trial.order[1]] = left.get(trial.order[1], 0) - 1
    return _Seen(frozenset(cells), cases, sets, int(design.case_of[cells[-1]]) if cells else -1, left)


def _sides(cell: Cell, taken: int, first_left: int, seen: _Seen, random: np.random.Generator) -> tuple[str, ...]:
    first, second = cell.methods
    lead = 2 * first_left - taken or seen.left.get(first, 0) - seen.left.get(second, 0)
    if lead == 0:
        lead = 1 if random.integers(2) else -1
    return (second, first) if lead > 0 else (first, second)


def _rotation(protocol: Protocol, cell: Cell, rater: RaterState, question: str) -> tuple[str, ...]:
    """A row of a Latin square drawn anew for every n trials: each method stands in each place equally often."""
    before = sum(trial.role == "main" and trial.question == question for trial in rater.history)
    n = len(cell.methods)
    square, row = divmod(before, n)
    columns = _random(protocol, "order", rater.rater, question, square).permutation(n)
    return tuple(cell.methods[(int(column) + row) % n] for column in columns)


def _repeat(design: Design, rater: RaterState, question: str, number: int) -> Trial | None:
    history = rater.history
    done = {trial.repeats for trial in history}
    latest = len(history) - design.protocol.session.repeat_distance
    sources = [
        place
        for place, trial in enumerate(history[: max(0, latest)])
        if trial.role == "main" and trial.question == question and place not in done
    ]
    if not sources:
        return None
    source = sources[int(_random(design.protocol, "repeat", rater.rater, number).integers(len(sources)))]
    trial = history[source]
    # Reversed: the two of a pair change sides, and of several only the middle one can keep its place.
    return Trial("repeat", trial.cell, trial.case, question, trial.order[::-1], trial.media[::-1], repeats=source)


def _check(design: Design, rater: RaterState, place: Place, number: int) -> Trial | None:
    known = [c for c in design.protocol.checks if c.question == place.question and c.kind == place.role]
    used = sum(trial.role == place.role and trial.question == place.question for trial in rater.history)
    if not known:
        return None
    turn = _random(design.protocol, place.role, rater.rater, place.question).permutation(len(known))
    check = known[used % len(known)] if place.role == "training" else known[int(turn[used % len(known)])]
    return _show(check, _random(design.protocol, "check", rater.rater, number))


def _show(check: Check, random: np.random.Generator) -> Trial:
    order = [int(index) for index in random.permutation(len(check.candidates))]
    media = tuple(check.candidates[index] for index in order)
    return Trial(check.kind, check.id, check.id, check.question, tuple(map(str, order)), media)

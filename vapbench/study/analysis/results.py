"""What an analysis says, as plain records: per question and method, per pair, per category, per rater."""

from __future__ import annotations

from dataclasses import dataclass

from vapbench.stats.agreement import Alpha
from vapbench.stats.clusters import Interval
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.quality import Conduct
from vapbench.study.protocol import Protocol


@dataclass(frozen=True)
class MethodResult:
    """One method on one question."""

    name: str
    shown: int
    """Votes it was a candidate in."""
    share: Interval | None
    """Choice share (best of n: the paper's preference rate) or win share (pairs)."""
    share_bound: float
    """The largest such share the design allows: below 1 for pairs."""
    mean_win_rate: Interval | None
    """Pairs: mean over opponents; None where some pair was never shown, and for best of n."""
    luce_share: Interval
    """How often it would be chosen of all, under the fitted model; compares with a preference rate."""
    elo: float
    """The mean of a piece is 1000."""
    rank: str
    """``1`` or ``1-2``: ranks the votes leave possible, all methods at once; ``1 of {a, b}`` within a piece."""
    first: float | None
    """Probability of being the best; None without an interval."""
    design_effect: float | None
    """Variance of the share over that of as many independent votes."""


@dataclass(frozen=True)
class PairResult:
    """Two methods on one question."""

    a: str
    b: str
    wins: int
    """Votes that preferred ``a``; best of n: that chose it where both were shown."""
    ties: int
    losses: int
    win_probability: Interval
    """That ``a`` is preferred to ``b`` in a decisive vote without side effect, by the model."""
    certain: bool
    """Whether the votes tell the two apart, all pairs at once."""
    p: float | None
    """p-value of no difference, adjusted for all pairs; None without an interval."""

    @property
    def n(self) -> int:
        """Votes that compare the two."""
        return self.wins + self.ties + self.losses


@dataclass(frozen=True)
class Agreement:
    """How far raters agree, with each other and with themselves."""

    alpha: Alpha
    """Krippendorff; pairs: interval data, +1 for the first of two methods by name, a tie half-way; else nominal."""
    both_ways: float | None
    """Pairs: the same with every vote read both ways round, so that no method comes first. Not Krippendorff's: where
    the better method often comes first, his alpha takes most agreement as expected."""
    alpha_decisive: Alpha | None
    """Pairs: nominal, ties left out."""
    raw: float | None
    """Share of pairs of votes on the same thing that are equal."""
    repeats: tuple[int, int]
    """Repeated trials answered alike, and all repeated trials."""
    circular: tuple[int, int] | None
    """Pairs: circular triads and complete triads within a rater and item; chance makes a quarter circular."""


@dataclass(frozen=True)
class CategoryShare:
    """One method within one category of cases."""

    name: str
    votes: int
    """Votes it was a candidate in."""
    share: Interval | None
    """Luce share (pairs) or choice share (best of n); None where there are too few votes."""


@dataclass(frozen=True)
class CategoryResult:
    """The same model on the cases of one category: described, not tested."""

    category: str
    votes: int
    raters: int
    items: int
    methods: tuple[CategoryShare, ...]
    """In the order of the question's methods."""
    note: str = ""
    """Why there are no shares or intervals, or what a reader must know of the fit."""


@dataclass(frozen=True)
class QuestionResult:
    """All that the votes on one question say."""

    question: str
    wording: str
    votes: int
    ties: int
    raters: int
    items: int
    methods: tuple[MethodResult, ...]
    """Piece by piece, strongest first."""
    pieces: tuple[tuple[str, ...], ...]
    """Methods that were compared with each other, if only through others; nothing is known across pieces."""
    pairs: tuple[PairResult, ...]
    """Those within pieces; the stronger first in each."""
    categories: tuple[CategoryResult, ...]
    """Empty where the cases are of one category."""
    tie_odds: float | None
    """nu of the Davidson model; equal methods tie with probability nu / (2 + nu)."""
    side: Interval | None
    """delta of the Davidson model: log-odds of left over right between equal methods."""
    left_share: Interval | None
    """Share of decisive votes for the left side (pairs)."""
    agreement: Agreement
    notes: tuple[str, ...]
    """What a reader must know of the fit."""


@dataclass(frozen=True)
class StudyResult:
    """A study's analysis: with the protocol's exclusions, and without."""

    ballots: Ballots
    people: tuple[Conduct, ...]
    questions: tuple[QuestionResult, ...]
    """Without the excluded raters: the published analysis."""
    everyone: tuple[QuestionResult, ...]
    """With all raters but those who withdrew, whose votes no analysis has."""
    target: int
    """Main votes that the protocol asks for."""

    @property
    def protocol(self) -> Protocol:
        """The study's protocol."""
        return self.ballots.protocol

    @property
    def votes(self) -> int:
        """Main votes of the published analysis: a trial with several questions is one."""
        passes = {question.key for question in self.protocol.questions}
        return sum(question.votes for question in self.questions if question.question in passes)

    @property
    def choice(self) -> bool:
        """Whether methods have choice shares; else Luce shares are what compares with a preference rate."""
        methods = [method for question in (*self.questions, *self.everyone) for method in question.methods]
        return self.protocol.kind == "best_of_n" and all(method.share for method in methods)

    @property
    def excluded(self) -> tuple[Conduct, ...]:
        """Raters whose votes are left out."""
        return tuple(person for person in self.people if person.excluded)

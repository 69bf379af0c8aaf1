"""People's votes, and how often a judge agrees with them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from vapbench.core.mistaken import what_it_is
from vapbench.errors import DataError, ErrorKind
from vapbench.files.parsing import encoding_of, read_csv, read_json_records
from vapbench.files.text import counted
from vapbench.stats.intervals import Estimate as Mean
from vapbench.stats.intervals import clustered_share

Winner = Literal["model_a", "model_b", "tie"]
_BETTER = re.compile(r"(?<=.)(vote|wins?|won|(is)?better)$")
_TIE = re.compile(
    r"tied?|ties|draw|same|equal(ly(good|bad))?|neither|no(preference|difference|winner)"
    r"|(tie)?both(models|videos)?(are)?(equally)?(good|bad|equal|thesame)?"
)


@dataclass(frozen=True)
class Vote:
    """One person's preference between two runs on one case."""

    case: str
    winner: str | None
    """None for a tie."""
    loser: str | None
    """None for a tie."""


@dataclass(frozen=True)
class Agreement:
    """How often a judge prefers what people preferred."""

    accuracy: Mean
    """Share of votes whose winner has the higher score; equal scores count half. Clustered by condition."""
    ties: int
    """Votes for neither, which say nothing here."""
    elsewhere: int
    """Votes on cases or runs that are not judged here."""


def read_votes(path: Path) -> list[Vote]:
    """Read votes between two runs; see :func:`read_battles`. Models are named as run folders, items by case.

    Raises:
        DataError: the file is missing, not readable, or a vote lacks a field or has an unknown winner.
    """
    try:
        battles = read_battles(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check --votes.", ErrorKind.MISSING, "votes") from None
    if not battles:
        raise DataError(f"{path} holds no vote.", ErrorKind.MISSING, "votes")
    if missing := next((number for number, battle in enumerate(battles, start=1) if battle.item is None), None):
        raise DataError(
            f"{path}: vote {missing} needs question_id: the case it is about.", ErrorKind.MISSING, "question_id"
        )
    return [
        Vote(
            str(battle.item),
            None if battle.winner == "tie" else battle.a if battle.winner == "model_a" else battle.b,
            None if battle.winner == "tie" else battle.b if battle.winner == "model_a" else battle.a,
        )
        for battle in battles
    ]


@dataclass(frozen=True)
class Battle:
    """One person's vote between two models, wherever it was given."""

    a: str
    """Model shown first or at the left."""
    b: str
    winner: Winner
    item: str | None = None
    """What was shown: a case, a prompt."""
    rater: str | None = None
    question: str | None = None
    """What was asked."""


def read_battles(path: Path) -> list[Battle]:
    """Votes between two: JSON Lines, one JSON list, or CSV; an arena's battles, or a table with a row for each vote.

    Columns are those of FastChat's battles, or what other studies call them (:data:`COLUMNS`); others are left alone.
    Of ``votes.csv`` of ``vapbench study export`` only main votes that count are taken. What the file begins with says
    whether it is JSON, not its name.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it cannot be read, or records are no votes: the message has the first, and how many there are.
    """
    read: list[tuple[str, Callable[[Winner], Battle], _Stated]] = []
    problems: list[str] = []
    records, logged = _records(path), set[tuple[str, str]]()
    for where, record in records:
        try:
            refuse_twice(record, logged)
            if found := _battle(record):
                read.append((where, *found))
        except ValueError as error:
            problems.append(f"{path}: {where} {error}")
    by_name = _means_names([said for _, _, said in read])
    if by_name is None and not problems:
        problems = [
            f"{path}: {where} has winner {said.word!r}: {said.as_name} by its name, {said.as_side} by its side; "
            "write model_a or model_b."
            for where, _, said in read
            if said.differ
        ]
    if problems:
        more = f" ({len(problems)} of {counted(len(records), 'vote')} cannot be read.)" if len(problems) > 1 else ""
        raise DataError(problems[0] + more, ErrorKind.INVALID, "vote")
    return [battle(said.winner(bool(by_name))) for _, battle, said in read]


# As spreadsheets write them, in the languages they speak.
_YES = frozenset("true 1 1.0 yes y wahr ja vrai oui verdadero sí si verdadeiro sim vero waar prawda истина да".split())
_NO = frozenset("false 0 0.0 no n falsch nein faux non falso não onwaar nee fałsz nie ложь нет".split())

# As data frames and spreadsheets write what is not there.
_NOTHING = frozenset("NA N/A n/a #N/A NaN nan None NULL -".split())

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "model_a": tuple(
        "model_a left model_left left_model method_left method_a system_a video_a response_a "
        "model_1 method_1 system_1 video_1 modela model1".split()
    ),
    "model_b": tuple(
        "model_b right model_right right_model method_right method_b system_b video_b response_b "
        "model_2 method_2 system_2 video_2 modelb model2".split()
    ),
    "winner": ("winner", "chosen", "choice", "preferred", "preference", "vote", "label", "result", "outcome"),
    "judge": tuple(
        "judge rater annotator annotator_id rater_id worker_id worker participant user user_id evaluator evaluator_id "
        "voter".split()
    ),
    "question_id": ("question_id", "case", "item", "item_id", "prompt_id", "sample_id", "case_id", "prompt"),
    "question": ("question", "criterion", "dimension", "aspect"),
}
"""What a battle's fields are called; of several that are there the first counts."""


@dataclass(frozen=True)
class _Stated:
    """A winner as it is written, and what it may mean."""

    word: str
    as_name: Winner | None = None
    """Where it is the name of one of the two models."""
    as_side: Winner | None = None
    """Where it is a side, or a tie."""

    @property
    def differ(self) -> bool:
        return None not in (self.as_name, self.as_side) and self.as_name != self.as_side

    def winner(self, by_name: bool) -> Winner:
        found = (self.as_name or self.as_side) if by_name else (self.as_side or self.as_name)
        assert found is not None
        return found


def _means_names(said: Sequence[_Stated]) -> bool | None:
    """Whether ``A`` is a model's name or a side, where models are called so: one for a whole file, None if unknown."""
    clear = [each for each in said if (each.as_name is None) != (each.as_side is None)]
    names = any(each.as_name for each in clear)
    sides = any(each.as_side not in (None, "tie") for each in clear)
    return None if names == sides and any(each.differ for each in said) else names


def _records(path: Path) -> list[tuple[str, Any]]:
    try:
        if _is_json(path):
            return [(f"vote {number}", record) for number, record in enumerate(read_json_records(path), start=1)]
    except ValueError as error:
        said = what_it_is(path).partition(";")[0]
        if "archive" not in said:
            # A line is of a format, and an encoding of the whole file.
            said = f"{error}; {'correct it' if str(error).startswith('line') else 'save it as UTF-8'}"
        raise DataError(f"{path}: not readable as JSON or CSV ({said}).", ErrorKind.DAMAGED, path.name) from error
    return [(f"vote {number} (line {line})", row) for number, (line, row) in enumerate(read_csv(path)[1], start=1)]


def _is_json(path: Path) -> bool:
    """By what it begins with; an empty file is JSON Lines without a record."""
    with path.open(encoding=encoding_of(path), errors="replace") as handle:
        return handle.read(4096).lstrip()[:1] in ("[", "{", "")


def _battle(record: Any) -> tuple[Callable[[Winner], Battle], _Stated] | None:
    """A battle that waits for its winner, and what is said of that.

    None for what is no vote on models: checks, repeats, votes that a study does not count.

    Raises:
        ValueError: it is no vote; the message goes on after the record's name.
    """
    if not isinstance(record, Mapping):
        raise ValueError("is no record.")
    spelled = {str(name).strip().lower().replace(" ", "_").replace("-", "_"): value for name, value in record.items()}
    if spelled.get("role") not in (None, "", "main") or not counts(spelled):
        return None
    columns = {field: next((name for name in names if name in spelled), "") for field, names in COLUMNS.items()}

    def text(field: str) -> str | None:
        value = spelled.get(columns[field])
        if field not in ("model_a", "model_b", "winner") and str(value).strip() in _NOTHING:
            return None
        # Letters may be composed in two ways, and tables are typed with blanks: either would make two models of one.
        return None if value is None else unicodedata.normalize("NFC", str(value)).strip() or None

    a, b, won = text("model_a"), text("model_b"), text("winner") or _ticked(spelled)
    for field, value in (("model_a", a), ("model_b", b), ("winner", won)):
        if value is None:
            raise ValueError(f"has no {columns[field] or field}; a vote has model_a, model_b, winner.")
        if isinstance(spelled.get(columns[field]), (list, Mapping)):
            raise ValueError(f"has several values as its {field}; write a record for each vote.")
    assert a is not None and b is not None and won is not None
    if a == b:
        raise ValueError(f"compares {a} with itself; remove it.")
    said = _stated(won, (a, b), (columns["model_a"], columns["model_b"]))
    return partial(Battle, a, b, item=text("question_id"), rater=text("judge"), question=text("question")), said


def counts(record: Mapping[str, Any]) -> bool:
    """Whether a study's export counts a vote; one that says nothing of it counts.

    Raises:
        ValueError: its column ``counts`` says neither yes nor no; the message goes on after the record's name.
    """
    if not _blank(record.get("why_not")):
        return False
    if _blank(record.get("counts")):
        return True
    word = str(record["counts"]).strip().casefold()
    if word not in _YES | _NO:
        raise ValueError(f"has counts {word[:80]!r}, which is neither true nor false.")
    return word in _YES


def _blank(value: object) -> bool:
    """Whether a cell says nothing; data frames write NaN for that."""
    return value is None or value != value or not str(value).strip()


def refuse_twice(record: Any, logged: set[tuple[str, str]]) -> None:
    """Refuse a second copy of an answer: rows of a study's export have the hash of their vote.

    Raises:
        ValueError: the answer is one of ``logged``, where it is noted; the message goes on after the record's name.
    """
    if not isinstance(record, Mapping) or _blank(record.get("hash")):
        return
    answer = (str(record["hash"]), str(record.get("question")))
    if answer in logged:
        raise ValueError(f"is there twice (hash {answer[0][:8]}); remove one.")
    logged.add(answer)


def _ticked(spelled: Mapping[str, Any]) -> str | None:
    """The winner of a record that has a column of 0 and 1 for each (LMSYS's tables on Kaggle)."""
    ticked = [
        word
        for word in ("model_a", "model_b", "tie")
        if str(spelled.get(f"winner_{word}")).lower() in ("1", "1.0", "true")
    ]
    return ticked[0] if len(ticked) == 1 else None


def _stated(word: str, models: tuple[str, str], columns: tuple[str, str]) -> _Stated:
    """What a winner may mean: the column (``model_a``, ``left``), ``tie (bothbad)``, a model's name, ``A``.

    Both good and both bad are ties.

    Raises:
        ValueError: it says none of these.
    """
    plain = _BETTER.sub("", _letters(word))
    sides: tuple[Winner, Winner] = ("model_a", "model_b")
    for side, column in zip(sides, columns, strict=True):
        known = {side.replace("_", ""), _letters(column)}
        known |= {place for place in ("left", "right") if place in column}
        if plain in known:
            return _Stated(word, as_side=side)
    if _TIE.fullmatch(plain):
        return _Stated(word, as_side="tie")
    # After these: a model may be called "tie", and the words of a table mean what they say.
    as_name = next((side for side, model in zip(sides, models, strict=True) if word == model), None)
    ends = (side for side, column in zip(sides, columns, strict=True) if _letters(column.rpartition("_")[2]) == plain)
    as_side = next(ends, None)
    if as_name is None and as_side is None:
        raise ValueError(f"has winner {word[:80]!r}, which is none of {columns[0]}, {columns[1]}, tie, tie (bothbad).")
    return _Stated(word, as_name, as_side)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def agreement(
    votes: Sequence[Vote], scores: Mapping[str, Mapping[str, float]], conditions: Mapping[str, str]
) -> Agreement:
    """Compare votes with scores.

    Args:
        votes: people's preferences.
        scores: run to case to score, higher for better.
        conditions: case to condition.

    Raises:
        DataError: no vote is about two of these runs on a case that both have a score of.
    """
    agreed: list[float] = []
    clusters: list[str] = []
    ties = elsewhere = 0
    for vote in votes:
        if vote.winner is None or vote.loser is None:
            ties += 1
            continue
        winner, loser = (scores.get(name, {}).get(vote.case) for name in (vote.winner, vote.loser))
        if winner is None or loser is None:
            elsewhere += 1
            continue
        agreed.append(win(winner, loser))
        clusters.append(conditions[vote.case])
    if not agreed:
        raise DataError(
            f"Of {counted(len(votes), 'vote')}, none prefers one of these runs to another on a judged case. "
            f"Votes name runs as "
            f"their folders are called ({', '.join(scores)}), and cases by id; give every run, or raise --limit.",
            ErrorKind.CONFLICT,
            "votes",
        )
    return Agreement(clustered_share(agreed, clusters), ties, elsewhere)


def win(a: float, b: float) -> float:
    """1 if ``a`` is higher, 0 if ``b`` is, one half if they are equal."""
    return 1.0 if a > b else 0.5 if a == b else 0.0

"""Votes for others: JSONL that this program reads back, CSV a spreadsheet cannot be tricked with, Parquet, FastChat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import atomic_path, canonical_json, file_sha256, write_json, write_text
from vapbench.files.text import csv_text
from vapbench.report.render.csv import harmless
from vapbench.study.analysis.ballots import EVENTS, RATERS, VOTES, Ballots
from vapbench.study.analysis.fastchat import to_fastchat
from vapbench.study.analysis.quality import conducts
from vapbench.study.judging.log import ModelBallots, ModelVote
from vapbench.study.votes import Vote, each_answer

FASTCHAT, MODEL_VOTES = "fastchat.jsonl", "model_votes.csv"


def export(
    ballots: Ballots, folder: Path, included_only: bool = False, models: Sequence[ModelBallots] = ()
) -> dict[str, int]:
    """Write everything that was collected, and a manifest with the hash of every file.

    ``votes.jsonl`` holds the log as it was stored (``record`` and ``hash``), with method names beside it; ``votes.csv``
    and ``votes.parquet`` are one flat row per answer; ``raters.jsonl``, ``exclusions.jsonl``, ``protocol.json`` and
    ``key.json`` are what an analysis needs besides; ``events.jsonl`` says what else happened (withdrawals, pauses,
    comments at the end, looks at results); ``fastchat.jsonl`` is there for pair studies, without those who withdrew.
    Votes of models are in ``model_votes.csv`` and in no other file.

    Args:
        ballots: the votes.
        folder: where.
        included_only: leave votes out of the tables that no analysis has, instead of marking them in ``counts`` and
            ``why_not``. The log itself is always whole: its hashes are a chain.
        models: models that were asked as well.

    Returns:
        File name -> number of records.
    """
    people = conducts(ballots)
    out = {person.rater: "; ".join(person.excluded) for person in people if person.excluded}
    listed = [vote for vote in ballots.votes if not (included_only and vote.rater in out)]
    rows = [
        # Answers of one trial are one record of the log, and have its hash.
        flat(ballots, answer, out.get(vote.rater, "")) | {"hash": vote.hash}
        for vote in listed
        for answer in each_answer((vote,))
    ]
    written = {
        VOTES: _jsonl(folder / VOTES, (_logged(ballots, vote) for vote in ballots.votes)),
        RATERS: _jsonl(folder / RATERS, (rater.model_dump(mode="json") for rater in ballots.raters)),
        "exclusions.jsonl": _jsonl(
            folder / "exclusions.jsonl",
            ({"rater": p.rater, "excluded": p.excluded, "flags": p.flags} for p in people if p.excluded or p.flags),
        ),
        "votes.csv": _csv(folder / "votes.csv", rows, _COLUMNS),
        "votes.parquet": _parquet(folder / "votes.parquet", rows),
    }
    if ballots.events is not None:
        written[EVENTS] = _jsonl(folder / EVENTS, (event.model_dump(mode="json") for event in ballots.events))
    if ballots.protocol.kind == "pair":
        written[FASTCHAT] = _jsonl(folder / FASTCHAT, to_fastchat(ballots, out))
    if models:
        answers = [_of_model(ballots, model, vote) for model in models for vote in model.votes]
        written[MODEL_VOTES] = _csv(folder / MODEL_VOTES, answers, _MODEL_COLUMNS)
    write_json(folder / "protocol.json", ballots.protocol.model_dump(mode="json"))
    write_json(folder / "key.json", ballots.key.model_dump(mode="json"))
    files = (*written, "protocol.json", "key.json")
    manifest = {
        "study": ballots.protocol.id,
        "protocol_sha256": ballots.protocol.sha256,
        "votes_sha256": ballots.head,
        "records": written,
        "files": {name: file_sha256(folder / name) for name in files},
    }
    write_json(folder / "manifest.json", manifest)
    return written


def flat(ballots: Ballots, vote: Vote, why_not: str = "") -> dict[str, Any]:
    """An answer as one row of plain values, methods by name; ``why_not``: why its rater is in no analysis."""
    names = ballots.key.names()
    case = next((case for case in ballots.protocol.cases if case.id == vote.case), None)
    order = [names.get(code, code) for code in vote.order]
    return {
        "study": ballots.protocol.id,
        "sequence": vote.sequence,
        "rater": vote.rater,
        "case": vote.case,
        "condition": case.condition if case else "",
        "category": (case.category or "") if case else "",
        "question": vote.question,
        "role": vote.role,
        "shown": " | ".join(order),
        "left": order[0] if len(order) == 2 else "",
        "right": order[1] if len(order) == 2 else "",
        "chosen": "tie" if vote.chosen is None else names.get(vote.chosen, vote.chosen),
        "place": vote.choice if isinstance(vote.choice, int) else None,
        "grade": vote.grade,
        "both_bad": vote.both_bad,
        "tags": "; ".join(ballots.protocol.question(vote.question).tags[tag] for tag in vote.tags),
        "response_ms": vote.response_ms,
        "client_ms": vote.client.milliseconds,
        "plays": " ".join(map(str, vote.client.plays)),
        "stalls": vote.client.stalls,
        "dropped_frames": vote.client.dropped_frames,
        "hidden": vote.client.hidden,
        "viewport_width": vote.client.viewport[0] if vote.client.viewport else None,
        "viewport_height": vote.client.viewport[1] if vote.client.viewport else None,
        "window_width": vote.client.window[0] if vote.client.window else None,
        "window_height": vote.client.window[1] if vote.client.window else None,
        "small_window": vote.small_window,
        "browser": vote.client.browser,
        "counts": not why_not,
        "why_not": why_not,
        "late": vote.late,
        "shown_us": vote.shown_us,
        "stored_us": vote.stored_us,
        "comment": vote.comment,
        "hash": vote.hash,
    }


def _of_model(ballots: Ballots, model: ModelBallots, vote: ModelVote) -> dict[str, Any]:
    names = ballots.key.names()
    order = [names.get(code, code) for code in vote.order]
    chosen = "tie" if vote.chosen is None else names.get(vote.chosen, vote.chosen)
    said = (
        *(ballots.protocol.id, vote.voter, model.head.column, vote.trial, vote.case, vote.question, vote.role),
        *(" | ".join(order), chosen, vote.choice if isinstance(vote.choice, int) else None),
        *(vote.explanation, vote.served_by, vote.tokens_in, vote.tokens_out, vote.at_us),
    )
    return dict(zip(_MODEL_COLUMNS, said, strict=True))


def cell_text(value: object) -> str:
    """A value as a CSV cell that no spreadsheet takes for a formula."""
    return "" if value is None else str(harmless(value))


def _logged(ballots: Ballots, vote: Vote) -> dict[str, Any]:
    names = ballots.key.names()
    return {
        "record": vote.model_dump(mode="json"),
        "hash": vote.hash,
        "methods": [names.get(code, code) for code in vote.order],
        "chosen": "tie" if vote.chosen is None else names.get(vote.chosen, vote.chosen),
    }


def _jsonl(path: Path, records: Iterable[dict[str, Any]]) -> int:
    lines = [canonical_json(record) for record in records]
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _csv(path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> int:
    write_text(path, csv_text(columns, ([cell_text(row[name]) for name in columns] for row in rows)))
    return len(rows)


def _parquet(path: Path, rows: Sequence[dict[str, Any]]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(
            "votes.parquet needs pyarrow: pip install 'vapbench[study]'", ErrorKind.MISSING, "pyarrow"
        ) from None

    schema = pa.schema([(name, _arrow_type(pa, name)) for name in _COLUMNS])
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), temporary)
    return len(rows)


def _arrow_type(pa: Any, name: str) -> Any:
    if name in ("late", "counts", "small_window", "both_bad"):
        return pa.bool_()
    return pa.int64() if name in _INTEGERS else pa.string()


_INTEGERS = frozenset(
    {"sequence", "place", "grade", "response_ms", "client_ms", "shown_us", "stored_us"}
    | {"stalls", "dropped_frames", "hidden"}
    | {"viewport_width", "viewport_height", "window_width", "window_height"}
)
_COLUMNS = (
    *("study", "sequence", "rater", "case", "condition", "category", "question", "role", "shown", "left", "right"),
    *("chosen", "place", "grade", "both_bad", "tags"),
    *("response_ms", "client_ms", "plays", "stalls", "dropped_frames", "hidden"),
    *("viewport_width", "viewport_height", "window_width", "window_height", "small_window", "browser"),
    *("counts", "why_not", "late", "shown_us", "stored_us", "comment", "hash"),
)
_MODEL_COLUMNS = (
    *("study", "voter", "model", "trial", "case", "question", "role", "shown", "chosen", "place", "explanation"),
    *("served_by", "tokens_in", "tokens_out", "at_us"),
)

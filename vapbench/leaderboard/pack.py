"""Making a submission of a run: what a reader needs, and nothing about the machine it was made on."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import canonical_json, write_json
from vapbench.files.faults import faults, field_of
from vapbench.leaderboard.roster import Roster
from vapbench.leaderboard.submission import MANIFEST, Code, Output, Submission
from vapbench.leaderboard.texts import NOTE, unfit_note
from vapbench.methods.folder import Folder
from vapbench.report.read.run_summary import ColumnKey
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.results.run import RunFolder

_KEPT = ("condition", "category", "tasks", "seeds")
"""Of a case: what it is otherwise, the suite says."""
_SESSION = ("started", "ended", "device", "git")


def pack(
    run: Path,
    out: Path,
    *,
    submitter: str,
    contact: str,
    licence: str,
    code: Code | None = None,
    videos: bool = True,
    link: str | None = None,
    roster: Roster | None = None,
    title: str | None = None,
) -> Submission:
    """Write the submission of a run.

    Args:
        run: a run folder.
        out: folder to make; its name is the submission's id.
        submitter: who submits.
        contact: an e-mail address or a link.
        licence: of the videos.
        title: of the method; None: that of its card, and of videos that were there before the run's name.
        code: where the generator can be read; None if it cannot.
        videos: whether to copy the videos.
        link: where they are otherwise, each under its file's name.
        roster: what the suite's board takes; seeds and columns that it does not have are left out. None: all are kept.

    Raises:
        UsageError: ``out`` is there already, or a field is not of its form.
        DataError: ``run`` is no run folder, or lacks a video that it lists.
    """
    folder = RunFolder(run)
    manifest = folder.manifest()
    if out.exists():
        raise UsageError(f"{out} is there already; name another folder, or remove it.", ErrorKind.CONFLICT, "out")
    taken = [row for row in folder.current() if roster is None or row.seed in roster.seeds]
    made = [row for row in taken if row.status == "ok"]
    try:
        said = Submission(
            schema_=1,
            id=out.name,
            title=title or _title(folder) or out.name,
            submitter=submitter,
            contact=contact,
            licence=licence,
            seeds=tuple(sorted({row.seed for row in taken})),
            outputs=tuple(Output(case=row.case, seed=row.seed, sha256=str(row.sha256)) for row in made),
            code=code,
            videos=link,
        )
    except ValidationError as error:
        raise UsageError(faults(error), ErrorKind.INVALID, field_of(error.errors()[0])) from error
    if videos:
        for row in made:
            path = folder.videos / str(row.video)
            if folder.video_of(row) is None:
                why = "is not the file that was scored" if path.exists() else "is not here: git keeps rows, not videos"
                raise DataError(
                    f"{path} {why}; make it again (vapbench generate), or submit rows alone (--no-videos).",
                    ErrorKind.CONFLICT if path.exists() else ErrorKind.MISSING,
                    "videos",
                )
    out.mkdir(parents=True)
    # Rows that count, and no others: a submission has one output per case and seed. Tracebacks name folders.
    current = [replace(row, attempts=tuple(map(_brief, row.attempts)), note=_plain(row.note)) for row in taken]
    _write_rows(out / "generations.jsonl", current)
    shown = {made_by.metric for made_by in roster.columns} if roster else manifest.metrics
    for column in folder.columns():
        scores = _current(folder.scores(column).values(), made)
        if roster and not all(roster.column(_key(row)) for row in scores):
            continue
        brief = [
            replace(row, failure=_brief(row.failure) if row.failure else None, note=_plain(row.note)) for row in scores
        ]
        _write_rows(out / "scores" / f"{column}.jsonl", brief)
    if videos:
        (out / "videos").mkdir()
        for row in made:
            shutil.copyfile(folder.videos / str(row.video), out / "videos" / str(row.video))
    write_json(out / "manifest.json", _published(manifest.document, shown))
    write_json(out / MANIFEST, said.model_dump(mode="json", by_alias=True))
    return said


def code_of(repository: str | None, commit: str | None) -> Code | None:
    """Where a generator can be read; None for a closed one.

    Raises:
        UsageError: only one of the two is named, or one is not of its form.
    """
    if (repository is None) != (commit is None):
        raise UsageError(
            "--repository and --commit go together: name both, or neither for a closed generator.",
            ErrorKind.MISSING,
            "commit" if commit is None else "repository",
        )
    if repository is None or commit is None:
        return None
    try:
        return Code(repository=repository, commit=commit)
    except ValidationError as error:
        field = error.errors()[0]["loc"][0]
        forms = {"repository": "an http(s) link", "commit": "7 to 64 digits of the commit, 0 to 9 and a to f"}
        given = {"repository": repository, "commit": commit}[str(field)]
        raise UsageError(f"--{field} {given} is not {forms[str(field)]}.", ErrorKind.INVALID, str(field)) from None


def _current(rows: Iterable[ScoreRow], made: Sequence[GenerationRow]) -> list[ScoreRow]:
    """The last score of each video that is submitted."""
    videos = {(row.case, row.seed): row.sha256 for row in made}
    last = {(row.case, row.seed): row for row in rows if videos.get((row.case, row.seed)) == row.video_sha256}
    return list(last.values())


def _title(folder: RunFolder) -> str:
    """The method's; a folder of videos is called by its run, for its card says only that it is one."""
    manifest = folder.manifest()
    own = manifest.identity.name == Folder.name
    return folder.path.name.partition("~")[0] if own else manifest.card.title or ""


def _key(row: ScoreRow) -> ColumnKey:
    return ColumnKey(row.metric, row.version, canonical_json(row.params))


def _brief(failure: Failure) -> Failure:
    return Failure(_plain(failure.type), _plain(failure.message))


def _plain(text: str) -> str:
    """A message of a library as the board takes it: its first line, or why there is none."""
    line = unicodedata.normalize("NFC", text.split("\n")[0])[:NOTE]
    reason = unfit_note(line, links=True)
    return f"the message is left out: it {reason.partition(' (')[0]}" if reason else line


def _write_rows(path: Path, rows: Sequence[GenerationRow | ScoreRow]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(canonical_json(asdict(row)) + "\n" for row in rows), encoding="utf-8")


def _published(manifest: Mapping[str, Any], shown: Container[str]) -> dict[str, Any]:
    cases = {
        name: {key: case[key] for key in _KEPT if key in case} for name, case in (manifest.get("cases") or {}).items()
    }
    sessions = [{key: session[key] for key in _SESSION if key in session} for session in manifest.get("sessions") or ()]
    metrics = {name: item for name, item in (manifest.get("metrics") or {}).items() if name in shown}
    return {**manifest, "cases": cases, "sessions": sessions, "metrics": metrics}

"""What the site shows, as data: a board per suite, an entry per run, and what stands behind each number."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vapbench.errors import DataError
from vapbench.files.atomic import is_reserved, quoted
from vapbench.files.parsing import read_text
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.studies import Study, read_studies
from vapbench.leaderboard.submission import MANIFEST, Submission, read_submission
from vapbench.report.model import TableModel
from vapbench.report.read.columns import REFERENCE_KINDS, Column, rows_of
from vapbench.report.read.evidence import Evidence, read_all
from vapbench.report.tables.published import as_table, publications, with_published
from vapbench.report.tables.summary import tables_of, task_names
from vapbench.results.run import RunFolder, runs_below
from vapbench.suites import load_suites

Badge = Literal["published", "self-reported", "recomputed", "reproduced"]
BADGES: Mapping[str, str] = {
    "published": "As a paper printed it; not measured here, not ranked.",
    "self-reported": "The submitter's own rows; nobody here has seen the videos.",
    "recomputed": "We scored the videos ourselves: those of our own runs, or given to us. Nobody has made them again.",
    "reproduced": "A second, independent run made at least a tenth of the cases again, with equal videos or scores.",
    "human study": "People compared its videos in a preference study.",
}
"""From the weakest to the strongest; a human study is a badge beside the others."""

REPRODUCED_SHARE = 0.1
"""Of a run's cases: so many must have been made a second time before it is called reproduced."""

SMALL = frozenset({"mini"})
"""Suites of toy clips and tiny models: their numbers never stand on a board with full-size ones."""


@dataclass(frozen=True)
class Entry:
    """One run on a board."""

    label: str
    slug: str
    """Part of its page's name; unique on its board."""
    run: Evidence
    badge: Badge
    human_study: bool = False
    submission: Submission | None = None

    @property
    def bounds(self) -> bool:
        """Whether it is a floor or a ceiling, which does not compete."""
        return self.run.manifest.card.kind in REFERENCE_KINDS

    @property
    def badges(self) -> tuple[str, ...]:
        """Its verification, and whether people have compared its videos."""
        return (self.badge, "human study") if self.human_study else (self.badge,)


@dataclass(frozen=True)
class Board:
    """One suite: its tables, and the runs they are made of."""

    suite: str
    slug: str
    title: str
    tables: tuple[TableModel, ...]
    """One per task, small ones first; the last holds every case of the tasks."""
    whole: TableModel
    """All planned cases, without published rows."""
    entries: tuple[Entry, ...]
    ratio: str = "3 / 2"
    """Width and height of its clips, as CSS spells it."""
    studies: tuple[Study, ...] = ()

    @property
    def small(self) -> bool:
        """Whether it is a board of toy clips."""
        return self.suite in SMALL

    @cached_property
    def cases(self) -> dict[str, Entry]:
        """Every case, and the first run of ours that planned it: what its captions and media are taken from."""
        trusted = sorted(self.entries, key=lambda entry: entry.submission is not None)
        found: dict[str, Entry] = {}
        for entry in trusted:
            for case in entry.run.cases():
                found.setdefault(case, entry)
        return dict(sorted(found.items()))


class Attested(BaseModel):
    """What maintainers say of one run: ``leaderboard/badges.json`` maps ``suite/run`` to this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    badge: Literal["self-reported", "recomputed", "reproduced"] | None = None
    regenerated: int = Field(default=0, ge=0)
    """Cases that somebody else, or another machine, made again with equal videos or scores."""


@dataclass(frozen=True)
class Leaderboard:
    """The folder beside the site: submissions, studies, changelog, badges."""

    path: Path

    @property
    def submissions(self) -> Path:
        """One folder per submission."""
        return self.path / "submissions"

    @property
    def studies(self) -> Path:
        """``leaderboard.json`` of closed preference studies, one file each."""
        return self.path / "studies"

    @property
    def changelog(self) -> Path:
        """One line per change of a board, never rewritten."""
        return self.path / "changelog.jsonl"

    def attested(self) -> dict[str, Attested]:
        """What maintainers say of runs.

        Raises:
            DataError: the file is not of this form.
        """
        path = self.path / "badges.json"
        if not path.is_file():
            return {}
        try:
            return _Badges.model_validate_json(read_text(path)).runs
        except (ValueError, ValidationError) as error:
            raise DataError(f'{path} must be {{"runs": {{"suite/run": {{"badge": …}}}}}}; mend it.') from error


class _Badges(BaseModel):
    model_config = ConfigDict(extra="forbid")

    runs: dict[str, Attested] = Field(default_factory=dict)


@dataclass
class _Sources:
    folders: list[RunFolder] = field(default_factory=list)
    submitted: dict[Path, Submission] = field(default_factory=dict)


def collect(results: Sequence[Path], leaderboard: Leaderboard) -> list[Board]:
    """Read every run and accepted submission.

    Full-size boards come first, and boards with measured runs before those of published rows alone.

    Raises:
        DataError: a run, a submission or a study cannot be read, or a run has the name of another.
    """
    sources = _Sources(runs_below(results))
    for path in sorted(leaderboard.submissions.glob(f"*/{MANIFEST}")):
        if problems := check_submission(path.parent):
            raise DataError(f"{path.parent}: {problems[0]}; see: vapbench leaderboard check {quoted(path.parent)}")
        sources.folders.append(RunFolder(path.parent))
        sources.submitted[path.parent] = read_submission(path.parent)
    suites: dict[str, list[Evidence]] = {paper.suite: [] for paper in publications()}
    for run in read_all(sources.folders):
        suites.setdefault(run.suite, []).append(run)
    for runs in suites.values():
        _refuse_namesakes(runs)
    attested = leaderboard.attested()
    studies = read_studies(leaderboard.studies)
    if boardless := [study for study in studies if study.suite not in suites]:
        raise DataError(
            f"{leaderboard.studies}: {boardless[0].study} is about {boardless[0].suite}, which has no board: "
            "no run of that suite is in the results."
        )
    boards = [
        _board(suite, runs, sources.submitted, attested, [study for study in studies if study.suite == suite])
        for suite, runs in sorted(suites.items())
    ]
    return sorted(boards, key=lambda board: (not board.entries, board.small))


def _refuse_namesakes(runs: Sequence[Evidence]) -> None:
    """Badges and the changelog know a run by suite and folder: a namesake would pass for it."""
    named: dict[str, Path] = {}
    for run in runs:
        path = run.folder.path
        if other := named.get(path.name):
            raise DataError(
                f"{path} has the name of {other}, and a board knows runs of {run.suite} by that; rename the later one."
            )
        named[path.name] = path


def _board(
    suite: str,
    runs: Sequence[Evidence],
    submitted: Mapping[Path, Submission],
    attested: Mapping[str, Attested],
    studies: Sequence[Study],
) -> Board:
    declared = load_suites().get(suite)
    title = declared.title if declared else suite
    spec = declared.clip if declared else None
    ratio = f"{spec.width} / {spec.height}" if spec else "3 / 2"
    papers = [paper for paper in publications() if paper.suite == suite]
    if not runs:
        published = as_table(papers[0])
        return Board(suite, slug(suite), title, (published,), published, (), ratio)
    names = task_names(runs)
    tables = [headline_first(table) for table in tables_of(suite, runs, names)]
    everything = {case for run in runs for case in run.cases()}
    covered = set(tables[-1].conditions) == everything
    whole = tables[-1] if covered else headline_first(tables_of(suite, runs, [None])[0])
    tables[-1] = with_published(tables[-1], papers)
    entries = tuple(_entries(suite, runs, submitted, attested, studies))
    return Board(suite, slug(suite), title, tuple(tables), whole, entries, ratio, tuple(studies))


def headline(columns: Sequence[Column]) -> int:
    """The column a board is sorted by at first: whether the semantic was carried over, if it has such a column."""
    names = [column.metric.partition("[")[0] for column in columns]
    return names.index("semantic_alignment") if "semantic_alignment" in names else 0


def headline_first(table: TableModel) -> TableModel:
    """The table with its headline column in front."""
    first = headline(table.columns)
    order = [first, *(place for place in range(len(table.columns)) if place != first)] if table.columns else []
    return replace(
        table,
        columns=tuple(table.columns[place] for place in order),
        cells=tuple(tuple(line[place] for place in order) for line in table.cells),
        scores=tuple(tuple(line[place] for place in order) for line in table.scores),
    )


def _entries(
    suite: str,
    runs: Sequence[Evidence],
    submitted: Mapping[Path, Submission],
    attested: Mapping[str, Attested],
    studies: Sequence[Study],
) -> list[Entry]:
    entries = []
    compared = [method for study in studies for method in study.methods.values()]
    for row, run in zip(rows_of(runs), runs, strict=True):
        submission = submitted.get(run.folder.path)
        said = attested.get(f"{suite}/{run.folder.path.name}", Attested())
        name = f"{run.folder.path.name}-submitted" if submission else run.folder.path.name
        badge = said.badge or ("self-reported" if submission else "recomputed")
        total = len(run.cases())
        if badge == "reproduced" and said.regenerated < REPRODUCED_SHARE * total:
            raise DataError(
                f"{run.folder.path}: reproduced needs {REPRODUCED_SHARE:.0%} of its {total} cases made again, "
                f'badges.json has "regenerated": {said.regenerated}; make more, or attest recomputed.'
            )
        seen_by_people = any(method.shows(run.folder.path, run.manifest.document["identity"]) for method in compared)
        entries.append(Entry(row.label, slug(name), run, badge, seen_by_people, submission))
    return entries


def slug(name: str) -> str:
    """A file name for ``name``: itself if it is harmless, otherwise with a hash so that no two fall together."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,120}", name) and not is_reserved(name):
        return name.replace("~", "_")
    kept = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
    return f"{kept}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}".lstrip("-")

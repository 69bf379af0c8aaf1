"""What the site shows, as data: a board per suite, an entry per run, and what stands behind each number."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import is_reserved
from vapbench.files.parsing import read_text
from vapbench.leaderboard.audits import AuditMatrix
from vapbench.leaderboard.studies import Study
from vapbench.leaderboard.submission import Submission
from vapbench.report.model import TableModel
from vapbench.report.read.columns import REFERENCE_KINDS, Column
from vapbench.report.read.probes import EFFECT, Probe
from vapbench.report.read.run_summary import RunSummary
from vapbench.suites import family

Badge = Literal["published", "self-reported", "recomputed", "reproduced"]
BADGES: Mapping[str, str] = {
    "published": "As a paper printed it; not measured here, not ranked.",
    "self-reported": "The submitter's own rows; no scoring of ours confirms them.",
    "recomputed": "We scored the videos ourselves: those of our own runs, or given to us. Nobody has made them again.",
    "reproduced": "A second, independent run made at least a tenth of the cases again, with equal videos or scores.",
    "human study": "People compared its videos in a preference study.",
}
"""From the weakest to the strongest; a human study is a badge beside the others."""

SMALL = frozenset({"mini"})
"""Suites of toy clips and tiny models: their numbers never stand on a board with full-size ones."""


@dataclass(frozen=True)
class Entry:
    """One run on a board."""

    label: str
    slug: str
    """Part of its page's name; unique on its board."""
    run: RunSummary
    badge: Badge
    human_study: bool = False
    submission: Submission | None = None
    anew: Attested | None = None
    """Of a verified submission: what scoring its videos anew found."""

    @property
    def bounds(self) -> bool:
        """Whether it is a floor or a ceiling, which does not compete."""
        return self.run.manifest.card.kind in REFERENCE_KINDS

    @property
    def date(self) -> str:
        """When its last session ended, ``YYYY-MM-DD``; empty if unknown."""
        sessions = self.run.manifest.sessions
        return (sessions[-1].ended or sessions[-1].started or "")[:10] if sessions else ""

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
    weights: Mapping[str, str] = field(default_factory=dict)
    """Definition of a column -> hash of the weights its values depend on; columns of none are not in it."""
    probes: tuple[Probe, ...] = ()
    """What reference and caption cause, of methods that stand here."""
    audit: AuditMatrix | None = None
    """What the columns see of known edits."""
    papers: tuple[TableModel, ...] = ()
    """Tables of papers, each under its own columns and to its own digits, on a board that has measured rows."""

    @property
    def small(self) -> bool:
        """Whether it is a board of toy clips."""
        return family(self.suite) in SMALL

    @cached_property
    def columns(self) -> dict[str, Column]:
        """What was measured here, by definition: each has a page."""
        found = self.whole.columns if self.entries else ()
        return {column.definition: column for column in found if column.metric != EFFECT}

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
    submission: str | None = None
    """Of a submission: the hash of what was verified. Another row is another submission, and self-reported."""
    videos: int = Field(default=0, ge=0)
    """Of a submission: videos that were scored anew."""
    of: int = Field(default=0, ge=0)
    """Of so many."""
    copies: int = Field(default=0, ge=0)
    """Of these: videos that are others."""
    differences: int = Field(default=0, ge=0)
    """Scores that were not what was submitted."""
    noted: int = Field(default=0, ge=0)
    """Of these: videos that may be given ones, edited, or that a run of ours has as well; maintainers look at them."""
    equal: int = Field(default=0, ge=0)
    """Of these: files of our own run of the very method, parameters and weights that the submission names."""


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
    def audits(self) -> Path:
        """What metrics see of known edits, a CSV for each suite."""
        return self.path / "audits"

    @property
    def clips(self) -> Path:
        """What committed runs made, made again to be shown; not in git."""
        return self.path / "clips"

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
            raise DataError(
                f'{path} must be {{"runs": {{"suite/run": {{"badge": …}}}}}}; fix it.', ErrorKind.INVALID, path.name
            ) from error


class _Badges(BaseModel):
    model_config = ConfigDict(extra="forbid")

    runs: dict[str, Attested] = Field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A submission that no board shows."""

    name: str
    """Of its folder."""
    why: str
    namesake: bool = False
    """Whether it is left out for its name alone, which a run on the board has."""


def headline(columns: Sequence[Column]) -> int:
    """The column a board is sorted by at first: whether the semantic was carried over, if it has such a column."""
    names = [column.metric.partition("[")[0] for column in columns]
    return names.index("semantic_alignment") if "semantic_alignment" in names else 0


def slug(name: str) -> str:
    """A file name for ``name``: itself if it is harmless, otherwise with a hash so that no two fall together."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,120}", name) and not is_reserved(name):
        return name.replace("~", "_")
    kept = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
    return f"{kept}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}".lstrip("-")

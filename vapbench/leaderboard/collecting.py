"""From folders to boards: which runs and submissions stand on each, and how far each was verified."""

from __future__ import annotations

import shlex
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import quoted
from vapbench.files.journal import unseal
from vapbench.files.text import counted
from vapbench.leaderboard.admitted import admit, labelled, table_of_reported, with_reported
from vapbench.leaderboard.audits import read_audit
from vapbench.leaderboard.boards import Attested, Badge, Board, Entry, Leaderboard, LeftOut, headline, slug
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.roster import Rosters
from vapbench.leaderboard.studies import Study, read_studies
from vapbench.leaderboard.submission import MANIFEST, Submission, read_submission, submission_digest
from vapbench.leaderboard.texts import read_as
from vapbench.report.model import TableModel
from vapbench.report.read.columns import rows_of
from vapbench.report.read.probes import Probe, read_probes
from vapbench.report.read.read_runs import read_all
from vapbench.report.read.run_summary import RunSummary
from vapbench.report.tables.effects import with_effects
from vapbench.report.tables.published import as_table, publications
from vapbench.report.tables.summary import tables_of, task_names
from vapbench.results.rows import ScoreRow
from vapbench.results.run import RunFolder, runs_below
from vapbench.suites import load_suites

REPRODUCED_SHARE = 0.1
"""Of a run's cases: so many must have been made a second time before it is called reproduced."""


@dataclass(frozen=True)
class Collected:
    """What there is to show, and what is not shown."""

    boards: tuple[Board, ...]
    """Full-size boards first, and boards with measured runs before those of published rows alone."""
    left_out: tuple[LeftOut, ...] = ()


def collect(results: Sequence[Path], leaderboard: Leaderboard, data: Path | None = None) -> Collected:
    """Read every run, and every submission that passes the check; one that does not is left out, and said to be.

    Args:
        results: folders of our own runs.
        leaderboard: submissions, studies, badges.
        data: what suites that need data read, to know their cases by.

    Raises:
        DataError: a run of ours or a study cannot be read.
    """
    submitted: dict[Path, Submission] = {}
    left_out: list[LeftOut] = []
    runs_read, rosters = read_all(runs_below(results)), Rosters(results, data)
    suites: dict[str, list[RunSummary]] = {paper.suite: [] for paper in publications()}
    for run in runs_read:
        suites.setdefault(run.suite, []).append(run)
    for path in sorted(leaderboard.submissions.glob(f"*/{MANIFEST}")):
        problems, other = check_submission(path.parent, rosters), ""
        if not problems:
            folder, said = RunFolder(path.parent), read_submission(path.parent)
            run = admit(folder, said, rosters.of(folder.manifest().identity.suite))
            if other := _namesake(run, suites.setdefault(run.suite, [])):
                problems = [f"it has the name of {other}, and a board knows runs of {run.suite} by that; rename it"]
            else:
                suites[run.suite].append(run)
                submitted[path.parent] = said
        # Where the folder lies is nobody's business on a public page.
        left_out += [
            LeftOut(path.parent.name, problem.replace(f"{path.parent}/", ""), bool(other)) for problem in problems[:1]
        ]
    attested = leaderboard.attested()
    studies, probes = read_studies(leaderboard.studies), read_probes(results)
    if boardless := [study for study in studies if study.suite not in suites]:
        raise DataError(
            f"{leaderboard.studies}: {boardless[0].study} is about {boardless[0].suite}, which has no board: "
            "no run of that suite is in the results.",
            ErrorKind.UNKNOWN,
            "suite",
        )
    boards = [
        replace(
            _board(
                *(suite, runs, submitted, attested, [study for study in studies if study.suite == suite]),
                [probe for probe in probes if probe.suite == suite],
            ),
            audit=read_audit(leaderboard.audits, suite),
        )
        for suite, runs in sorted(suites.items())
    ]
    return Collected(tuple(sorted(boards, key=lambda board: (not board.entries, board.small))), tuple(left_out))


def _namesake(submission: RunSummary, runs: Sequence[RunSummary]) -> str:
    """A run that the name of a submission reads as: badges know a run by it, and so do readers; "" for none."""
    reading = read_as(submission.folder.path.name)
    return next((run.folder.path.name for run in runs if read_as(run.folder.path.name) == reading), "")


def _board(
    suite: str,
    runs: Sequence[RunSummary],
    submitted: Mapping[Path, Submission],
    attested: Mapping[str, Attested],
    studies: Sequence[Study],
    probes: Sequence[Probe],
) -> Board:
    declared = load_suites().get(suite)
    title = declared.title if declared else suite
    spec = declared.clip if declared else None
    ratio = f"{spec.width} / {spec.height}" if spec else "3 / 2"
    papers = [paper for paper in publications() if paper.suite == suite]
    if not runs:
        published = as_table(papers[0])
        return Board(suite, slug(suite), title, (published,), published, (), ratio)
    badges = {run.folder.path: _badge(suite, run, submitted, attested) for run in runs}
    anew = {
        path: said
        for path, badge in badges.items()
        if badge != "self-reported" and path in submitted and (said := attested.get(f"{suite}/{path.name}"))
    }
    trusted = [run for run in runs if badges[run.folder.path] != "self-reported"]
    rows = rows_of(trusted)
    reported = labelled([run for run in runs if run not in trusted], [row.label for row in rows])
    # What only a submission takes part in has a table of its own, before those that are measured.
    unmeasured = [task for task in task_names(list(reported.values())) if not any(run.cases(task) for run in trusted)]
    tables = [table_of_reported(suite, task, reported) for task in unmeasured if reported]
    if trusted:
        by_label = {row.label: run for row, run in zip(rows, trusted, strict=True)}
        for table in tables_of(suite, trusted, task_names(trusted)):
            ours = [probe for probe in probes if probe.task == table.task]
            tables.append(with_effects(table, by_label, dict.fromkeys(by_label, ours)))
    everything = {case for run in runs for case in run.cases()}
    if set(tables[-1].conditions) == everything:
        whole = tables[-1]
    else:
        whole = tables_of(suite, trusted, [None])[0] if trusted else table_of_reported(suite, None, reported)
    found = {
        label: said
        for label, run in reported.items()
        if (said := attested.get(f"{suite}/{run.folder.path.name}"))
        and said.submission == submission_digest(run.folder.path)
    }
    *tables, last, whole = (headline_first(with_reported(table, reported, found)) for table in (*tables, whole))
    entries = [
        *(_entry(row.label, run, badges, submitted, studies, anew) for row, run in zip(rows, trusted, strict=True)),
        *(_entry(label, run, badges, submitted, studies, anew) for label, run in reported.items()),
    ]
    weights = weights_of(trusted)
    return Board(
        suite,
        slug(suite),
        title,
        (*tables, last),
        whole,
        tuple(entries),
        ratio,
        tuple(studies),
        {
            column.definition: weights[column.metric, column.version]
            for column in whole.columns
            if weights.get((column.metric, column.version))
        },
        probes=tuple(probes),
        papers=tuple(as_table(paper) for paper in papers),
    )


def weights_of(runs: Sequence[RunSummary]) -> dict[tuple[str, int], str]:
    """Metric and version -> hash of the weights that the runs were scored with; empty for none.

    Raises:
        DataError: two runs were scored with different weights: their numbers are of different columns.
    """
    found: dict[tuple[str, int], tuple[str, Path]] = {}
    for run in runs:
        for path in sorted((run.folder.path / "scores").glob("*.jsonl")):
            row = _last_row(path)
            if row is None or row.params:
                continue
            weights, key = row.weights, (row.metric, row.version)
            known, first = found.setdefault(key, (weights, path))
            if known != weights:
                raise DataError(
                    f"{path} and {first} were scored with different weights of {key[0]}, and a column is of one; "
                    f"score the run anew: vapbench score {quoted(run.folder.path)} --metric {shlex.quote(key[0])}",
                    ErrorKind.CONFLICT,
                    "weights",
                )
    return {key: weights for key, (weights, _) in found.items()}


def _last_row(path: Path) -> ScoreRow | None:
    """The last row of a file, whose weights are the column's: a report reads no row of others."""
    for line in path.read_bytes().split(b"\n")[-2::-1]:
        try:
            return msgspec.convert(unseal(line), ScoreRow)
        except (ValueError, msgspec.ValidationError):
            continue
    return None


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


def _badge(
    suite: str, run: RunSummary, submitted: Container[Path], attested: Mapping[str, Attested]
) -> Literal["self-reported", "recomputed", "reproduced"]:
    """What was verified: of a submission, only while it is the one that was verified."""
    path = run.folder.path
    said = attested.get(f"{suite}/{path.name}", Attested())
    if path in submitted and said.submission != submission_digest(path):
        return "self-reported"
    if path not in submitted and said.submission:
        # It was said of a submission of that name, which moves no badge of ours.
        said = Attested()
    total = len(run.cases())
    if said.badge == "reproduced" and said.regenerated < REPRODUCED_SHARE * total:
        raise DataError(
            f"{path}: reproduced needs {REPRODUCED_SHARE:.0%} of its {counted(total, 'case')} made again, "
            f'badges.json has "regenerated": {said.regenerated}; make more, or attest recomputed.',
            ErrorKind.CONFLICT,
            "badges.json",
        )
    return said.badge or ("self-reported" if path in submitted else "recomputed")


def _entry(
    label: str,
    run: RunSummary,
    badges: Mapping[Path, Badge],
    submitted: Mapping[Path, Submission],
    studies: Sequence[Study],
    anew: Mapping[Path, Attested],
) -> Entry:
    path, identity = run.folder.path, run.manifest.document["identity"]
    seen_by_people = any(method.shows(path, identity) for study in studies for method in study.methods.values())
    name = f"{path.name}-submitted" if path in submitted else path.name
    said = anew.get(path)
    # Reproduced is attested by hand, and of no videos.
    scored = said if said and said.of else None
    return Entry(label, slug(name), run, badges[path], seen_by_people, submitted.get(path), scored)

"""Run folders as summaries: of each column the scores that stand, of videos and cases as they are now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import lru_cache

from vapbench.files.atomic import canonical_json
from vapbench.metrics.base import CAPTION_CUT
from vapbench.report.read.run_summary import ColumnKey, RunSummary
from vapbench.report.read.scores import NOTHING, Place, ReadScore, Scores
from vapbench.results.keys import needed_sha256
from vapbench.results.manifest import Manifest
from vapbench.results.rows import GenerationRow, ScoreRow, uncollected
from vapbench.results.run import RunFolder

_NO_VIDEO: tuple[Place, None] = ("", 0), None


def read_summary(folder: RunFolder, parts: bool = True) -> RunSummary:
    """Read manifest, generations and scores of a run folder.

    Args:
        folder: the run.
        parts: whether to keep what each score is made of, which may be much more than the score.

    Raises:
        DataError: there is no manifest, or a file is damaged or of another schema.
    """
    rows_made = folder.current(light=True)
    current = {(row.case, row.seed): row for row in rows_made if row.code == rows_made[-1].code}
    generations: dict[str, list[GenerationRow]] = {}
    for row in current.values():
        generations.setdefault(row.case, []).append(row)
    scores: dict[ColumnKey, Scores] = {}
    files: dict[ColumnKey, str] = {}
    manifest = folder.manifest()
    depends = _Dependencies(manifest)
    # The columns of a run share its places: a tuple for each score would be most of what is kept.
    videos = {place: (place, made.sha256) for place, made in current.items() if made.status == "ok"}
    for name in folder.columns():
        rows = list(folder.scores(name, light=True).values())
        added = _add_standing(scores, rows, videos, depends, parts)
        files |= dict.fromkeys(added, rows[-1].weights if rows else "")
    return RunSummary(
        folder,
        manifest,
        {case: tuple(sorted(rows, key=lambda row: row.seed)) for case, rows in generations.items()},
        scores,
        files,
    )


def read_all(folders: Iterable[RunFolder]) -> list[RunSummary]:
    """Read many run folders for tables, without what the scores are made of.

    Raises:
        DataError: as :func:`read_summary`.
    """
    with uncollected():
        return [read_summary(folder, parts=False) for folder in folders]


def split_by_files(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Runs of which equal columns are of equal files: scores by other weights, or by a metric as it was, are another.

    Where runs of one suite disagree, each one's column says which files it is of, as parameter ``files``.
    """
    files: dict[tuple[str, ColumnKey], set[str]] = {}
    for run in runs:
        for key, column in run.scores.items():
            if column.numbers:
                files.setdefault((run.suite, key), set()).add(run.files[key])
    several = {place for place, found in files.items() if len(found) > 1}
    return [_named_by_files(run, {key for suite, key in several if suite == run.suite}) for run in runs]


def _named_by_files(run: RunSummary, several: Set[ColumnKey]) -> RunSummary:
    if not several & set(run.scores):
        return run

    def named(key: ColumnKey) -> ColumnKey:
        if key not in several or not run.scores[key].numbers:
            return key
        return replace(key, params=canonical_json({**json.loads(key.params), "files": run.files[key][:8] or "none"}))

    return replace(
        run,
        scores={named(key): column for key, column in run.scores.items()},
        files={named(key): files for key, files in run.files.items()},
    )


def _add_standing(
    scores: dict[ColumnKey, Scores],
    rows: Sequence[ScoreRow],
    videos: Mapping[Place, tuple[Place, str | None]],
    depends: _Dependencies,
    parts: bool,
) -> list[ColumnKey]:
    """Add the scores of current videos of cases as they are now to their columns, and return which these are."""
    # Of several weights, the last used are the column: scores of others would be another definition.
    weights = rows[-1].weights if rows else ""
    metric, version, params = "", 0, None
    column = Scores(metric)
    expected: Mapping[str, str] = {}
    found: dict[ColumnKey, Scores] = {}
    for score in rows:
        case = score.case
        place, sha256 = videos.get((case, score.seed), _NO_VIDEO)
        if score.video_sha256 != sha256 or score.weights != weights:
            continue
        if score.metric != metric or score.version != version or score.params != params:
            metric, version, params = score.metric, score.version, score.params
            key, expected = ColumnKey(metric, version, canonical_json(params)), depends.of(metric)
            column = found.setdefault(key, scores.get(key) or Scores(metric))
        if (needed := expected.get(case)) is not None and needed != score.case_sha256:
            continue
        if score.value is None or score.parts or score.note or score.kind:
            column.add(place, _told(score, parts))
        else:
            column.add_number(place, score.value)
    added = {key: column for key, column in found.items() if column}
    scores.update(added)
    return list(added)


def _told(row: ScoreRow, parts: bool) -> ReadScore:
    # Rows of before notes had a kind say how much of a caption was lost among their parts.
    kind = row.kind or (CAPTION_CUT if row.parts.get("tokens_dropped") else "")
    return ReadScore(row.metric, row.status, row.value, row.note, row.failure, row.parts if parts else NOTHING, kind)


class _Dependencies:
    """The case fields that scores depend on, as the manifest has them now (a caption may have been edited since)."""

    def __init__(self, manifest: Manifest) -> None:
        self._metrics = manifest.metrics
        self._fields = {name: case.fields for name, case in manifest.cases.items()}
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def of(self, metric: str) -> Mapping[str, str]:
        """Case -> hash of what the metric needs of it, where that is known."""
        shown = self._metrics.get(metric)
        if shown is None or shown.needs is None:
            return {}
        needs = shown.needs
        if tuple(needs) not in self._known:
            wanted = set(needs)
            self._known[tuple(needs)] = {
                case: _needed(tuple((need, fields[need]) for need in wanted))
                for case, fields in self._fields.items()
                if fields is not None and wanted <= fields.keys()
            }
        return self._known[tuple(needs)]


@lru_cache(maxsize=1 << 16)
def _needed(hashes: tuple[tuple[str, str], ...]) -> str:
    """Remembered, as the runs of a table have the same cases."""
    return needed_sha256([need for need, _ in hashes], dict(hashes))

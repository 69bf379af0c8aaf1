"""Merge runs: the shards of one run, or what several sites made of it.

Everything is read and compared before anything is written. What counts is each source's current row of a case and
seed; sources stay as they are. Merging again adds nothing, and a merge that was killed is finished by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from vapbench.errors import DataError, ErrorKind, IdentityError, UsageError
from vapbench.files.atomic import digest, file_sha256, write_json
from vapbench.files.lock import refuse_if_written
from vapbench.files.provenance import now
from vapbench.results.rows import SCHEMA, GenerationRow, ScoreRow, Status
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter, identity_differences, import_video, merge_case

Row = TypeVar("Row", GenerationRow, ScoreRow)
Place = tuple[str, int]
"""Case and seed."""

_BEST_FIRST: tuple[Status, ...] = ("ok", "unscored", "failed")
_CASE = ("condition", "category", "fields")
_METRIC = ("needs", "higher_is_better", "unit", "scale", "range")


@dataclass(frozen=True)
class Merged:
    """What came of merging one run."""

    run: Path
    sources: int
    generations: int
    """Rows added."""
    scores: int
    videos: int
    """Videos copied."""
    equal: int
    """Rows that several sources share."""
    outdone: int
    """Failures that another source's success stands for."""
    without_video: int
    """Rows whose video no source has; the command that made the run makes it again."""


def merge(sources: Sequence[Path], into: Path, argv: Sequence[str] = ()) -> list[Merged]:
    """Merge runs into the run ``into``, or results folders into the results folder ``into``.

    Raises:
        UsageError: a source is neither a run nor a results folder, or some are one and some the other.
        DataError: a source is being written, is damaged, or says something else than another about the same thing.
        IdentityError: sources are of other methods, parameters or weights.
    """
    sources = [path for path in dict.fromkeys(sources) if path.resolve() != into.resolve()]
    if not sources:
        raise UsageError(
            "Nothing to merge: name the runs, or the results folders, whose rows go into --into DIR.",
            ErrorKind.MISSING,
            "runs",
        )
    if all((path / "manifest.json").is_file() for path in sources):
        return [_merge_run([RunFolder(path) for path in sources], RunFolder(into), argv)]
    runs: dict[Path, list[RunFolder]] = {}
    for path in sources:
        found = sorted(manifest.parent for manifest in path.glob("*/*/manifest.json"))
        if not found:
            raise UsageError(
                f"{path} is neither a run nor a folder of runs (SUITE/RUN); see: vapbench list runs",
                ErrorKind.UNKNOWN,
                "runs",
            )
        for run in found:
            runs.setdefault(run.relative_to(path), []).append(RunFolder(run))
    return [_merge_run(folders, RunFolder(into / name), argv) for name, folders in runs.items()]


def _merge_run(sources: Sequence[RunFolder], target: RunFolder, argv: Sequence[str]) -> Merged:
    for source in sources:
        refuse_if_written(source.path)
    with ExitStack() as stack:
        folders, writer = list(sources), RunWriter(target)
        if target.manifest_path.exists():
            # Locked before it is read; where there is nothing yet, nothing is made until all is known to agree.
            folders.insert(0, target)
            stack.enter_context(writer)
        manifest = _merged_manifest(folders)
        made = _Choice(folders, _generations(folders), _same_video, "generations.jsonl")
        _refuse_one_video_for_two(made)
        scored = [_scores(folders, column, made) for column in sorted({c for f in folders for c in f.columns()})]
        videos = {place: _intact_video(made, place) for place, row in made.rows.items() if row.status == "ok"}
        new_videos = {place: path for place, path in videos.items() if path and path.parent != target.videos}
        added = made.missing_in(target)
        added_scores = [row for column in scored for row in column.missing_in(target)]
        if target not in folders:
            stack.enter_context(writer)
        _write_manifest(target, manifest, sources, argv)
        for place, path in new_videos.items():
            _copy(path, target.videos / path.name, made.rows[place])
        for row in added:
            writer.append(row)
        for score in added_scores:
            writer.append(score)
    return Merged(
        run=target.path,
        sources=len(sources),
        generations=len(added),
        scores=len(added_scores),
        videos=len(new_videos),
        equal=made.equal + sum(column.equal for column in scored),
        outdone=made.outdone + sum(column.outdone for column in scored),
        without_video=sum(path is None for path in videos.values()),
    )


class _Choice(Generic[Row]):
    """The row that stands for each place, out of what the folders say: a success before a failure.

    Raises:
        DataError: two folders have different successes for one place.
    """

    def __init__(
        self,
        folders: Sequence[RunFolder],
        said: Sequence[Mapping[Place, Row]],
        same: Callable[[Row, Row], bool],
        file: str,
    ) -> None:
        self.rows: dict[Place, Row] = {}
        self.said_by: dict[Place, list[RunFolder]] = {}
        """Who has a row that is as good, in the order of the folders."""
        self.equal = self.outdone = 0
        self._said: dict[Path, Mapping[Place, Row]] = {f.path: rows for f, rows in zip(folders, said, strict=True)}
        for folder, rows in zip(folders, said, strict=True):
            for place, row in rows.items():
                self._take(folder, place, row, same, file)

    def missing_in(self, target: RunFolder) -> list[Row]:
        """Rows that ``target`` does not have as its own."""
        own = self._said.get(target.path, {})
        return [row for place, row in self.rows.items() if own.get(place) is not row]

    def _take(self, folder: RunFolder, place: Place, row: Row, same: Callable[[Row, Row], bool], file: str) -> None:
        known = self.rows.get(place)
        if known is not None and known.status == row.status:
            first = self.said_by[place][0]
            if row.status == "ok" and not same(known, row):
                raise DataError(
                    f"{first.path / file} and {folder.path / file} say different things of {place[0]} seed {place[1]}: "
                    f"{_told(known)} there, {_told(row)} here. Only one can stand: merge without one of the two, "
                    "or take its line out of one of the files.",
                    ErrorKind.CONFLICT,
                    "row",
                )
            self.equal += 1
            self.said_by[place].append(folder)
            return
        self.outdone += known is not None
        if known is None or _BEST_FIRST.index(row.status) < _BEST_FIRST.index(known.status):
            self.rows[place] = row
            self.said_by[place] = [folder]


def _refuse_one_video_for_two(made: _Choice[GenerationRow]) -> None:
    """No run names two videos alike; copied, one would take the other's place."""
    owners: dict[str, Place] = {}
    for place, row in made.rows.items():
        if row.status == "ok" and row.video and owners.setdefault(row.video, place) != place:
            raise DataError(
                f"{made.said_by[place][0].generations_path} gives {place[0]} seed {place[1]} the video {row.video}, "
                f"which is that of {owners[row.video][0]}; take the line out and make it again, then merge.",
                ErrorKind.CONFLICT,
                "video",
            )


def _same_video(one: GenerationRow, other: GenerationRow) -> bool:
    return (one.key, one.sha256) == (other.key, other.sha256)


def _same_score(one: ScoreRow, other: ScoreRow) -> bool:
    return (one.key, one.value, digest(dict(one.parts))) == (other.key, other.value, digest(dict(other.parts)))


def _told(row: GenerationRow | ScoreRow) -> str:
    if isinstance(row, ScoreRow):
        return f"{row.value!r} (key {row.key[:8]})"
    return f"video {str(row.sha256)[:12]} (key {row.key[:8]})"


def _generations(folders: Sequence[RunFolder]) -> list[dict[Place, GenerationRow]]:
    read = [folder.current() for folder in folders]
    _agree(folders, [rows[-1].code if rows else None for rows in read], "was made by another method.py")
    # Rows of other code than the last row's count nowhere.
    return [{(row.case, row.seed): row for row in rows if row.code == rows[-1].code} for rows in read]


def _scores(folders: Sequence[RunFolder], column: str, made: _Choice[GenerationRow]) -> _Choice[ScoreRow]:
    read = [list(folder.scores(column).values()) for folder in folders]
    definitions = [(rows[-1].version, rows[-1].weights) if rows else None for rows in read]
    _agree(folders, definitions, f"scored {column} by another version or other weights")
    said = []
    for rows in read:
        # As in a report: by the weights used last, of the video that stands, and of nothing else.
        current = {(row.case, row.seed): row for row in rows if row.weights == rows[-1].weights}
        said.append({place: row for place, row in current.items() if _scores_the_video(row, made.rows.get(place))})
    return _Choice(folders, said, _same_score, f"scores/{column}.jsonl")


def _scores_the_video(score: ScoreRow, row: GenerationRow | None) -> bool:
    return row is not None and row.status == "ok" and row.sha256 == score.video_sha256


def _intact_video(made: _Choice[GenerationRow], place: Place) -> Path | None:
    """The first intact file of a row's video; None where nobody has the video.

    Raises:
        DataError: the only files there are were changed since.
    """
    row, changed = made.rows[place], None
    for folder in made.said_by[place]:
        path = folder.video_of(row)
        if path:
            return path
        if row.video and (folder.videos / row.video).is_file():
            changed = folder
    if changed:
        raise DataError(
            f"{changed.videos / str(row.video)} is not the video that was scored: its SHA-256 is another than its "
            "row's. Make it again by the command that made the run, then merge.",
            ErrorKind.DAMAGED,
            "video",
        )
    return None


def _copy(source: Path, destination: Path, row: GenerationRow) -> None:
    import_video(source, destination)
    if file_sha256(destination) != row.sha256:
        raise DataError(
            f"{destination} was not copied whole from {source}; look at the disk, then merge again.",
            ErrorKind.DAMAGED,
            "video",
        )


def _merged_manifest(folders: Sequence[RunFolder]) -> dict[str, Any]:
    """The manifests as one.

    Raises:
        DataError: they disagree on what matters.
    """
    manifests = [folder.manifest().document for folder in folders]
    first = manifests[0]
    merged: dict[str, Any] = {**first, "cases": {}, "metrics": {}, "card": {}}
    for folder, manifest in zip(folders, manifests, strict=True):
        if manifest.get("schema") != SCHEMA:
            raise DataError(
                f"{folder.path} has schema {manifest.get('schema')}, this version merges {SCHEMA}.",
                ErrorKind.CONFLICT,
                "schema",
            )
        if differing := identity_differences(first["identity"], manifest["identity"]):
            raise IdentityError(
                f"{folders[0].path} and {folder.path} are results of different identities ({differing}); "
                "merge only runs of one method, with one set of parameters and weights.",
                ErrorKind.CONFLICT,
                differing.partition(":")[0],
            )
        for kind, fields in (("cases", _CASE), ("metrics", _METRIC)):
            _refuse_other_content(folder, merged[kind], manifest.get(kind) or {}, fields)
        for name, case in (manifest.get("cases") or {}).items():
            merged["cases"][name] = merge_case(merged["cases"].get(name, {}), case)
        merged["metrics"] |= manifest.get("metrics") or {}
        merged["card"] |= manifest.get("card") or {}
    merged["sessions"] = _distinct(session for manifest in manifests for session in manifest.get("sessions") or ())
    merged["sessions"].sort(key=lambda session: str(session.get("started")))
    return merged


def _refuse_other_content(
    folder: RunFolder, known: Mapping[str, Any], items: Mapping[str, Any], fields: Iterable[str]
) -> None:
    for name in known.keys() & items.keys():
        differing = [field for field in fields if known[name].get(field) != items[name].get(field)]
        if differing:
            raise DataError(
                f"{folder.manifest_path} says something else about {name} ({', '.join(differing)}) than the runs "
                "before it: it was made from other data, or by another version. Merge only runs of the same cases "
                "and metrics.",
                ErrorKind.CONFLICT,
                differing[0],
            )


def _agree(folders: Sequence[RunFolder], values: Sequence[object], what: str) -> None:
    said = [(folder, value) for folder, value in zip(folders, values, strict=True) if value is not None]
    for folder, value in said[1:]:
        if value != said[0][1]:
            raise DataError(
                f"{folder.path} {what} than {said[0][0].path}; merge them apart, or make one of them anew.",
                ErrorKind.CONFLICT,
                "manifest",
            )


def _write_manifest(target: RunFolder, manifest: Mapping[str, Any], sources: Sequence[RunFolder], argv: Any) -> None:
    old = target.manifest().document if target.manifest_path.exists() else {}
    if old and all(old.get(key) == value for key, value in manifest.items()):
        return
    record = {"when": now(), "argv": list(argv), "sources": len(sources)}
    write_json(target.manifest_path, {**manifest, "merges": [*old.get("merges", ()), record]})


def _distinct(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({digest(item): item for item in items}.values())

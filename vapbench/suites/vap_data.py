"""VAP-Data's published layout: ``benchmark.csv``, ``vap_data.csv`` and the videos they name.

``benchmark.csv`` lists the paper's cases (``video_paths, ref_video_path, tar_video_caption, ref_video_caption``);
``vap_data.csv`` lists every video (``video_paths, ref_video_paths`` as a JSON list, ``tar_video_caption, kind, split,
reference_alignment_score``, perhaps ``_valid``). Paths are relative to the data set's folder, or to the table's. The
first frame of the target video is the input image. Without ``benchmark.csv`` the held-out rows of ``vap_data.csv``
(``split`` other than ``train``) are the cases, and every command says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationError

from vapbench.core.case import Case, CaseNote, ClipSpec, Reference
from vapbench.errors import DataError, ErrorKind
from vapbench.files.faults import unusable
from vapbench.files.text import counted, some
from vapbench.suites.table import MediaFinder, identifiers, read_table
from vapbench.suites.tasks import categories
from vapbench.suites.vap_index import ListedVideo, VideoIndex, is_valid
from vapbench.suites.vap_layout import BENCHMARK, INDEX, PUBLISHED, Layout, find_layout

log = logging.getLogger(__name__)

_COLUMNS = ("video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption")


@dataclass(frozen=True)
class _Wanted:
    """One case, by paths as the files spell them."""

    where: str
    target: str
    references: tuple[tuple[str, str], ...]
    """Path and caption of each."""
    caption: str
    listed: ListedVideo | None = None
    """What ``vap_data.csv`` says of the target."""
    notes: tuple[CaseNote, ...] = ()


@dataclass(frozen=True)
class TrainingRow:
    """A clip of the training split."""

    where: str
    """File and line, for messages."""
    path: str
    """Of the video, relative to the data."""
    caption: str
    condition: str
    finder: MediaFinder = field(repr=False)

    def video(self) -> Path:
        """The video.

        Raises:
            DataError: it is absent.
        """
        path = self.finder.find(self.where, self.path).path
        self.finder.refuse_missing()
        return path


def training_rows(data: Path) -> list[TrainingRow]:
    """Read the training split (``split`` is ``train``) in the file's order; only those who use a video look for it.

    Rows whose ``_valid`` is 0 or less are left out, and so are those whose split is blank, which are counted.

    Raises:
        DataError: ``vap_data.csv`` is absent or damaged, or a video of it is in the benchmark (a leak).
    """
    # Whatever table was named: what is held out decides what may be trained on.
    layout = find_layout(data.parent if data.is_file() else data)
    if layout.index is None:
        raise DataError(
            f"{data}: no {INDEX} there, which says what may be trained on; check --data.", ErrorKind.MISSING, "data"
        )
    finder = MediaFinder(layout.folder, layout.bases)
    index = VideoIndex(layout.index, finder)
    held_out = set()
    for case in _read_benchmark(layout.benchmark, finder) if layout.benchmark else ():
        used = (case.target, *(path for path, _ in case.references))
        held_out |= {listed.path for path in used if (listed := index.find(path, case.where))}
    rows = []
    for found in index.videos():
        if not any(row.row["split"] and row.trains and row.valid for row in found):
            continue
        listed = index.one_of(found)
        if listed.path in held_out:
            raise DataError(
                f"{listed.where}: {listed.path} is in {BENCHMARK} and must not be trained on; correct the split.",
                ErrorKind.CONFLICT,
                "split",
            )
        rows.append(TrainingRow(listed.where, listed.path, listed.caption, listed.kind, finder))
    index.report()
    return rows


def load(data: Path, clip: ClipSpec, train_references: Literal["keep", "refuse"] = "keep") -> list[Case]:
    """Read the held-out cases of a copy of VAP-Data.

    Args:
        data: its folder, its folder ``benchmark``, or the table that holds the cases.
        clip: what every method is asked for.
        train_references: what to do with a case whose reference is in the train split, as the official validation
            loader may draw them: keep it, and note it on the case; or refuse it.

    Raises:
        DataError: neither table is there, a column is missing, a path leaves the folder, a case depends on a row that
            is blank or doubled, a video is absent, or a case's target is in the train split (a leak).
    """
    layout = find_layout(data)
    finder = MediaFinder(layout.folder, layout.bases)
    index = VideoIndex(layout.index, finder)
    wanted = _read_benchmark(layout.benchmark, finder) if layout.benchmark else _held_out(layout, index)
    wanted = _without_invalid([_looked_up(item, index, train_references) for item in wanted], index)
    _report(layout, wanted, index)
    category = {name: str(value) for name, value in categories().items()}
    parts = [
        (_condition(item), PurePosixPath(item.target).stem, PurePosixPath(item.references[0][0]).stem)
        for item in wanted
    ]
    names = identifiers(parts, [(item.target, item.references[0][0]) for item in wanted])
    cases = [_case(item, name, finder, category, clip) for item, name in zip(wanted, names, strict=True)]
    finder.refuse_missing()
    if finder.moved:
        log.warning(
            "%s in another folder than the tables say, found by name: %s",
            counted(len(finder.moved), "file lies", "files lie"),
            some([f"{path} at {found}" for path, found in finder.moved.items()]),
        )
    return cases


def _read_benchmark(path: Path, finder: MediaFinder) -> list[_Wanted]:
    cases: dict[_Wanted, str] = {}
    rows = read_table(path, _COLUMNS).rows
    if not rows:
        raise DataError(f"{path}: no rows below the header; fetch the file again.", ErrorKind.MISSING)
    valid = [row for row in rows if is_valid(row)]
    for row in valid:
        reference = (finder.inside(row.where, row["ref_video_path"]), row["ref_video_caption"])
        target = finder.inside(row.where, row["video_paths"])
        cases.setdefault(_Wanted("", target, (reference,), row["tar_video_caption"]), row.where)
    if len(cases) < len(rows):
        log.warning(
            "%s: %s left out: %d with _valid <= 0, %d that repeat an earlier row.",
            *(path, counted(len(rows) - len(cases), "row"), len(rows) - len(valid), len(valid) - len(cases)),
        )
    return [replace(case, where=where) for case, where in cases.items()]


def _held_out(layout: Layout, index: VideoIndex) -> list[_Wanted]:
    """Rows outside the train split: what there is without ``benchmark.csv``."""
    cases, misaligned, invalid = [], 0, 0
    for rows in index.videos():
        if all(row.row["split"] and row.trains for row in rows) or not any(row.references for row in rows):
            continue
        if not all(row.valid for row in rows):
            invalid += 1
        # 0 is the default of the official loader. The released recipes train on scores above 10, and validate on those
        # above 70.
        elif not any((row.alignment or 0.0) > 0 for row in rows):
            misaligned += 1
        elif not (row := index.one_of(rows)).trains:
            cases.append(_from_index(row, index))
    if misaligned:
        log.warning(
            "%s: %s with reference_alignment_score <= 0 or none left out.",
            *(layout.index, counted(misaligned, "held-out row")),
        )
    if invalid:
        log.warning("%s: %s with _valid <= 0 left out.", layout.index, counted(invalid, "held-out row"))
    kept = [case for case in cases if case.references]
    if not kept:
        raise DataError(
            f"{layout.index}: no held-out row (split other than train) with a reference; check --data.",
            ErrorKind.MISSING,
            "split",
        )
    why = "" if layout.chosen else f"{layout.folder}: no {BENCHMARK} there, nor in a folder {PUBLISHED}. "
    held_out = counted(len(kept), "held-out row")
    log.warning("%sThe cases are %s of %s: not the paper's.", why, held_out, layout.index)
    return kept


def _from_index(row: ListedVideo, index: VideoIndex) -> _Wanted:
    references = []
    for path in row.references:
        listed = index.find(path, row.where)
        if path != row.path and (listed is None or listed.valid):
            references.append((path, listed.caption if listed else ""))
    note = CaseNote(kind="held-out-rows", detail=INDEX)
    return _Wanted(row.where, row.path, tuple(references), row.caption, notes=(note,))


def _looked_up(case: _Wanted, index: VideoIndex, train_references: str) -> _Wanted:
    """The case with what ``vap_data.csv`` says of its videos.

    Raises:
        DataError: its target is in the train split; or a reference is, and that is to be refused.
    """
    target = index.find(case.target, case.where)
    advice = "a model may have seen it. Remove the row, or correct the split."
    if target and target.trains:
        raise DataError(
            f"{case.where}: its target {case.target} is in the train split ({_short(target)}): {advice}",
            ErrorKind.CONFLICT,
            "target",
        )
    notes = list(case.notes)
    if target is None:
        notes.append(CaseNote(kind="leaks-unchecked", detail=case.target))
    for path, _ in case.references:
        listed = index.find(path, case.where)
        if not listed or not listed.trains:
            continue
        if train_references == "refuse":
            raise DataError(
                f"{case.where}: its reference {path} is in the train split ({_short(listed)}): {advice}",
                ErrorKind.CONFLICT,
                "reference",
            )
        notes.append(CaseNote(kind="train-reference", detail=path))
    return replace(case, listed=target, notes=tuple(notes))


def _without_invalid(cases: Sequence[_Wanted], index: VideoIndex) -> list[_Wanted]:
    kept: list[_Wanted] = []
    left_out: list[_Wanted] = []
    for case in cases:
        rows = [case.listed, *(index.find(path, case.where) for path, _ in case.references)]
        (kept if all(row is None or row.valid for row in rows) else left_out).append(case)
    if left_out:
        where = some([case.where for case in left_out])
        log.warning(
            "%d of %s left out, for a video with _valid <= 0: %s", len(left_out), counted(len(cases), "case"), where
        )
    return kept


def _report(layout: Layout, cases: Sequence[_Wanted], index: VideoIndex) -> None:
    """Say what a reader of the numbers must know of the tables."""
    log.info("Cases are read from %s, splits from %s.", layout.benchmark or layout.index, layout.index or "nowhere")
    index.report()
    kinds = [[note.kind for note in case.notes] for case in cases]
    unlisted = [case.target for case, noted in zip(cases, kinds, strict=True) if "leaks-unchecked" in noted]
    if layout.index is None:
        log.warning("%s: no %s, so leaks from the train split cannot be checked.", layout.folder, INDEX)
    elif unlisted:
        log.warning(
            "%s: %d of %s not listed, so leaks from the train split cannot be checked, and their folder is "
            "their condition: %s",
            *(layout.index, len(unlisted), counted(len(cases), "target"), some(unlisted)),
        )
    if trained := sum("train-reference" in noted for noted in kinds):
        log.warning(
            "%d of %s with a reference in the train split, which a trained model may have seen: kept, and noted "
            "under tables; --suite vap-data:train_references=refuse refuses them.",
            *(trained, counted(len(cases), "case")),
        )


def _short(listed: ListedVideo) -> str:
    return f"{INDEX}:{listed.row.line}"


def _case(item: _Wanted, name: str, finder: MediaFinder, category: dict[str, str], clip: ClipSpec) -> Case:
    condition = _condition(item)
    target = finder.find(item.where, item.target)
    references = tuple(
        Reference(video=finder.find(item.where, path), caption=caption or None) for path, caption in item.references
    )
    try:
        return Case.model_validate(
            {
                "id": name,
                "condition": condition,
                "category": category.get(condition),
                "references": references,
                "image": target,
                "target": target,
                "caption": item.caption or None,
                "clip": clip,
                "notes": item.notes,
            }
        )
    except ValidationError as error:
        raise unusable(item.where, error) from error


def _condition(item: _Wanted) -> str:
    condition = item.listed.kind if item.listed else PurePosixPath(item.target).parent.name
    if not condition:
        raise DataError(
            f"{item.where}: no condition for {item.target}; list it in {INDEX} with its kind.",
            ErrorKind.MISSING,
            "condition",
        )
    return condition

"""VAP-Data's published layout: ``benchmark.csv`` and ``vap_data.csv`` beside the videos.

``benchmark.csv`` lists the paper's cases (``video_paths, ref_video_path, tar_video_caption, ref_video_caption``);
``vap_data.csv`` lists every video (``video_paths, ref_video_paths`` as a JSON list, ``tar_video_caption, kind, split,
reference_alignment_score``). Paths are relative to the folder. The first frame of the target video is the input
image. Without ``benchmark.csv`` the held-out rows of ``vap_data.csv`` (``split`` other than ``train``) are the cases.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.errors import DataError
from vapbench.files.atomic import check_inside
from vapbench.files.parsing import parse_json, read_csv
from vapbench.suites.tasks import categories, explain

log = logging.getLogger(__name__)

BENCHMARK, INDEX = "benchmark.csv", "vap_data.csv"
_BENCHMARK_COLUMNS = ("video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption")
_INDEX_COLUMNS = (
    "video_paths",
    "ref_video_paths",
    "tar_video_caption",
    "kind",
    "split",
    "reference_alignment_score",
)


@dataclass(frozen=True)
class _Listed:
    """One row of ``vap_data.csv``."""

    line: int
    path: str
    references: tuple[str, ...]
    caption: str
    kind: str
    split: str
    alignment: float


@dataclass(frozen=True)
class _Wanted:
    """One case, by paths as the files spell them."""

    where: str
    target: str
    references: tuple[tuple[str, str], ...]
    """Path and caption of each."""
    caption: str


@dataclass(frozen=True)
class TrainingRow:
    """A clip of the training split."""

    data: Path
    where: str
    """File and line, for messages."""
    path: str
    """Of the video, below ``data``."""
    caption: str
    condition: str

    def video(self) -> Path:
        """The video.

        Raises:
            DataError: it is absent.
        """
        return _video(self.data, self.where, self.path).path


def training_rows(data: Path) -> list[TrainingRow]:
    """Read the training split (``split`` is ``train``) in the file's order; only those who use a video look for it.

    Raises:
        DataError: ``vap_data.csv`` is absent or damaged, or a video of it is in the benchmark (a leak).
    """
    if not (data / INDEX).is_file():
        raise DataError(f"{data}: no {INDEX} there, which says what may be trained on; check --data.")
    held_out: set[str] = set()
    if (data / BENCHMARK).is_file():
        for case in _read_benchmark(data / BENCHMARK):
            held_out |= {case.target, *(path for path, _ in case.references)}
    rows = []
    for listed in _read_index(data / INDEX).values():
        if listed.split != "train":
            continue
        where = f"{data / INDEX}:{listed.line}"
        if listed.path in held_out:
            raise DataError(f"{where}: {listed.path} is in {BENCHMARK} and must not be trained on; correct the split.")
        rows.append(TrainingRow(data, where, listed.path, listed.caption, listed.kind))
    return rows


def load(data: Path, clip: ClipSpec) -> list[Case]:
    """Read the held-out cases below ``data``.

    Raises:
        DataError: neither file is there, a column is missing, a path leaves the folder, a row is listed twice, a
            video is absent, or a case's target or reference is in the train split (a leak).
    """
    index = _read_index(data / INDEX) if (data / INDEX).is_file() else {}
    if (data / BENCHMARK).is_file():
        wanted = _read_benchmark(data / BENCHMARK)
    elif index:
        wanted = _held_out(data / INDEX, index)
    else:
        raise DataError(f"{data}: neither {BENCHMARK} nor {INDEX} is there; check --data.")
    if not index:
        log.warning("%s: no %s, so leaks from the train split cannot be checked.", data, INDEX)
    for case in wanted:
        _refuse_leak(case, index)
    category = {name: str(value) for name, value in categories().items()}
    return [_case(data, item, index, category, clip) for item in wanted]


def _read_benchmark(path: Path) -> list[_Wanted]:
    cases = []
    for line, row in _rows(path, _BENCHMARK_COLUMNS):
        where = f"{path}:{line}"
        reference = (_safe(where, row["ref_video_path"]), row["ref_video_caption"].strip())
        cases.append(_Wanted(where, _safe(where, row["video_paths"]), (reference,), row["tar_video_caption"].strip()))
    if not cases:
        raise DataError(f"{path}: no rows below the header; fetch the file again.")
    return cases


def _read_index(path: Path) -> dict[str, _Listed]:
    index: dict[str, _Listed] = {}
    for line, row in _rows(path, _INDEX_COLUMNS):
        where = f"{path}:{line}"
        video = _safe(where, row["video_paths"])
        if video in index:
            raise DataError(f"{where}: {video} is listed already in line {index[video].line}; remove one.")
        if not row["split"].strip():
            raise DataError(f"{where}: split is blank; write train or test, or a leak could not be told.")
        references = tuple(_safe(where, item) for item in _json_list(where, row["ref_video_paths"]))
        index[video] = _Listed(
            line,
            video,
            references,
            row["tar_video_caption"].strip(),
            row["kind"].strip(),
            row["split"].strip(),
            _number(where, row["reference_alignment_score"]),
        )
    return index


def _held_out(path: Path, index: dict[str, _Listed]) -> list[_Wanted]:
    cases, misaligned = [], 0
    for row in index.values():
        if row.split == "train" or not row.references:
            continue
        # The official loader keeps only scores above 0: below, the reference does not show the target's semantic.
        if not row.alignment > 0:
            misaligned += 1
            continue
        captions = [index[name].caption if name in index else "" for name in row.references]
        references = tuple(zip(row.references, captions, strict=True))
        cases.append(_Wanted(f"{path}:{row.line}", row.path, references, row.caption))
    if misaligned:
        log.warning("%s: %d held-out rows have reference_alignment_score <= 0 and are left out.", path, misaligned)
    if not cases:
        raise DataError(f"{path}: no held-out row (split other than train) with a reference; check --data.")
    return cases


def _refuse_leak(case: _Wanted, index: dict[str, _Listed]) -> None:
    for role, video in [("target", case.target), *(("reference", path) for path, _ in case.references)]:
        listed = index.get(video)
        if listed and listed.split == "train":
            raise DataError(
                f"{case.where}: its {role} {video} is in the train split ({INDEX}:{listed.line}): "
                "a model may have seen it. Remove the row, or correct the split."
            )


def _case(data: Path, item: _Wanted, index: dict[str, _Listed], category: dict[str, str], clip: ClipSpec) -> Case:
    condition = index[item.target].kind if item.target in index else PurePosixPath(item.target).parent.name
    if not condition:
        raise DataError(f"{item.where}: no condition for {item.target}; list it in {INDEX} with its kind.")
    target = _video(data, item.where, item.target)
    references = tuple(
        Reference(video=_video(data, item.where, path), caption=caption or None) for path, caption in item.references
    )
    try:
        return Case.model_validate(
            {
                "id": _identifier(condition, item.target, item.references[0][0]),
                "condition": condition,
                "category": category.get(condition),
                "references": references,
                "image": target,
                "target": target,
                "caption": item.caption or None,
                "clip": clip,
            }
        )
    except ValidationError as error:
        raise DataError(f"{item.where}: {explain(error)}") from error


def _video(data: Path, where: str, path: str) -> Media:
    full = data / path
    if not full.is_file():
        raise DataError(f"{where}: {path} is not below {data}; fetch the videos, or correct the row.")
    return Media(path=full)


def _identifier(condition: str, target: str, reference: str) -> str:
    parts = (condition, PurePosixPath(target).stem, PurePosixPath(reference).stem)
    return "--".join(re.sub(r"[^A-Za-z0-9._-]+", "-", part) for part in parts)


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    header, rows = read_csv(path)
    if missing := [column for column in columns if column not in header]:
        raise DataError(f"{path}: no column {', '.join(missing)} (found: {', '.join(header)}); fetch it again.")
    complete = []
    for line, row in rows:
        cells = {column: cell for column in columns if (cell := row[column]) is not None}
        if short := [column for column in columns if column not in cells]:
            raise DataError(f"{path}:{line}: the row ends before {short[0]}; complete it.")
        complete.append((line, cells))
    return complete


def _safe(where: str, text: str) -> str:
    try:
        return check_inside(text)
    except ValueError as error:
        raise DataError(f"{where}: {error}; write it relative to the data folder, without '..'.") from error


def _json_list(where: str, text: str) -> list[str]:
    try:
        value = parse_json(text) if text.strip() else []
    except ValueError as error:
        raise DataError(f"{where}: ref_video_paths is not a JSON list ({error}); correct the row.") from error
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: ref_video_paths must be a JSON list of paths; correct the row.")
    return value


def _number(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}: reference_alignment_score is {text!r}, not a number; correct the row.") from None

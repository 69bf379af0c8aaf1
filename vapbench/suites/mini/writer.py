"""The mini suite as files in VAP-Data's own layout, for readers and trainers of that data set.

<folder>/benchmark.csv                 one row per case
<folder>/vap_data.csv                  one row per video, training and test
<folder>/<condition>/<scene>.mp4       paths in the tables are relative to the folder
<folder>/mini.json                     what was written, so that a second call has nothing to do
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.cases import MiniCase, benchmark_cases, grammar_cases, training_clip
from vapbench.suites.mini.conditions import SEEN
from vapbench.suites.mini.grammar.codes import GRAMMAR_VERSION, code_of
from vapbench.suites.mini.grammar.split import all_training_conditions
from vapbench.suites.mini.render import FPS, MiniClip

DATA_VERSION = 2
"""Raised whenever any clip or caption of the suite changes."""

ALIGNMENT_SCORE = 100.0
"""VAP-Data's ``reference_alignment_score`` of every clip: all show their condition by construction."""

BENCHMARK_COLUMNS = ("video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption")
DATA_COLUMNS = (
    "video_paths",
    "ref_video_paths",
    "tar_video_caption",
    "kind",
    "split",
    "reference_alignment_score",
)
_MANIFEST = "mini.json"


@dataclass(frozen=True)
class _Video:
    """A row of ``vap_data.csv``."""

    spec: MiniClip
    split: Literal["train", "test"]
    references: tuple[str, ...]


def video_path(spec: MiniClip) -> str:
    """Where a clip lies, relative to the data folder: ``<condition>/scene-<number>.mp4``."""
    return f"{spec.condition}/scene-{spec.scene}.mp4"


def write_vap_data(folder: Path, train_clips_per_condition: int = 0, grammar: bool = False) -> None:
    """Write the benchmark, and training clips of the seen conditions, as videos and tables.

    Equal calls write equal bytes. The folder appears whole or not at all, and one that already holds what is
    asked for is left as it is, so it serves as a cache.

    Args:
        folder: where to; absent, empty, or from an equal call.
        train_clips_per_condition: how many; each refers to all the others of its condition.
        grammar: of the suite's next version, whose conditions are those of the grammar.

    Raises:
        DataError: the folder holds something else, or the number of clips is negative.
        OSError: the disk is full or not writable.
    """
    if train_clips_per_condition < 0:
        raise DataError(
            f"train_clips_per_condition must be 0 or more, got {train_clips_per_condition}.",
            ErrorKind.INVALID,
            "train_clips_per_condition",
        )
    manifest = {
        "suite": "mini",
        "version": DATA_VERSION,
        "train_clips_per_condition": train_clips_per_condition,
    }
    if grammar:
        manifest["grammar"] = GRAMMAR_VERSION
    if _holds(folder, manifest):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
    try:
        _write_all(temporary, train_clips_per_condition, grammar)
        (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        _put(temporary, folder, manifest)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _holds(folder: Path, manifest: dict[str, object]) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != manifest:
        raise DataError(
            f"{folder} holds something other than {manifest}; remove it or choose another folder.",
            ErrorKind.CONFLICT,
            "out",
        )
    return True


def _put(temporary: Path, folder: Path, manifest: dict[str, object]) -> None:
    try:
        temporary.replace(folder)
    except OSError:
        # Someone else may have written the same meanwhile; then theirs is as good.
        if not _holds(folder, manifest):
            raise


def _write_all(folder: Path, train_clips_per_condition: int, grammar: bool) -> None:
    cases = grammar_cases() if grammar else benchmark_cases()
    videos = _test_videos(cases)
    if train_clips_per_condition:
        names = map(code_of, all_training_conditions()) if grammar else (condition.name for condition in SEEN)
        videos += _train_videos(names, train_clips_per_condition)
    with ThreadPoolExecutor() as threads:  # the encoder and numpy leave the interpreter free while they work
        for _ in threads.map(lambda video: _write_clip(folder, video.spec), videos):
            pass
    _write_table(folder / "benchmark.csv", BENCHMARK_COLUMNS, map(_benchmark_row, cases))
    _write_table(folder / "vap_data.csv", DATA_COLUMNS, map(_data_row, videos))


def _write_clip(folder: Path, spec: MiniClip) -> None:
    path = video_path(spec)
    write_video(folder / path, Clip(spec.render(), FPS, source=path))


def _test_videos(cases: Sequence[MiniCase]) -> list[_Video]:
    pairs = [(case.target, case.reference) for case in cases]
    pairs += [(reference, target) for target, reference in pairs]
    return [_Video(spec, "test", (video_path(other),)) for spec, other in pairs]


def _train_videos(conditions: Iterable[str], count: int) -> list[_Video]:
    videos = []
    for condition in conditions:
        specs = [training_clip(condition, index) for index in range(count)]
        paths = [video_path(spec) for spec in specs]
        videos += [_Video(spec, "train", tuple(p for p in paths if p != video_path(spec))) for spec in specs]
    return videos


def _benchmark_row(case: MiniCase) -> tuple[str, ...]:
    return video_path(case.target), video_path(case.reference), case.target_caption, case.reference_caption


def _data_row(video: _Video) -> tuple[str, ...]:
    return (
        video_path(video.spec),
        json.dumps(video.references),
        clip_captions(video.spec).benchmark,
        video.spec.condition,
        video.split,
        str(ALIGNMENT_SCORE),
    )


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)

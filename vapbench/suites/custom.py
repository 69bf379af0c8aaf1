"""Any folder of videos, each a case of its own: for metrics that need nothing but the video.

VBench calls this custom input. A case is named by its file, below the folder; its condition, which intervals are
clustered by, is the sub-folder the video lies in, where there are several of them; else each video is its own.
"""

from __future__ import annotations

import logging
from pathlib import Path

from vapbench.core.case import Case, CaseNote, ClipSpec, check_name
from vapbench.core.video import probe, read_video
from vapbench.errors import DataError
from vapbench.files.atomic import digest
from vapbench.files.walk import VIDEO_SUFFIXES, walk
from vapbench.results.run import RunFolder
from vapbench.suites.table import identifier, identifiers, some

log = logging.getLogger(__name__)

_UNREAD = ClipSpec(frames=1, fps=1, height=2, width=2)


def load(data: Path, clip: ClipSpec | None = None) -> list[Case]:
    """A case for every video below a folder, or for every video of a run of this suite.

    Args:
        data: the folder, or the run's.
        clip: what videos should be; None where each is what it is.

    Raises:
        DataError: there is no video.
    """
    if RunFolder(data).manifest_path.is_file() and RunFolder(data).generations_path.is_file():
        return _of_run(RunFolder(data), clip)
    videos = name_videos(data)
    folders = {name: _sub_folder(video, data) for name, video in videos.items()}
    clustered = len(set(folders.values()) - {""}) > 1
    log.warning(
        "%s: %d videos, each a case of its own; intervals %s.",
        *(data, len(videos)),
        f"are clustered by the {len(set(folders.values()))} sub-folders" if clustered else "take them as independent",
    )
    cases = []
    for name, video in videos.items():
        folder = folders[name] if clustered else ""
        condition = _legal(identifier(folder), folder) if folder else name
        notes = () if folder else (CaseNote(kind="own-condition"),)
        cases.append(Case(id=name, condition=condition, references=(), clip=clip or _spec(video), notes=notes))
    return cases


def name_videos(folder: Path) -> dict[str, Path]:
    """Every video below a folder by the name of its case: its path without suffix, ``--`` for ``/``.

    Hidden files are left out, linked folders are followed. Where that gives one name to several videos, the names end
    in digits of their paths.

    Raises:
        DataError: there is no video.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check the path.")
    walked = walk(folder)
    videos = sorted(walked.videos)
    if not videos:
        seen = sorted({path.suffix or path.name for path in walked.files})
        held = f"it holds {some(seen)}" if seen else "it is empty"
        raise DataError(f"{folder}: no video there ({', '.join(sorted(VIDEO_SUFFIXES))}): {held}; check the path.")
    inside = [video.relative_to(folder) for video in videos]
    names = identifiers([path.with_suffix("").parts for path in inside], [[path.as_posix()] for path in inside])
    return {_legal(name, path.as_posix()): video for name, path, video in zip(names, inside, videos, strict=True)}


def _of_run(run: RunFolder, clip: ClipSpec | None) -> list[Case]:
    planned = run.manifest().cases
    cases = []
    for row in run.current():
        if row.video and row.case in planned:
            spec = clip or _spec(run.videos / row.video)
            cases.append(Case(id=row.case, condition=planned[row.case].condition or row.case, references=(), clip=spec))
    if not cases:
        raise DataError(f"{run.path}: the run has no video; make it again: vapbench score DIR --suite custom")
    return cases


def _sub_folder(video: Path, folder: Path) -> str:
    parts = video.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else ""


def _legal(name: str, path: str) -> str:
    """The name, or one of its path's digits where files are called what cases cannot be."""
    try:
        return check_name(name)
    except ValueError:
        return f"video-{name.lstrip('.-_')[:100]}-{digest(path)[:8]}".replace("--", "-")


def _spec(video: Path) -> ClipSpec:
    """What a video is; of one that cannot be read, whoever reads it says why."""
    try:
        info = probe(video)
        frames = info.frames or len(read_video(video))
    except DataError:
        return _UNREAD
    # Nobody is asked for it, so nothing is checked: sides may be odd.
    return ClipSpec.model_construct(frames=frames, fps=info.fps, height=info.height, width=info.width)

"""Any folder of videos, each a case of its own: for metrics that need nothing but the video.

VBench calls this custom input. A case is named by its file, below the folder; its condition, which intervals are
clustered by, is the sub-folder the video lies in, where there are several of them; else each video is its own.
"""

from __future__ import annotations

import logging
from pathlib import Path

from vapbench.core.case import Case, CaseNote, ClipSpec, check_name
from vapbench.core.clip_files import VIDEO_SUFFIXES, ClipFiles, find_clips, is_numbered
from vapbench.core.images import frame_files
from vapbench.core.video import probe
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import digest
from vapbench.files.text import counted, some
from vapbench.results.run import RunFolder
from vapbench.suites.table import identifier, identifiers

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
        "%s: %s, each a case of its own; intervals %s.",
        *(data, counted(len(videos), "video")),
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

    A folder of numbered frames is one, unless a video of its name lies beside it. Hidden files are left out, linked
    folders are followed. Where several videos would have one name, the names end in digits of their paths.

    Raises:
        DataError: there is no video.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check the path.", ErrorKind.MISSING, "data")
    clips = find_clips(folder)
    stems = {video: video.with_suffix("") for video in (*clips.videos, *clips.unnamed)}
    named = set(stems.values())
    stems |= {frames: frames for frames in clips.frames if frames not in named and is_numbered(frames)}
    if not stems:
        raise DataError(_no_video(folder, clips), ErrorKind.MISSING, "data")
    videos = sorted(stems)
    inside = [video.relative_to(folder).as_posix() for video in videos]
    names = identifiers([stems[video].relative_to(folder).parts for video in videos], [[path] for path in inside])
    return {_legal(name, path): video for name, path, video in zip(names, inside, videos, strict=True)}


def _no_video(folder: Path, clips: ClipFiles) -> str:
    if frame_files(folder) and is_numbered(folder):
        return f"{folder} is a folder of frames, one video; name the folder that holds it: {folder.absolute().parent}"
    seen = sorted({path.suffix or path.name for path in clips.walked.files})
    held = f"it holds {some(seen)}" if seen else "it is empty"
    return f"{folder}: no video there ({', '.join(sorted(VIDEO_SUFFIXES))}): {held}; check the path."


def _of_run(run: RunFolder, clip: ClipSpec | None) -> list[Case]:
    planned = run.manifest().cases
    cases = []
    for row in run.current():
        if row.video and row.case in planned:
            spec = clip or _spec(run.videos / row.video)
            cases.append(Case(id=row.case, condition=planned[row.case].condition or row.case, references=(), clip=spec))
    if not cases:
        raise DataError(
            f"{run.path}: the run has no video; make it again: vapbench score DIR --suite custom",
            ErrorKind.MISSING,
            "data",
        )
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
    except DataError:
        return _UNREAD
    # Nobody is asked for it, so nothing is checked: sides may be odd.
    return ClipSpec.model_construct(frames=info.frames, fps=info.fps, height=info.height, width=info.width)

"""The project page's layout: ``…/{ours,ref}/<condition>--<target>--<reference>.mp4``, at any depth, links followed.

``ref`` holds the reference video, ``ours`` the released output of the same case. The page has no captions, and no
separate input image: the output's first frame stands in for it, which each case notes: ``first_frame_psnr`` says
nothing of the released outputs, and is unscored.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from vapbench.core.case import Case, CaseNote, ClipSpec, Media, Reference
from vapbench.core.clip_files import find_clips
from vapbench.errors import DataError, ErrorKind
from vapbench.files.faults import unusable
from vapbench.files.text import counted, some
from vapbench.suites.tasks import categories

log = logging.getLogger(__name__)

OUTPUTS, REFERENCES = "ours", "ref"


def load(data: Path, clip: ClipSpec) -> list[Case]:
    """Read every case below ``data`` that has both its reference and its output.

    A case that stands in several groups of the page is taken once, from the first group in alphabetical order; an
    output without its reference is reported and left out (some of the page's groups share one reference).

    Raises:
        DataError: no pair of files follows the layout, or two files of a folder differ in their suffix alone.
    """
    category = categories()
    cases: dict[str, Case] = {}
    lonely: list[Path] = []
    for folder, outputs in sorted(_groups(data).items()):
        beside = find_clips(folder.parent / REFERENCES).videos
        references = _by_name(path for path in beside if path.parent.name == REFERENCES)
        for stem, video in _by_name(outputs).items():
            identity = parse_name(stem)
            if identity is None or stem in cases:
                continue
            reference = references.get(stem)
            if reference is None:
                lonely.append(video)
                continue
            try:
                cases[stem] = Case(
                    id=stem,
                    condition=identity[0],
                    category=category.get(identity[0]),
                    references=(Reference(video=Media(path=reference)),),
                    image=Media(path=video),
                    clip=clip,
                    notes=(CaseNote(kind="image-from-output"),),
                )
            except ValidationError as error:
                raise unusable(video, error, "; rename the file.") from error
    if lonely:
        lone = counted(len(lonely), "output")
        log.warning("%s without a reference of the same name left out: %s", lone, some(lonely))
    if not cases:
        raise DataError(
            f"{data}: no …/{OUTPUTS}/<condition>--<target>--<reference>.mp4 below it; check --data.",
            ErrorKind.MISSING,
            "data",
        )
    return list(cases.values())


def _groups(data: Path) -> dict[Path, list[Path]]:
    """The videos of each folder of outputs."""
    found: dict[Path, list[Path]] = {}
    for video in find_clips(data).videos:
        if video.parent.name == OUTPUTS and video.parent != data:
            found.setdefault(video.parent, []).append(video)
    return found


def _by_name(videos: Iterable[Path]) -> dict[str, Path]:
    """Those that are named as cases are, by that name."""
    found: dict[str, Path] = {}
    for video in videos:
        if parse_name(video.stem) and (other := found.setdefault(video.stem, video)) != video:
            raise DataError(
                f"{other} and {video.name} are named after one case; remove or rename one of them.",
                ErrorKind.CONFLICT,
                "id",
            )
    return found


def parse_name(stem: str) -> tuple[str, str, str] | None:
    """Split ``condition--target--reference``; None for another name."""
    parts = stem.split("--")
    return (parts[0], parts[1], parts[2]) if len(parts) >= 3 and all(parts) else None

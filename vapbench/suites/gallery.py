"""The project page's layout: ``…/{ours,ref}/<condition>--<target>--<reference>.mp4``, at any depth.

``ref`` holds the reference video, ``ours`` the released output of the same case. The page has no captions, and no
separate input image: the output's first frame stands in for it, so that ``first_frame_psnr`` says nothing of the
released outputs, and is unscored.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.errors import DataError
from vapbench.suites.tasks import categories, explain

log = logging.getLogger(__name__)

OUTPUTS, REFERENCES = "ours", "ref"


def load(data: Path, clip: ClipSpec) -> list[Case]:
    """Read every case below ``data`` that has both its reference and its output.

    A case that stands in several groups of the page is taken once, from the first group in alphabetical order; an
    output without its reference is reported and left out (some of the page's groups share one reference).

    Raises:
        DataError: no pair of files follows the layout.
    """
    category = categories()
    cases: dict[str, Case] = {}
    lonely: list[Path] = []
    for folder in sorted(path for path in data.rglob(OUTPUTS) if path.is_dir()):
        for video in sorted(folder.glob("*.mp4")):
            identity = parse_name(video.stem)
            reference = folder.parent / REFERENCES / video.name
            if identity is None or video.stem in cases:
                continue
            if not reference.is_file():
                lonely.append(video)
                continue
            try:
                cases[video.stem] = Case(
                    id=video.stem,
                    condition=identity[0],
                    category=category.get(identity[0]),
                    references=(Reference(video=Media(path=reference)),),
                    image=Media(path=video),
                    clip=clip,
                )
            except ValidationError as error:
                raise DataError(f"{video}: {explain(error)}; rename the file.") from error
    if lonely:
        log.warning("%d outputs have no reference of the same name, and are left out: %s, …", len(lonely), lonely[0])
    if not cases:
        raise DataError(f"{data}: no …/{OUTPUTS}/<condition>--<target>--<reference>.mp4 below it; check --data.")
    return list(cases.values())


def parse_name(stem: str) -> tuple[str, str, str] | None:
    """Split ``condition--target--reference``; None for another name."""
    parts = stem.split("--")
    return (parts[0], parts[1], parts[2]) if len(parts) >= 3 and all(parts) else None

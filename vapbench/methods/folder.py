"""Videos you already have: matched to cases by an explicit manifest or by the gallery's naming.

Never by caption: a caption as a file name is cut, repeated, or holds a slash.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vapbench.core.clip import Clip
from vapbench.core.video import read_video
from vapbench.errors import DataError, NotApplicable
from vapbench.files.atomic import check_inside, write_text
from vapbench.files.parsing import read_csv
from vapbench.methods.provenance import Provenance, read_provenance
from vapbench.suites.gallery import REFERENCES

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case

log = logging.getLogger(__name__)

MANIFEST = "manifest.csv"
Panel = Literal["all", "last"]

# VAP's own benchmark scripts write [reference | target | output] side by side.
_PANELS = 3
_SUSPICIOUS_ASPECT = 2.5


class Folder:
    """Finished videos as a method.

    ``manifest.csv`` in the folder (columns ``case,video``) says which video is whose; a case it does not list, or lists
    with a blank, has the video that is named after it: ``<case id>.mp4``, at any depth. The manifest may also say where
    a video comes from: columns ``service,effect,date,watermark``.
    """

    name = "folder"
    version = 1
    uses_seed = False

    def __init__(self, path: Path, panel: Panel = "all") -> None:
        """Take videos from ``path``; ``panel="last"`` keeps the right third of three-panel files."""
        self.path = path.expanduser().resolve()
        self.panel: Panel = panel
        self._assigned: Mapping[str, Path] = {}

    def assign(self, videos: Mapping[str, Path]) -> None:
        """Say which video is whose, case -> video, whatever the videos are called."""
        self._assigned = videos

    @property
    def label(self) -> str:
        """Name of the run folder: the folder's own."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.name).lstrip(".-_") or self.name

    def inputs(self, case: Case) -> Sequence[Path]:
        """The video of the case, if there is one."""
        video = self.video(case.id)
        return (video,) if video else ()

    def setup(self, device: torch.device) -> None:
        """Nothing to load."""

    def generate(self, case: Case, seed: int) -> Clip | Path:
        """Return the case's video.

        Raises:
            NotApplicable: the folder has none for the case.
            DataError: the video cannot be read, or ``panel=last`` does not divide its width.
        """
        video = self.video(case.id)
        if video is None:
            raise NotApplicable(f"no video for this case in {self.path}")
        clip = read_video(video)
        if self.panel == "last":
            return _last_panel(clip, video)
        if clip.width / clip.height > _SUSPICIOUS_ASPECT:
            log.warning(
                "%s is %dx%d: if it shows [reference | target | output], score the output alone with panel=last.",
                video,
                clip.width,
                clip.height,
            )
        return video if video.suffix == ".mp4" else clip

    def video(self, case: str) -> Path | None:
        """The video of a case, or None.

        Raises:
            DataError: the folder or a listed video is missing, the manifest is malformed, or two files are named
                after the case.
        """
        if case in self._assigned:
            return self._assigned[case]
        listed = self._listed.get(case)
        if listed and listed.video:
            return listed.video
        named = self._named.get(case, [])
        if len(named) > 1:
            raise DataError(
                f"{self.path}: both {named[0]} and {named[1]} are named after {case}; "
                f"say which in {MANIFEST} (columns case,video)."
            )
        return named[0] if named else None

    def provenance(self, case: Case) -> Provenance:
        """What the manifest says of where the case's video comes from.

        Raises:
            DataError: the manifest is malformed.
        """
        listed = self._listed.get(case.id)
        return listed.provenance if listed and self.video(case.id) else {}

    def check_against(self, cases: Sequence[Case], suite: str) -> None:
        """Say which videos and manifest rows belong to no case.

        Raises:
            DataError: no video belongs to any case: the suite or the folder is the wrong one.
        """
        wanted = {case.id for case in cases}
        unknown = sorted({case for case, listed in self._listed.items() if listed.video} - wanted)
        named = [video for name, videos in self._named.items() if name not in wanted for video in videos]
        taken = {listed.video for listed in self._listed.values()}
        strangers = [video for video in named if video not in taken]
        if not any(self.video(case) for case in wanted):
            raise DataError(
                f"{self.path}: none of its {len(named)} videos is named after a case of the task, such as "
                f"{cases[0].id}.mp4; check --suite {suite}, --task and --data, or list them in {MANIFEST} (case,video)."
            )
        if strangers:
            log.warning("%s: %d videos match no case of the task: %s, …", self.path, len(strangers), strangers[0].name)
        if unknown:
            log.warning("%s: rows of cases that the task has not: %s, …", self.path / MANIFEST, unknown[0])

    @cached_property
    def _listed(self) -> dict[str, _Listed]:
        if not self.path.is_dir():
            raise DataError(f"{self.path}: no such folder; check the path.")
        manifest = self.path / MANIFEST
        return _read_manifest(manifest) if manifest.is_file() else {}

    @cached_property
    def _named(self) -> dict[str, list[Path]]:
        named: dict[str, list[Path]] = {}
        for video in sorted(self.path.rglob("*.mp4")):
            # In the project page's layout the same names stand in ref/, for the references.
            if video.parent.name != REFERENCES:
                named.setdefault(video.stem, []).append(video)
        return named


def write_manifest_template(method: Folder, cases: Iterable[Case]) -> Path:
    """Write ``manifest.csv`` with a row per case, videos filled in where they were found.

    Raises:
        OSError: the folder is not writable.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("case", "video"))
    for case in cases:
        video = method.video(case.id)
        name = video.relative_to(method.path).as_posix() if video else ""
        # With a dot before it, no spreadsheet takes a file's name for a formula.
        rows.writerow((case.id, f"./{name}" if name.startswith(("=", "+", "-", "@")) else name))
    path = method.path / MANIFEST
    write_text(path, table.getvalue())
    return path


@dataclass(frozen=True)
class _Listed:
    """A row of the manifest."""

    video: Path | None
    """None where it is left to the video's name."""
    provenance: Provenance


def _read_manifest(manifest: Path) -> dict[str, _Listed]:
    listed: dict[str, _Listed] = {}
    header, rows = read_csv(manifest)
    if not {"case", "video"} <= set(header):
        raise DataError(f"{manifest}: needs the columns case and video (found: {', '.join(header)}); correct it.")
    for line, row in rows:
        where = f"{manifest}:{line}"
        case, video = (row["case"] or "").strip(), (row["video"] or "").strip()
        if case in listed:
            raise DataError(f"{where}: {case} is listed twice; remove one row.")
        path = _inside(manifest.parent, video, where) if video else None
        listed[case] = _Listed(path, read_provenance(row, where))
    return listed


def _inside(folder: Path, video: str, where: str) -> Path:
    try:
        path = folder / check_inside(video)
    except ValueError as error:
        raise DataError(f"{where}: {error}; write it relative to {folder}, without '..'.") from error
    if not path.is_file():
        raise DataError(f"{where}: no such video {path}; correct the row, or leave video blank.")
    return path


def _last_panel(clip: Clip, video: Path) -> Clip:
    if clip.width % _PANELS:
        raise DataError(f"{video}: its width {clip.width} does not divide by {_PANELS}; it is no three-panel video.")
    width = clip.width // _PANELS
    return Clip(clip.frames[:, :, -width:], clip.fps, str(video))

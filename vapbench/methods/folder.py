"""Videos you already have: matched to cases by an explicit manifest or by the gallery's naming.

Never by caption: a caption as a file name is cut, repeated, or holds a slash.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vapbench.clip import Clip
from vapbench.errors import DataError, NotApplicable
from vapbench.files import write_text
from vapbench.suites.gallery import outputs
from vapbench.video import read_video

if TYPE_CHECKING:
    import torch

    from vapbench.cases import Case

log = logging.getLogger(__name__)

MANIFEST = "manifest.csv"
Panel = Literal["all", "last"]

# VAP's own benchmark scripts write [reference | target | output] side by side.
_PANELS = 3
_SUSPICIOUS_ASPECT = 2.5


class Folder:
    """Finished videos as a method.

    ``manifest.csv`` in the folder (columns ``case,video``; a blank video means there is none) decides; without it,
    a video belongs to the case it is named after: ``<case id>.mp4``, at any depth.
    """

    name = "folder"
    version = 1
    uses_seed = False
    # Where the videos lie is recorded; what they are is keyed, by the hash of each case's file.
    not_keyed = frozenset({"path"})

    def __init__(self, path: Path, panel: Panel = "all") -> None:
        """Take videos from ``path``; ``panel="last"`` keeps the right third of three-panel files."""
        self.path = path.expanduser()
        self.panel: Panel = panel

    @property
    def label(self) -> str:
        """Name of the run folder: the folder's own."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.resolve().name).lstrip(".-_") or self.name

    def inputs(self, case: Case) -> Sequence[Path]:
        """The video of the case, if there is one."""
        video = self.videos.get(case.id)
        return (video,) if video else ()

    def setup(self, device: torch.device) -> None:
        """Nothing to load."""

    def generate(self, case: Case, seed: int) -> Clip | Path:
        """Return the case's video.

        Raises:
            NotApplicable: the folder has none for the case.
            DataError: the video cannot be read, or ``panel=last`` does not divide its width.
        """
        video = self.videos.get(case.id)
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

    @cached_property
    def videos(self) -> dict[str, Path]:
        """Case id -> video.

        Raises:
            DataError: the folder or a listed video is missing, the manifest is malformed, or two files are named
                after one case.
        """
        if not self.path.is_dir():
            raise DataError(f"{self.path}: no such folder; check the path.")
        manifest = self.path / MANIFEST
        return self._from_manifest(manifest) if manifest.is_file() else self._from_names()

    def _from_manifest(self, manifest: Path) -> dict[str, Path]:
        videos: dict[str, Path] = {}
        with manifest.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if not {"case", "video"} <= set(reader.fieldnames or ()):
                raise DataError(f"{manifest}: needs the columns case and video (found: {reader.fieldnames}).")
            for row in reader:
                where = f"{manifest}:{reader.line_num}"
                case, video = (row["case"] or "").strip(), (row["video"] or "").strip()
                if not video:
                    continue
                if case in videos:
                    raise DataError(f"{where}: {case} is listed twice; remove one row.")
                path = self.path / video
                if not path.is_file():
                    raise DataError(f"{where}: no such video {path}; correct the row, or leave video blank.")
                videos[case] = path
        return videos

    def _from_names(self) -> dict[str, Path]:
        videos: dict[str, Path] = {}
        for video in outputs(self.path):
            if video.stem in videos:
                raise DataError(
                    f"{self.path}: both {videos[video.stem]} and {video} are named after one case; "
                    f"say which in {MANIFEST} (columns case,video)."
                )
            videos[video.stem] = video
        return videos


def write_manifest_template(folder: Path, cases: Iterable[Case], found: dict[str, Path]) -> Path:
    """Write ``manifest.csv`` with a row per case, videos filled in where they were found."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("case", "video"))
    for case in cases:
        video = found.get(case.id)
        rows.writerow((case.id, video.relative_to(folder).as_posix() if video else ""))
    path = folder / MANIFEST
    write_text(path, table.getvalue())
    return path


def _last_panel(clip: Clip, video: Path) -> Clip:
    if clip.width % _PANELS:
        raise DataError(f"{video}: its width {clip.width} does not divide by {_PANELS}; it is no three-panel video.")
    width = clip.width // _PANELS
    return Clip(clip.frames[:, :, -width:], clip.fps, str(video))

"""Videos you already have: matched to cases by an explicit manifest or by name (:mod:`vapbench.methods.finding`).

Never by caption: a caption as a file name is cut, repeated, or holds a slash. Nothing is written into the folder.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vapbench.core.clip import Clip
from vapbench.core.clip_files import ClipFiles, find_clips, is_clip
from vapbench.core.images import frame_files
from vapbench.core.video import notes_at, probe, read_video
from vapbench.errors import DataError, ErrorKind, NotApplicable
from vapbench.files.atomic import content_sha256, expand, write_text
from vapbench.files.parsing import read_csv
from vapbench.files.text import csv_text
from vapbench.files.walk import find_inside, folded
from vapbench.methods.base import Method
from vapbench.methods.finding import Cases, Place
from vapbench.methods.provenance import FIELDS, Provenance, read_provenance
from vapbench.suites.gallery import REFERENCES

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case

log = logging.getLogger(__name__)

MANIFEST = "manifest.csv"
Panel = Literal["all", "last"]

# VAP's own benchmark scripts write [reference | target | output] side by side.
PANELS = 3
"""Pictures beside each other in a video of ``panel="last"``."""
_SUSPICIOUS_ASPECT = 2.5
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})


@dataclass(frozen=True)
class Listed:
    """A row of the manifest."""

    line: int
    case: str
    """As it is written there."""
    seed: int
    video: Path | None
    """None where it is left to the video's name, or the file is not there."""
    problem: str
    """Why its video cannot be taken; empty if it can."""
    provenance: Provenance


@dataclass(frozen=True)
class _Matched:
    """What belongs to which case."""

    listed: dict[tuple[str, int], Listed] = field(default_factory=dict)
    named: dict[tuple[str, int], list[Path]] = field(default_factory=dict)
    strays: list[Path] = field(default_factory=list)
    seeds: dict[str, list[int]] = field(default_factory=dict)

    def add(self, place: Place, video: Path) -> None:
        """Keep a video under the case and seed of its name; two links to one file are one video."""
        found = self.named.setdefault((place.case, place.seed or 0), [])
        if not any(video.resolve() == known.resolve() for known in found):
            found.append(video)


class Folder(Method):
    """Finished videos as a method.

    ``manifest.csv`` in the folder (columns ``case,video``, and ``seed`` for several of a case) says which video is
    whose; a case it does not list, or lists with a blank, has the video that is named after it, at any depth. The
    manifest may also say where a video comes from: columns ``service,effect,date,watermark``.

    What the folder holds decides what its videos are; where it lies does not.
    """

    name = "folder"
    version = 1
    unhashed_params = frozenset({"path"})

    def __init__(self, path: Path, panel: Panel = "all") -> None:
        """Take videos from a folder.

        Args:
            path: the folder.
            panel: ``all``, or ``last`` for the right third of ``[reference | target | output]`` videos.
        """
        self.path = expand(path).resolve()
        self.panel: Panel = panel
        self.ids: frozenset[str] = frozenset()
        """Of the cases that names may spell."""
        self._assigned: Mapping[str, Path] = {}

    def assign(self, videos: Mapping[str, Path]) -> None:
        """Say which video is whose, case -> video, whatever the videos are called."""
        self._assigned = videos
        self._know(videos)

    @property
    def assigned(self) -> bool:
        """Whether :meth:`assign` has said which video is whose."""
        return bool(self._assigned)

    @property
    def label(self) -> str:
        """Name of the run folder: the folder's own."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.name).lstrip(".-_") or self.name

    def prepare_cases(self, cases: Sequence[Case]) -> None:
        """Learn every id of the suite: which case a name spells depends on all of them."""
        self._know(case.id for case in cases)

    def inputs(self, case: Case) -> Sequence[Path | str]:
        """The videos of the case, of all its seeds, and what is wrong with those that cannot be taken."""
        return tuple(item for seed in self.seeds_of(case.id) for item in self._contents(case.id, seed))

    def setup(self, device: torch.device) -> None:
        """Nothing to load."""

    def generate(self, case: Case, seed: int) -> Clip | Path:
        """Return the case's video.

        Raises:
            NotApplicable: the folder has none for the case and seed.
            DataError: two files are the video, it cannot be read, or ``panel=last`` does not divide its width.
        """
        video = self.video(case.id, seed)
        if video is None:
            there = ", ".join(map(str, self.seeds_of(case.id)))
            others = f" with seed {seed} (there: {there})" if there else ""
            # The name alone: a row outlives the place of the folder.
            raise NotApplicable(f"no video for this case{others} in {self.path.name}", ErrorKind.NOT_APPLICABLE, "case")
        if self.panel == "last":
            clip = read_video(video)
            if video.is_dir():
                clip = replace(clip, fps=case.clip.fps, notes=notes_at(case.clip.fps, clip))
            return _last_panel(clip, video)
        info = probe(video)
        if info.width / info.height > _SUSPICIOUS_ASPECT:
            log.warning(
                "%s is %dx%d: if it shows [reference | target | output], score the output alone with panel=last.",
                video,
                info.width,
                info.height,
            )
        return video

    def video(self, case: str, seed: int = 0) -> Path | None:
        """The video of a case, or None.

        Raises:
            DataError: the folder or a listed video is missing, the manifest is malformed, or two files are named
                after the case and seed.
        """
        if case not in self.ids:
            self._know({*self.ids, case})
        listed = self.listed.get((case, seed))
        if listed and listed.problem:
            raise DataError(f"{self.path / MANIFEST}:{listed.line}: {listed.problem}", ErrorKind.MISSING, "video")
        if listed and listed.video:
            return listed.video
        named = self.named.get((case, seed), [])
        if len(named) > 1:
            others = ", ".join(str(path) for path in named[:-1])
            raise DataError(
                f"{self.path}: both {others} and {named[-1]} are named after {case}; "
                f"say which in {MANIFEST} (columns case,video).",
                ErrorKind.CONFLICT,
                "video",
            )
        return named[0] if named else None

    def seeds_of(self, case: str) -> list[int]:
        """Seeds that the folder has videos of a case for, in order; one that no name and no row says is 0."""
        if case not in self.ids:
            self._know({*self.ids, case})
        return self._matched.seeds.get(case, [])

    def seeds(self, cases: Iterable[Case]) -> list[int]:
        """Seeds that the folder has videos of any of the cases for, in order."""
        return sorted({seed for case in cases for seed in self.seeds_of(case.id)})

    def holds(self, case: str, seed: int, sha256: str | None) -> bool:
        """Whether the video of a case and seed has this hash."""
        contents = self._contents(case, seed)
        return any(isinstance(item, Path) and content_sha256(item) == sha256 for item in contents)

    def provenance(self, case: Case) -> Provenance:
        """What the manifest says of where the case's video comes from.

        Raises:
            DataError: the manifest is malformed.
        """
        rows = (self.listed.get((case.id, seed)) for seed in self.seeds_of(case.id))
        return next((row.provenance for row in rows if row and row.provenance and not row.problem), {})

    @cached_property
    def clips(self) -> ClipFiles:
        """What lies in the folder.

        Raises:
            DataError: it is no folder.
        """
        if not self.path.is_dir():
            raise DataError(_no_folder(self.path), ErrorKind.MISSING, "path")
        return find_clips(self.path)

    @cached_property
    def rows(self) -> Sequence[Listed]:
        """Rows of the manifest, in order; none where there is no manifest.

        Raises:
            DataError: the manifest is malformed.
        """
        if self.assigned:
            # Every video is spoken for; a table that lies there is somebody else's.
            return ()
        here = [path for path in self.clips.walked.files if path.parent == self.path and folded(path.name) == MANIFEST]
        return _read_manifest(here[0]) if here else ()

    @property
    def listed(self) -> Mapping[tuple[str, int], Listed]:
        """Rows of the manifest by case and seed."""
        return self._matched.listed

    @property
    def named(self) -> Mapping[tuple[str, int], Sequence[Path]]:
        """Videos by the case and seed that their names say; several are several candidates."""
        return self._matched.named

    @property
    def strays(self) -> Sequence[Path]:
        """Videos that belong to no case of the suite."""
        return self._matched.strays

    def _know(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self.__dict__.pop("_matched", None)

    @cached_property
    def _matched(self) -> _Matched:
        cases = Cases(self.ids)
        found = _Matched()
        if self.assigned:
            found.listed.update({(case, 0): Listed(0, case, 0, path, "", {}) for case, path in self._assigned.items()})
            found.seeds.update({case: [0] for case in self._assigned})
            return found
        for row in self.rows:
            key = (cases.find(row.case) or row.case, row.seed)
            if key in found.listed:
                raise DataError(
                    f"{self.path / MANIFEST}:{row.line}: {row.case} is listed twice; remove one row.",
                    ErrorKind.CONFLICT,
                    "case",
                )
            found.listed[key] = row
        taken = {row.video for row in self.rows}
        for video in self.clips.videos:
            relative = video.relative_to(self.path)
            # In the project page's layout the same names stand in ref/, for the references.
            if REFERENCES in relative.parts[-2:-1]:
                continue
            place = cases.place(relative)
            if place is not None:
                found.add(place, video)
            elif video not in taken:
                found.strays.append(video)
        with_video = set(found.named)
        for path in (*self.clips.unnamed, *self.clips.frames):
            relative = path.relative_to(self.path)
            if REFERENCES in relative.parts[:-1]:
                continue
            place = cases.place_of_any(relative)
            # Whoever keeps a video keeps its frames, or an earlier copy, beside it now and then.
            if place is not None and (place.case, place.seed or 0) not in with_video:
                found.add(place, path)
            elif place is None and path.is_file() and path not in taken:
                found.strays.append(path)
        listed = {key for key, row in found.listed.items() if row.video or row.problem}
        for case, seed in sorted({*listed, *found.named}):
            found.seeds.setdefault(case, []).append(seed)
        return found

    def _contents(self, case: str, seed: int) -> list[Path | str]:
        listed = self.listed.get((case, seed))
        if listed and listed.problem:
            return [listed.problem]
        paths = [listed.video] if listed and listed.video else self.named.get((case, seed), [])
        files = [file for path in paths for file in (frame_files(path) if path.is_dir() else [path])]
        return [file if os.access(file, os.R_OK) else f"unreadable {file.name}" for file in files]


def write_manifest_template(method: Folder, cases: Iterable[Case], path: Path) -> None:
    """Write a manifest with a row per case and seed, videos filled in where they were found.

    Raises:
        OSError: ``path`` is not writable.
    """
    cases = list(cases)
    several = len(method.seeds(cases)) > 1
    rows: list[tuple[object, ...]] = []
    for case in cases:
        for seed in method.seeds_of(case.id) or [0]:
            video = _sure(method, case.id, seed)
            name = video.relative_to(method.path).as_posix() if video else ""
            # With a dot before it, no spreadsheet takes a file's name for a formula.
            name = f"./{name}" if name.startswith(("=", "+", "-", "@")) else name
            rows.append((case.id, name, seed) if several else (case.id, name))
    write_text(path, csv_text(("case", "video", "seed") if several else ("case", "video"), rows))


def _sure(method: Folder, case: str, seed: int) -> Path | None:
    try:
        return method.video(case, seed)
    except DataError:
        return None


def _no_folder(path: Path) -> str:
    if not path.exists():
        return f"{path}: no such folder; check the path."
    if path.suffix.lower() in _ARCHIVES:
        return f"{path} is an archive; unpack it, and score the folder: vapbench score {path.with_suffix('')}"
    if is_clip(path):
        return f"{path} is a single video; score the folder that holds it: vapbench score {path.parent}"
    return f"{path} is no folder; give the folder that holds the videos."


def _read_manifest(manifest: Path) -> list[Listed]:
    header, rows = read_csv(manifest, ("case", "video", "seed", *FIELDS))
    if not {"case", "video"} <= set(header):
        raise DataError(
            f"{manifest}: needs the columns case and video (found: {', '.join(header)}); correct it.",
            ErrorKind.MISSING,
            "case" if "case" not in header else "video",
        )
    found = []
    for line, row in rows:
        where = f"{manifest}:{line}"
        case, video = (row["case"] or "").strip(), (row["video"] or "").strip()
        if not case and not video:
            continue
        path, problem = None, ""
        try:
            path = find_inside(manifest.parent, video) if video else None
        except ValueError as error:
            raise DataError(
                f"{where}: {error}; write it relative to {manifest.parent}, without '..'.", ErrorKind.INVALID, "video"
            ) from error
        except FileNotFoundError as error:
            problem = f"no such video {error.filename}; correct the row, or leave video blank."
        found.append(Listed(line, case, _seed(row.get("seed"), where), path, problem, read_provenance(row, where)))
    return found


def _seed(text: str | None, where: str) -> int:
    text = (text or "").strip()
    # Data frames write whole numbers as 1.0 where a cell of the column is blank.
    text = re.sub(r"(?<=\d)\.0+$", "", text)
    if not re.fullmatch(r"-?\d{0,18}", text) or text == "-":
        raise DataError(
            f"{where}: seed is {text!r}; write a whole number, or nothing for 0.", ErrorKind.INVALID, "seed"
        )
    return int(text or 0)


def check_panels(width: int, video: Path) -> None:
    """Refuse a video that cannot be divided into panels.

    Raises:
        DataError: its width does not divide by three.
    """
    if width % PANELS:
        raise DataError(
            f"{video}: its width {width} does not divide by {PANELS}; it is no three-panel video.",
            ErrorKind.INVALID,
            "panel",
        )


def _last_panel(clip: Clip, video: Path) -> Clip:
    check_panels(clip.width, video)
    width = clip.width // PANELS
    return replace(clip, frames=clip.frames[:, :, -width:])

"""Videos and images that the site shows: copied beside the pages, named by their content."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vapbench.core.clip_files import is_clip
from vapbench.core.containers import IMAGES, kind_of, suffix_of
from vapbench.core.video import probe, read_first_frame, read_video
from vapbench.files.atomic import TEMPORARY, content_sha256, expand
from vapbench.leaderboard.boards import Entry
from vapbench.report.page.media import playable
from vapbench.report.read.run_summary import explain
from vapbench.results.manifest import FileRole, PlannedCase
from vapbench.results.rows import GenerationRow
from vapbench.running.plan import field_hashes
from vapbench.suites import load_suites

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PLAYABLE = frozenset({".mp4", ".webm"})
"""By their bytes; of other videos, a copy is shown that browsers play."""
ELSEWHERE = "No video of it is kept here."


@dataclass(frozen=True)
class SiteClip:
    """One picture on a page, or why there is none."""

    label: str
    kind: Literal["video", "image", "none"]
    source: str = ""
    """Relative to the site's root."""
    why: str = ""
    note: str = ""
    page: str = ""
    """What its caption links to."""
    poster: str = ""
    """A late frame, relative to the site's root: every method begins with the same one."""
    again: bool = False
    """Whether it was made again, and is not byte for byte what was scored."""


@dataclass
class MediaFiles:
    """Files the pages refer to, gathered while they are made."""

    wanted: bool
    """False: no page shows a video, whatever lies on this disk, so that two machines build the same bytes."""
    files: dict[str, Path] = field(default_factory=dict)
    """Name under the site's root -> file."""
    first_frames: dict[str, Path] = field(default_factory=dict)
    """Name of an image under the site's root -> the video it is the first frame of."""
    posters: dict[str, str] = field(default_factory=dict)
    """Name of a video under the site's root -> that of its poster."""
    late_frames: dict[str, Path] = field(default_factory=dict)
    """Name of an image under the site's root -> the video it is a late frame of."""
    copies: dict[str, Path] = field(default_factory=dict)
    """Name of a video under the site's root -> the video it is a playable copy of."""
    folders: dict[Path, bool] = field(default_factory=dict)
    """Run folder -> whether videos are there and wanted."""
    outputs: dict[tuple[Path, str], str] = field(default_factory=dict)
    """(run folder, generation) -> name under the site's root; empty where the file is not the one scored."""
    hashes: dict[Path, str] = field(default_factory=dict)
    again: dict[str, tuple[Path, str]] = field(default_factory=dict)
    """Key of a generation of ours -> its video, made again, and the hash of that."""
    drawn: dict[str, Path] = field(default_factory=dict)
    """What a suite draws itself, for a clone that ran nothing: by its hash, and by that of the case field it is."""

    @property
    def count(self) -> int:
        """Videos and images the pages refer to."""
        return len(self.files) + len(self.first_frames) + len(self.late_frames) + len(self.copies)

    def draw(self, suite: str) -> None:
        """Have a suite that needs no data draw its cases, if videos are wanted."""
        known = load_suites().get(suite)
        if self.wanted and known is not None and known.data == "none":
            for case in known.cases(None):
                hashes = field_hashes(case)
                files = {"reference": case.reference.video, "image": case.image, "target": case.target}
                for role, media in files.items():
                    if media is not None and media.path.is_file():
                        self.drawn |= dict.fromkeys((media.sha256, media.identity, hashes[role]), media.path)

    def output(self, entry: Entry, row: GenerationRow | None, label: str, note: str = "", page: str = "") -> SiteClip:
        """The video of a generation."""
        if row is None:
            return SiteClip(label, "none", why="Not generated yet.", note=note, page=page)
        if row.status != "ok":
            why = explain(row.attempts[-1] if row.attempts else None) if row.status == "failed" else row.note
            return SiteClip(label, "none", why=f"{row.status.capitalize()}: {why}", note=note, page=page)
        folder = entry.run.folder.path
        if folder not in self.folders:
            self.folders[folder] = self.wanted and entry.run.folder.videos.is_dir()
        key = (folder, row.key)
        if self.folders[folder] and key not in self.outputs:
            # The name is data: it may only name a file of this run's own videos folder.
            plain = row.video is not None and row.video == Path(row.video).name
            path = entry.run.folder.video_of(row) if plain else None
            self.outputs[key] = self._video(path, str(row.sha256)) if path and not path.is_symlink() else ""
        other = False
        if not self.folders[folder] and self.wanted and entry.submission is None:
            # Floors and ceilings copy what the suite draws: equal bytes are the same video.
            if row.sha256 in self.drawn:
                self.outputs[key] = self._video(self.drawn[row.sha256], row.sha256)
            elif row.key in self.again:
                path, sha256 = self.again[row.key]
                self.outputs[key], other = self._video(path, sha256), sha256 != row.sha256
        if source := self.outputs.get(key, ""):
            return SiteClip(label, "video", source, note=note, page=page, poster=self.posters[source], again=other)
        return SiteClip(label, "none", why=ELSEWHERE, note=note, page=page)

    def given(self, entry: Entry, planned: PlannedCase, role: FileRole, label: str) -> SiteClip:
        """A reference, first frame or ground truth. Paths in submissions are never followed."""
        path = expand(planned.media or "") / (planned.file(role) or "")
        if not path.is_file():
            path = self.drawn.get(str((planned.fields or {}).get(role)), path)
        trusted = self.wanted and entry.submission is None and planned.file(role)
        moves = path.is_dir() or is_clip(path)
        if not trusted or not path.exists() or not (moves or kind_of(path) in IMAGES):
            return SiteClip(label, "none", why=ELSEWHERE)
        if not moves:
            return SiteClip(label, "image", self._add(path, self._hash(path)))
        if role == "image":
            # A video counts by its first frame; showing the video would show the answer.
            frame = f"media/{self._hash(path)[:24]}-first.png"
            self.first_frames[frame] = path
            return SiteClip(label, "image", frame)
        source = self._video(path, self._hash(path))
        return SiteClip(label, "video", source, poster=self.posters[source])

    def _hash(self, path: Path) -> str:
        if path not in self.hashes:
            self.hashes[path] = content_sha256(path)
        return self.hashes[path]

    def copy_to(self, root: Path) -> None:
        """Copy what is not there yet."""
        for name, source in sorted(self.files.items()):
            path = root / name
            if not path.is_file():
                # Not synced: a site is made again at will, and hundreds of syncs would take minutes.
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_name(f"{TEMPORARY}{path.name}")
                shutil.copyfile(source, temporary)
                temporary.replace(path)

        for name, source in sorted({**self.first_frames, **self.late_frames}.items()):
            if not (root / name).is_file():
                from PIL import Image

                (root / name).parent.mkdir(parents=True, exist_ok=True)
                frame = late_frame(source) if name in self.late_frames else read_first_frame(source)
                Image.fromarray(frame).save(root / name)
        for name, source in sorted(self.copies.items()):
            if not (root / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(playable(source, probe(source)), root / name)

    def _video(self, path: Path, sha256: str) -> str:
        if path.is_file() and suffix_of(path) in _PLAYABLE:
            name = self._add(path, sha256)
        else:
            name = f"media/{sha256[:24]}-shown.mp4"
            self.copies.setdefault(name, path)
        self.posters[name] = f"media/{sha256[:24]}-late.png"
        self.late_frames.setdefault(self.posters[name], path)
        return name

    def _add(self, path: Path, sha256: str) -> str:
        name = f"media/{sha256[:24]}{suffix_of(path)}"
        self.files.setdefault(name, path)
        return name


def late_frame(video: Path) -> NDArray[np.uint8]:
    """The frame at three quarters of a video, RGB."""
    frames: NDArray[np.uint8] = read_video(video).frames
    late: NDArray[np.uint8] = frames[len(frames) * 3 // 4]
    return late

"""One blind transcode for every video of a study: one size, frame rate, length, and number of bytes per trial."""

from __future__ import annotations

import math
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from vapbench.core.clip import Clip, Frames
from vapbench.core.video import pad_video, probe, read_first_frame, read_video, write_video
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import atomic_path, content_sha256, digest, file_sha256
from vapbench.files.text import counted
from vapbench.study.protocol import MediaFacts

ENCODING_VERSION = 1
"""Raise when an equal video may be encoded differently."""
ENCODED = ".encoded"
"""Beside the studies: blinded videos before their bytes are made equal. Never served; may be deleted."""
_SHORTEST_SECONDS = 0.5
_BOX_HEADER = 8


@dataclass(frozen=True)
class BlindSpec:
    """What every candidate is brought to."""

    width: int
    height: int
    fps: float
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.fps


def common_spec(videos: Sequence[Path]) -> BlindSpec:
    """The spec that every video can give without inventing anything: smallest size, lowest rate, shortest length.

    Raises:
        DataError: a video cannot be read, or is shorter than half a second.
    """
    infos = []
    for video in videos:
        info = probe(video)
        frames = info.frames or len(read_video(video))
        if frames / info.fps < _SHORTEST_SECONDS:
            raise DataError(
                f"{video} lasts {frames / info.fps:.2g} s, and all videos of a study are cut to the shortest; "
                "leave its case or method out.",
                ErrorKind.LIMIT,
                "seconds",
            )
        infos.append((info, frames))
    smallest = min((info for info, _ in infos), key=lambda info: (info.width * info.height, info.width))
    fps = min(info.fps for info, _ in infos)
    seconds = min(frames / info.fps for info, frames in infos)
    return BlindSpec(_even(smallest.width), _even(smallest.height), fps, math.floor(seconds * fps + 1e-6))


def conform(clip: Clip, spec: BlindSpec) -> Clip:
    """Bring a clip to a spec: frames by their time, scaled to cover and cropped at the centre.

    No bars and no squeezing: either would show which method makes another format. A clip that is shorter than the
    spec holds its last frame.
    """
    times = (np.arange(spec.frames) + 0.5) / spec.fps
    index = np.minimum((times * clip.fps).astype(int), len(clip) - 1)
    return Clip(np.stack([_cover(clip.frames[i], spec.width, spec.height) for i in index]), spec.fps, clip.source)


@dataclass(frozen=True)
class Take:
    """A video, as it is or spoilt on purpose."""

    video: Path
    spoilt: int = 0
    """0: as it is; 1, 2, …: ever more noise (odd) or blur (even), which nobody could prefer."""
    seed: int = 0
    """Of the noise."""

    def clip(self) -> Clip:
        """Decode it."""
        clip = read_video(self.video)
        return spoil(clip, self.spoilt, self.seed) if self.spoilt else clip


@dataclass
class MediaStore:
    """The ``media/`` folder while a study is planned."""

    folder: Path
    spec: BlindSpec
    encoded: Path
    """Where encoded videos are kept: designs of the same videos share them."""
    facts: dict[str, MediaFacts] = field(default_factory=dict)
    _shared: dict[tuple[str, str], str] = field(default_factory=dict)
    """Files that several cases show (a reference, a first frame) are written once."""

    def candidates(self, takes: Sequence[Take]) -> list[str]:
        """Write the candidates of one trial, equal in size, rate, length and bytes.

        Args:
            takes: what is shown; decoded one after the other, so that only one clip is in memory.

        Returns:
            Media ids, in order. They are random: nothing of the source is in them.
        """
        names = [secrets.token_hex(16) for _ in takes]
        for name, take in zip(names, takes, strict=True):
            self._encode(self._path(name, ".mp4"), take, self.spec)
        target = max(self._path(name, ".mp4").stat().st_size for name in names) + _BOX_HEADER
        for name in names:
            pad_video(self._path(name, ".mp4"), target)
            self._record(name, ".mp4")
        return names

    def reference(self, video: Path) -> str:
        """Write a reference at the candidates' height, rate and greatest length, in its own format."""
        return self._once("reference", video, self._reference)

    def image(self, source: Path) -> str:
        """Write a target first frame at the candidates' size."""
        return self._once("image", source, self._image)

    def _once(self, kind: str, source: Path, write: Callable[[Path], str]) -> str:
        key = (kind, content_sha256(source))
        if key not in self._shared:
            self._shared[key] = write(source)
        return self._shared[key]

    def _encode(self, path: Path, take: Take, spec: BlindSpec) -> None:
        seed = take.seed if take.spoilt else 0
        what = [ENCODING_VERSION, content_sha256(take.video), take.spoilt, seed, asdict(spec)]
        kept = self.encoded / f"{digest(what)}.mp4"
        if not kept.is_file():
            write_video(kept, conform(take.clip(), spec))
        with atomic_path(path) as temporary:
            shutil.copyfile(kept, temporary)

    def _reference(self, video: Path) -> str:
        name = secrets.token_hex(16)
        self._encode(self._path(name, ".mp4"), Take(video), _reference_spec(video, self.spec))
        return self._record(name, ".mp4")

    def _image(self, source: Path) -> str:
        from PIL import Image

        name = secrets.token_hex(16)
        picture = _cover(read_first_frame(source), self.spec.width, self.spec.height)
        with atomic_path(self._path(name, ".png")) as temporary:
            Image.fromarray(picture).save(temporary, format="PNG")
        return self._record(name, ".png")

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}{suffix}"

    def _record(self, name: str, suffix: str) -> str:
        path = self._path(name, suffix)
        facts = {"sha256": file_sha256(path), "suffix": suffix, "size": path.stat().st_size}
        if suffix == ".png":
            facts |= {"width": self.spec.width, "height": self.spec.height, "frames": 1, "fps": 0.0}
        else:
            info = probe(path)
            facts |= {"width": info.width, "height": info.height, "frames": info.frames, "fps": info.fps}
        self.facts[name] = MediaFacts.model_validate(facts)
        return name


class Sketch(MediaStore):
    """A store that writes nothing: a forecast needs to know what is shown with what, not the pictures."""

    def candidates(self, takes: Sequence[Take]) -> list[str]:
        """Ids of as many videos of the common format."""
        return [self._note(".mp4", self.spec.width, self.spec.frames, self.spec.fps) for _ in takes]

    def _reference(self, video: Path) -> str:
        return self._note(".mp4", self.spec.width, self.spec.frames, self.spec.fps)

    def _image(self, source: Path) -> str:
        return self._note(".png", self.spec.width, 1, 0.0)

    def _note(self, suffix: Literal[".mp4", ".png"], width: int, frames: int, fps: float) -> str:
        name = secrets.token_hex(16)
        self.facts[name] = MediaFacts(
            sha256="0" * 64, suffix=suffix, width=width, height=self.spec.height, frames=frames, fps=fps, size=1
        )
        return name


def spoil(clip: Clip, level: int, seed: int) -> Clip:
    """A version of a clip that nobody could prefer: noisy for odd levels, blurred for even ones, ever more so."""
    import cv2

    strength = (level + 1) // 2
    if level % 2:
        noise = np.random.default_rng([seed, level]).normal(0, 60 * strength, clip.frames.shape)
        frames = np.clip(clip.frames + noise, 0, 255).astype(np.uint8)
    else:
        sigma = clip.height * 0.05 * strength
        frames = np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma)) for frame in clip.frames])
    return Clip(frames, clip.fps, clip.source)


def native_formats(videos: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Method -> the formats its videos had before blinding, for the planner's report."""
    formats = {}
    for name, paths in videos.items():
        infos = {(info.width, info.height, info.fps, info.frames) for info in map(probe, paths)}
        shown = [f"{w}x{h}, {fps:g} fps, {counted(frames, 'frame')}" for w, h, fps, frames in sorted(infos)]
        formats[name] = shown[0] if len(shown) == 1 else f"{shown[0]} and {len(shown) - 1} more"
    return formats


def _reference_spec(video: Path, spec: BlindSpec) -> BlindSpec:
    info = probe(video)
    frames = info.frames or len(read_video(video))
    width = _even(round(info.width * spec.height / info.height))
    return BlindSpec(
        width, spec.height, spec.fps, max(1, min(spec.frames, math.floor(frames / info.fps * spec.fps + 1e-6)))
    )


def _cover(frame: Frames, width: int, height: int) -> Frames:
    from PIL import Image

    rows, columns = frame.shape[:2]
    if (columns, rows) == (width, height):
        return frame
    scale = max(width / columns, height / rows)
    size = max(width, round(columns * scale)), max(height, round(rows * scale))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    scaled = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(scaled)[top : top + height, left : left + width]


def _even(value: int) -> int:
    return max(2, value - value % 2)

"""One blind transcode for every video of a study: one size, frame rate, length, and number of bytes per trial."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vapbench.core.clip import Clip, Frames
from vapbench.core.video import pad_video, probe, read_first_frame, read_video, write_video
from vapbench.errors import DataError
from vapbench.files.atomic import atomic_path, file_sha256
from vapbench.study.protocol import MediaFacts

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
                "leave its case or method out."
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


@dataclass
class MediaStore:
    """The ``media/`` folder while a study is planned."""

    folder: Path
    spec: BlindSpec
    facts: dict[str, MediaFacts] = field(default_factory=dict)
    _shared: dict[tuple[str, str], str] = field(default_factory=dict)
    """Files that several cases show (a reference, a first frame) are written once."""

    def candidates(self, clips: Sequence[Callable[[], Clip]]) -> list[str]:
        """Write the candidates of one trial, equal in size, rate, length and bytes.

        Args:
            clips: decoders, called one after the other so that only one clip is in memory.

        Returns:
            Media ids, in order. They are random: nothing of the source is in them.
        """
        names = [secrets.token_hex(16) for _ in clips]
        for name, clip in zip(names, clips, strict=True):
            write_video(self._path(name, ".mp4"), conform(clip(), self.spec))
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
        key = (kind, file_sha256(source))
        if key not in self._shared:
            self._shared[key] = write(source)
        return self._shared[key]

    def _reference(self, video: Path) -> str:
        clip = read_video(video)
        width = _even(round(clip.width * self.spec.height / clip.height))
        frames = max(1, min(self.spec.frames, math.floor(clip.seconds * self.spec.fps + 1e-6)))
        name = secrets.token_hex(16)
        spec = BlindSpec(width, self.spec.height, self.spec.fps, frames)
        write_video(self._path(name, ".mp4"), conform(clip, spec))
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


def degradations(clip: Clip, count: int, seed: int) -> list[Clip]:
    """``count`` versions of a clip that nobody could prefer: noisy, blurred, ever more so."""
    import cv2

    random = np.random.default_rng(seed)
    worse = []
    for number in range(count):
        level = 1 + number // 2
        if number % 2 == 0:
            noise = random.normal(0, 60 * level, clip.frames.shape)
            frames = np.clip(clip.frames + noise, 0, 255).astype(np.uint8)
        else:
            sigma = clip.height * 0.05 * level
            frames = np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma)) for frame in clip.frames])
        worse.append(Clip(frames, clip.fps, clip.source))
    return worse


def native_formats(videos: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Method -> the formats its videos had before blinding, for the planner's report."""
    formats = {}
    for name, paths in videos.items():
        infos = {(info.width, info.height, info.fps, info.frames) for info in map(probe, paths)}
        shown = [f"{w}x{h}, {fps:g} fps, {frames} frames" for w, h, fps, frames in sorted(infos)]
        formats[name] = shown[0] if len(shown) == 1 else f"{shown[0]} and {len(shown) - 1} more"
    return formats


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

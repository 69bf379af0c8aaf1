"""Known edits of a finished video, whose effect on an honest score anybody can tell.

Every edit is deterministic. Sizes go with the frame, so that one edit looks alike at any resolution.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vapbench.core.clip import Clip, Frames, resize_clip
from vapbench.metrics.base import Change

_X264 = {"crf": "35", "threads": "1", "x264-params": "mbtree=0"}
"""Without macroblock-tree rate control, which gives equal frames other bytes now and then."""


@dataclass(frozen=True)
class Staged:
    """A video with what it is scored against, and the same of a case of another condition."""

    clip: Clip
    reference: Clip | None
    image: Frames | None
    """``(H, W, 3)``: the first frame that was given."""
    caption: str | None
    other: Staged | None = None
    """Of the same category where there is one."""


@dataclass(frozen=True)
class Edit:
    """One thing that is done to a video, or to what it is scored against."""

    what: str
    apply: Callable[[Staged], Staged | None]
    """None where it cannot be done: the case lacks what it takes."""
    harmless: bool = False
    """Whether nobody would mind it: the score should stay."""


def _frames(change: Callable[[Frames], Frames]) -> Callable[[Staged], Staged]:
    def apply(staged: Staged) -> Staged:
        return replace(staged, clip=_with(staged.clip, change(staged.clip.frames)))

    return apply


def _with(clip: Clip, frames: Frames) -> Clip:
    return Clip(np.ascontiguousarray(frames), clip.fps, clip.source)


def _loop(frames: Frames) -> Frames:
    half = max(1, len(frames) // 2)
    return frames[np.arange(len(frames)) % half]


def _shuffle(frames: Frames) -> Frames:
    return frames[np.random.default_rng(0).permutation(len(frames))]


def _blur(frames: Frames) -> Frames:
    import cv2

    sigma = min(frames.shape[1:3]) / 64
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def _noise(frames: Frames) -> Frames:
    noise = np.random.default_rng(0).normal(0, 25, frames.shape)
    return np.asarray((frames + noise).clip(0, 255).astype(np.uint8))


def _letterbox(frames: Frames) -> Frames:
    bar, boxed = frames.shape[1] // 8, frames.copy()
    boxed[:, :bar] = boxed[:, frames.shape[1] - bar :] = 0
    return boxed


def _watermark(frames: Frames) -> Frames:
    height, width = frames.shape[1:3]
    marked = frames.copy()
    corner = marked[:, -height // 6 : -height // 20 or None, -width // 3 : -width // 20 or None]
    stripes = (np.arange(corner.shape[2]) // max(1, width // 64) % 2 == 0)[None, None, :, None]
    corner[:] = np.where(stripes, corner // 4 + 191, corner)
    return marked


def _encode_coarsely(frames: Frames) -> Frames:
    """H.264 at a constant rate factor of 35, there and back."""
    import av

    height, width = frames.shape[1:3]
    even = np.pad(frames, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)], mode="edge")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options=_X264)
        stream.width, stream.height, stream.pix_fmt = even.shape[2], even.shape[1], "yuv420p"
        for number, frame in enumerate(even):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as source:
        decoded: list[Any] = [frame.to_ndarray(format="rgb24", threads=1) for frame in source.decode(video=0)]
    return np.stack(decoded)[:, :height, :width]


def _rescale(staged: Staged) -> Staged:
    clip = staged.clip
    sides = (max(2, round(side * 0.75 / 2) * 2) for side in (clip.height, clip.width))
    return replace(staged, clip=resize_clip(clip, len(clip), clip.fps, *sides))


def _mirror_all(staged: Staged) -> Staged:
    reference = staged.reference and _with(staged.reference, staged.reference.frames[:, :, ::-1])
    image = None if staged.image is None else np.ascontiguousarray(staged.image[:, ::-1])
    return replace(staged, clip=_with(staged.clip, staged.clip.frames[:, :, ::-1]), reference=reference, image=image)


def _panels(staged: Staged) -> Staged | None:
    clip = staged.clip
    if staged.reference is None:
        return None
    reference = _as_long(staged.reference, clip).frames
    first = clip.frames[:1].repeat(len(clip), axis=0)
    return replace(staged, clip=_with(clip, np.concatenate([reference, first, clip.frames], axis=2)))


def _copy_reference(staged: Staged) -> Staged | None:
    return replace(staged, clip=_as_long(staged.reference, staged.clip)) if staged.reference else None


def _another(staged: Staged) -> Staged | None:
    return replace(staged, clip=_as_long(staged.other.clip, staged.clip)) if staged.other else None


def _other_reference(staged: Staged) -> Staged | None:
    known = staged.reference is not None and staged.other is not None and staged.other.reference is not None
    return replace(staged, reference=staged.other.reference) if known and staged.other else None


def _other_caption(staged: Staged) -> Staged | None:
    if not staged.caption or not staged.other or not staged.other.caption:
        return None
    return replace(staged, caption=staged.other.caption)


def _as_long(clip: Clip, like: Clip) -> Clip:
    return resize_clip(clip, len(like), like.fps, like.height, like.width)


EDITS: Mapping[Change, Edit] = {
    "reversed": Edit("played backwards", _frames(lambda frames: frames[::-1])),
    "frozen": Edit("its first frame throughout", _frames(lambda frames: frames[:1].repeat(len(frames), axis=0))),
    "looped": Edit("its first half, twice", _frames(_loop)),
    "shuffled": Edit("its frames in another order", _frames(_shuffle)),
    "mirrored": Edit("left and right exchanged", _frames(lambda frames: frames[:, :, ::-1])),
    "darker": Edit("at 60 % of its brightness", _frames(lambda frames: (frames * 0.6).astype(np.uint8))),
    "blurred": Edit("out of focus", _frames(_blur)),
    "noised": Edit("with noise of 25 grey levels", _frames(_noise)),
    "letterboxed": Edit("an eighth black above and below", _frames(_letterbox)),
    "watermark": Edit("a striped mark in its corner", _frames(_watermark)),
    "three-panel": Edit("beside its reference and first frame", _panels),
    "copy-reference": Edit("the reference in its place", _copy_reference),
    "other-condition": Edit("another condition's video in its place", _another),
    "wrong-reference": Edit("scored against another condition's reference", _other_reference),
    "wrong-caption": Edit("another condition's caption", _other_caption),
    "re-encoded": Edit("H.264 at a rate factor of 35", _frames(_encode_coarsely), harmless=True),
    "rescaled": Edit("at 75 % of its size", _rescale, harmless=True),
    "mirrored-pair": Edit("mirrored, as are reference and first frame", _mirror_all, harmless=True),
}
"""Every edit by name, in the order of tables."""

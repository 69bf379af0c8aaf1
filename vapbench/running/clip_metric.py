"""A metric for single clips, as a notebook calls it: no suite, no run, no row."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import read_video
from vapbench.errors import ErrorKind, UsageError
from vapbench.metrics.view import ClipView
from vapbench.running.attempt import checked
from vapbench.running.device import torch_device

if TYPE_CHECKING:
    import numpy.typing as npt

    from vapbench.metrics.base import Metric, Score

StrPath = str | os.PathLike[str]


class ClipMetric:
    """A metric for single clips: call it with a video."""

    def __init__(self, metric: Metric, device: str = "auto") -> None:
        """Load what the metric needs.

        Raises:
            NotApplicable: its weights are absent; the message says how to fetch them.
        """
        self.metric = metric
        self.device = torch_device(device)
        metric.setup(self.device)

    def __call__(
        self,
        clip: StrPath | npt.NDArray[np.uint8] | Clip | Any,
        *,
        reference: StrPath | None = None,
        image: StrPath | None = None,
        target: StrPath | None = None,
        caption: str | None = None,
        fps: float = 8.0,
    ) -> Score:
        """Score one clip.

        Args:
            clip: a video file, or frames ``(T, H, W, 3)`` uint8 RGB as an array or a tensor.
            reference: the file of the reference video, for metrics that look at it.
            image: the file of the first frame the method was given, for metrics that look at it.
            target: the file of the ground-truth video, for metrics that look at it.
            caption: the caption, for metrics that look at it.
            fps: frames per second of an array or tensor.

        Raises:
            UsageError: the metric needs something that was not given.
            NotApplicable: the metric does not apply to this clip.
        """
        given = {"reference": reference, "image": image, "target": target, "prompt": caption}
        if lacking := sorted(need for need in self.metric.needs if need in given and given[need] is None):
            wanted = ", ".join("caption=" if need == "prompt" else f"{need}=" for need in lacking)
            raise UsageError(
                f"{self.metric.name} looks at more than the clip: give it {wanted}",
                ErrorKind.MISSING,
                wanted.partition("=")[0],
            )
        for name in ("reference", "image", "target"):
            if not isinstance(given[name], (str, os.PathLike, type(None))):
                text = f"{name}= takes the path of a file, and this is a {type(given[name]).__name__}; save it as one."
                raise UsageError(text, ErrorKind.INVALID, name)
        read = _as_clip(clip, fps)
        case = _single_case(read, reference, image, target, caption)
        return checked(self.metric.name, self.metric.score(ClipView(read, case, self.device), case))


def _as_clip(clip: Any, fps: float) -> Clip:
    if isinstance(clip, Clip):
        return clip
    if isinstance(clip, (str, os.PathLike)):
        return read_video(Path(clip))
    try:
        frames = np.asarray(clip.detach().cpu() if hasattr(clip, "detach") else clip)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"A clip is (T, H, W, 3) uint8 RGB; this is none: {error}.", ErrorKind.INVALID, "clip"
        ) from error
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise UsageError(
            f"A clip is (T, H, W, 3) uint8 RGB; this is {frames.shape} {frames.dtype}. Move channels to the end and "
            "scale to 0..255.",
            ErrorKind.INVALID,
            "clip",
        )
    return Clip(frames, fps, source="an array")


def _single_case(
    clip: Clip, reference: StrPath | None, image: StrPath | None, target: StrPath | None, caption: str | None
) -> Case:
    """A case around one clip. What was not given is not there: the metric has said that it does not look at it."""

    def media(path: StrPath | None) -> Any:
        return None if path is None else Media(path=Path(path))

    height, width = clip.height - clip.height % 2, clip.width - clip.width % 2
    return Case.model_construct(
        id="clip",
        condition="clip",
        category=None,
        references=(Reference.model_construct(video=media(reference), caption=None),),
        image=media(image),
        caption=caption,
        target=media(target),
        clip=ClipSpec.model_construct(frames=len(clip.frames), fps=clip.fps, height=height, width=width),
    )

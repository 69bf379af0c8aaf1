"""What a caller gives a pipeline, checked and made PIL frames and one caption per reference."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image

from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.text import counted

log = logging.getLogger(__name__)

FrameSelection = Literal["evenly", "first"]
Video = np.ndarray[Any, np.dtype[np.uint8]] | Sequence[Image.Image]
"""One video: uint8 array [F, H, W, 3], or a list of PIL images."""
Picture = np.ndarray[Any, np.dtype[np.uint8]] | Image.Image
"""One picture: uint8 array [H, W, 3], or a PIL image."""

NEGATIVE_PROMPT = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, "
    "overall gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, "
    "poorly drawn hands, poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, "
    "still picture, messy background, three legs, many people in the background, walking backwards"
)
"""Wan's negative prompt, which the official pipelines use for target and references alike."""


@cache
def warn_of_cut_caption(caption: str, length: int) -> None:
    """Warn, once for each caption, that the text encoder reads its first ``length`` tokens only."""
    if caption != NEGATIVE_PROMPT:  # What is lost of it is nobody's.
        log.warning("The text encoder reads %d tokens; the rest of this caption is lost: %.60s", length, caption)


@dataclass(frozen=True)
class Request:
    """The semantic inputs of one generation."""

    image: Image.Image
    """First frame of the target."""
    prompt: str
    references: list[list[Image.Image]]
    """``num_frames`` frames of each reference."""
    reference_prompts: list[str]
    """One caption for each reference."""


def read_request(
    image: Picture,
    reference_videos: Sequence[Video],
    prompt: str | None,
    reference_prompts: Sequence[str] | str | None,
    num_frames: int,
    frame_selection: FrameSelection,
) -> Request:
    """Check the inputs and choose the frames; the caller's objects stay as they are.

    Raises:
        UsageError: arguments of the wrong form or number.
        DataError: a picture or video that cannot be used.
    """
    if isinstance(reference_videos, np.ndarray) or not reference_videos:
        raise UsageError(
            "reference_videos must be a list with at least one video, each an array [F, H, W, 3].",
            ErrorKind.INVALID,
            "reference_videos",
        )
    if prompt is not None and not isinstance(prompt, str):
        raise UsageError("One call makes one video: prompt must be a string.", ErrorKind.INVALID, "prompt")
    references = []
    for number, video in enumerate(reference_videos, 1):
        frames = [_picture(frame, f"reference {number}", "reference_videos") for frame in video]
        references.append([frames[index] for index in select_frames(len(frames), num_frames, frame_selection)])
    captions = _captions(reference_prompts, len(references))
    return Request(_picture(image, "the image", "image"), prompt or "", references, captions)


def select_frames(available: int, wanted: int, selection: FrameSelection = "evenly") -> list[int]:
    """Return the indices of ``wanted`` frames of a video of ``available``.

    ``evenly`` spans the whole video from its first to its last frame and repeats frames of a short one;
    ``first`` takes the beginning.

    Raises:
        DataError: no frames, or too few for ``first``.
        UsageError: an unknown selection.
    """
    if available < 1:
        raise DataError("A reference video has no frames.", ErrorKind.MISSING, "frames")
    if selection == "evenly":
        return [int(index) for index in torch.linspace(0, available - 1, wanted).long()]
    if selection == "first":
        if available < wanted:
            raise DataError(
                f"frame_selection='first' needs {counted(wanted, 'frame')}, a reference has {available}; use 'evenly'.",
                ErrorKind.CONFLICT,
                "frame_selection",
            )
        return list(range(wanted))
    raise UsageError(
        f"Unknown frame_selection {selection!r}; use one of {', '.join(get_args(FrameSelection))}.",
        ErrorKind.UNKNOWN,
        "frame_selection",
    )


def check_size(
    height: int, width: int, num_frames: int, spatial_step: int, temporal_step: int, num_inference_steps: int
) -> None:
    """Refuse sizes that the autoencoder and the patches cannot represent.

    Raises:
        UsageError: the rule that is broken.
    """
    if height < 1 or width < 1 or height % spatial_step or width % spatial_step:
        raise UsageError(
            f"height and width must be multiples of {spatial_step}, not {height} and {width}.",
            ErrorKind.INVALID,
            "height",
        )
    if num_frames < 1 or num_frames % temporal_step != 1:
        raise UsageError(
            f"num_frames must be {temporal_step}k + 1, such as 49, not {num_frames}.", ErrorKind.INVALID, "num_frames"
        )
    if num_inference_steps < 1:
        raise UsageError(
            f"num_inference_steps must be at least 1, not {num_inference_steps}.",
            ErrorKind.INVALID,
            "num_inference_steps",
        )


def negative_or_default(prompt: str | None) -> str:
    """Return the negative prompt to use where the caller gave none; an empty one is kept."""
    return NEGATIVE_PROMPT if prompt is None else prompt


def _captions(captions: Sequence[str] | str | None, references: int) -> list[str]:
    if captions is None:
        return [""] * references
    if isinstance(captions, str):
        if references != 1:
            raise UsageError(
                f"{counted(references, 'reference')} need a list of {counted(references, 'caption')}, not one string.",
                ErrorKind.CONFLICT,
                "reference_prompts",
            )
        return [captions]
    if len(captions) != references or not all(isinstance(caption, str) for caption in captions):
        raise UsageError(
            f"reference_prompts must hold one caption for each of {counted(references, 'reference')}.",
            ErrorKind.INVALID,
            "reference_prompts",
        )
    return list(captions)


def _picture(picture: Picture, what: str, field: str) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        found = f"{picture.dtype} {list(picture.shape)}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise DataError(
            f"{what[0].upper()}{what[1:]} must be PIL or uint8 [H, W, 3] (per frame), not {found}.",
            ErrorKind.INVALID,
            field,
        )
    return Image.fromarray(picture)

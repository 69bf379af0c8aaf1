"""The question put to a judge: pictures and text in a fixed layout, the same for every backend."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vapbench.core.clip import Clip, Frames, linspace_indices
from vapbench.files.atomic import digest
from vapbench.metrics.judge.rubric import Rubric, Rubrics

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

Role = Literal["reference", "image", "output"]
Part = str | Frames
"""Text, or one picture ``(H, W, 3)`` uint8 RGB."""

LONGER_SIDE = 512
"""Pictures are scaled down to this, in pixels: more costs tokens, and the rubrics ask for nothing so small."""
_LONGEST_CAPTION = 2000


@dataclass(frozen=True)
class Shown:
    """One video, or the first frame, as a judge sees it."""

    frames: tuple[Frames, ...]
    times: tuple[float, ...]
    """Seconds from the start; empty for the first frame."""


NOTHING: Mapping[Role, Shown] = {role: Shown((), ()) for role in ("reference", "image", "output")}
"""For the length of the text alone."""


@dataclass(frozen=True)
class Question:
    """Everything a judge needs for one case. It holds no path, no method's name and no case id."""

    rubrics: Rubrics
    rubric: Rubric
    shown: Mapping[Role, Shown]
    caption: str
    """The reference's; empty if it has none."""

    @property
    def system(self) -> str:
        """What the judge is and must never do."""
        return self.rubrics.protocol.system

    @property
    def starts_with_output(self) -> bool:
        """Whether the first repeat shows the output before the reference: so it is for half of all questions."""
        return int(digest([len(self.shown["output"].frames), self._fingerprint()])[:8], 16) % 2 == 1

    def parts(self, output_first: bool) -> Iterator[Part]:
        """Text and pictures in order.

        Args:
            output_first: show the output before the reference. Judges favour places; repeats take turns.
        """
        protocol, rubric = self.rubrics.protocol, self.rubric
        yield f"What was to be carried over. {rubric.semantic}"
        order: list[Role] = ["output", "image", "reference"] if output_first else ["reference", "image", "output"]
        for role in order:
            shown = self.shown[role]
            times = ", ".join(f"{time:.2f}" for time in shown.times)
            yield protocol.roles[role].format(frames=len(shown.frames), times=times)
            yield from shown.frames
        if self.caption:
            # A JSON string cannot end early: quotes and line breaks of a caption arrive escaped.
            yield f"{protocol.caption}\n{json.dumps(self.caption)}"
        anchors = "\n".join(f"  {score}: {text}" for score, text in rubric.anchors.items())
        criteria = "\n".join(f'  "{name}": {text}' for name, text in rubric.criteria.items())
        yield "\n\n".join([protocol.rules.format(anchors=anchors.lstrip()), f"Criteria:\n{criteria}", protocol.answer])

    def pictures(self) -> int:
        """Number of pictures."""
        return sum(len(shown.frames) for shown in self.shown.values())

    def characters(self) -> int:
        """Length of the text."""
        return len(self.system) + sum(len(part) for part in self.parts(False) if isinstance(part, str))

    def _fingerprint(self) -> list[int]:
        return [int(frame.sum()) for frame in self.shown["output"].frames]


def ask_about(view: ClipView, case: Case, rubrics: Rubrics, frames: int) -> Question:
    """Sample and scale what the judge is to see.

    Args:
        view: the output.
        case: its case, for the reference with its caption, the first frame and the category.
        rubrics: all rubrics.
        frames: how many frames of each video, spread evenly, ends included; shorter videos show every frame once.
    """
    shown: dict[Role, Shown] = {
        "reference": video_shown(view.reference.clip, frames),
        "image": picture_shown(view.image),
        "output": video_shown(view.clip, frames),
    }
    return Question(rubrics, rubrics.of(case.category), shown, caption_of(case))


def caption_of(case: Case) -> str:
    """The reference's caption, cut to a length that cannot crowd out the rubric; empty if there is none."""
    return (case.reference.caption or "")[:_LONGEST_CAPTION]


def scaled_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture is shown."""
    factor = min(1.0, LONGER_SIDE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def video_shown(clip: Clip, frames: int) -> Shown:
    """At most so many frames of a video, spread evenly, ends included, scaled down."""
    indices: Sequence[int] = sorted(set(linspace_indices(len(clip), min(frames, len(clip)))))
    return Shown(tuple(_scaled(clip.frames[index]) for index in indices), tuple(index / clip.fps for index in indices))


def picture_shown(picture: Frames) -> Shown:
    """A still picture, scaled down."""
    return Shown((_scaled(picture),), ())


def _scaled(frame: Frames) -> Frames:
    import numpy as np
    from PIL import Image

    height, width = scaled_size(*frame.shape[:2])
    if frame.shape[:2] == (height, width):
        # A copy: a view would keep the whole video in memory for as long as the answer takes.
        return frame.copy()
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))

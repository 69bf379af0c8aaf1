"""A package that adds a method, a metric and a suite to vapbench."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from vapbench import Case, Clip, ClipSpec, ClipView, Media, Method, Metric, Reference, write_video
from vapbench.suites import Suite


class Blink(Method):
    def generate(self, case, seed):
        frame = case.image.first_frame()
        return Clip(np.stack([frame if t % 2 else 255 - frame for t in range(case.clip.frames)]), case.clip.fps)


class Redness(Metric):
    """Mean red value, in 0..255."""

    unit = "level"

    def score(self, clip: ClipView, case: Case) -> float:
        return float(clip.frames[..., 0].mean())


def read(clip: ClipSpec) -> list[Case]:
    folder = Path(tempfile.gettempdir()) / "vapbench-two-squares"
    cases = []
    for number in (1, 2):
        path = folder / f"square-{number}.mp4"
        write_video(path, Clip(np.full((clip.frames, clip.height, clip.width, 3), 60 * number, np.uint8), clip.fps))
        media = Media(path=path)
        references = (Reference(video=media),)
        cases.append(Case(id=f"square-{number}", condition="grey", references=references, image=media, clip=clip))
    return cases


SUITE = Suite(
    name="two-squares",
    title="Two grey squares",
    reader="vapbench_example_plugin:read",
    data="none",
    clip=ClipSpec(frames=4, fps=8, height=16, width=16),
    metrics=("redness",),
)

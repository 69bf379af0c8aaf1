"""A probe's clips side by side: a page per probe, a block per case, a row per cell, a column per method.

Videos stay files: outputs are linked where the runs keep them, and what browsers cannot play, or lies elsewhere, is
put beside the page as a small copy for showing only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from vapbench.core.case import Case
from vapbench.core.video import probe as info_of
from vapbench.errors import DataError
from vapbench.files.atomic import file_sha256, write_text
from vapbench.report.page.media import playable, plays
from vapbench.report.page.page import render_static
from vapbench.validation.pairing import in_turn
from vapbench.validation.probe.cells import OWN, Cell
from vapbench.validation.probe.edited import Edited
from vapbench.validation.probe.plans import Setting
from vapbench.validation.probe.report import Report
from vapbench.validation.probe.results import Outputs, outputs_of
from vapbench.validation.probe.unchanged import UNCHANGED
from vapbench.validation.probe.words import cell_name, ordered, verdict

FIGURE = "probe.png"
"""Beside the page; letters of an SVG are wider where a browser lacks the font."""
CASES = 24
"""Cases on a page at most, spread over conditions."""
_AREA = 320 * 320
"""Pixels of a copy at most."""


@dataclass(frozen=True)
class ShownClip:
    """One clip of the page."""

    source: str
    """Link; empty where there is none."""
    text: str
    """What is said below it."""
    unchanged: bool = False


@dataclass(frozen=True)
class Row:
    """One cell of a case."""

    name: str
    caption: str
    reference: ShownClip
    outputs: tuple[ShownClip, ...]


@dataclass(frozen=True)
class Block:
    """One case."""

    case: str
    condition: str
    rows: tuple[Row, ...]


def write_page(path: Path, setting: Setting, report: Report) -> None:
    """Write the page of a probe, with its clips beside it.

    Raises:
        DataError: a video cannot be read.
        OSError: the disk is full or not writable.
    """
    made = {probe.method: outputs_of(setting, probe) for probe in setting.probes}
    clips = _Clips(path.parent)
    cases = in_turn(setting.selection.cases, lambda case: case.condition)[:CASES]
    answers = [
        (method.method, "; ".join(verdict(method.effect(name)) for name in ("reference", "caption")))
        for method in report.methods
    ]
    text = render_static(
        "probe",
        title=f"{report.suite}, {report.task}: did the reference cause it?",
        column=report.title,
        answers=answers,
        figure=FIGURE,
        methods=list(made),
        blocks=[_block(setting, case, made, clips, report) for case in cases],
        left_out=len(setting.selection.cases) - len(cases),
        notes=report.notes,
    )
    write_text(path, text)


class _Clips:
    """Links to videos, relative to the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def link(self, path: Path) -> str:
        """Where the page finds a video: itself where it lies below the results, else a copy."""
        below = path.is_relative_to(self._folder.parent.parent)
        if not (below and plays(path)):
            path = self._copied(path)
        return quote(Path(os.path.relpath(path, self._folder)).as_posix())

    def _copied(self, path: Path) -> Path:
        info = info_of(path)
        shown = playable(path, info, min(1.0, (_AREA / (info.width * info.height)) ** 0.5))
        copy = self._folder / "clips" / f"{file_sha256(shown)[:24]}.mp4"
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shown, copy)
        return copy


def _block(
    setting: Setting, case: Case, made: Mapping[str, Mapping[Cell, Outputs]], clips: _Clips, report: Report
) -> Block:
    shown = {each.cell: each.shown for each in setting.cases if each.own.id == case.id and not each.lacking}
    shown[OWN] = case
    cells = ordered(list({cell: None for outputs in made.values() for cell in outputs}))
    rows = [
        Row(
            cell_name(cell),
            shown[cell].caption or "",
            _reference(shown[cell], clips),
            tuple(_output(outputs.get(cell), cell, case, clips, report) for outputs in made.values()),
        )
        for cell in cells
        if cell in shown
    ]
    return Block(case.id, case.condition, tuple(rows))


def _reference(case: Case, clips: _Clips) -> ShownClip:
    if not case.references:
        return ShownClip("", "none")
    video = case.reference.video
    shown = video.path
    if isinstance(video, Edited):
        video.make()
        shown = video.source
    said = [f"{shown.parent.name}/{shown.stem}"]
    if isinstance(video, Edited):
        said.append(video.edit)
    if len(case.references) > 1:
        said.append(f"and {len(case.references) - 1} more")
    return ShownClip(clips.link(video.path), ", ".join(said))


def _output(outputs: Outputs | None, cell: Cell, case: Case, clips: _Clips, report: Report) -> ShownClip:
    if outputs is None:
        return ShownClip("", "not asked")
    video = next((path for (name, _), path in sorted(outputs.videos.items()) if name == case.id), None)
    if video is None:
        return ShownClip("", "no output")
    score, change = outputs.scores.get(case.id), outputs.changes.get(case.id)
    said = "no score" if score is None else f"{score * report.scale:.{report.digits}f}"
    unchanged = cell != OWN and change is not None and change <= UNCHANGED
    try:
        return ShownClip(clips.link(video), f"{said}, unchanged" if unchanged else said, unchanged)
    except DataError as error:
        return ShownClip("", str(error))

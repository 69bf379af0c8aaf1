"""Cases in pictures, at the top of a board."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vapbench.leaderboard.addresses import case_page
from vapbench.leaderboard.boards import Board
from vapbench.leaderboard.media import MediaFiles, SiteClip
from vapbench.leaderboard.views import Group
from vapbench.report.model import TableModel
from vapbench.results.manifest import FileRole

GIVEN: Mapping[FileRole, str] = {"reference": "Reference", "image": "First frame", "target": "Ground truth"}
_SAMPLED = 4
"""Methods beside the samples of a board: the first ones, without those run with other parameters than usual."""


@dataclass(frozen=True)
class Sample:
    """A case in pictures."""

    condition: str
    page: str
    clips: Sequence[SiteClip]


def samples_of(media: MediaFiles, board: Board, table: TableModel, groups: Sequence[Group]) -> Iterator[Sample]:
    """A case of each of a table's categories that has pictures, with what the first methods made of it."""
    seen = set[str]()
    entries = {entry.label: entry for entry in board.entries}
    ranked = [line.label for group in groups if group.name == "measured" for line in group.lines]
    first = [entries[label] for label in ranked if "~" not in entries[label].run.folder.path.name][:_SAMPLED]
    for case, planner in board.cases.items():
        category = table.categories.get(case)
        if category is None or category in seen:
            continue
        planned = planner.run.cases()[case]
        given = [media.given(planner, planned, role, label) for role, label in GIVEN.items() if role != "image"]
        if all(clip.poster for clip in given):
            seen.add(category)
            rows = [(entry, entry.run.generations.get(case, ())) for entry in first]
            made = [media.output(entry, row[0] if row else None, entry.label) for entry, row in rows]
            frames = [given[0], *(clip for clip in made if clip.poster), *given[1:]]
            yield Sample(planned.condition or case, case_page(board, case), frames)

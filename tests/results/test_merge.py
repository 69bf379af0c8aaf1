"""Shards and sites as one run: what is equal collapses, what contradicts is refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.cli import app
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind, IdentityError, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.results.merge import merge
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter, video_name

IDENTITY = {"suite": "mini", "name": "vap", "version": 1, "parameters": {"steps": 50}, "weights": {}}
FAILED = "failed"


class Site:
    """A run folder, written as a run writes it."""

    def __init__(self, path: Path, **identity: Any) -> None:
        self.folder = RunFolder(path)
        self.identity = IDENTITY | identity

    def write(
        self, made: Mapping[str, int | str], weights: str = "", code: str = "", caption: str = "A cat.", **changes: Any
    ) -> RunFolder:
        """Case -> number of its video, whose score it is as well; or ``failed``."""
        planned = {
            case: {"condition": "vidu_orbit", "category": "camera", "tasks": ["all"], "seeds": [0]}
            | {"fields": {"prompt": caption}, "media": str(self.folder.path)}
            for case in made
        }
        shown = {"brightness": {"needs": ["prompt"], "unit": "", "scale": 1.0, "higher_is_better": True}}
        with RunWriter(self.folder) as writer:
            writer.begin(self.identity, planned, {"argv": [str(self.folder.path)]}, shown)
            for case, number in made.items():
                self._write(writer, case, number, weights, code, changes)
            writer.end({}, "cpu")
        return self.folder

    def _write(self, writer: RunWriter, case: str, number: Any, weights: str, code: str, changes: Any) -> None:
        common: dict[str, Any] = {"case": case, "condition": "vidu_orbit", "category": "camera", "seed": 0}
        row = GenerationRow(f"{case}-key", **common, status="failed", code=code, attempts=(Failure("ValueError", "x"),))
        if number == FAILED:
            writer.append(row)
            return
        video = self.folder.videos / video_name(case, 0, "0" * 8)
        write_video(video, moving_clip(number))
        sha = file_sha256(video)
        writer.append(replace(row, status="ok", video=video.name, sha256=sha, attempts=(), seconds=float(number)))
        score = ScoreRow(
            f"{case}-score", "brightness", 1, {}, video_sha256=sha, case_sha256="", **common, status="ok",
            value=number / 2, weights=weights,
        )  # fmt: skip
        writer.append(replace(score, **changes))


def content(folder: RunFolder) -> dict[str, Any]:
    """What a report is made of."""
    return {
        "made": {row.case: (row.status, row.sha256, folder.video_of(row) is not None) for row in folder.current()},
        "scores": {row.case: row.value for row in folder.scores("brightness").values()},
        "cases": list(folder.manifest().cases),
    }


def bytes_of(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_what_two_sites_made_is_one_run(tmp_path: Path) -> None:
    one = Site(tmp_path / "one").write({"a": 1, "b": 2, "c": FAILED})
    two = Site(tmp_path / "two").write({"b": 2, "c": 3, "d": FAILED})
    before = bytes_of(tmp_path)
    (merged,) = merge([one.path, two.path], tmp_path / "into")
    alone = Site(tmp_path / "alone").write({"a": 1, "b": 2, "c": 3, "d": FAILED})
    target = RunFolder(tmp_path / "into")
    assert content(target) == content(alone)
    assert (merged.generations, merged.scores, merged.videos, merged.outdone) == (4, 3, 3, 1)
    assert merged.equal == 2, "b: its row and its score"
    assert {name: data for name, data in bytes_of(tmp_path).items() if name in before} == before
    assert len(target.manifest().sessions) == 2


def test_merging_again_adds_nothing_and_later_work_is_added(tmp_path: Path) -> None:
    one, two = Site(tmp_path / "one"), Site(tmp_path / "two")
    sources = [one.write({"a": 1}).path, two.write({"b": FAILED}).path]
    merge(sources, tmp_path / "into")
    before = bytes_of(tmp_path / "into")
    (again,) = merge(sources, tmp_path / "into")
    assert (again.generations, again.scores, again.videos) == (0, 0, 0)
    assert bytes_of(tmp_path / "into") == before
    two.write({"b": 2})
    (later,) = merge(sources, tmp_path / "into")
    assert (later.generations, later.scores, later.videos) == (1, 1, 1)
    assert content(RunFolder(tmp_path / "into"))["scores"] == {"a": 0.5, "b": 1.0}


@pytest.mark.parametrize(
    ("first", "second", "field", "named"),
    [
        ({}, {"made": {"a": 2}}, "row", ("generations.jsonl", "a seed 0", "video")),
        ({}, {"value": 0.75}, "row", ("scores/brightness.jsonl", "a seed 0", "0.5 (key", "0.75 (key")),
        ({}, {"caption": "A dog."}, "fields", ("a (fields)",)),
        ({"code": "x"}, {"code": "y"}, "manifest", ("method.py",)),
        ({"weights": "x"}, {"weights": "y"}, "manifest", ("brightness", "weights")),
    ],
)
def test_contradictions_are_refused_with_both_named(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], field: str, named: tuple[str, ...]
) -> None:
    one = Site(tmp_path / "one").write(**{"made": {"a": 1}, **first})
    two = Site(tmp_path / "two").write(**{"made": {"a": 1}, **second})
    with refuses(DataError, ErrorKind.CONFLICT, field, two.path, *named):
        merge([one.path, two.path], tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_scores_by_earlier_weights_do_not_become_the_column(tmp_path: Path) -> None:
    one = Site(tmp_path / "one")
    one.write({"a": 1, "b": 2}, weights="x")
    # Scoring anew was stopped before it came to b: reports count what the last row's weights say.
    again = one.write({"a": 1}, weights="y", key="a-again")
    merge([again.path], tmp_path / "into")
    merged = RunFolder(tmp_path / "into").scores("brightness").values()
    assert [(row.case, row.weights) for row in merged] == [("a", "y")]


def test_other_identities_are_refused_with_what_differs(tmp_path: Path) -> None:
    one = Site(tmp_path / "one").write({"a": 1})
    two = Site(tmp_path / "two", parameters={"steps": 30}).write({"b": 2})
    with refuses(IdentityError, ErrorKind.CONFLICT, "parameters") as caught:
        merge([one.path, two.path], tmp_path / "into")
    assert str(one.path) in str(caught.value) and str(two.path) in str(caught.value)


def test_a_replaced_video_is_refused_unless_another_source_has_the_true_one(tmp_path: Path) -> None:
    one, two = Site(tmp_path / "one").write({"a": 1}), Site(tmp_path / "two").write({"a": 1})
    write_video(next(one.videos.iterdir()), moving_clip(9))
    with refuses(DataError, ErrorKind.DAMAGED, "video"):
        merge([one.path], tmp_path / "refused")
    merge([one.path, two.path], tmp_path / "into")
    assert content(RunFolder(tmp_path / "into"))["made"]["a"][2]


def test_a_row_that_claims_another_cases_video_is_refused(tmp_path: Path) -> None:
    one, two = Site(tmp_path / "one").write({"a": 1}), Site(tmp_path / "two").write({"b": 2})
    (row,), taken = two.current(), str(one.current()[0].video)
    (two.videos / str(row.video)).rename(two.videos / taken)
    with RunWriter(two) as writer:
        writer.append(replace(row, video=taken))
    before = bytes_of(one.path)
    with refuses(DataError, ErrorKind.CONFLICT, "video") as caught:
        merge([two.path], one.path)
    assert f"two/generations.jsonl gives b seed 0 the video {taken}, which is that of a" in str(caught.value)
    assert bytes_of(one.path) == before


def test_rows_without_their_videos_are_merged_and_counted(tmp_path: Path) -> None:
    one = Site(tmp_path / "one").write({"a": 1})
    next(one.videos.iterdir()).unlink()
    (merged,) = merge([one.path], tmp_path / "into")
    assert (merged.generations, merged.videos, merged.without_video) == (1, 0, 1)


def test_a_source_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    one = Site(tmp_path / "one").write({"a": 1})
    with RunWriter(one), refuses(DataError, ErrorKind.BUSY, "run"):
        merge([one.path], tmp_path / "into")


def test_whole_results_folders_are_merged_run_by_run(tmp_path: Path) -> None:
    for number in (1, 2):
        for run in ("vap", "i2v"):
            Site(tmp_path / f"shard-{number}" / "mini" / run, name=run).write({f"c{number}": number})
    folders = [str(tmp_path / "shard-1"), str(tmp_path / "shard-2")]
    done = CliRunner().invoke(app, ["results", "merge", *folders, "--into", str(tmp_path / "all")])
    assert done.exit_code == 0, done.output
    assert f"{tmp_path}/all/mini/vap: 2 generations, 2 scores and 2 videos from 2 runs" in done.output
    assert list(content(RunFolder(tmp_path / "all" / "mini" / "i2v"))["made"]) == ["c1", "c2"]
    with refuses(UsageError, ErrorKind.UNKNOWN, "runs"):
        merge([tmp_path / "shard-1" / "mini" / "vap", tmp_path], tmp_path / "all")

"""Cases that change between two runs of a command: no score of what they were stands beside what they are."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from tests.conftest import moving_clip
from vapbench.cli import app
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import DataError

METRIC = """import numpy as np
import vapbench as vb
from vapbench.core.video import read_video


class Apart(vb.Metric):
    name = "apart"
    needs = {"target"}
    higher_is_better = False

    def score(self, view, case):
        return float(np.abs(view.clip.frames.astype(int) - read_video(case.target.path).frames).mean()) * FACTOR
"""


def vapbench(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "250"})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six cases of three conditions, two methods' videos, and a metric that looks at the target."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    rows = ["id,reference,image,target,condition"]
    for number in range(6):
        for method in ("one", "two"):
            (tmp_path / method).mkdir(exist_ok=True)
            far = np.clip(moving_clip(number).frames.astype(int) + (3 if method == "one" else 9), 0, 255)
            write_video(tmp_path / method / f"case-{number}.mp4", Clip(far.astype(np.uint8), 8.0))
        write_video(tmp_path / "mine" / f"{number}.mp4", moving_clip(number))
        rows.append(f"case-{number},{number}.mp4,{number}.mp4,{number}.mp4,c{number % 3}")
    (tmp_path / "mine" / "cases.csv").write_text("\n".join(rows))
    (tmp_path / "apart.py").write_text(METRIC.replace("FACTOR", "1"))
    return tmp_path


def scored(what: object, *more: object) -> Result:
    return vapbench("score", what, "--suite", "mine", "--metric", "apart.py:Apart", *more)


def table(*more: object) -> str:
    done = vapbench("table", "--suite", "mine", "--task", "all", "--format", "markdown", *more)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_run_is_not_scored_against_a_case_that_its_video_was_not_made_for(home: Path) -> None:
    assert scored("one").exit_code == 0
    before = table()
    shutil.copyfile(home / "mine" / "4.mp4", home / "mine" / "5.mp4")
    again = vapbench("score", "runs/mine/one", "--metric", "apart.py:Apart", "--suite", "mine")
    assert again.exit_code == 0, again.output
    assert (
        "1 case changed since" in again.stderr and "not scored by what looks at that: case-5 (target)" in again.stderr
    )
    assert table() == before
    both = ("--metric", "apart.py:Apart", "--metric", "temporal_flickering")
    assert vapbench("score", "runs/mine/one", *both, "--suite", "mine").exit_code == 0
    assert "| one | 94.60 |" in table("--metric", "temporal_flickering"), "of all six: it looks at no target"
    # Its folder is scored anew, against the case as it is.
    assert scored("one").exit_code == 0 and table() != before
    for number in range(6):
        shutil.copyfile(home / "one" / "case-0.mp4", home / "mine" / f"{number}.mp4")
    refused = vapbench("score", "runs/mine/one", "--metric", "apart.py:Apart", "--suite", "mine")
    assert isinstance(refused.exception, DataError) and "Every case changed since" in str(refused.exception)


def test_runs_on_other_contents_of_a_case_are_neither_ranked_nor_tested(home: Path) -> None:
    assert scored("one").exit_code == scored("two").exit_code == 0
    assert "not the same in all" not in table()
    shutil.copyfile(home / "mine" / "4.mp4", home / "mine" / "5.mp4")
    assert scored("one").exit_code == 0
    said = table("--reference", "one", "--style", "wide")
    what = "case-5 (reference, image, target)"
    assert f"1 case of these runs is not the same in all: {what}; apart: neither ranked nor tested." in said
    assert "#" not in said.split("\n\n")[1]
    compared = vapbench("compare", "one", "two", "--suite", "mine")
    assert "5/6" in compared.stdout and f"{what}; columns that look at what differs" in compared.stdout


def test_scores_by_other_code_are_told_apart_in_a_frame_too(home: Path) -> None:
    assert scored("one").exit_code == scored("two").exit_code == 0
    (home / "apart.py").write_text(METRIC.replace("FACTOR", "1000"))
    assert scored("one").exit_code == 0
    assert vapbench("export", "--out", "e.csv", "--suite", "mine").exit_code == 0
    frame = pd.read_csv("e.csv").query("metric == 'apart' and status == 'scored'")
    by_file = frame.groupby("metric_parameters")["method"].unique().map(list)
    assert sorted(map(tuple, by_file)) == [("one",), ("two",)] and all("files" in each for each in by_file.index)
    said = vapbench("compare", "one", "two", "--suite", "mine").stdout
    assert "scored by the same files" in said


def test_another_folder_under_the_name_of_a_run_is_told(home: Path) -> None:
    names: Sequence[object] = ("--name", "mine")
    assert scored("one", *names).exit_code == 0
    done = scored("two", *names)
    assert done.exit_code == 0 and "held the scores of other videos" in done.stderr and "replaced" in done.stderr

"""The audit: metrics whose answers are known, on real videos."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.cli import app
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.metrics import resolve
from vapbench.running.plan import columns
from vapbench.running.progress import Silent
from vapbench.validation.audit.edits import EDITS, Staged
from vapbench.validation.audit.measure import Audit, audit, concordance, measure
from vapbench.validation.audit.who import subjects_of, without_weights

PLUG_INS = '''
import vapbench as vb


class Brightness(vb.Metric):
    """Mean grey level."""

    def score(self, clip, case):
        return float(clip.frames.mean())


class Lying(Brightness):
    """Says that darkness does not matter to it."""

    invariant_to = frozenset({"darker", "reversed"})


class Indifferent(vb.Metric):
    """Always content."""

    def score(self, clip, case):
        return 1.0


class Misspelt(Brightness):
    invariant_to = frozenset({"backwards"})
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(PLUG_INS)
    return path


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(6):
        write_video(folder / f"clip{number}.mp4", moving_clip(number))
    return folder


def verdicts(found: Audit) -> dict[str, str]:
    return {effect.edit: effect.verdict for effect in found.effects}


def audited(names: list[str], limit: int = 8, task: str = "all") -> dict[str, Audit]:
    wanted = columns(names)
    scores = measure(subjects_of("mini", None, task, None, limit), wanted, torch.device("cpu"), Silent())
    return {column.label: audit(column, scores[column.label]) for column in wanted}


def test_the_known_weaknesses_of_columns_are_found() -> None:
    found = audited(["temporal_flickering", "first_frame_psnr", "semantic_alignment[embedding]"])
    flickering, first, semantic = (verdicts(each) for each in found.values())
    assert (flickering["frozen"], flickering["reversed"], flickering["noised"]) == ("fooled", "blind", "sees")
    assert (first["frozen"], first["copy-reference"], first["shuffled"]) == ("blind", "sees", "sees")
    # Text and picture are the same: only a column that looks at the reference can see that it is another.
    assert (semantic["wrong-reference"], first["wrong-reference"]) == ("sees", "blind")
    assert semantic["copy-reference"] in ("blind", "unclear", "fooled")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "camera_agreement" else [])
        for name in without_weights()
        if resolve(name)[0].invariant_to
    ],
)
def test_built_in_metrics_keep_what_they_declare(name: str) -> None:
    (found,) = audited([name], limit=2, task="camera" if name == "camera_agreement" else "all").values()
    assert found.effects and found.broken == ()


def test_a_metric_that_breaks_its_promise_is_caught(own: Path, videos: Path) -> None:
    where = ("--suite", "custom", "--videos", str(videos), "-q")
    caught = CliRunner().invoke(app, ["check", "metric", f"{own}:Lying", *where])
    assert caught.exit_code == 1
    assert "declared invariant to darker, and is not" in caught.output
    assert "H.264 at a rate factor of 35\n" in re.sub(r" +\n", "\n", caught.output), "a file has room for every word"
    assert re.search(r"  darker +sees +-\d\d\.\d\d \[-\d\d\.\d\d, -\d\d\.\d\d\] +100 %", caught.output), caught.output
    honest = CliRunner().invoke(app, ["check", "metric", f"{own}:Brightness", *where, "--json"])
    assert honest.exit_code == 0, honest.output
    rows = {row["edit"]: row for row in json.loads(honest.output)}
    assert rows["darker"]["verdict"] == "sees" and rows["reversed"]["verdict"] == "blind"
    # Videos alone have neither reference nor caption.
    assert not {"copy-reference", "three-panel", "wrong-reference", "wrong-caption"} & set(rows)


def test_a_constant_is_blind_to_everything(own: Path) -> None:
    (found,) = audited([f"{own}:Indifferent"], limit=4).values()
    assert set(verdicts(found).values()) == {"blind", "steady"}
    assert {effect.edit for effect in found.effects} == set(EDITS)


def test_an_unknown_edit_in_a_declaration_is_refused(own: Path) -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "invariant_to", "'backwards'; the edits are reversed, "):
        resolve(f"{own}:Misspelt")


def test_the_matrix_is_written_as_data_and_as_a_picture(own: Path, videos: Path, tmp_path: Path) -> None:
    for suffix in ("csv", "svg", "png"):
        out = tmp_path / f"audit.{suffix}"
        arguments = ["check", "metric", f"{own}:Brightness", "--suite", "custom", "--videos", str(videos), "-q"]
        done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
        assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO((tmp_path / "audit.csv").read_text())))
    assert {row["column"] for row in rows} == {"brightness"}
    assert float(next(row for row in rows if row["edit"] == "darker")["original_better"]) == 1
    assert "<svg" in (tmp_path / "audit.svg").read_text()
    refused = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "audit.xls")])
    assert isinstance(refused.exception, UsageError)


def test_a_suite_without_ground_truth_says_what_to_do(tmp_path: Path, videos: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "videos", "--videos DIR"):
        subjects_of("custom", videos, "all", None, 4)


def test_naming_nothing_says_how() -> None:
    refused = CliRunner().invoke(app, ["check", "metric"])
    assert isinstance(refused.exception, UsageError) and "vapbench check metric" in str(refused.exception)


@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_the_same_every_time_and_leaves_the_original(name: str, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, *size, 3), dtype=np.uint8)
    kept = frames.copy()
    other = Staged(Clip(255 - frames, 8), Clip(255 - frames, 8), None, "another")
    staged = Staged(Clip(frames, 8), Clip(frames[:, ::-1].copy(), 8), frames[0], "a caption", other)
    once, again = (EDITS[name].apply(staged) for _ in range(2))  # type: ignore[index]
    assert once and again
    assert np.array_equal(once.clip.frames, again.clip.frames)
    assert np.array_equal(frames, kept)
    assert len(once.clip) == 5
    against = once.caption != staged.caption or once.reference is not staged.reference
    assert against or not np.array_equal(once.clip.frames, frames)


def test_two_columns_agree_with_themselves_and_not_with_their_opposite() -> None:
    wanted = columns(["temporal_flickering"])
    scores = measure(subjects_of("mini", None, "style", None, 2), wanted, torch.device("cpu"), Silent())
    rows = scores["temporal_flickering"]
    same, opposite = concordance(rows, rows), concordance(rows, rows, (1, -1))
    assert same and opposite
    assert same.mean > 0.95 and opposite.mean < 0.05

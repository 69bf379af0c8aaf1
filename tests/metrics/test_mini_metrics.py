"""The mini suite's learned metrics on ground truth: what they promise before they judge a method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from mini_recipe.degradations import FAULTS, degrade

from tests.metrics.conftest import CPU
from tests.refusals import refuses
from vapbench.core.case import Case, ClipSpec
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, UsageError
from vapbench.metrics import resolve
from vapbench.metrics.view import ClipView
from vapbench.suites import vap_data
from vapbench.suites.mini.cases import MiniCase, benchmark_cases
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.writer import write_vap_data

Frames = npt.NDArray[np.uint8]
Scorer = Callable[[str, Sequence[Case], Frames], npt.NDArray[np.float64]]
SEMANTIC, TEXT, QUALITY = "semantic_alignment[embedding]", "text_alignment[mini-clip]", "aesthetic_quality[mini]"
SHUFFLED = [0, 7, 3, 12, 5, 1, 9, 11, 2, 6, 10, 4, 8]


@pytest.fixture(scope="module")
def score() -> Scorer:
    """Scores of clips for cases, by the weights that ship."""

    def run(name: str, cases: Sequence[Case], clips: Frames) -> npt.NDArray[np.float64]:
        metric, _ = resolve(name)
        metric.setup(CPU)
        views = [ClipView(Clip(clip, 8), case, CPU) for clip, case in zip(clips, cases, strict=True)]
        return np.array([metric.score(view, case).value for view, case in zip(views, cases, strict=True)])

    return run


@pytest.fixture(scope="module")
def minis() -> list[MiniCase]:
    """One case of each condition."""
    return benchmark_cases()[::2]


@pytest.fixture(scope="module")
def cases(minis: list[MiniCase], tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """The benchmark as a run sees it, references decoded from files."""
    folder = tmp_path_factory.mktemp("mini")
    write_vap_data(folder)
    loaded = {case.id: case for case in vap_data.load(folder, ClipSpec(frames=13, fps=8, height=64, width=64))}
    return [loaded[mini.id] for mini in minis]


@pytest.fixture(scope="module")
def truth(minis: list[MiniCase]) -> Frames:
    return render_batch([mini.target for mini in minis])


@pytest.mark.parametrize(
    ("metric", "part"),
    [(f"{SEMANTIC}:weights", "semantic"), (f"{TEXT}:weights", "image_text"), (f"{QUALITY}:head", "quality")],
)
def test_a_file_in_place_of_a_folder_of_weights_is_refused(metric: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "bad.pth").touch()
    with refuses(UsageError, ErrorKind.INVALID, "weights", tmp_path / "bad.pth", f"give the folder {part}"):
        resolve(f"{metric}={tmp_path / 'bad.pth'}")


def test_the_right_condition_beats_wrong_ones_stillness_and_noise(
    score: Scorer, minis: list[MiniCase], cases: list[Case], truth: Frames
) -> None:
    others = [minis[(place + 14) % len(minis)].condition for place in range(len(minis))]
    wrong = render_batch([MiniClip(o, mini.target.scene, 0) for o, mini in zip(others, minis, strict=True)])
    noise = np.random.default_rng(0).integers(0, 256, truth.shape, dtype=np.uint8)
    right = score(SEMANTIC, cases, truth)
    assert right.mean() > 75
    for other in (wrong, np.repeat(truth[:, :1], 13, axis=1), noise):
        found = score(SEMANTIC, cases, other)
        assert found.mean() < 10
        assert (right > found).mean() > 0.98


def test_the_order_of_frames_matters_where_things_move(
    score: Scorer, minis: list[MiniCase], cases: list[Case], truth: Frames
) -> None:
    moving = [place for place, mini in enumerate(minis) if mini.category == "motion"]
    chosen = [cases[place] for place in moving]
    right, shuffled = (score(SEMANTIC, chosen, clips[moving]) for clips in (truth, truth[:, SHUFFLED]))
    assert shuffled.mean() < right.mean() - 20


def test_a_copy_of_the_reference_is_caught_by_its_first_frame_and_as_leakage(
    score: Scorer, minis: list[MiniCase], cases: list[Case], truth: Frames
) -> None:
    copies = render_batch([mini.reference for mini in minis])
    assert score(SEMANTIC, cases, copies).mean() > 75
    assert score("reference_leakage[pixels]", cases, copies).min() > 0.95
    assert score("first_frame_psnr", cases, copies).mean() < 15
    assert abs(score("reference_leakage[pixels]", cases, truth).mean()) < 0.05
    given = score("first_frame_psnr", cases, truth)
    # The image that is given went through H.264, the rendered truth did not.
    assert given.mean() > 30
    assert given.min() > 25


def test_a_clip_matches_its_own_caption(score: Scorer, cases: list[Case], truth: Frames) -> None:
    shifted = [case.model_copy(update={"caption": cases[place - 7].caption}) for place, case in enumerate(cases)]
    noise = np.random.default_rng(0).integers(0, 256, truth.shape, dtype=np.uint8)
    right = score(TEXT, cases, truth)
    assert (right > score(TEXT, shifted, truth)).mean() > 0.95
    assert (right > score(TEXT, cases, noise)).mean() > 0.95


@pytest.fixture(scope="module")
def clean(score: Scorer, cases: list[Case], truth: Frames) -> npt.NDArray[np.float64]:
    return score(QUALITY, cases, truth)


@pytest.mark.parametrize("fault", FAULTS)
def test_degraded_clips_look_worse(
    fault: str, score: Scorer, cases: list[Case], truth: Frames, clean: npt.NDArray[np.float64]
) -> None:
    frames = torch.from_numpy(truth).permute(0, 1, 4, 2, 3).flatten(0, 1)
    faulty = degrade(frames, fault, (0.8, 0.8), torch.Generator().manual_seed(1))
    clips = faulty.permute(0, 2, 3, 1).reshape(truth.shape).numpy()
    degraded = score(QUALITY, cases, clips)
    assert (clean > degraded).mean() > 0.9
    assert clean.mean() > degraded.mean() + 0.1

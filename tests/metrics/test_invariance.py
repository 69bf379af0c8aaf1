"""A score is the video's: batch size, memory, order, prefetch and threads do not move it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from tests.metrics.conftest import CPU, TinyWeights, moving_clip
from vapbench.core.case import Case
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.features.clip import ClipWeights
from vapbench.metrics.features.precision import Precision, round_weights
from vapbench.metrics.view import ClipView
from vapbench.models.vision.correlation import AllPairs
from vapbench.models.vision.instance_norm import InstanceNorm

LEARNED = [
    "text_alignment[clip]",
    "text_alignment[viclip]",
    "aesthetic_quality",
    "dynamic_degree[raft]",
    "motion_smoothness[amt]",
    "subject_consistency",
    "background_consistency",
    "i2v_subject",
    "reference_leakage",
]
PLENTY = 8 << 30
SCANT = 1 << 20
CLIP = moving_clip(4, 131, 150, step=5)

Build = Callable[[str], Metric]


def _numbers(scored: Score | float) -> list[float]:
    assert isinstance(scored, Score) and scored.value is not None
    lists = [value for value in scored.parts.values() if isinstance(value, list)]
    return [scored.value, *(number for value in lists for number in value)]


def _score(metric: Metric, case: Case, memory: int = PLENTY) -> list[float]:
    return _numbers(metric.score(ClipView(CLIP, case, CPU, memory), case))


@pytest.mark.parametrize("name", LEARNED)
def test_memory_and_batch_size(name: str, build: Build, case: Case) -> None:
    plenty, scant = (_score(build(name), case, memory) for memory in (PLENTY, SCANT))
    assert scant == pytest.approx(plenty, abs=1e-4)


@pytest.fixture
def one_thread() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", LEARNED)
def test_threads(name: str, build: Build, case: Case, one_thread: Callable[[int], None]) -> None:
    found = []
    for threads in (1, 3):
        one_thread(threads)
        found.append(_score(build(name), case)[0])
    assert found[1] == pytest.approx(found[0], abs=1e-4)


def test_order_and_company(build: Build, case: Case) -> None:
    """Metrics that share a view, in either order, score as if each had it alone."""
    alone = {name: _score(build(name), case)[0] for name in LEARNED}
    for names in (LEARNED, LEARNED[::-1]):
        shared = ClipView(CLIP, case, CPU, PLENTY)
        together = {name: build(name).score(shared, case).value for name in names}
        assert together == pytest.approx(alone, abs=1e-6)


def test_prefetch(build: Build, case: Case) -> None:
    before = _score(build("reference_leakage"), case)
    case.reference.video.prefetch()
    try:
        assert _score(build("reference_leakage"), case) == before
    finally:
        case.reference.video.release()


@pytest.mark.parametrize("name", LEARNED)
def test_fast_is_near_exact_and_another_column(name: str, tiny: TinyWeights, build: Build, case: Case) -> None:
    metric, changed = resolve(f"{tiny.spec(name)},precision=fast")
    assert changed["precision"] == "fast"
    assert "precision" not in resolve(tiny.spec(name))[1]
    metric.setup(CPU)
    exact, fast = _score(build(name), case)[0], _score(metric, case)[0]
    assert fast == pytest.approx(exact, rel=0.05, abs=0.005)


def test_captions_are_encoded_exactly_in_either_precision(tiny: TinyWeights) -> None:
    exact, fast = (ClipWeights.of("tiny", tiny.clip, precision).load(CPU) for precision in ("exact", "fast"))
    assert torch.equal(exact.text_features("a red fox")[0], fast.text_features("a red fox")[0])


def test_correlation_of_bfloat16_features_is_off_by_their_rounding() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 1, 84, 16, 24).bfloat16()
    position = torch.randn(1, 2, 16, 24) * 8 + 8
    rounded, exact = (
        AllPairs(*features, levels=3, radius=3).lookup(position)
        for features in ((first, second), (first.float(), second.float()))
    )
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=2**-8 * float(exact.abs().max()))


@pytest.mark.parametrize("mean", [0, 1, 100])
def test_instance_norm_in_float32_is_as_near_to_the_formula_as_torchs(mean: float) -> None:
    torch.manual_seed(0)
    maps = (torch.randn(2, 8, 30, 40) * 3 + mean).contiguous(memory_format=torch.channels_last)
    torchs, ours = torch.nn.InstanceNorm2d(8), InstanceNorm(8)
    wanted = torchs(maps.double())
    far = [float((norm(maps).double() - wanted).abs().max()) for norm in (torchs, ours)]
    assert far[1] <= 1.5 * far[0] < 1e-5
    assert ours(maps).is_contiguous(memory_format=torch.channels_last)


def test_instance_norm_in_bfloat16_is_off_by_its_rounding() -> None:
    torch.manual_seed(0)
    maps = (torch.randn(2, 8, 30, 40) * 3 + 1).bfloat16().contiguous(memory_format=torch.channels_last)
    found = InstanceNorm(8)(maps)
    assert found.dtype == torch.bfloat16 and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.float(), torch.nn.InstanceNorm2d(8)(maps.float()), rtol=0, atol=0.04)


def test_only_matrix_products_are_rounded_and_only_where_fast_is_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    block = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.MultiheadAttention(4, 1))
    plans: tuple[tuple[bool, Precision, torch.dtype], ...] = (
        (True, "exact", torch.float32),
        (False, "fast", torch.float32),
        (True, "fast", torch.bfloat16),
    )
    for hardware, precision, kind in plans:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda hardware=hardware: hardware, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
        round_weights(block, CPU, precision)
        assert {parameter.dtype for parameter in (*block[0].parameters(), *block[2].parameters())} == {kind}
        assert {parameter.dtype for parameter in block[1].parameters()} == {torch.float32}


def test_correlation_in_pieces_is_the_same() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 8, 9, 16), torch.randn(2, 8, 9, 16)
    position = torch.randn(2, 2, 9, 16) * 30
    found = [
        AllPairs(first, second, levels=3, radius=2, budget=budget).lookup(position) for budget in (None, 40_000, 1)
    ]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-5)


def test_correlation_reads_as_a_grid_sample_does() -> None:
    """Against torch's own sampler, window by window, far outside included."""
    torch.manual_seed(0)
    first, second = torch.randn(1, 8, 8, 12), torch.randn(1, 8, 8, 12)
    position = torch.randn(1, 2, 8, 12) * 12
    radius = 2
    found = AllPairs(first, second, levels=1, radius=radius).lookup(position)
    volume = torch.einsum("ncq,ncp->nqp", first.flatten(2), second.flatten(2)).view(96, 1, 8, 12) / 8**0.5
    steps = torch.arange(-radius, radius + 1.0)
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    points = position.flatten(2)[0].T[:, None, None] + offsets
    scaled = points * torch.tensor([2 / 11, 2 / 7]) - 1
    wanted = torch.nn.functional.grid_sample(volume, scaled, align_corners=True).view(8, 12, -1).permute(2, 0, 1)
    torch.testing.assert_close(found[0], wanted, rtol=0, atol=1e-4)

"""The loop promises: same seed, same weights, interrupted or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.refusals import refuses
from vapbench.errors import ErrorKind, IdentityError, UsageError
from vapbench.running.progress import Silent
from vapbench.training.loop import CURVE, HISTORY, STATE, Run, fit
from vapbench.training.lora import accelerator
from vapbench.training.plan import Plan

PLAN = Plan(steps=12, batch=4, learning_rate=1e-2, warmup=2, matrix_learning_rate=1e-2, precision="float32")


def train(
    folder: Path, plan: Plan = PLAN, stop_after: int | None = None, stopping: Callable[[], bool] = lambda: False
) -> tuple[nn.Module, bool]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))

    def objective(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        x = torch.randn(plan.batch, 6, generator=generator)
        return {"loss": (model(x)[:, 0] - x.sum(dim=1)).square().mean()}

    run = Run(folder, torch.device("cpu"), Silent(), stopping=stopping)
    return model, fit(model, objective, plan, run, stop_after=stop_after)


def test_asked_to_stop_it_saves_and_goes_on_another_time(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole")
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) == 7

    _, complete = train(tmp_path / "parts", stopping=stopping)
    assert not complete
    assert torch.load(tmp_path / "parts" / STATE, weights_only=True)["step"] == 7
    assert [row["step"] for row in history(tmp_path / "parts")] == [1, 2, 3, 4, 5, 6, 7]
    resumed, complete = train(tmp_path / "parts")
    assert complete
    assert all(map(torch.equal, whole.parameters(), resumed.parameters()))
    assert history(tmp_path / "whole") == history(tmp_path / "parts")


def history(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]


@pytest.mark.parametrize("stops", [(5,), (1, 2, 11)])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, stops: tuple[int, ...]) -> None:
    whole, complete = train(tmp_path / "whole")
    assert complete
    for stop in stops:
        _, complete = train(tmp_path / "parts", stop_after=stop)
        assert not complete
    resumed, complete = train(tmp_path / "parts")
    assert complete
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert history(tmp_path / "whole") == history(tmp_path / "parts")


def test_what_was_logged_after_the_last_state_is_dropped(tmp_path: Path) -> None:
    train(tmp_path, stop_after=5)
    with (tmp_path / HISTORY).open("a") as file:
        file.write('{"step": 6, "loss": 9.0}\n{"step": 7, "lo')
    train(tmp_path)
    assert [row["step"] for row in history(tmp_path)] == list(range(1, 13))
    assert history(tmp_path)[5]["loss"] != 9.0


def test_another_plan_does_not_resume(tmp_path: Path) -> None:
    train(tmp_path, stop_after=5)
    with refuses(IdentityError, ErrorKind.CONFLICT, "out"):
        train(tmp_path, Plan(steps=12, batch=4, learning_rate=2e-2))


def test_it_leaves_a_curve_and_a_state_that_loads_without_running_code(tmp_path: Path) -> None:
    train(tmp_path)
    assert (tmp_path / CURVE).stat().st_size > 1000
    assert torch.load(tmp_path / STATE, weights_only=True)["step"] == 12


def test_it_learns_and_keeps_the_average(tmp_path: Path) -> None:
    plan = Plan(steps=300, batch=32, learning_rate=2e-2, ema=0.9, precision="float32")
    train(tmp_path, plan)
    losses = [row["loss"] for row in history(tmp_path)]
    assert sum(losses[-20:]) < 0.2 * sum(losses[:20])


@pytest.mark.parametrize("matrix_rate", [None, 1e-2])
def test_a_step_whose_gradient_is_not_finite_changes_nothing(tmp_path: Path, matrix_rate: float | None) -> None:
    plan = replace(PLAN, steps=6, matrix_learning_rate=matrix_rate)

    def trained(folder: Path, steps: int) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))

        def objective(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            size = float("inf") if step >= 3 else 1.0
            return {"loss": (size * model(torch.randn(4, 6, generator=generator))).square().mean()}

        fit(model, objective, plan, Run(folder, torch.device("cpu"), Silent()), stop_after=steps)
        return torch.load(folder / STATE, weights_only=True)["parameters"]  # type: ignore[no-any-return]

    assert all(map(torch.equal, trained(tmp_path / "finite", 3), trained(tmp_path / "more", 6)))


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    plan = Plan(steps=100, batch=1, learning_rate=1.0, warmup=10, cooldown=0.5)
    rates = [plan.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:50] == [1.0] * 40
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[100] == 0.0


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps its precision for the life of a process; what other tests chose is put aside."""
    from accelerate.state import AcceleratorState

    kept = dict(AcceleratorState._shared_state)
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()
    AcceleratorState._shared_state.update(kept)


def _has(bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hardware have bfloat16, or not: it computes in it in either case, at its speed."""
    for module in ("loop", "lora"):
        monkeypatch.setattr(f"vapbench.training.{module}.has_bfloat16", lambda device: bfloat16)


@pytest.mark.parametrize(
    ("precision", "has_bfloat16", "dtype"),
    [("bfloat16", True, torch.bfloat16), ("bfloat16", False, torch.float32), ("float32", True, torch.float32)],
)
@pytest.mark.usefixtures("fresh_accelerate")
def test_accelerate_rules_the_precision(
    tmp_path: Path, precision: str, has_bfloat16: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    _has(has_bfloat16, monkeypatch)
    plan = replace(PLAN, steps=4, precision=precision)
    computed = []

    def trained(folder: Path, **more: object) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
        model[0].register_forward_hook(lambda _, inputs, output: computed.append((inputs[0].dtype, output.dtype)))

        def objective(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            x = torch.randn(4, 6, generator=generator)
            return {"loss": (model(x)[:, 0].float() - x.sum(dim=1)).square().mean()}

        assert fit(model, objective, plan, Run(folder, torch.device("cpu"), Silent(), **more))  # type: ignore[arg-type]
        return list(model.parameters())

    ruled = trained(tmp_path / "ruled", accelerator=accelerator(torch.device("cpu"), precision))
    assert set(computed) == {(torch.float32, dtype)}
    # Weights and optimiser stay in float32, and nothing but who asks for autocast has changed.
    assert all(parameter.dtype == torch.float32 for parameter in ruled)
    assert all(map(torch.equal, ruled, trained(tmp_path / "own")))


@pytest.mark.usefixtures("fresh_accelerate")
def test_a_process_trains_in_one_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    _has(True, monkeypatch)
    assert accelerator(torch.device("cpu"), "bfloat16").mixed_precision == "bf16"
    with refuses(UsageError, ErrorKind.CONFLICT, "precision", "float32"):
        accelerator(torch.device("cpu"), "float32")

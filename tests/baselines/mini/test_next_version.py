"""The next version's training: it leaves when asked, goes on where it left, and says what it reached."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mini_recipe.next_version import NEXT_VAE, shown_clips, train_next
from mini_recipe.vae import make_vae

from vapbench.errors import IdentityError
from vapbench.training.data import grammar_codes
from vapbench.training.loop import STATE
from vapbench.training.progress import Silent

TINY = replace(
    NEXT_VAE,
    plan=replace(NEXT_VAE.plan, steps=4, batch=1),
    channels=(8, 8, 8),
    latent_channels=4,
    curriculum=((0.0, 1, 2), (0.5, 5, 1)),
)


class _StopsAt(Silent):
    def __init__(self, stopping: threading.Event, step: int) -> None:
        self.stopping, self.at, self.told = stopping, step, list[str]()

    def step(self, step: int, loss: float | None) -> None:
        if step == self.at:
            self.stopping.set()

    def tell(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture
def _few_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(torch.zeros(2, 3, 5, 64, 64) for _ in range(2))
    monkeypatch.setattr("mini_recipe.next_version.shown_clips", lambda: few)


def train(folder: Path, stop_at: int = 0) -> tuple[bool, list[str]]:
    stopping = threading.Event()
    watcher = _StopsAt(stopping, stop_at)
    done = train_next(folder, TINY, device=torch.device("cpu"), watcher=watcher, stopping=stopping)
    return done, watcher.told


@pytest.mark.usefixtures("_few_shown")
def test_it_stops_when_asked_resumes_and_leaves_a_card(tmp_path: Path) -> None:
    done, _ = train(tmp_path, stop_at=2)
    assert not done
    assert torch.load(tmp_path / "work" / "vae" / STATE, weights_only=True)["step"] == 2
    assert not (tmp_path / "vae").exists()
    done, told = train(tmp_path)
    assert done
    assert any("validation PSNR" in line for line in told)
    card = json.loads((tmp_path / "vae" / "card.json").read_text())
    assert set(card["measured"]) == {"psnr_of_training_conditions", "psnr_of_held_out_conditions", "scaling_factor"}
    assert card["built_on"]["grammar"]
    assert train(tmp_path) == (True, ["vae: done before"])


@pytest.mark.usefixtures("_few_shown")
def test_another_config_does_not_go_on(tmp_path: Path) -> None:
    train(tmp_path, stop_at=1)
    other = replace(TINY, plan=replace(TINY.plan, seed=1))
    with pytest.raises(IdentityError, match="another plan"):
        train_next(tmp_path, other, device=torch.device("cpu"), watcher=Silent(), stopping=threading.Event())


def test_latents_are_large_enough_for_sharp_pictures_and_what_is_shown_is_unseen() -> None:
    seen, unseen = shown_clips()
    assert (len(seen), len(unseen)) == (28, 12)
    latents = make_vae(NEXT_VAE).encode(unseen[:1]).latent_dist.mode()
    assert latents.shape == (1, 16, 7, 16, 16)
    assert len(grammar_codes()) == 640

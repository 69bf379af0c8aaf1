"""Stages of the next version whose training is done: the recipe takes them as its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mini_recipe import train_mini
from mini_recipe.config import VERSIONS

from vapbench.files.atomic import file_sha256
from vapbench.results.rows import Status
from vapbench.running.progress import Silent

FINISHED = Path(__file__).parents[3] / "checkpoints" / "mini-2"
STAGES = [stage for stage in VERSIONS[2]().stages if (FINISHED / {"text": "text_encoder"}.get(stage, stage)).is_dir()]


class _Told(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def tell(self, message: str) -> None:
        self.lines.append(message)

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
        raise AssertionError(f"a step of {label} was trained")


@pytest.mark.parametrize("card", sorted(FINISHED.glob("*/card.json")), ids=lambda card: card.parent.name)
def test_files_are_those_of_the_card(card: Path) -> None:
    hashes = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    assert hashes == {name: file_sha256(card.parent / name) for name in hashes}


def test_training_goes_on_behind_them(tmp_path: Path) -> None:
    shutil.copytree(FINISHED, tmp_path, dirs_exist_ok=True)
    told = _Told()
    train_mini(tmp_path, config=VERSIONS[2](), only=STAGES, watching=told)
    said = [line for line in told.lines if "done before" in line]
    assert said == [f"{stage}: done before" for stage in STAGES] != []

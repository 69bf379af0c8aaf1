"""Checkpoint folders: weights in half precision, and a card that says how they came to be."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vapbench.files.atomic import TEMPORARY, digest, file_sha256, write_json
from vapbench.suites.mini.writer import DATA_VERSION
from vapbench.training.loop import CURVE, HISTORY, Run, read_lines

CARD = "card.json"
_PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch")
_POINTS = 100  # of the loss curve that the card keeps


def is_finished(output: Path, config: Any, built_on: Mapping[str, str]) -> bool:
    """Whether the folder holds the result of this very config, built on these very parts."""
    card = output / CARD
    if not card.is_file():
        return False
    recorded = json.loads(card.read_text(encoding="utf-8"))
    return bool(recorded.get("config_sha256") == _config_digest(config, built_on))


def finish(output: Path, stage: str, model: Any, config: Any, run: Run, report: dict[str, Any]) -> None:
    """Save a model with ``save_pretrained``, in float16, and its card; the folder appears whole.

    Args:
        output: where to; a folder that is there is replaced.
        stage: name of the stage.
        model: anything with ``save_pretrained``.
        config: the stage's config, a dataclass.
        run: where it was trained.
        report: what was measured of it.
    """

    def save(folder: Path) -> None:
        model.to(torch.float16).save_pretrained(folder)
        model.to(torch.float32)

    finish_folder(output, stage, save, config, run, report)


def finish_folder(
    output: Path,
    stage: str,
    save: Callable[[Path], None],
    config: Any,
    run: Run,
    report: dict[str, Any],
) -> None:
    """Like :func:`finish`, for what ``save`` writes into a folder."""
    temporary = output.with_name(f"{TEMPORARY}{output.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save(temporary)
    curve = run.folder / CURVE
    if curve.is_file():
        shutil.copy(curve, temporary / CURVE)
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    card = {
        "stage": stage,
        "config": asdict(config),
        "config_sha256": _config_digest(config, run.built_on),
        "built_on": dict(run.built_on),
        "data_version": DATA_VERSION,
        "measured": report,
        "loss": _curve(run.folder / HISTORY),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "sha256": {path.relative_to(temporary).as_posix(): file_sha256(path) for path in files},
    }
    write_json(temporary / CARD, card)
    if output.exists():
        shutil.rmtree(output)
    temporary.rename(output)


def weights_identity(folder: Path) -> str:
    """What a finished folder holds, as one hash."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    # A picture of the losses changes no result.
    return digest({name: sha256 for name, sha256 in card["sha256"].items() if name != CURVE})


def _config_digest(config: Any, built_on: Mapping[str, str]) -> str:
    return digest({"config": asdict(config), "data_version": DATA_VERSION, "built_on": dict(built_on)})


def _curve(history: Path) -> list[tuple[int, float]]:
    rows = list(read_lines(history))
    chosen = rows[:: max(1, len(rows) // _POINTS)]
    return [(row["step"], row["loss"]) for row in chosen]

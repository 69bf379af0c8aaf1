"""Adapters of many conditions in one call, on VAP-Data or on the mini suite, spread over the devices there are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vapbench.checkpoints.folder import checkpoint_folder
from vapbench.core.case import ClipSpec
from vapbench.core.clip import resize_clip
from vapbench.core.video import read_video
from vapbench.errors import ErrorKind, UsageError, did_you_mean
from vapbench.files.atomic import content_sha256
from vapbench.methods.lora_files import fingerprint
from vapbench.methods.pipelines import no_bars_in_logs
from vapbench.models import load_upstream_pipeline
from vapbench.running.context import Progress
from vapbench.running.progress import progress
from vapbench.suites import vap_data
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.conditions import HELD_OUT
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.writer import DATA_VERSION
from vapbench.training.data import SEEN_NAMES, training_specs
from vapbench.training.examples import Examples, Sample, encoded_examples
from vapbench.training.loop import Run
from vapbench.training.lora import RECIPES, Base, Task, mini_lora_config, train_adapter

WORK = ".work"


def train_loras(
    output: Path,
    conditions: Sequence[str],
    *,
    suite: str,
    data: Path | None,
    weights: str,
    clip: ClipSpec,
    device: str | torch.device = "cpu",
    seed: int = 0,
    recipe: str = "short",
    steps: int | None = None,
    smoke: bool = False,
    quiet: bool = False,
) -> list[str]:
    """Train an adapter for each condition that is not yet trained, resuming where an earlier call was stopped.

    Under ``accelerate launch`` every process takes its share of the conditions, each on a device of its own.

    Args:
        output: where adapters go, one folder per condition.
        conditions: what to train.
        suite: ``mini``, or ``vap-data`` for anything in that layout.
        data: folder of the data, for ``vap-data``.
        weights: the base, as the method's ``weights=``.
        clip: size and length to train at.
        device: where to train, if not under accelerate.
        seed: of every adapter.
        recipe: one of :data:`vapbench.training.lora.RECIPES`, at full size.
        steps: other than the recipe's.
        smoke: a few steps of a tiny adapter, to test the machinery.
        quiet: show nothing.

    Returns:
        The conditions trained by this process.

    Raises:
        UsageError: a condition has no training clips, or is held out.
        DataError: the data is damaged, or a training clip is in the benchmark.
        WeightsError: the base cannot be loaded.
    """
    config = mini_lora_config() if suite == "mini" else RECIPES[recipe]
    config = replace(config, plan=replace(config.plan, seed=seed, steps=steps or config.plan.steps))
    config = config.smoke() if smoke else config
    place, share = placement(torch.device(device), conditions)
    found = samples_of(suite, data, conditions, clip, config.clips)
    folder = checkpoint_folder(weights, None)
    watching = progress(quiet)
    # Half precision is for accelerators; a CPU is no faster for it.
    dtype = torch.float32 if place.type == "cpu" else torch.bfloat16
    no_bars_in_logs()
    pipeline = load_upstream_pipeline(folder, "CogVideoXImageToVideoPipeline", dtype).to(place)
    pipeline.set_progress_bar_config(disable=True)
    base = Base(pipeline, fingerprint(folder), weights)
    for name in share:
        work = output / WORK / name
        task = Task(name, found[name], partial(_encode, work, base, found[name], watching))
        train_adapter(output, task, base, config, Run(work, place, watching))
    return list(share)


def trainable(suite: str, data: Path | None) -> list[str]:
    """Conditions that a suite has training clips of.

    Raises:
        UsageError: the suite has no training split here.
        DataError: the data is damaged.
    """
    if suite == "mini":
        return list(SEEN_NAMES)
    return sorted({row.condition for row in _training_rows(suite, data)})


def placement(device: torch.device, conditions: Sequence[str]) -> tuple[torch.device, Sequence[str]]:
    """The device of this process and its share of the conditions."""
    if "RANK" not in os.environ:
        return device, conditions
    from accelerate import PartialState

    state = PartialState()
    return state.device, conditions[state.process_index :: state.num_processes]


def samples_of(
    suite: str, data: Path | None, conditions: Sequence[str], clip: ClipSpec, count: int | None
) -> dict[str, list[Sample]]:
    """Training clips of each condition, at most ``count`` (None: all there are), at the size of ``clip``.

    Raises:
        UsageError: a condition has none, or is held out.
        DataError: the data is damaged, or a training clip is absent or in the benchmark.
    """
    if suite == "mini":
        return {name: mini_samples(name, count) for name in conditions}
    rows: dict[str, list[vap_data.TrainingRow]] = {}
    for row in _training_rows(suite, data):
        rows.setdefault(row.condition, []).append(row)
    for name in conditions:
        if name not in rows:
            raise UsageError(
                f"{data} has no training clip of {name!r}.{did_you_mean(name, rows)}", ErrorKind.UNKNOWN, "condition"
            )
    return {name: [_sample(row, clip) for row in rows[name][:count]] for name in conditions}


def mini_samples(condition: str, count: int | None) -> list[Sample]:
    """Training clips of a mini condition, with benchmark captions.

    Raises:
        UsageError: the condition is held out, or unknown.
    """
    if condition in {held.name for held in HELD_OUT}:
        raise UsageError(
            f"{condition} is held out for the zero-shot task: nothing may train on it.", ErrorKind.CONFLICT, "condition"
        )
    if condition not in SEEN_NAMES:
        raise UsageError(
            f"The mini suite has no condition {condition!r}.{did_you_mean(condition, SEEN_NAMES)}",
            ErrorKind.UNKNOWN,
            "condition",
        )
    specs = [spec for spec in training_specs(count or 200) if spec.condition == condition]
    return [mini_sample(spec) for spec in specs]


def mini_sample(spec: MiniClip) -> Sample:
    """A mini clip as a sample."""
    content = f"mini-{DATA_VERSION} {spec.condition} {spec.scene} {spec.variation}"
    return Sample(content, clip_captions(spec).benchmark, spec.render)


def _training_rows(suite: str, data: Path | None) -> list[vap_data.TrainingRow]:
    if data is None:
        raise UsageError(f"Training on {suite} reads its training split: add --data DIR.", ErrorKind.MISSING, "data")
    return vap_data.training_rows(data)


def _sample(row: vap_data.TrainingRow, clip: ClipSpec) -> Sample:
    video = row.video()
    size = f"{clip.frames}x{clip.height}x{clip.width} at {clip.fps:g}"
    return Sample(f"{content_sha256(video)} {size}", row.caption, partial(_read, video, clip))


def _read(video: Path, clip: ClipSpec) -> Any:
    return resize_clip(read_video(video), clip.frames, clip.fps, clip.height, clip.width).frames


def _encode(work: Path, base: Base, samples: Sequence[Sample], watching: Progress) -> Examples:
    return encoded_examples(work / "examples.safetensors", base.pipeline, base.fingerprint, samples, watching)

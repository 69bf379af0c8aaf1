"""Our frames beside those of the official script, for the one case that the script makes.

The script of a checkout of bytedance/Video-As-Prompt runs in a process of its own, on the official diffusers, and what
goes through its pipeline is recorded (:mod:`vapbench.validation.official_script`). Ours is then called with the same
pictures, captions, arguments and random state, recorded by the same recorder, and compared stage by stage.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.core.clip import Frames
from vapbench.core.video import read_first_frame, read_video
from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.methods.pipelines import no_bars_in_logs
from vapbench.models.layout import read_layout
from vapbench.validation import official_script
from vapbench.validation.official_script import CASE, INPUTS, STAGES, WEIGHTS, Recorder

if TYPE_CHECKING:
    import torch

SEED = 42
"""Of the official scripts."""
_SCRIPTS = {"CogVideoXImageToVideoMOTPipeline": "cog_vap.py", "WanImageToVideoMOTPipeline": "wan_vap.py"}
_OUR_NAMES = {
    "ref_videos": "reference_videos",
    "prompt_mot_ref": "reference_prompts",
    "negative_prompt_mot_ref": "negative_reference_prompt",
    "frames_selection": "frame_selection",
    "use_dynamic_cfg": "dynamic_guidance",
}
"""What the official call's arguments are called in ours."""
_NOT_OURS = {"output_type", "max_sequence_length", "ref_type"}
"""Arguments that ours does not have: what they say is always so."""


@dataclass(frozen=True)
class Difference:
    """How far one stage of ours is from the official one."""

    stage: str
    same_shape: bool
    largest: float
    """Of absolute differences, in the stage's own unit: levels of 255 for frames."""
    mean: float
    relative: float
    """The mean of absolute differences over that of the official values' absolute."""

    @property
    def equal(self) -> bool:
        """Whether every number is the same."""
        return self.same_shape and self.largest == 0


@dataclass(frozen=True)
class Parity:
    """What was compared, and how it came out."""

    script: str
    official: Mapping[str, Any]
    """What the script says of its run: call, device, types, versions."""
    stages: tuple[Difference, ...]
    """In the order they are computed; the last are the frames."""
    only_official: tuple[str, ...]
    """Stages that ours does not have: a caption whose tokens differ, for example."""
    reading: tuple[Difference, ...]
    """How our reader decodes the script's files, beside the script's own decoding: levels of 255."""
    psnr: float | None
    """Of all frames together, in dB; None where they are equal."""
    seed_repeats: bool
    """Whether the random state is that of a generator with the seed 42: what ``generator=cuda`` draws from."""
    video: Path | None
    """The file that the script wrote."""

    def first(self, beyond: float = 0.0) -> str:
        """The first stage whose relative difference is larger, or that has another shape; empty if there is none."""
        wrong = [one.stage for one in self.stages if not one.same_shape or one.relative > beyond]
        return wrong[0] if wrong else ""


def compare(
    weights: Path,
    official: Path,
    out: Path,
    device: str = "cuda",
    steps: int | None = None,
    python: str = sys.executable,
    tell: Callable[[str], None] = lambda said: None,
) -> Parity:
    """Run the official script, then ours, and compare.

    Args:
        weights: a Video-As-Prompt folder, as :func:`vapbench.models.load_pipeline` loads.
        official: a checkout of the official code, with ``infer`` and ``diffusers``.
        out: a folder for both recordings and the official video; made if it is not there.
        device: what the script's ``cuda`` is.
        steps: denoising steps; None is the script's 50.
        python: of the environment that the official code runs in.
        tell: what to do with a sentence of progress.

    Raises:
        UsageError: the checkout has no such script, or the device is not there.
        WeightsError: the weights are incomplete, or of no Video-As-Prompt model.
        VapbenchError: the script fails.
    """
    script = _SCRIPTS[read_layout(weights).pipeline_class]
    _check_checkout(official, script)
    place = _device(device)
    theirs, ours = out / "official", out / "vapbench"
    for folder in (theirs, ours):
        folder.mkdir(parents=True, exist_ok=True)
    tell(f"Running the official infer/{script} …")
    video = _run_script(script, weights, official, theirs, device, steps, python)
    told = json.loads((theirs / CASE).read_text(encoding="utf-8"))
    tell("Running vapbench on the same case …")
    inputs = _load(theirs / INPUTS)
    recorder = _run_ours(weights, told, inputs, place)
    official_script.save(ours / STAGES, recorder.stages)
    stages = _load(theirs / STAGES)
    differences = [_difference(name, stages[name], recorder.stages[name]) for name in stages if name in recorder.stages]
    return Parity(
        script,
        told,
        tuple(differences),
        tuple(name for name in stages if name not in recorder.stages),
        tuple(_reading(told, inputs, theirs)),
        _psnr(stages["frames"], recorder.stages["frames"]),
        _is_seed(inputs["random state"], told["generator_device"]),
        video,
    )


def _check_checkout(official: Path, script: str) -> None:
    for part in (Path("infer", script), Path("diffusers", "src", "diffusers")):
        if not (official / part).exists():
            raise UsageError(
                f"{official} has no {part.as_posix()}: give a checkout of the official code "
                "(git clone https://github.com/bytedance/Video-As-Prompt).",
                ErrorKind.MISSING,
                "code",
            )


def _device(name: str) -> torch.device:
    from vapbench.running.device import torch_device

    try:
        return torch_device(name)  # type: ignore[no-any-return]
    except UsageError as error:
        if not name.startswith("cuda"):
            raise
        raise UsageError(
            "The official scripts run on CUDA, and there is none here; --device cpu runs both sides on the CPU, "
            "which suits tiny weights.",
            ErrorKind.MISSING,
            "device",
        ) from error


def _run_script(
    script: str, weights: Path, official: Path, out: Path, device: str, steps: int | None, python: str
) -> Path | None:
    """Run the script in a folder where it finds its weights and files, and nothing of the checkout is written."""
    work = out / "work"
    (work / "ckpts").mkdir(parents=True, exist_ok=True)
    for link, target in {work / WEIGHTS[script]: weights, work / "assets": official / "assets"}.items():
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(target.resolve())
    command = [python, str(official_script.__file__), str(official.resolve()), script, str(out.resolve())]
    command += ["--device", device, *(["--steps", str(steps)] if steps else [])]
    source = str((official / "diffusers" / "src").resolve())
    environment = os.environ | {"PYTHONPATH": source, "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            command, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except OSError as error:
        raise UsageError(f"--python {python} cannot be run: {error.strerror}.", ErrorKind.INVALID, "python") from error
    (out / "log.txt").write_text(done.stdout, encoding="utf-8")
    if done.returncode or not (out / STAGES).is_file():
        last = [line for line in done.stdout.splitlines() if line.strip()][-1:] or ["it said nothing"]
        raise VapbenchError(
            f"The official infer/{script} ended with code {done.returncode}: {last[0].strip()} "
            f"(all of it: {out / 'log.txt'}). --python names the Python of the environment that it runs in.",
            ErrorKind.FAILED,
            "python",
        )
    return next(iter(sorted((work / "outputs_infer").glob("*.mp4"))), None)


def _run_ours(weights: Path, told: Mapping[str, Any], inputs: Mapping[str, Any], device: torch.device) -> Recorder:
    """Call our pipeline as the script called its own."""
    import torch

    from vapbench.models import load_pipeline

    no_bars_in_logs()
    pipeline = load_pipeline(weights, getattr(torch, told["dtype"].removeprefix("torch.")), device)
    pipeline.set_progress_bar_config(disable=not sys.stderr.isatty())
    generator = torch.Generator(told["generator_device"])
    generator.set_state(inputs["random state"])
    recorder = Recorder()
    recorder.watch(pipeline)
    call = {_OUR_NAMES.get(name, name): value for name, value in told["call"].items() if name not in _NOT_OURS}
    references = [inputs[name].numpy() for name in inputs if name.startswith("reference ")]
    output = pipeline(
        inputs["image"].numpy(),
        references,
        **call,
        generator=generator,
        output_type="np",
        callback_on_step_end=recorder.after_step,
    )
    recorder.frames(list(output.frames))
    return recorder


def _reading(told: Mapping[str, Any], inputs: Mapping[str, Any], official: Path) -> list[Difference]:
    """Compare the decoded files: the script chooses frames of a video evenly, and so do we."""
    from vapbench.models.inputs import select_frames

    found = []
    for name in told["image"]:
        ours = read_first_frame(official / "work" / name)
        found.append(_pictures(name, inputs["image"].numpy(), ours))
    for number, name in enumerate(told["references"]):
        theirs = inputs[f"reference {number}"].numpy()
        frames = read_video(official / "work" / name).frames
        found.append(_pictures(name, theirs, frames[select_frames(len(frames), len(theirs))]))
    return found


def _pictures(name: str, theirs: Frames, ours: Frames) -> Difference:
    import torch

    return _difference(name, torch.tensor(theirs), torch.tensor(ours))


def _difference(name: str, theirs: torch.Tensor, ours: torch.Tensor) -> Difference:
    if theirs.shape != ours.shape:
        return Difference(name, False, float("inf"), float("inf"), float("inf"))
    distance = (theirs.double() - ours.double()).abs()
    mean, size = float(distance.mean()), float(theirs.double().abs().mean())
    return Difference(name, True, float(distance.max()), mean, mean / size if size else mean)


def _psnr(theirs: torch.Tensor, ours: torch.Tensor) -> float | None:
    if theirs.shape != ours.shape:
        return 0.0
    error = float((theirs.double() - ours.double()).square().mean())
    return float(10 * np.log10(255**2 / error)) if error else None


def _is_seed(state: torch.Tensor, device: str) -> bool:
    import torch

    return torch.equal(torch.Generator(device).manual_seed(SEED).get_state(), state)


def _load(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, in the order they were written."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in json.loads(file.metadata()["order"])}

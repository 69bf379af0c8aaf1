"""check parity: a script of the official interface, run on its own diffusers, beside ours.

The stand-in keeps the interface of the official checkout (``infer/cog_vap.py``, ``diffusers/src``, ``assets``, the
weights under ``ckpts``, the names of the pipeline's arguments); its pipeline is ours under these names, so that what is
tested is the comparison, not the arithmetic: that is what ``tests/models`` holds against the official code's vectors.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.refusals import refuses
from vapbench.cli import app
from vapbench.errors import ErrorKind, UsageError, VapbenchError, WeightsError
from vapbench.validation.official_script import Recorder
from vapbench.validation.parity import compare

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "tests" / "data" / "parity" / "vap" / "cogvideox_pipeline" / "pipeline"

DIFFUSERS = """
import importlib, sys

here = [path for path in sys.path if path.endswith("diffusers/src")]
sys.path[:] = [path for path in sys.path if path not in here]
del sys.modules["diffusers"]
real = importlib.import_module("diffusers")
sys.path.insert(0, {root!r})
from vapbench.models import load_pipeline
from vapbench.models.cogvideox.pipeline import CogVideoXImageToVideoMOTPipeline as Ours
from vapbench.models.pipeline import VideoOutput


class CogVideoXImageToVideoMOTPipeline(Ours):
    @classmethod
    def from_pretrained(cls, folder, torch_dtype):
        return cls(**load_pipeline(folder, torch_dtype).components)

    def __call__(self, *, ref_videos, prompt_mot_ref, frames_selection, use_dynamic_cfg, **given):
        {fault}
        made = Ours.__call__(
            self,
            reference_videos=ref_videos,
            reference_prompts=prompt_mot_ref,
            frame_selection=frames_selection,
            dynamic_guidance=use_dynamic_cfg,
            output_type="pil",
            **given,
        )
        return VideoOutput(frames=[made.frames])


real.CogVideoXImageToVideoMOTPipeline = CogVideoXImageToVideoMOTPipeline
"""
SCRIPT = """
import torch
from diffusers import CogVideoXImageToVideoMOTPipeline
from diffusers.utils import load_video
from PIL import Image

if __name__ == "__main__":
    pipe = CogVideoXImageToVideoMOTPipeline.from_pretrained(
        "ckpts/Video-As-Prompt-CogVideoX-5B", torch_dtype=torch.float32
    ).to("cuda")
    torch.manual_seed(42)
    pipe(
        image=Image.open("assets/images/demo/animal-2.png").convert("RGB"),
        ref_videos=[load_video("assets/videos/demo/object-725.gif")],
        prompt="A horse inflates.",
        prompt_mot_ref=["A shoe inflates."],
        height=64,
        width=96,
        num_frames=9,
        frames_selection="evenly",
        use_dynamic_cfg=True,
    ).frames[0]
"""
HALVED = (
    "self.transformer.register_forward_pre_hook("
    "lambda m, a, k: (a, k | {'timestep': k['timestep'] // 2}), with_kwargs=True)"
)


def checkout(folder: Path, script: str = SCRIPT, fault: str = "") -> Path:
    """A folder of the official checkout's shape."""
    source = folder / "diffusers" / "src" / "diffusers"
    for part in (
        source,
        folder / "infer",
        folder / "assets" / "images" / "demo",
        folder / "assets" / "videos" / "demo",
    ):
        part.mkdir(parents=True)
    (source / "__init__.py").write_text(DIFFUSERS.format(root=str(ROOT), fault=fault))
    (folder / "infer" / "cog_vap.py").write_text(script)
    frames = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), dtype=np.uint8)
    pictures = [Image.fromarray(frame).quantize(64) for frame in frames]
    Image.fromarray(frames[0]).save(folder / "assets" / "images" / "demo" / "animal-2.png")
    pictures[0].save(
        folder / "assets" / "videos" / "demo" / "object-725.gif", save_all=True, append_images=pictures[1:], duration=60
    )
    return folder


@pytest.mark.slow
def test_equal_code_is_equal_at_every_stage(tmp_path: Path) -> None:
    found = compare(WEIGHTS, checkout(tmp_path / "code"), tmp_path / "out", "cpu", steps=2)
    assert [one.stage.split()[0] for one in found.stages] == [
        *["caption"] * 3, *["encoded"] * 3, "noise", "references", "prediction", *["step"] * 2, "frames",
    ]  # fmt: skip
    assert all(one.equal for one in found.stages)
    assert found.first() == "" and found.psnr is None and not found.only_official
    # Read by PIL on one side, by our reader on the other.
    assert [one.stage for one in found.reading] == [
        "assets/images/demo/animal-2.png",
        "assets/videos/demo/object-725.gif",
    ]
    assert all(one.equal for one in found.reading)
    assert found.seed_repeats
    assert found.official["call"]["num_inference_steps"] == 2
    assert found.official["call"]["prompt"] == "A horse inflates."


@pytest.mark.slow
def test_the_stage_that_differs_first_is_named(tmp_path: Path) -> None:
    code = checkout(tmp_path / "code", fault=HALVED)
    command = ["check", "parity", "--weights", str(WEIGHTS), "--official", str(code), "--device", "cpu"]
    done = CliRunner().invoke(app, [*command, "--steps", "2", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "first stage that is not equal to the last bit: prediction" in done.output
    assert "first stage off by more than 5 %, which is no rounding: prediction" in done.output
    assert re.search(r"references +equal\n", done.output)
    assert "frames: PSNR" in done.output and "dB" in done.output
    assert (tmp_path / "out" / "vapbench" / "stages.safetensors").is_file()
    assert json.loads((tmp_path / "out" / "official" / "case.json").read_text())["dtype"] == "torch.float32"
    # Nothing is written into the checkout.
    assert sorted(path.name for path in code.iterdir()) == ["assets", "diffusers", "infer"]


def test_a_script_that_fails_is_said_with_its_last_line(tmp_path: Path) -> None:
    code = checkout(tmp_path / "code")
    (code / "diffusers" / "src" / "diffusers" / "__init__.py").write_text("raise ImportError('no einops here')")
    with refuses(
        VapbenchError, ErrorKind.FAILED, "python", "infer/cog_vap.py", "code 1: ImportError: no einops here", "--python"
    ):
        compare(WEIGHTS, code, tmp_path / "out", "cpu")
    with refuses(UsageError, ErrorKind.INVALID, "python", "/nowhere/python"):
        compare(WEIGHTS, code, tmp_path / "out", "cpu", python="/nowhere/python")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_what_is_missing_is_said_before_anything_runs(tmp_path: Path) -> None:
    with refuses(UsageError, ErrorKind.MISSING, "code", "infer/cog_vap.py"):
        compare(WEIGHTS, tmp_path, tmp_path / "out", "cpu")
    with refuses(UsageError, ErrorKind.MISSING, "device", "--device cpu"):
        compare(WEIGHTS, checkout(tmp_path / "code"), tmp_path / "out")
    with refuses(WeightsError, ErrorKind.MISSING, "model_index.json"):
        compare(tmp_path, tmp_path / "code", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_frames_are_written_down_as_levels_whatever_they_come_as() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    pictures, floats = Recorder(), Recorder()
    pictures.frames([Image.fromarray(frame) for frame in levels])
    floats.frames(list(levels.astype(np.float32) / 255))
    assert torch.equal(pictures.stages["frames"], floats.stages["frames"])


def test_the_recorder_needs_nothing_of_ours() -> None:
    """It runs in the official environment, which has no vapbench."""
    source = (ROOT / "vapbench" / "validation" / "official_script.py").read_text("utf-8")
    assert "import vapbench" not in source and "from vapbench" not in source

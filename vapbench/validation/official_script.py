"""One of Video-As-Prompt's own scripts, run as it is, with what goes through its pipeline written down.

Run by its path, in the environment of the official code and not in ours: nothing of vapbench is imported here. The
script's own file decides the case, the captions, the sizes, the types and the seed; from outside come the folder it is
run in, the device where it says ``cuda``, and the number of steps.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

CASE, INPUTS, STAGES = "case.json", "inputs.safetensors", "stages.safetensors"
"""What a recording consists of."""
PIPELINES = {
    "cog_vap.py": "CogVideoXImageToVideoMOTPipeline",
    "wan_vap.py": "WanImageToVideoMOTPipeline",
}
"""Each script's pipeline: a class of the official diffusers."""
WEIGHTS = {"cog_vap.py": "ckpts/Video-As-Prompt-CogVideoX-5B", "wan_vap.py": "ckpts/Video-As-Prompt-Wan2.1-14B"}
"""Where each script looks for its weights."""
_REFERENCE_INPUTS = ("hidden_states_mot_ref", "reference_hidden_states")
"""What the transformer calls the latents of references: the official one, and ours."""


class Recorder:
    """Writes down what goes through a pipeline, stage by stage, whoever wrote the pipeline."""

    def __init__(self) -> None:
        self.stages: dict[str, torch.Tensor] = {}
        """Tensors in the order they came, in main memory."""

    def watch(self, pipeline: Any) -> None:
        """Follow a pipeline's parts: text encoder, autoencoder, transformer."""
        pipeline.text_encoder.register_forward_hook(self._caption, with_kwargs=True)
        pipeline.transformer.register_forward_hook(self._prediction, with_kwargs=True)
        if getattr(pipeline, "image_encoder", None) is not None:
            pipeline.image_encoder.register_forward_hook(self._image)
        encode = pipeline.vae.encode

        def watched(*args: Any, **kwargs: Any) -> Any:
            encoded = encode(*args, **kwargs)
            self._keep(f"encoded {self._count('encoded')}", encoded.latent_dist.mean)
            return encoded

        pipeline.vae.encode = watched

    def after_step(self, _pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Write down the latents after a step; diffusers' ``callback_on_step_end``."""
        self._keep(f"step {step + 1}", tensors["latents"])
        return {}

    def frames(self, frames: Any) -> None:
        """Write down the finished video: PIL frames, or floats in 0..1."""
        if isinstance(frames[0], np.ndarray):
            frames = np.rint(np.asarray(frames).clip(0, 1) * 255).astype(np.uint8)
        self._keep("frames", torch.from_numpy(np.stack([np.asarray(frame) for frame in frames])))

    def _caption(self, _module: Any, args: Any, kwargs: Any, output: Any) -> None:
        # Batches and order are each pipeline's own, so captions are known by their tokens.
        tokens = args[0] if args else kwargs["input_ids"]
        for row, embedded in zip(tokens, output[0], strict=True):
            name = hashlib.sha256(row.cpu().numpy().astype("<i8").tobytes()).hexdigest()[:12]
            self._keep(f"caption {name}", embedded)

    def _image(self, _module: Any, _args: Any, output: Any) -> None:
        self._keep(f"image features {self._count('image features')}", output.hidden_states[-2])

    def _prediction(self, _module: Any, _args: Any, kwargs: Any, output: Any) -> None:
        if "prediction" in self.stages:
            return
        self._keep("noise and first frame", kwargs["hidden_states"])
        (reference,) = (kwargs[name] for name in _REFERENCE_INPUTS if name in kwargs)
        self._keep("references", reference)
        self._keep("prediction", output[0])

    def _count(self, kind: str) -> int:
        return 1 + sum(name.startswith(f"{kind} ") for name in self.stages)

    def _keep(self, name: str, tensor: torch.Tensor) -> None:
        self.stages[name] = tensor.detach().cpu().contiguous()


class Script:
    """One run of a script, recorded into a folder."""

    def __init__(self, name: str, out: Path, device: str, steps: int | None) -> None:
        """Prepare to record.

        Args:
            name: of the script, in ``infer/``.
            out: an empty folder, for what is recorded.
            device: what the script's ``cuda`` is.
            steps: denoising steps, where not the script's.
        """
        self._name, self._out, self._device, self._steps = name, out, device, steps
        self._read: list[str] = []
        self._opened: list[str] = []

    def run(self, official: Path) -> None:
        """Run ``infer/<name>`` of a checkout."""
        import diffusers
        import diffusers.utils
        import PIL.Image

        pipeline_class = getattr(diffusers, PIPELINES[self._name])
        self._follow(diffusers.utils, "load_video", self._read)
        self._follow(PIL.Image, "open", self._opened)
        self._record_calls(pipeline_class)
        to = pipeline_class.to
        pipeline_class.to = lambda pipeline, *args, **kwargs: to(
            pipeline, *(self._device if arg == "cuda" else arg for arg in args), **kwargs
        )
        # infer/wan_vap.py prints a name it never sets.
        given = {"model_checkpoint": WEIGHTS[self._name]}
        runpy.run_path(str(official / "infer" / self._name), init_globals=given, run_name="__main__")

    def _follow(self, module: Any, name: str, names: list[str]) -> None:
        function = getattr(module, name)

        def followed(source: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(source, (str, Path)):
                names.append(str(source))
            return function(source, *args, **kwargs)

        setattr(module, name, followed)

    def _record_calls(self, pipeline_class: Any) -> None:
        call = pipeline_class.__call__

        def recorded(pipeline: Any, **given: Any) -> Any:
            if self._steps:
                given["num_inference_steps"] = self._steps
            recorder = Recorder()
            recorder.watch(pipeline)
            self._write_inputs(pipeline, given)
            output = call(pipeline, **given, callback_on_step_end=recorder.after_step)
            recorder.frames(output.frames[0])
            save(self._out / STAGES, recorder.stages)
            return output

        pipeline_class.__call__ = recorded

    def _write_inputs(self, pipeline: Any, given: dict[str, Any]) -> None:
        """Write down what the pipeline is called with, and the random state it begins with."""
        import diffusers
        import transformers

        tensors = {"image": _pixels([given["image"]])[0]}
        for number, video in enumerate(given["ref_videos"]):
            tensors[f"reference {number}"] = _pixels(video)
        device = torch.device(self._device)
        generator = given.get("generator")
        if generator is not None:
            tensors["random state"] = generator.get_state()
        elif device.type == "cuda":
            tensors["random state"] = torch.cuda.get_rng_state(device)
        else:
            tensors["random state"] = torch.get_rng_state()
        save(self._out / INPUTS, tensors)
        plain = {name: value for name, value in given.items() if _is_plain(value)}
        told = {
            "call": plain,
            "image": self._opened[:1],
            "references": self._read,
            "generator_device": str(generator.device if generator is not None else device),
            "scheduler": type(pipeline.scheduler).__name__,
            "dtype": str(pipeline.transformer.dtype),
            "versions": {
                "python": sys.version.split()[0],
                "torch": torch.__version__,
                "diffusers": diffusers.__version__,
                "transformers": transformers.__version__,
            },
        }
        (self._out / CASE).write_text(json.dumps(told, indent=2))


def _pixels(pictures: Any) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(picture.convert("RGB")) for picture in pictures]))


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool)) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )


def save(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors, and their order, which the format itself does not keep."""
    from safetensors.torch import save_file

    order = {"order": json.dumps(list(tensors))}
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, str(path), order)


def main() -> None:
    """Run a script in the current folder, which holds its ``ckpts`` and ``assets``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("official", type=Path)
    parser.add_argument("script", choices=sorted(PIPELINES))
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int)
    asked = parser.parse_args()
    # This file's folder is no place to import from; the script's own is.
    sys.path[0] = str(asked.official / "infer")
    Script(asked.script, asked.out, asked.device, asked.steps).run(asked.official)


if __name__ == "__main__":
    main()

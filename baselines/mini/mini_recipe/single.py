"""The single branch: the base itself, all of its weights trained to read a reference in its own sequence.

What the expert is compared with (arXiv 2510.20888): the same clips, captions, reference, steps and optimiser, and no
second set of weights. The model is the Mixture-of-Transformers whose expert *is* the base, layer by layer, so that
reference and target are one sequence to one transformer, the reference at positions before the target.
What that costs is what the base could do before: its gate is measured once more after training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mini_recipe.cards import finish_folder
from mini_recipe.diffusion import Denoising, make_scheduler
from mini_recipe.expert import ExpertConfig, Gates, fit_reader
from mini_recipe.gate import measure_gate
from vapbench.models import CogVideoXImageToVideoMOTPipeline, CogVideoXTransformer3DMOTModel
from vapbench.models.experts import SUFFIX
from vapbench.training.loop import Run


def make_single(base: Any) -> Any:
    """Return a copy of the base that reads references with its own layers, all of which train."""
    model: Any = CogVideoXTransformer3DMOTModel.from_base(base, range(base.config.num_layers))
    for module in list(model.modules()):
        for name in [name for name, _ in module.named_children() if name.endswith(SUFFIX)]:
            setattr(module, name, getattr(module, name.removesuffix(SUFFIX)))
    return model.requires_grad_(True)


def train_single(output: Path, base: Any, config: ExpertConfig, run: Run, denoising: Denoising, gates: Gates) -> None:
    """Train a copy of the base, and save it in ``output``: a pipeline for ``vap``, and for ``i2v`` without reference.

    Args:
        output: folder of the pipeline.
        base: it stays as it is.
        config: that of the expert it is compared with.
        run: where.
        denoising: the clips, and what is asked of the model.
        gates: what it is judged by; told in plain words and without reference, by the first.
    """
    torch.manual_seed(config.plan.seed)
    model = make_single(base).to(run.device)
    report = fit_reader(model, config, run, denoising, gates)
    if report is None:
        return
    report["base_before"] = measure_gate(base.to(run.device), gates.seen, ("plain",), run.folder / "base-before.png")
    report["base_after"] = measure_gate(model, gates.seen, ("plain",), run.folder / "base-after.png")
    run.watcher.tell(f"{run.folder.name}: {report}")
    # Layers that are one are written twice, as those of any Mixture-of-Transformers are.
    trained: Any = CogVideoXTransformer3DMOTModel.from_base(base, range(base.config.num_layers))
    trained.load_state_dict(model.state_dict())
    finish_folder(output, "single", lambda folder: _save(trained, gates, folder), config, run, report)


def _save(trained: Any, gates: Gates, folder: Path) -> None:
    """Save the pipeline in half precision, as every checkpoint of the suite."""
    seen = gates.seen
    parts = (seen.text_encoder, seen.vae, trained)
    for part in parts:
        part.half()
    CogVideoXImageToVideoMOTPipeline(*(seen.tokenizer, *parts, make_scheduler())).save_pretrained(folder)

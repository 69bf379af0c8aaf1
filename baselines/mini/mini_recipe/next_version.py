"""The suite's next version, as far as it is trained: the autoencoder of the grammar's clips.

    python -m mini_recipe.next_version DIR        the same command resumes; SIGTERM and Ctrl-C save and leave

Half of today's compression in each direction makes its pictures sharp: 13 x 64 x 64 pixels become 7 x 16 x 16
latents of 16 channels. The other stages follow on what this one leaves; nothing here changes what ships.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch

from mini_recipe.cards import finish, is_finished
from mini_recipe.vae import VaeConfig, fit_vae, latent_deviation, make_vae, psnr
from vapbench.errors import UsageError
from vapbench.files.atomic import digest
from vapbench.suites.mini.cases import MiniCase, grammar_cases
from vapbench.suites.mini.grammar.codes import GRAMMAR_VERSION
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.scenes import scene_number
from vapbench.training.data import grammar_clips, grammar_codes, to_video
from vapbench.training.loop import Run
from vapbench.training.progress import Watcher, watcher

NEXT_VAE = replace(
    VaeConfig(),
    plan=replace(VaeConfig().plan, steps=20_000),
    channels=(16, 32, 64),
    curriculum=((0.0, 1, 8), (0.06, 5, 2), (0.85, 13, 1)),
)
_INSPECTIONS = 40
_SHOWN_FROM = 5_000  # validation scenes that no judge looks at
_MOST_RENDERERS = 12


def train_next(
    output: Path,
    config: VaeConfig = NEXT_VAE,
    *,
    device: torch.device,
    watcher: Watcher,
    stopping: threading.Event,
    renderers: int = 0,
) -> bool:
    """Train the autoencoder from its last state on, and save it in ``output/vae``.

    Args:
        output: folder of the checkpoints, and of the work on them.
        config: sizes and plan.
        device: where to train.
        watcher: told how far it is.
        stopping: set to leave with the state saved.
        renderers: processes that render ahead; 0 renders in this one.

    Returns:
        Whether it is trained.

    Raises:
        IdentityError: the folder holds the beginning of a training with another config.
    """
    built_on = {"grammar": digest([GRAMMAR_VERSION, list(grammar_codes())])}
    if is_finished(output / "vae", config, built_on):
        watcher.tell("vae: done before")
        return True
    run = Run(output / "work" / "vae", device, watcher, built_on=built_on, stopping=stopping.is_set)
    torch.manual_seed(config.plan.seed)
    vae = make_vae(config).to(device)
    seen, unseen = (clips.to(device) for clips in shown_clips())
    with ProcessPoolExecutor(renderers, get_context("spawn")) if renderers else nullcontext() as executor:
        complete = fit_vae(vae, config, run, grammar_clips, unseen, executor=executor, inspections=_INSPECTIONS)
    if complete:
        vae.register_to_config(scaling_factor=round(1 / latent_deviation(vae, seen), 4))
        report = {
            "psnr_of_training_conditions": round(psnr(vae, seen), 2),
            "psnr_of_held_out_conditions": round(psnr(vae, unseen), 2),
            "scaling_factor": vae.config.scaling_factor,
        }
        watcher.tell(f"vae: {report}")
        finish(output / "vae", "vae", vae, config, run, report)
    return complete


def shown_clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Clips ``(N, 3, F, H, W)`` of the benchmark's conditions on validation scenes: seen ones, and held-out ones."""
    cases = grammar_cases()[::2]
    return tuple(_on_validation_scenes([c for c in cases if c.zero_shot == held_out]) for held_out in (False, True))  # type: ignore[return-value]


def _on_validation_scenes(cases: list[MiniCase]) -> torch.Tensor:
    numbers = [scene_number("validation", _SHOWN_FROM + place) for place in range(len(cases))]
    specs = [MiniClip(case.condition, number, variation=number) for case, number in zip(cases, numbers, strict=True)]
    return to_video(render_batch(specs))


def main() -> None:
    """Train in the folder that the command names."""
    if len(sys.argv) != 2:
        raise UsageError("Name one folder: python -m mini_recipe.next_version DIR")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    on_gpu = torch.cuda.is_available()
    trained = train_next(
        Path(sys.argv[1]),
        device=torch.device("cuda" if on_gpu else "cpu"),
        watcher=watcher(),
        stopping=stopping,
        renderers=_MOST_RENDERERS if on_gpu else 0,
    )
    if not trained:
        sys.stderr.write("Stopped, with the state saved; the same command goes on.\n")


if __name__ == "__main__":
    main()

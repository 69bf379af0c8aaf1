"""``train``: the checkpoints of the mini suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vapbench.cli import options as opt


def register(app: typer.Typer) -> None:
    """Add the command group."""
    train = typer.Typer(help="Train checkpoints.", no_args_is_help=True)
    # A group of one would otherwise be taken for the command itself.
    train.callback()(lambda: None)
    train.command()(mini)
    app.add_typer(train, name="train")


def mini(
    out: Annotated[Path, typer.Option("--out", help="Folder of the checkpoints, and of the work on them.")],
    until: Annotated[
        str,
        typer.Option(
            "--until",
            help="Last stage: vae, text, semantic, classifier, image_text, quality, base, expert or vap.",
        ),
    ] = "vap",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every stage.")] = 0,
    device: opt.Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, help="Processes that render. [default: one per core]", show_default=False),
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few steps of every stage, to test the machinery.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train the mini suite's models, from nothing.

    Autoencoder, text encoder, judges, models of the metrics, image-to-video base, VAP expert, in that order; each
    stage leaves a card and a loss curve. The same command resumes. The result is a folder that --method
    vap:weights=OUT/vap takes.
    """
    from vapbench.cli.console import configure_logging, output
    from vapbench.runner import torch_device
    from vapbench.training import train_mini

    configure_logging(verbose=0, quiet=quiet)
    chosen = torch_device(device)
    train_mini(out, smoke=smoke, seed=seed, device=chosen, until=until, quiet=quiet, workers=workers)
    output().print(f"{out}: trained up to {until}", markup=False, soft_wrap=True)

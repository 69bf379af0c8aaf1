"""``train``: LoRAs per condition, and the checkpoints of the mini suite."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted


def register(app: typer.Typer) -> None:
    """Add the command group."""
    train = typer.Typer(help="Train checkpoints.", no_args_is_help=True)
    train.command()(mini)
    train.command()(lora)
    app.add_typer(train, name="train")


def mini(
    out: Annotated[Path, typer.Option("--out", help="Folder of the checkpoints, and of the work on them.")],
    until: Annotated[
        str,
        typer.Option(
            "--until",
            help="Last stage: vae, text, semantic, classifier, image_text, quality, base, i2v, lora, wan_vae, vace, "
            "expert, vap or bundle.",
        ),
    ] = "bundle",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="STAGE", help="This stage alone, repeatable.", show_default=False),
    ] = None,
    version: Annotated[
        int, typer.Option("--version", min=1, max=2, help="Version of the suite; 2 is the next, being made.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every stage.")] = 0,
    device: opt.Device = "auto",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Stages at once. [default: 2 on a CPU, 1 on a GPU]", show_default=False),
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few steps of every stage, to test the machinery.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train the mini suite's models, from nothing.

    Autoencoder, text encoder, judges, models of the metrics, image-to-video base, a LoRA per condition, structure
    control, VAP expert, in that order; each stage leaves a card and a loss curve. The same command resumes; Ctrl-C or
    SIGTERM saves the step at hand. The results are folders that methods take: vap:weights=OUT/vap,
    i2v:weights=OUT/i2v, lora:weights=OUT/i2v,adapters=OUT/lora and vace-depth:weights=OUT/vace.
    """
    from vapbench.core.console import configure_logging, errors, say
    from vapbench.files.resources import resource
    from vapbench.running.device import torch_device
    from vapbench.running.threads import StopFlag, finish_case_on_interrupt

    # The recipe is data of the package, as every baseline is: it is found by its folder.
    sys.path.insert(0, str(resource("baselines") / "mini"))
    from mini_recipe import train_mini
    from mini_recipe.parallel import default_jobs

    configure_logging(verbose=None, quiet=quiet)
    chosen = torch_device(device)
    at_once, stop, train = jobs or default_jobs(chosen), StopFlag(), partial(train_mini, out, smoke=smoke, seed=seed)
    train = partial(train, device=chosen, until=until, only=tuple(only or ()), version=version, quiet=quiet)
    with finish_case_on_interrupt(stop, errors().print, "step"):
        if not train(jobs=at_once, stopping=stop.__bool__):
            raise KeyboardInterrupt
    trained = f"trained {', '.join(only)}" if only else f"trained up to {until}"
    say(f"{out}: {trained}")


def lora(
    out: Annotated[Path, typer.Option("--out", help="Folder of adapters, one folder per condition.")] = Path("loras"),
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", "-c", metavar="NAME", help="Condition, repeatable.", show_default=False),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="Every condition of a task that has training clips.", show_default=False),
    ] = None,
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="Base model: folder or hub id. [default: the method's]", show_default=False),
    ] = None,
    recipe: Annotated[
        Literal["short", "official"],
        typer.Option("--recipe", help="short: 2,000 steps at 5e-5, ours; official: 60,000 at 1e-5. Not for mini."),
    ] = "short",
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps per adapter.", show_default=False)] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every adapter.")] = 0,
    device: opt.Device = "auto",
    smoke: Annotated[bool, typer.Option("--smoke", help="A few steps, to test the machinery.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a LoRA per condition, on the training split alone.

    The same command resumes. --method lora:adapters=OUT takes the result.

    \b
    vapbench train lora --condition vidu_ghibli --suite vap-data \\
        --data /data/VAP-Data --out loras
    accelerate launch -m vapbench train lora --task style --suite vap-data \\
        --data /data/VAP-Data  # one per device
    """
    from vapbench.core.console import configure_logging, say
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.atomic import quoted
    from vapbench.methods import resolve
    from vapbench.running.device import torch_device
    from vapbench.suites import find_suite
    from vapbench.suites.tasks import conditions_of, find_task
    from vapbench.training.lora_run import train_loras, trainable

    configure_logging(verbose=None, quiet=quiet)
    if bool(condition) == bool(task):
        raise UsageError(
            "Say what to train: --condition NAME (repeatable), or --task NAME.", ErrorKind.MISSING, "condition"
        )
    found = find_suite(suite)
    if found.clip is None:
        raise UsageError(
            f"Suite {found.name} has no training clips; --suite says which data to train on.",
            ErrorKind.MISSING,
            "suite",
        )
    if found.name == "mini@2":
        raise UsageError(
            "The adapters of mini@2 are a stage of its own training: vapbench train mini --version 2 --only lora",
            ErrorKind.CONFLICT,
            "suite",
        )
    if found.name == "mini" and recipe != "short":
        raise UsageError(
            "The mini suite's adapters have a recipe of their own; leave out --recipe.", ErrorKind.CONFLICT, "recipe"
        )
    names = list(dict.fromkeys(condition or ()))
    if task:
        wanted = conditions_of(find_task(task))
        names = [name for name in trainable(found.name, data) if name in wanted]
        if not names:
            raise UsageError(
                f"Suite {found.name} has no training clip of any condition of task {task}.", ErrorKind.MISSING, "task"
            )
    base = weights or str(resolve("lora", suite=found.name).parameters["weights"])
    trained = train_loras(
        out,
        names,
        suite=found.name,
        data=data,
        weights=base,
        clip=found.clip,
        device=torch_device(device),
        seed=seed,
        recipe=recipe,
        steps=steps,
        smoke=smoke,
        quiet=quiet,
    )
    say(f"{out}: {counted(len(trained), 'adapter')}: --method lora:adapters={quoted(out)}")

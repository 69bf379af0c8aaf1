"""``check parity``: our frames beside the official script's, for whoever has the weights, the code and a GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt

if TYPE_CHECKING:
    from vapbench.validation.parity import Difference, Parity

_BEYOND = 0.05
"""A relative difference that rounding in bfloat16, 1 or 2 % where it was measured, does not make in one stage."""


def check_parity(
    weights: Annotated[
        Path,
        typer.Option(
            "--weights", help="Folder of the released weights, CogVideoX's or Wan's.", show_default=False, exists=True
        ),
    ],
    official: Annotated[
        Path,
        typer.Option(
            "--official",
            help="Checkout of bytedance/Video-As-Prompt; its code is run.",
            show_default=False,
            exists=True,
        ),
    ],
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            help="Python of the environment in which the official code runs. [default: this one]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="What the official script's cuda is; cpu suits tiny weights.")
    ] = "cuda",
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Denoising steps. [default: the script's 50]", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for both recordings and the official video.")] = Path(
        "parity"
    ),
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare our frames with the official script's, stage by stage.

    Runs infer/cog_vap.py or infer/wan_vap.py as it is, on its own diffusers, with the weights linked to where it looks
    for them; then vapbench with the same pictures, captions, arguments and random state. Needs one GPU that holds the
    model; the two run one after the other.

    \b
    vapbench check parity --weights Video-As-Prompt-CogVideoX-5B \\
        --official Video-As-Prompt --python official/bin/python
    """
    from dataclasses import asdict

    from vapbench.core.console import configure_logging, output, print_json, say, tell, terminal_width
    from vapbench.validation.parity import compare

    configure_logging(None, quiet)

    def watch(sentence: str) -> None:
        if not quiet:
            tell(sentence)

    found = compare(weights, official, out, device, steps, python or sys.executable, watch)
    if json:
        print_json(asdict(found))
        return
    say(*_lines(found, out, terminal_width(output())))


def _lines(found: Parity, out: Path, width: int | None) -> Iterator[str]:
    from vapbench.core.text_table import table_lines

    told = found.official
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    yield f"official infer/{found.script}: {versions}; {told['dtype']}, {told['scheduler']}"
    yield ""
    why = "ours has no such stage: its tokens differ, or it is not computed"
    absent = [(name, why) for name in found.only_official]
    yield from table_lines([("stage", "", *_NUMBERS), *map(_row, found.stages)], width, left=2, indent=2)
    yield from table_lines(absent, width, left=2, indent=2) if absent else ()
    if found.reading:
        yield ""
        yield from table_lines(
            [("decoded files, levels of 255", "", *_NUMBERS), *map(_row, found.reading)], width, left=2, indent=2
        )
    yield ""
    yield f"  frames: PSNR {'infinite, all pixels are equal' if found.psnr is None else f'{found.psnr:.1f} dB'}"
    yield f"  first stage that is not equal to the last bit: {found.first() or 'none'}"
    yield f"  first stage off by more than 5 %, which is no rounding: {found.first(_BEYOND) or 'none'}"
    repeats = (
        "it is that of seed 42, so generator=cuda with --seed 42 repeats it"
        if found.seed_repeats
        else ("it is not that of a fresh generator with seed 42: a run of vapbench draws other noise")
    )
    yield f"  random state at the call: {repeats}"
    yield ""
    yield f"Both recordings are in {out}. What these mean: docs/guides/parity.md"


_NUMBERS = ("largest", "mean", "relative")


def _row(one: Difference) -> tuple[str, str, str, str, str]:
    if not one.same_shape:
        return one.stage, "another shape", "", "", ""
    if one.equal:
        return one.stage, "equal", "", "", ""
    return one.stage, "", f"{one.largest:.3g}", f"{one.mean:.3g}", f"{100 * one.relative:.3g} %"

"""``data``: prepare and verify suites, fetch metric weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress, TaskID

    from vapbench.core.case import Case


def register(app: typer.Typer) -> None:
    """Add the command group."""
    data = typer.Typer(help="Prepare and verify suites; fetch metric weights.", no_args_is_help=True)
    data.command()(prepare)
    data.command()(verify)
    data.command("adopt-lora")(adopt_lora)
    weights = typer.Typer(
        help="Weights of metrics: where they come from, their licence, whether they are here.",
        no_args_is_help=True,
    )
    weights.command("list")(list_weights)
    weights.command("fetch")(fetch_weights)
    weights.command("verify")(verify_weights)
    data.add_typer(weights, name="weights")
    app.add_typer(data, name="data")


def prepare(
    suite: Annotated[str, typer.Argument(help="mini, or its next version mini@2: they are made, not downloaded.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    train_clips: Annotated[int, typer.Option(min=0, help="Training clips per condition, beside the benchmark.")] = 0,
) -> None:
    """Write a suite in VAP-Data's layout.

    \b
    vapbench data prepare mini --out mini-data
    vapbench run -m frozen --suite vap-data --data mini-data
    """
    from vapbench.core.console import say
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.atomic import quoted
    from vapbench.suites.mini.writer import write_vap_data

    if suite not in ("mini", "mini@2"):
        raise UsageError(
            f"{suite} is not made here; mini and mini@2 are. See docs/reference/suites.md for where to get it.",
            ErrorKind.UNKNOWN,
            "suite",
        )
    write_vap_data(out, train_clips, grammar=suite == "mini@2")
    say(f"{out}: written. Use it with --suite vap-data --data {quoted(out)}")


def verify(
    data: opt.Data = None,
    suite: opt.Suite = opt.SUITE,
) -> None:
    """Read a suite's cases and decode every video.

    A malformed table or a leak from the train split ends it with one sentence; missing files and damaged videos are all
    listed.

    vapbench data verify --suite vap-data --data /data/VAP-Data

    vapbench data verify --suite my_cases/cases.csv
    """
    from vapbench.core.console import configure_logging, output, tell
    from vapbench.errors import DataError
    from vapbench.suites import find_suite
    from vapbench.suites.table import MissingMedia
    from vapbench.suites.tasks import unknown_conditions

    configure_logging(verbose=1, quiet=False)
    found = find_suite(suite)
    try:
        cases = found.cases(data)
    except MissingMedia as error:
        tell(*error.lines)
        output().print(f"{found.name}: files missing: {len(error.lines)}", markup=False)
        raise typer.Exit(DataError.exit_code) from None
    bad = 0
    for read in _readers(cases, data if found.data == "videos" else None):
        try:
            read()
        except DataError as error:
            bad += 1
            tell(str(error))
    unknown = {} if found.own_conditions else unknown_conditions(cases)
    if unknown:
        tell(f"No task lists these conditions: {', '.join(sorted(unknown))}.")
    conditions = len({case.condition for case in cases})
    output().print(
        f"{found.name}: {counted(len(cases), 'case')} of {counted(conditions, 'condition')}, "
        f"{counted(bad, 'unreadable video')}",
        markup=False,
    )
    raise typer.Exit(DataError.exit_code if bad else 0)


def adopt_lora(
    source: Annotated[Path, typer.Argument(help="The adapter's safetensors file, or the folder it lies in.")],
    condition: Annotated[str, typer.Option("--condition", "-c", metavar="NAME", help="Condition that it shows.")],
    base: Annotated[
        str | None,
        typer.Option(
            "--base", help="Model it was trained on: folder or hub id. [default: the method's]", show_default=False
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option("--alpha", min=0, help="Of a file that says none. [default: its rank]", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of adapters, one folder per condition.")] = Path("loras"),
) -> None:
    """Take over a LoRA that was trained elsewhere: check it against its base, and write its card.

    A file that lies in its place already (OUT/CONDITION) is left there, any other is copied there. The forms of
    diffusers, peft, ComfyUI, kohya's scripts and finetrainers are read. Only the trainer knows which clips it saw.

    \b
    vapbench data adopt-lora ghibli.safetensors --condition vidu_ghibli \\
        --base zai-org/CogVideoX-5b-I2V --out loras
    """
    from vapbench.checkpoints.folder import checkpoint_folder
    from vapbench.core.case import check_name
    from vapbench.core.console import configure_logging, say
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.atomic import quoted
    from vapbench.methods import resolve
    from vapbench.methods.lora_files import adopt
    from vapbench.suites.mini.grammar.codes import is_code

    configure_logging(verbose=None, quiet=False)
    try:
        check_name(condition)
    except ValueError as error:
        raise UsageError(f"--condition {error}.", ErrorKind.INVALID, "condition") from None
    suite = "mini" if condition.startswith("mini_") else "vap-data"
    if not base and is_code(condition):
        raise UsageError(
            f"{condition} is a condition of mini@2, which brings no base: say which it was trained on, --base DIR",
            ErrorKind.MISSING,
            "base",
        )
    where = base or str(resolve("lora", suite=suite).parameters["weights"])
    adapter = adopt(source, out, condition, checkpoint_folder(where, None, "--base"), where, alpha)
    say(f"{adapter.folder}: LoRA of rank {adapter.card.rank} for {condition}: --method lora:adapters={quoted(out)}")


def _readers(cases: Sequence[Case], videos: Path | None) -> list[Callable[[], object]]:
    """What decodes each file once: of a case's image, only what counts of it."""
    from vapbench.core.video import read_video
    from vapbench.suites.custom import name_videos

    if videos is not None:
        return [partial(read_video, video) for video in name_videos(videos).values()]
    readers: dict[Path, Callable[[], object]] = {}
    for case in cases:
        readers |= {media.path: media.first_frame for media in case.media() if media.path not in readers}
        watched = [*(reference.video for reference in case.references), *([case.target] if case.target else [])]
        readers |= {media.path: media.read for media in watched}
    return list(readers.values())


def list_weights(json: opt.Json = False) -> None:
    """List metric weights: name, size, licence, and where they are if they are here."""
    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from vapbench.checkpoints.catalogue import CATALOGUE, locate
    from vapbench.core.console import output, print_json, say

    here = {name: locate(name) for name in CATALOGUE}
    if json:
        rows = [asdict(item) | {"path": str(here[name] or "")} for name, item in CATALOGUE.items()]
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("name", no_wrap=True)  # to be copied whole
    for column in ("size", "licence", "columns", "here"):
        table.add_column(column, overflow="fold")
    for name, item in CATALOGUE.items():
        table.add_row(
            name,
            item.size,
            item.licence,
            Text(item.used_by.replace(", ", "\n")),
            str(here[name] or "no"),
        )
    output().print(table)
    if not all(here.values()):
        say("Fetch with: vapbench data weights fetch NAME… (or: all)")


def fetch_weights(
    name: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names from `vapbench data weights list`, or: all.")
    ],
) -> None:
    """Download weights into the cache; their licence is shown first, their hash is kept."""
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn

    from vapbench.checkpoints.catalogue import CATALOGUE, find
    from vapbench.checkpoints.fetching import fetch
    from vapbench.core.console import errors, say, tell

    for item in [find(text) for text in (CATALOGUE if name == ["all"] else name)]:
        tell(f"{item.name}: {item.address} · {item.size} · licence {item.licence}")
        with Progress(
            *Progress.get_default_columns(), DownloadColumn(), TimeRemainingColumn(), console=errors()
        ) as bar:
            task = bar.add_task(item.name, total=None)
            path = fetch(item.name, progress=partial(_advance, bar, task))
        say(str(path))


def _advance(bar: Progress, task: TaskID, done: int, total: int | None) -> None:
    bar.update(task, completed=done, total=total)


def verify_weights() -> None:
    """Hash the weights that are here and compare with what was first fetched."""
    from vapbench.checkpoints.catalogue import CATALOGUE
    from vapbench.checkpoints.fetching import verify
    from vapbench.core.console import say

    statuses = [verify(name) for name in CATALOGUE]
    say(*(f"{status.weights.name}: {status.state} {status.path or ''}".rstrip() for status in statuses))
    raise typer.Exit(3 if any(status.state == "changed" for status in statuses) else 0)

"""The command line: parse, call, print. Heavy imports wait until a command runs."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from vapbench.cli.help import FirstScreen, HelpEntry

_INTERRUPTED = 130


def _show_version(asked: bool) -> None:
    if asked:
        from vapbench import __version__

        typer.echo(f"vapbench {__version__}")
        raise typer.Exit


_RUN, _LOOK, _COMPARE = "Run a method, or score videos you have", "Look", "Compare and write up"
_PUBLISH, _STUDY, _PREPARE = "Publish", "Ask people", "Prepare and tidy"

FirstScreen.entries = {
    "run": HelpEntry("run", _RUN, "Generate, score, report; resume."),
    "score": HelpEntry("score", _RUN, "Score a run, or videos you have."),
    "generate": HelpEntry("run", _RUN, "Generate videos, and score them later."),
    "probe": HelpEntry("probe", _RUN, "Measure what reference and caption each do to a method's videos."),
    "plan": HelpEntry("plan", _RUN, "Estimate device hours, wall time and storage."),
    "power": HelpEntry("power", _RUN, "Say what the smallest difference is that each task can show."),
    "list": HelpEntry("list", _LOOK, "List methods, metrics, tasks, suites or runs."),
    "describe": HelpEntry("describe", _LOOK, "Explain a method, metric, task or suite."),
    "status": HelpEntry("status", _LOOK, "Say how far runs are: progress, time left, failures by type."),
    "show": HelpEntry("report", _LOOK, "Write a page that plays every case."),
    "report": HelpEntry("report", _COMPARE, "Print tables of finished runs."),
    "compare": HelpEntry("tables", _COMPARE, "Is A better than B?"),
    "table": HelpEntry("tables", _COMPARE, "Write the table for the paper."),
    "export": HelpEntry("export", _COMPARE, "Write the scores that count now as one frame."),
    "leaderboard": HelpEntry("leaderboard", _PUBLISH, "Build the public board; check submissions to it."),
    "study": HelpEntry("study", _STUDY, "Run a human preference study."),
    "check": HelpEntry("check", _PREPARE, "Check what you declare, a metric, a judge, or official parity."),
    "data": HelpEntry("data", _PREPARE, "Prepare and verify suites; fetch metric weights."),
    "train": HelpEntry("train", _PREPARE, "Train checkpoints."),
    "results": HelpEntry("results", _PREPARE, "Merge, unlock, remove and tidy runs."),
}
"""The first screen, by what people do."""

app = typer.Typer(
    name="vapbench",
    cls=FirstScreen,
    help="Benchmark semantic-controlled video generation: run a method on a task, score it, tabulate it.\n\n"
    "Begin with: vapbench run --method vap --task camera",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    # Before torch is imported. Its threads wait for each other at every operation: busily, they take the core of what
    # else the machine does, and wait for that.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if context.invoked_subcommand in ("report", "table", "compare", "export"):
        # Before numpy is imported. The matrices of statistics are small: threads would cost more than they save, by
        # waiting busily for each other.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run a command; an error ends it with one sentence and the exit code of its kind."""
    from vapbench.core.console import print_in_any_encoding
    from vapbench.errors import PluginError, VapbenchError

    print_in_any_encoding()
    try:
        Path.cwd()
    except FileNotFoundError:
        _fail("The current folder is gone: it was removed or made anew. Change to one that is there: cd DIR", 1)
    if "HOME" not in os.environ:
        from vapbench.files.atomic import home_folder

        # Before libraries look for their own caches.
        home_folder()
    try:
        app()
    except PluginError as error:
        _print_trace(error.trace)
        _fail(str(error), error.exit_code)
    except VapbenchError as error:
        _fail(str(error), error.exit_code)
    except SystemExit as stopped:
        # Typer ends an interrupted command with 130, the shell's own code for Ctrl-C.
        if stopped.code == _INTERRUPTED:
            _fail(f"Interrupted; everything finished is kept. Resume with: {_command()}", _INTERRUPTED)
        raise
    except BrokenPipeError:
        # The reader (head, a pager) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        room = "make room, then" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "fix that, then"
        _fail(f"{where}{error.strerror or error}. Everything finished is kept; {room}: {_command()}", 1)


def _command() -> str:
    return shlex.join(["vapbench", *sys.argv[1:]])


def _fail(message: str, code: int) -> None:
    from vapbench.core.console import errors
    from vapbench.files.text import visible

    errors().print(f"[red]error[/red] {_escape(visible(message))}", soft_wrap=True)
    sys.exit(code)


def _print_trace(trace: str) -> None:
    from vapbench.core.console import errors
    from vapbench.files.text import visible

    errors().print(visible(trace.rstrip()), style="dim", markup=False, soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)

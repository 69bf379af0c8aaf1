"""The command line: parse, call, print. Heavy imports wait until a command runs."""

from __future__ import annotations

import errno
import os
import shlex
import sys

import typer

from vapbench.cli import check as checking
from vapbench.cli import data, power, results, status, study, tables
from vapbench.cli import leaderboard as publishing
from vapbench.cli import list as listing
from vapbench.cli import plan as planning
from vapbench.cli import report as reporting
from vapbench.cli import run as running
from vapbench.cli import score_set as set_scoring
from vapbench.cli import train as training

_INTERRUPTED = 130

app = typer.Typer(
    name="vapbench",
    help="Benchmark semantic-controlled video generation: run a method on a task, score it, tabulate it.\n\n"
    "Begin with: vapbench run --method vap --task camera",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
running.register(app)
planning.register(app)
power.register(app)
reporting.register(app)
tables.register(app)
listing.register(app)
checking.register(app)
data.register(app)
training.register(app)
publishing.register(app)
study.register(app)
set_scoring.register(app)
results.register(app)
status.register(app)


def main() -> None:
    """Run a command; an error ends it with one sentence and the exit code of its kind."""
    from vapbench.errors import VapbenchError

    try:
        app()
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
        room = "make room, then" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that, then"
        _fail(f"{where}{error.strerror or error}. Everything finished is kept; {room}: {_command()}", 1)


def _command() -> str:
    return shlex.join(["vapbench", *sys.argv[1:]])


def _fail(message: str, code: int) -> None:
    from vapbench.cli.console import errors, visible

    errors().print(f"[red]error[/red] {_escape(visible(message))}", soft_wrap=True)
    sys.exit(code)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)

"""Progress of runs, audits and training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.markup import escape

from vapbench.core.console import errors, progress_bar, tell
from vapbench.core.traces import last_lines, shows_own_code
from vapbench.errors import DataError, in_one_line
from vapbench.files.text import visible
from vapbench.running.context import Counts

if TYPE_CHECKING:
    from rich.progress import TaskID

    from vapbench.results.rows import Failure, Status
    from vapbench.running.context import Progress as Watcher

_SECONDS_BETWEEN_LINES = 10.0


def progress(quiet: bool, *, shared: bool = False) -> Watcher:
    """The progress that suits where standard error goes, and whether several processes share it."""
    if quiet:
        return Silent()
    return Bar() if errors().is_terminal and not shared else Lines()


class Silent:
    """Says nothing but the first failure of each stage."""

    def __init__(self) -> None:
        self._told = False

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Forget the stage before."""
        self._told = False

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
        """Prints nothing."""

    def failed(self, label: str, failure: Failure, hint: str) -> None:
        """Print the first failure, where it was raised and what to do; the rows hold the others."""
        if self._told:
            return
        self._told = True
        said = in_one_line(failure.type, failure.message)
        errors().print(f"[red]failed[/red] {escape(visible(f'{label}: {said}'))}", soft_wrap=True)
        if failure.type == DataError.__name__ and not shows_own_code(failure.traceback):
            # The sentence names the file and what to do; how it was found out is no help.
            return
        for line in last_lines(failure.traceback):
            errors().print(visible(line), style="dim", markup=False, soft_wrap=True)
        if hint:
            tell(hint)

    def tell(self, message: str) -> None:
        """Prints nothing."""

    def end(self) -> None:
        """Prints nothing."""


class Lines(Silent):
    """A plain line now and then, for logs."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Print what begins."""
        super().begin(what, total, done)
        self._what, self._counts, self._began = what, Counts(total=total, kept=done), time.monotonic()
        self._last = self._began
        tell(f"{what}: {done}/{total}")

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
        """Print a line every ten seconds, and at the end."""
        counts = self._counts
        counts.add(status)
        now = time.monotonic()
        done = counts.kept + counts.done
        if done < counts.total and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = (now - self._began) / counts.done * (counts.total - done)
        parts = [
            f"{self._what}: {done}/{counts.total}",
            *([f"{counts.failed} failed"] if counts.failed else []),
            *([note] if note else []),
            f"{left:.0f} s left" if done < counts.total else f"{now - self._began:.0f} s",
        ]
        tell(", ".join(parts))

    def tell(self, message: str) -> None:
        """Print it."""
        tell(message)


class Bar(Silent):
    """A Rich bar with done, failed and time left."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Show the bar."""
        super().begin(what, total, done)
        self._counts = Counts(total=total)
        self._bar = progress_bar()
        self._task: TaskID = self._bar.add_task(escape(what), total=total, completed=done, note="")
        self._bar.start()

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
        """Move the bar."""
        self._counts.add(status)
        failed = f"[red]{self._counts.failed} failed[/red]" if self._counts.failed else ""
        self._bar.update(self._task, advance=1, note=failed or escape(note))

    def tell(self, message: str) -> None:
        """Print it above the bar."""
        errors().print(message, markup=False)

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

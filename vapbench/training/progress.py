"""Who watches the training: a bar on a terminal, plain lines elsewhere, or nobody."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from vapbench.core.console import errors, progress_bar

_SECONDS_BETWEEN_LINES = 20.0


class Watcher(Protocol):
    """Told of every step."""

    def begin(self, stage: str, steps: int, done: int) -> None:
        """A stage of ``steps`` begins, ``done`` of them in an earlier run."""
        ...

    def step(self, step: int, loss: float | None) -> None:
        """A step is done; the loss is smoothed, and None where nothing is learnt."""
        ...

    def tell(self, message: str) -> None:
        """Something is worth a line."""
        ...

    def end(self) -> None:
        """The stage's steps are over."""
        ...


def watcher(quiet: bool = False, *, shared: bool = False) -> Watcher:
    """Return the watcher that suits where standard error goes, and whether several processes share it."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() and not shared else Lines()


class Silent:
    """Says nothing."""

    def begin(self, stage: str, steps: int, done: int) -> None:
        """Prints nothing."""

    def step(self, step: int, loss: float | None) -> None:
        """Prints nothing."""

    def tell(self, message: str) -> None:
        """Prints nothing."""

    def end(self) -> None:
        """Prints nothing."""


class Lines:
    """A line now and then, for logs."""

    def begin(self, stage: str, steps: int, done: int) -> None:
        """Say what begins."""
        self._stage, self._steps, self._first = stage, steps, done
        self._began = self._last = time.monotonic()
        self.tell(f"{stage}: step {done} of {steps}")

    def step(self, step: int, loss: float | None) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES and step < self._steps:
            return
        self._last = now
        pace = (step - self._first) / max(now - self._began, 1e-9)
        left = (self._steps - step) / max(pace, 1e-9)
        learnt = "" if loss is None else f" loss {loss:.4f},"
        self.tell(f"{self._stage}: step {step} of {self._steps},{learnt} {pace:.2f} steps/s, {left:.0f} s left")

    def tell(self, message: str) -> None:
        """Write the line to standard error."""
        sys.stderr.write(message + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Prints nothing."""


class Bar:
    """A Rich bar with the loss and the time left."""

    def begin(self, stage: str, steps: int, done: int) -> None:
        """Show the bar."""
        self._bar = progress_bar()
        self._task = self._bar.add_task(stage, total=steps, completed=done, note="")
        self._bar.start()

    def step(self, step: int, loss: float | None) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=step, note="" if loss is None else f"loss {loss:.4f}")

    def tell(self, message: str) -> None:
        """Print it above the bar."""
        errors().print(message, markup=False)

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

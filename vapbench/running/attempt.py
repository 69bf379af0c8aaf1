"""One attempt at one case or score: what comes of it, or a failure that fits a row."""

from __future__ import annotations

import gc
import random
import sys
import time
import traceback
from contextlib import chdir
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vapbench.core.case import Case, ClipSpec, clip_difference
from vapbench.core.clip import Clip
from vapbench.core.video import VideoInfo, notes_at, probe
from vapbench.errors import NotApplicable, text_of
from vapbench.files.atomic import canonical_json
from vapbench.files.text import escaped
from vapbench.methods.base import Method, notes_of
from vapbench.metrics.base import Score
from vapbench.metrics.memory import is_out_of_memory
from vapbench.results.rows import Failure, Note

RAISED = (Exception, SystemExit)
"""What fails one case or score: code that ends its process, as a script does, ends no run."""


@dataclass(frozen=True)
class Attempted:
    """What came of asking a method for a clip."""

    made: Clip | Path | None
    seconds: float
    """Wall time of the last attempt."""
    peak_mb: float | None
    failures: tuple[Failure, ...] = ()
    """Failed attempts; if nothing was made, the last one stands."""
    unscored: str = ""
    """Why the method does not apply."""
    note: str = ""
    """How the clip differs from what the suite asks for."""
    info: VideoInfo | None = None
    """Size and rate of what was made."""
    notes: tuple[Note, ...] = ()
    """What the method says of it, and what was done to show its frames."""


def attempt(method: Method, case: Case, seed: int, retries: int, device: Any) -> Attempted:
    """Ask for a clip; after out-of-memory, a timeout or HTTP 429/5xx, ask again with the same seed."""
    failures: list[Failure] = []
    while True:
        transient = False
        seed_everything(seed)
        reset_peak(device)
        made, unscored, note, info = None, "", "", None
        notes: tuple[Note, ...] = ()
        began = time.perf_counter()
        try:
            with chdir("."):
                made = method.generate(case, seed)
                if isinstance(made, str | PathLike):
                    made = Path(made).absolute()
            info = _info(made, case.clip)
            note = clip_difference(info, case.clip)
            notes = (*notes_of(method, case), *(Note(*said.split("; ", 1)) for said in info.notes))
        except NotApplicable as error:
            made, unscored = None, str(error)
        except RAISED as error:
            made = None
            transient = is_transient(error)
            failures.append(failure_of(error))
        seconds = time.perf_counter() - began
        if transient and len(failures) <= retries:
            # Out here the exception, and the frames that hold its tensors, are gone.
            free_memory()
            continue
        return Attempted(made, seconds, peak_mb(device), tuple(failures), unscored, note, info, notes)


def checked(name: str, answer: object) -> Score:
    """A metric's answer as plain numbers that a row can hold.

    Raises:
        TypeError: it is no Score, or holds what JSON cannot.
        ValueError: its value is no finite number.
    """
    if isinstance(answer, (int, float, np.integer, np.floating)) and not isinstance(answer, bool):
        answer = Score(float(answer))
    if not isinstance(answer, Score):
        raise TypeError(f"score must return a Score or a number, not {type(answer).__name__}")
    value = None if answer.value is None else float(answer.value)
    if value is not None and not np.isfinite(value):
        raise ValueError(f"{name} answered {value}, which is no score")
    canonical_json(dict(answer.parts))
    return Score(value, dict(answer.parts), escaped(answer.note), escaped(answer.kind))


def failure_of(error: BaseException) -> Failure:
    """Describe an exception for a row."""
    text = "".join(traceback.format_exception(error))
    return Failure(type(error).__name__, escaped(text_of(error)) or type(error).__name__, escaped(text))


def is_transient(error: BaseException) -> bool:
    """Whether another attempt may succeed: out of memory, a timeout, HTTP 429 or 5xx."""
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "code", None)
    if isinstance(status, int):
        return status == 429 or status >= 500
    # httpx, requests and torch have trees of their own; their names agree.
    return isinstance(error, TimeoutError) or type(error).__name__.endswith("Timeout") or is_out_of_memory(error)


def seed_everything(seed: int) -> None:
    """Seed the global generators, for methods that draw from them; those that take the seed lose nothing."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def reset_peak(device: Any) -> None:
    """Start measuring peak memory anew, where the device can."""
    if device.type == "cuda":
        sys.modules["torch"].cuda.reset_peak_memory_stats(device)


def peak_mb(device: Any) -> float | None:
    """Peak memory in MB: of the accelerator, or of this process so far; None where nobody counts."""
    if device.type == "cuda":
        return round(float(sys.modules["torch"].cuda.max_memory_allocated(device)) / 2**20, 1)
    try:
        import resource
    except ImportError:
        return None
    # Kilobytes on Linux, bytes on macOS.
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale, 1)


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _info(made: object, spec: ClipSpec) -> VideoInfo:
    """Size of what a method returned; a file is decoded, so that no row is ok for something that is no video."""
    if isinstance(made, Clip):
        return VideoInfo(len(made), made.fps, made.width, made.height, made.notes)
    if isinstance(made, Path):
        info = probe(made)
        return replace(info, fps=spec.fps, notes=notes_at(spec.fps, info)) if made.is_dir() else info
    raise TypeError(f"generate must return a Clip or a Path, not {type(made).__name__}")

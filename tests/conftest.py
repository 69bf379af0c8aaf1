"""Fixtures: real files, made small."""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.files.download import bypass_proxy_locally

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Parallel workers share the cores: with more threads than cores, each waits for the others'. Small networks gain
# nothing from more than two.
_CORES = (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, min(2, _CORES))))
# The tests' own servers are on this machine.
bypass_proxy_locally()

SPEC = ClipSpec(frames=5, fps=8, height=32, width=48)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Have one worker more than there are cores: browsers, servers and other processes are often waited for."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # pytest-xdist reads it.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_configure() -> None:
    """Let Ctrl-C mean what it means in a terminal: a shell starts what runs in the background with it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collectstart() -> None:
    """Look for no garbage while modules are imported: there is next to none, and it takes a third of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep what is imported by now out of later collections of garbage: a run asks for two, of 0.4 s each otherwise."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _what_is_old_is_left_alone() -> None:
    """Keep what the tests before have imported and remembered out of collections too."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own, shared by parallel workers."""
    folder = tmp_path_factory.getbasetemp().parent / "vapbench-cache"
    before = os.environ.get("VAPBENCH_CACHE")
    os.environ["VAPBENCH_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["VAPBENCH_CACHE"]
    else:
        os.environ["VAPBENCH_CACHE"] = before


@pytest.fixture(autouse=True)
def _log_as_nobody_set_it() -> None:
    """Undo what commands that ran in this process did to the log: tests read it through pytest.

    Before a test, not after it: a fixture of a whole module may have run a command too. The level is set, not assigned:
    loggers remember what they let through until then.
    """
    logger = logging.getLogger("vapbench")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


class _Deprecations(logging.Handler):
    """Keeps what libraries say of deprecated use on their logs, where no warning filter sees it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if re.search(r"deprecated|will be removed", record.getMessage()):
            self.said.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def _nothing_deprecated_on_logs() -> Iterator[None]:
    """Fail a test in which a library logs that it was used in a deprecated way."""
    handler = _Deprecations()
    loggers = [
        logging.getLogger(name) for name in ("accelerate", "diffusers", "huggingface_hub", "peft", "transformers")
    ]
    for logger in loggers:
        logger.addHandler(handler)
    yield
    for logger in loggers:
        logger.removeHandler(handler)
    assert not handler.said, handler.said


def moving_clip(seed: int = 0, frames: int = 5, height: int = 32, width: int = 48, fps: float = 8.0) -> Clip:
    """Smooth random texture that slides to the right by two pixels a frame."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 16 + 2, (width + 2 * frames) // 16 + 2, 3))
    texture = Image.fromarray(coarse.astype(np.uint8)).resize((width + 2 * frames, height), Image.Resampling.BICUBIC)
    wide = np.asarray(texture)
    return Clip(np.stack([wide[:, 2 * t : 2 * t + width] for t in range(frames)]), fps)


@pytest.fixture
def make_case(tmp_path: Path) -> Callable[..., Case]:
    """Build a case whose videos are real files."""

    def make(
        number: int = 0, condition: str = "vidu_orbit", category: str | None = "camera", **changes: object
    ) -> Case:
        target, reference = tmp_path / f"target-{number}.mp4", tmp_path / f"reference-{number}.mp4"
        write_video(target, moving_clip(2 * number))
        write_video(reference, moving_clip(2 * number + 1))
        fields: dict[str, object] = {
            "id": f"{condition}--t{number}--r{number}",
            "condition": condition,
            "category": category,
            "references": (Reference(video=Media(path=reference), caption="A reference."),),
            "image": Media(path=target),
            "target": Media(path=target),
            "caption": "A target.",
            "clip": SPEC,
        }
        return Case.model_validate(fields | changes)

    return make

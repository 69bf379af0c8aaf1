"""Boards of small runs, written as a run writes them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.forger import OURS, ROOT, Forger
from tests.report.conftest import Case, Runs, clip, metric_data, runs  # noqa: F401
from vapbench.core.video import write_video
from vapbench.leaderboard.pack import pack
from vapbench.leaderboard.roster import Rosters
from vapbench.leaderboard.site import build
from vapbench.results.rows import Failure

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & {{ 7 * 7 }}"


def cases(skill: float, **changes: Case) -> dict[str, Case]:
    """Twelve cases over six conditions."""
    made = {
        f"case-{i}": Case(f"cond_{i // 2}", (skill + 0.01 * i,), extra={"caption": f"A target, number {i}."})
        for i in range(12)
    }
    return made | changes


def held_out(skill: float) -> dict[str, Case]:
    """The mini suite's own cases of its smallest task: what a submission must have."""
    planned = Rosters().of("mini").cases
    return {
        name: Case(str(case.condition), (skill + 0.01 * i,), str(case.category), case.tasks, extra={"seeds": [0]})
        for i, (name, case) in enumerate((n, c) for n, c in planned.items() if "zero-shot" in c.tasks)
    }


class Board:
    """A results folder, and the site that is built from it."""

    def __init__(self, runs: Runs) -> None:  # noqa: F811
        self.runs = runs
        self.results = runs.root
        self.home = runs.root / "board"
        self.site = self.home / "site"

    def build(self, videos: bool = True, out: Path | None = None) -> Path:
        return build(self.results, self.home, out or self.site, videos).index.parent

    def page(self, name: str) -> str:
        return (self.site / name).read_text(encoding="utf-8")

    def fill(self) -> None:
        """Three methods and a floor, one of them with a failure."""
        reference = self.runs.root / "reference.mp4"
        write_video(reference, clip(5))
        given = {"reference": str(reference), "image": str(reference), "caption": "A target."}
        broken = Case("cond_1", (0.0,), generation=Failure("OutOfMemory", "the GPU is full"))
        first = {"case-0": Case("cond_0", (0.1,), extra=given)}
        self.runs.write("vap", cases(0.6, **first))
        self.runs.write("lora", cases(0.3, **first))
        self.runs.write("i2v", cases(0.2, **first, **{"case-3": broken}))
        self.runs.write("frozen", cases(0.1, **first))


@pytest.fixture
def board(runs: Runs, metric_data: object, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Board:  # noqa: F811
    """An empty board."""
    # The suite's clips are drawn once for all tests.
    monkeypatch.setenv("VAPBENCH_CACHE", str(cache))
    return Board(runs)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the committed rows."""
    folder = tmp_path_factory.mktemp("results")
    for name in OURS:
        shutil.copytree(ROOT / "results" / "mini" / name, folder / "mini" / name)
    return folder


@pytest.fixture(scope="module")
def rosters(results: Path) -> Rosters:
    return Rosters([results])


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, rosters: Rosters) -> Path:
    out = tmp_path_factory.mktemp("home") / "submissions" / "mine"
    said: dict[str, Any] = {"submitter": "A Lab", "contact": "bench@example.org", "licence": "CC-BY-4.0"}
    pack(ROOT / "results" / "mini" / "vap", out, **said, videos=False, roster=rosters.of("mini"))
    return out


@pytest.fixture
def forger(honest: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(honest, tmp_path / "board" / "submissions" / "mine")))

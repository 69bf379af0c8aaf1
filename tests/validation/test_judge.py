"""check judge: judges with known virtues and vices, asked through a real endpoint about real runs."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.command import vapbench as command
from tests.metrics import judges
from tests.metrics.judges import Endpoint, rating, says
from tests.refusals import refuses
from tests.running.test_generate import Mover, Watcher, plan
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import BudgetSpent, DataError, ErrorKind, UsageError
from vapbench.report.tables.votes import read_votes
from vapbench.running.context import FailureLimit, Settings
from vapbench.running.costs import limit_calls
from vapbench.running.plan import columns
from vapbench.running.run import Selection, execute
from vapbench.suites import find_suite
from vapbench.suites.tasks import find_task
from vapbench.validation.judge import Report, Setting, check, estimates, set_up

SETTINGS = Settings(device="cpu", max_failures=FailureLimit(100))


def grey(level: int) -> Clip:
    return Clip(np.full((4, 32, 48, 3), level, np.uint8), 8)


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """Six cases in three conditions; a condition is a level of grey, and its reference shows it."""
    made = []
    for number in range(6):
        level = 40 + 80 * (number % 3)
        paths = [tmp_path / "media" / f"{role}-{number}.mp4" for role in ("reference", "target")]
        paths[0].parent.mkdir(exist_ok=True)
        write_video(paths[0], grey(level + number))
        write_video(paths[1], grey(250 - number))
        made.append(
            Case(
                id=f"level{level}--t{number}--r{number}",
                condition=f"level{level}",
                category="style",
                references=(Reference(video=Media(path=paths[0])),),
                image=Media(path=paths[1]),
                clip=ClipSpec(frames=4, fps=8, height=32, width=48),
            )
        )
    return made


class Copier(Mover):
    """Outputs the reference's level, off by ``error``."""

    def __init__(self, name: str, error: int) -> None:
        super().__init__()
        self.name, self.error = name, error

    def generate(self, case: Case, seed: int) -> Any:
        return grey(int(case.reference.video.first_frame().mean()) + self.error)


@pytest.fixture
def runs(tmp_path: Path, cases: list[Case]) -> list[Any]:
    methods = [Copier("close", 4), Copier("far", 20)]
    return [execute(plan(method, cases, tmp_path), (), SETTINGS, Watcher()).plan.folder for method in methods]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("VAPBENCH_JUDGE_KEY", "k")
    with Endpoint() as running:
        yield running


def levels(request: dict[str, Any]) -> tuple[float, float, bool]:
    """Mean grey of the reference and of the output, and whether the output was shown first."""
    found: list[float] = []
    for url in judges.pictures(request):
        found.append(float(np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))).mean()))
    heads = [text for text in judges.texts(request) if text.startswith(("The output video", "The reference video"))]
    output_first = heads[0].startswith("The output")
    first, last = sum(found[:2]) / 2, sum(found[-2:]) / 2
    return (last, first, True) if output_first else (first, last, False)


def knowing(request: dict[str, Any]) -> str:
    reference, output, _ = levels(request)
    return rating(score=round(max(0, 100 - abs(reference - output))))(request)


def indifferent(request: dict[str, Any]) -> str:
    return rating(score=70)(request)


def biased(request: dict[str, Any]) -> str:
    return rating(score=90 if levels(request)[2] else 40)(request)


def setting(endpoint: Endpoint, runs: list[Any], cases: list[Case], limit: int = 6, repeats: int = 2) -> Setting:
    selection = Selection(
        find_suite("mini").model_copy(update={"name": "suite"}), find_task("all"), tuple(cases), tuple(cases)
    )
    (column,) = columns([f"semantic_alignment[judge]:model=m,base_url={endpoint.url},frames=2,repeats={repeats}"])
    return set_up(runs, selection, column, limit)


def report(endpoint: Endpoint, runs: list[Any], cases: list[Case], judge: Callable[..., str], **votes: Any) -> Report:
    endpoint.usual = says(judge)
    return check(setting(endpoint, runs, cases), SETTINGS, Watcher(), **votes)


def test_a_knowing_judge_passes_every_control(endpoint: Endpoint, runs: list[Any], cases: list[Case]) -> None:
    found = report(endpoint, runs[:1], cases, knowing)
    means = {name: mean.mean for name, mean in found.means.items()}
    assert means["identical"] == 100
    assert means["right"] == pytest.approx(96, abs=1)
    assert means["wrong"] < 30
    assert found.separation is not None and found.separation.mean == 1
    assert all(0 <= (mean.low or 0) and (mean.high or 0) <= 100 for mean in found.means.values())
    assert found.swap_difference == pytest.approx(0, abs=1)
    assert (found.repeat_difference, found.failed, found.asked) == (0, 0, 24)
    assert found.repeat_alpha is not None and found.repeat_alpha.alpha == 1


def test_a_judge_that_sees_nothing_is_found_out(endpoint: Endpoint, runs: list[Any], cases: list[Case]) -> None:
    found = report(endpoint, runs[:1], cases, indifferent)
    assert found.separation is not None and found.separation.mean == 0.5
    assert found.means["identical"].mean == found.means["wrong"].mean == 70


def test_a_judge_that_favours_a_place_disagrees_with_itself(
    endpoint: Endpoint, runs: list[Any], cases: list[Case]
) -> None:
    found = report(endpoint, runs[:1], cases, biased)
    assert found.repeat_difference == 50
    assert found.repeat_alpha is not None and found.repeat_alpha.alpha is not None and found.repeat_alpha.alpha < 0


def test_nothing_is_asked_twice_and_the_estimate_knows(endpoint: Endpoint, runs: list[Any], cases: list[Case]) -> None:
    endpoint.usual = says(knowing)
    made = setting(endpoint, runs[:1], cases)
    assert sum(item.cost.calls for item in estimates(made)) == 4 * 6 * 2
    limit_calls([made.column], 20)
    with pytest.raises(BudgetSpent):
        check(made, SETTINGS, Watcher())
    assert len(endpoint.requests) == 20
    limit_calls([made.column], None)
    first = check(made, SETTINGS, Watcher())
    assert len(endpoint.requests) == 48
    assert sum(item.cost.calls for item in estimates(made)) == 0
    assert check(made, SETTINGS, Watcher()) == first
    assert len(endpoint.requests) == 48


def test_votes_are_compared_with_scores(endpoint: Endpoint, runs: list[Any], cases: list[Case], tmp_path: Path) -> None:
    battles = [("close", "far", "model_a"), ("far", "close", "model_b"), ("close", "far", "model_b")]
    battles += [("close", "far", "tie (bothbad)"), ("close", "else", "model_a")]
    file = tmp_path / "votes.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"question_id": case.id, "model_a": a, "model_b": b, "winner": winner})
            for case, (a, b, winner) in zip(cases, battles, strict=False)
        )
    )
    found = report(endpoint, runs, cases, knowing, votes=read_votes(file)).votes
    assert found is not None
    assert (found.accuracy.mean, found.accuracy.n, found.ties, found.elsewhere) == (pytest.approx(2 / 3), 3, 1, 1)
    table = tmp_path / "votes.csv"
    table.write_text(f"case,model_a,model_b,winner\n{cases[0].id},close,far,model_a\n")
    assert [(vote.winner, vote.loser) for vote in read_votes(table)] == [("close", "far")]


@pytest.mark.parametrize(
    ("name", "text", "kind", "field", "named"),
    [
        ("v.jsonl", "{", ErrorKind.DAMAGED, "v.jsonl", "JSON or CSV"),
        ("v.jsonl", "", ErrorKind.MISSING, "votes", "no vote"),
        ("v.jsonl", "[3]", ErrorKind.INVALID, "vote", "vote 1 is no record"),
        ("v.csv", "case,model_a,model_b,winner\nc,a,a,model_a", ErrorKind.INVALID, "vote", "a with itself"),
        ("v.csv", "model_a,model_b,winner\na,b,tie", ErrorKind.MISSING, "question_id", "vote 1"),
        (
            "v.csv",
            "case,model_a,model_b,winner\nc,a,b,left",
            ErrorKind.INVALID,
            "vote",
            "vote 1 (line 2)",
        ),
    ],
)
def test_bad_votes_are_refused_in_a_sentence(
    tmp_path: Path, name: str, text: str, kind: ErrorKind, field: str, named: str
) -> None:
    (tmp_path / name).write_text(text)
    with refuses(DataError, kind, field, tmp_path / name, named):
        read_votes(tmp_path / name)
    with refuses(DataError, ErrorKind.MISSING, "votes", "none.csv"):
        read_votes(tmp_path / "none.csv")


def test_what_cannot_be_checked_is_said(endpoint: Endpoint, runs: list[Any], cases: list[Case], tmp_path: Path) -> None:
    selection = setting(endpoint, runs, cases).selection
    with refuses(UsageError, ErrorKind.CONFLICT, "metric", "temporal_flickering"):
        set_up(runs, selection, columns(["temporal_flickering"])[0], 3)
    (tmp_path / "votes.csv").write_text("case,model_a,model_b,winner\nother,close,far,model_a\n")
    with refuses(DataError, ErrorKind.CONFLICT, "votes", "Of 1 vote", "close, far"):
        report(endpoint, runs, cases, knowing, votes=read_votes(tmp_path / "votes.csv"))


def test_the_limit_spreads_over_conditions(endpoint: Endpoint, runs: list[Any], cases: list[Case]) -> None:
    chosen = setting(endpoint, runs, cases, limit=3).selection.cases
    assert len({case.condition for case in chosen}) == 3


def test_the_command_prints_what_it_found(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.usual = says(knowing)

    vapbench = partial(command, cwd=tmp_path, columns=200)
    vapbench("generate", "-m", "ground-truth", "--task", "style", "--limit", "3", "-q")
    metric = f"semantic_alignment[judge]:model=m,base_url={endpoint.url},frames=2,repeats=2"
    words = ("check", "judge", "runs/mini/ground-truth", "--metric", metric, "--limit", "2")
    assert "together: 16 calls, 80 images" in vapbench(*words, "--dry-run").stdout
    done = vapbench(*words, "-q")
    assert done.returncode == 0, done.stderr
    assert "identical  100.0  n=2" in done.stdout
    assert "own reference above a wrong one" in done.stdout and re.search(r"unusable answers +0 of 8", done.stdout)
    assert json.loads(vapbench(*words, "-q", "--json").stdout)["asked"] == 8
    assert len(endpoint.requests) == 16
    assert vapbench("check", "runs").returncode == 0
    assert vapbench("check", "temporal_flickering").returncode == 0
    listed = json.loads(vapbench("list", "runs", "--json").stdout)
    assert [row["title"] for row in listed] == ["ground-truth"]

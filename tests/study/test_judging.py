"""A model as a rater: asked over HTTP about real videos, its planted taste found again, its votes never pooled."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.metrics.judges import Endpoint, pictures, says, texts, write_tiny_vlm
from tests.refusals import refuses
from tests.study.conftest import Population, collect, key_of, make_protocol, write_log
from vapbench.cli import app
from vapbench.core.clip import Clip
from vapbench.core.video import pad_video, write_video
from vapbench.errors import DataError, ErrorKind, IdentityError, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.stats.clusters import Interval
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.analysis.exporting import export
from vapbench.study.analysis.fit import analyse
from vapbench.study.analysis.model_text import model_lines
from vapbench.study.analysis.models import ModelResult, analyse_model
from vapbench.study.analysis.quality import conducts, included
from vapbench.study.analysis.text import report_lines
from vapbench.study.design.assign import Design
from vapbench.study.folder import StudyFolder
from vapbench.study.judging.log import Head, ModelBallots, ModelVote, load_models
from vapbench.study.judging.trials import model_trials
from vapbench.study.protocol import MediaFacts, Protocol, TrialKind

TASTE = (0.9, 0.1, -1.0)
"""Of the model, per method."""
SIDE, TIES = 0.8, 0.4
VOTES = 5
"""People's on each cell, about."""
PEOPLE = Population(strength=(0.6, 0.2, -0.8), ties=0.5, rater_sd=0.0, item_sd=0.0)


@dataclass(frozen=True)
class Planted:
    """A model that answers by Davidson's model; noise is the logistic one, drawn from what it is asked."""

    taste: tuple[float, ...] = TASTE
    side: float = SIDE
    ties: float = TIES

    def chances(self, left: int, right: int) -> np.ndarray[Any, Any]:
        """Of left, tie, right."""
        a, b = self.taste[left] + self.side / 2, self.taste[right] - self.side / 2
        weights = np.exp([a, math.log(self.ties) + (self.taste[left] + self.taste[right]) / 2, b])
        return np.asarray(weights / weights.sum())

    def alike(self, a: int, b: int) -> float:
        """That both ways round are answered alike."""
        there, back = self.chances(a, b), self.chances(b, a)
        return float(there[0] * back[2] + there[1] * back[1] + there[2] * back[0])


def grey(request: dict[str, Any]) -> list[int]:
    """The grey levels of the pictures a request shows, in order."""
    shown = [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in pictures(request)]
    return [int(np.asarray(picture).mean()) for picture in shown]


def answers(planted: Planted, frames: int, asked: list[tuple[int, int]] | None = None) -> Any:
    """An endpoint's act: methods are told by their grey, draws come from the words and the reference."""

    def content(request: dict[str, Any]) -> str:
        levels = grey(request)[frames:]
        left, right = ((level - 30) // 60 for level in (levels[0], levels[frames]))
        if asked is not None:
            asked.append((left, right))
        seed = sha256(json.dumps(request["messages"]).encode()).digest()[:8]
        said = int(np.random.default_rng(list(seed)).choice(3, p=planted.chances(left, right)))
        return json.dumps({"explanation": "It moves alike.", "choice": (1, 0, 2)[said]})

    return says(content)


def grey_study(folder: Path, cases: int, methods: int = 3) -> StudyFolder:
    """An opened study whose methods are shades of grey, and whose references differ."""
    draft = make_protocol(methods=methods, cases=cases, gold=0, trials=20, repeats=0, training=0)
    question = draft.questions[:1]
    draft = draft.model_copy(update={"questions": question, "checks": ()})
    (folder / "media").mkdir(parents=True)
    levels = {code: 50 + 60 * number for number, code in enumerate(draft.methods)}
    shades: dict[tuple[int, int], bytes] = {}
    media = {}
    for number, case in enumerate(draft.cases):
        shown = {case.reference: (number * 3 % 250, number // 80)} | {
            name: (levels[code], 0) for code, name in case.candidates.items()
        }
        for name, (level, mark) in shown.items():
            path = folder / "media" / f"{name}.mp4"
            if (level, mark) not in shades:
                frames = np.full((2, 16, 16, 3), level, dtype=np.uint8)
                frames[:, :, :8] = np.maximum(frames[:, :, :8], mark)
                write_video(path, Clip(frames, 8.0))
                pad_video(path, 8_192)
                shades[level, mark] = path.read_bytes()
            path.write_bytes(shades[level, mark])
            media[name] = MediaFacts(
                sha256=file_sha256(path), suffix=".mp4", width=16, height=16, frames=2, fps=8.0,
                size=path.stat().st_size,
            )  # fmt: skip
    study = StudyFolder(folder)
    study.save(draft.model_copy(update={"media": media}), key_of(methods))
    study.open()
    return study


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.delenv("VAPBENCH_JUDGE_KEY", raising=False)
    with Endpoint() as served:
        yield served


def metric(endpoint: Endpoint, frames: int = 1) -> str:
    return f"semantic_alignment[judge]:model=planted,frames={frames},base_url={endpoint.url}"


def judge(study: StudyFolder, spec: str, *more: str) -> Result:
    return CliRunner().invoke(app, ["study", "judge", str(study.path), "--metric", spec, *more])


@pytest.mark.parametrize("cases", [8, pytest.param(20, marks=pytest.mark.slow)])
def test_a_planted_judge_is_found_again_and_never_pooled(cases: int, endpoint: Endpoint, tmp_path: Path) -> None:
    study = grey_study(tmp_path / "study", cases=cases)
    protocol = study.protocol()
    write_log(study, collect(protocol, 16, PEOPLE, seed=3))
    before = report_lines(analyse(load_ballots(study)))
    shown: list[tuple[int, int]] = []
    endpoint.usual = answers(Planted(), 1, shown)
    done = judge(study, metric(endpoint))
    assert done.exit_code == 0, done.output
    assert f"{6 * cases} of {6 * cases} trials answered" in done.output
    assert not any(f"method-{m}" in done.output for m in range(3))
    # The balanced assignment: every cell twice, once either way round.
    assert len(shown) == len(endpoint.requests) == 2 * len(Design(protocol).cells)
    assert all(shown.count((a, b)) == shown.count((b, a)) == cases for a, b in ((0, 1), (0, 2), (1, 2)))
    # Blind: no request names a method, a case, a code or a path.
    words = " ".join(text for request in endpoint.requests for text in texts(request))
    assert not any(name in words for name in ("method-", "case-", str(tmp_path), *protocol.methods))

    (question,) = results(study)
    assert_recovered(question, Planted())

    report = CliRunner().invoke(app, ["study", "report", str(study.path)])
    assert report.exit_code == 0, report.output
    written = (study.path / "report" / "report.txt").read_text().splitlines()
    assert written[: len(before)] == before, "people's numbers are people's alone"
    assert "MODEL as a rater, in no number above" in written[len(before) + 1]
    assert "Agreement with people: " in report.output and "of people with each other: " in report.output
    document = json.loads((study.path / "report" / "report.json").read_text())
    assert document["models"][0]["questions"][0]["votes"] == 6 * cases
    export(load_ballots(study), tmp_path / "export", models=load_models(study, protocol))
    with (tmp_path / "export" / "model_votes.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 6 * cases and {row["voter"] for row in rows} == {"model"}
    assert "planted" not in (tmp_path / "export" / "votes.csv").read_text()


def results(study: StudyFolder) -> tuple[ModelResult, ...]:
    ballots = load_ballots(study)
    (model,) = load_models(study, ballots.protocol)
    return analyse_model(ballots, included(ballots, conducts(ballots)), model).questions


def holds(interval: Interval | None, truth: float) -> bool:
    assert interval is not None and interval.low is not None and interval.high is not None, interval
    return interval.low <= truth <= interval.high


def assert_recovered(question: ModelResult, planted: Planted) -> None:
    """Of seven 95 % intervals one may miss; how often they do is the slow test's matter."""
    found = truths(question, planted)
    missed = {name: both for name, both in found.items() if not holds(*both)}
    assert len(found) == 7 and len(missed) <= 1, missed


def truths(question: ModelResult, planted: Planted) -> dict[str, tuple[Interval | None, float]]:
    """What was planted beside what was found: taste, side, repeats, agreement with people."""
    strengths = np.exp(planted.taste) / np.exp(planted.taste).sum()
    found: dict[str, tuple[Interval | None, float]] = {
        method.name: (method.luce_share, float(strengths[int(method.name[-1])])) for method in question.methods
    }
    pairs = [(a, b) for a in range(len(planted.taste)) for b in range(a + 1, len(planted.taste))]
    found["side"] = question.side, planted.side
    found["repeats"] = question.repeats, float(np.mean([planted.alike(a, b) for a, b in pairs]))
    assert question.agreement is not None
    people = Planted(tuple(PEOPLE.strength), 0.0, PEOPLE.ties)
    wins = [preferred(people, a, b) for a, b in pairs]
    own, weights = zip(*(first_preferred(planted, people, a, b) for a, b in pairs), strict=True)
    agree = [p * p + (1 - p) ** 2 for p in wins]
    found["people"] = question.agreement.among_people, float(np.average(agree, weights=weights))
    beside = [q * p + (1 - q) * (1 - p) for p, q in zip(wins, own, strict=True)]
    found["with people"] = question.agreement.with_people, float(np.average(beside, weights=weights))
    return found


def first_preferred(planted: Planted, people: Planted, a: int, b: int) -> tuple[float, float]:
    """How often the model's votes on a cell prefer its first method, and how often the cell is compared at all.

    Ties are left out: of two answers to a cell, either way round, both may count, or one.
    """
    there, back = planted.chances(a, b), planted.chances(b, a)[::-1]
    d, e = 1 - there[1], 1 - back[1]
    q, r = there[0] / d, back[0] / e
    some = 1 - (1 - d) * (1 - e)
    decisive = 1 - people.chances(a, b)[1]
    two = 1 - (1 - decisive) ** VOTES - VOTES * decisive * (1 - decisive) ** (VOTES - 1)
    return float((d * e * (q + r) / 2 + d * (1 - e) * q + e * (1 - d) * r) / some), float(some * two)


def preferred(planted: Planted, a: int, b: int) -> float:
    """That the first of two is chosen, given that one is, without a side."""
    left, _, right = planted.chances(a, b)
    return float(left / (left + right))


def simulated(protocol: Protocol, planted: Planted, seed: int) -> ModelBallots:
    """What a planted judge answers, without a server."""
    random = np.random.default_rng(seed)
    number = {code: n for n, code in enumerate(protocol.methods)}
    votes = []
    for name, trial in model_trials(protocol, 2):
        said = int(random.choice(3, p=planted.chances(*(number[code] for code in trial.order))))
        votes.append(
            ModelVote(
                trial=name, role=trial.role, cell=trial.cell, case=trial.case, question=trial.question,
                order=trial.order, choice=(0, "tie", 1)[said], at_us=0,
            )
        )  # fmt: skip
    head = Head(column="planted", identity={}, study="test", protocol_sha256=protocol.sha256, passes=2)
    return ModelBallots(head, tuple(votes), len(votes), {})


@pytest.mark.slow
def test_intervals_of_planted_judges_cover(tmp_path: Path) -> None:
    study = grey_study(tmp_path / "study", cases=20)
    protocol = study.protocol()
    held: dict[str, list[bool]] = {}
    for seed in range(60):
        study.votes_path.unlink(missing_ok=True)
        write_log(study, collect(protocol, 16, PEOPLE, seed=seed))
        ballots = load_ballots(study)
        planted = replace(Planted(), side=(0.8, 0.0, -0.5)[seed % 3])
        model = simulated(protocol, planted, seed)
        (question,) = analyse_model(ballots, included(ballots, conducts(ballots)), model).questions
        for name, (interval, truth) in truths(question, planted).items():
            held.setdefault(name, []).append(holds(interval, truth))
    shares = {name: float(np.mean(each)) for name, each in held.items()}
    assert all(0.88 <= share for share in shares.values()), shares
    assert 0.92 <= float(np.mean(list(shares.values()))) <= 0.99, shares


def test_it_goes_on_where_it_stopped_and_says_what_it_costs(endpoint: Endpoint, tmp_path: Path) -> None:
    study = grey_study(tmp_path / "study", cases=4)
    endpoint.usual = answers(Planted(), 1)
    spec = metric(endpoint)
    dry = json.loads(judge(study, spec, "--dry-run", "--json").output)
    assert (dry["planned"], dry["missing"]) == (24, 24)
    assert (dry["paid"]["cost"]["calls"], dry["paid"]["cost"]["images"]) == (24, 72)
    assert not endpoint.requests and not (study.path / "judges").exists()
    stopped = judge(study, spec, "--max-judge-calls", "10")
    assert stopped.exit_code == 1 and len(endpoint.requests) == 10
    assert "--max-judge-calls 10 is spent: 14 of 24 trials left to ask. Go on with: " in stopped.output
    (log,) = (study.path / "judges").iterdir()
    log.write_bytes(log.read_bytes()[:-20])  # a kill in the middle of the last line
    assert json.loads(judge(study, spec, "--dry-run", "--json").output)["missing"] == 15
    assert judge(study, spec).exit_code == 0 and len(endpoint.requests) == 25
    assert judge(study, spec).exit_code == 0 and len(endpoint.requests) == 25, "nothing is asked twice"
    assert judge(study, spec, "--passes", "3").exit_code == 0 and len(endpoint.requests) == 37
    (model,) = load_models(study, study.protocol())
    assert model.missing == 0 and model.head.passes == 3
    assert len({vote.trial for vote in model.votes}) == 36
    fewer = judge(study, spec, "--passes", "2")
    assert fewer.exit_code == 0 and "3 were asked for before" in fewer.output and len(endpoint.requests) == 37


@pytest.mark.parametrize("kind", ["pair", "best_of_n"])
def test_repeats_are_answers_in_different_orders(kind: TrialKind, tmp_path: Path) -> None:
    """A model that always takes the first place is never consistent, however many passes there are."""
    protocol = make_protocol(methods=3, cases=6, gold=0, trials=20, repeats=0, training=0, checks=(), kind=kind)
    study = StudyFolder(tmp_path)
    study.save(protocol, key_of(3))
    write_log(study, collect(protocol, 12, PEOPLE, seed=1))
    ballots = load_ballots(study)
    votes = tuple(
        ModelVote(
            trial=name, role=trial.role, cell=trial.cell, case=trial.case, question=trial.question,
            order=trial.order, choice=0, at_us=0,
        )
        for name, trial in model_trials(protocol, 3)
    )  # fmt: skip
    of_cell: dict[str, list[tuple[str, ...]]] = {}
    for vote in votes:
        of_cell.setdefault(vote.cell, []).append(vote.order)
    assert any(a == b for orders in of_cell.values() for a, b in pairwise(orders)), "the case that matters occurs"
    head = Head(column="first", identity={}, study="test", protocol_sha256=protocol.sha256, passes=3)
    report = analyse_model(ballots, [], ModelBallots(head, votes, len(votes), {}))
    for question in report.questions:
        assert question.repeats is not None
        if kind == "pair":
            assert question.followed_place is not None
            assert (question.repeats.estimate, question.followed_place.estimate) == (0, 1)
        else:
            assert question.repeats.estimate < 0.5 and question.followed_place is None
    text = "\n".join(model_lines([report]))
    assert ("Repeats, sides swapped: 0.0" if kind == "pair" else "Repeats, in another order: ") in text


def test_an_answer_that_is_none_is_a_row_and_asked_again(endpoint: Endpoint, tmp_path: Path) -> None:
    study = grey_study(tmp_path / "study", cases=2)
    endpoint.script = [says('{"explanation": "", "choice": 7}'), says("I like both.")]
    endpoint.usual = answers(Planted(), 1)
    spec = metric(endpoint) + ",concurrency=1"
    done = judge(study, spec)
    assert done.exit_code == 1 and "11 of 12 trials answered" in done.output
    (model,) = load_models(study, study.protocol())
    assert model.missing == 1 and "did not answer with JSON" in next(iter(model.failures.values()))
    assert judge(study, spec).exit_code == 0
    (model,) = load_models(study, study.protocol())
    assert model.missing == 0 and not model.failures
    endpoint.usual = says("no")
    ended = judge(study, spec, "--passes", "4")
    assert ended.exit_code == 1 and "5 trials in a row failed" in ended.output


def test_what_cannot_be_asked_is_refused_in_a_sentence(endpoint: Endpoint, tmp_path: Path) -> None:
    study = grey_study(tmp_path / "study", cases=2)
    refused = judge(study, "dynamic_degree[dis]").exception
    assert isinstance(refused, UsageError) and "cannot be a rater" in str(refused)
    assert (refused.kind, refused.field) == (ErrorKind.INVALID, "metric")
    unopened = StudyFolder(tmp_path / "unopened")
    shutil.copytree(study.path, unopened.path)
    unopened.opening_path.unlink()
    refused = judge(unopened, metric(endpoint)).exception
    assert isinstance(refused, UsageError) and "has not been opened" in str(refused)
    assert (refused.kind, refused.field) == (ErrorKind.MISSING, "opening.json")
    endpoint.usual = answers(Planted(), 1)
    judge(study, metric(endpoint))
    (log,) = (study.path / "judges").iterdir()
    text = log.read_text()
    log.write_text(text.replace('"choice":0', '"choice":1', 1))
    with refuses(DataError, ErrorKind.DAMAGED, log.name, "checksum"):
        load_models(study, study.protocol())
    log.write_text("".join(text.splitlines(keepends=True)[1:]))
    with refuses(DataError, ErrorKind.MISSING, log.name, "no head"):
        load_models(study, study.protocol())
    log.write_text(text)
    other = study.protocol().model_copy(update={"seed": 8})
    with refuses(IdentityError, ErrorKind.CONFLICT, "protocol"):
        load_models(study, other)


def test_a_local_model_can_be_a_rater(tmp_path: Path) -> None:
    study = grey_study(tmp_path / "study", cases=1, methods=2)
    write_tiny_vlm(tmp_path / "vlm")
    done = judge(study, f"semantic_alignment[local]:weights={tmp_path / 'vlm'},frames=1", "--device", "cpu")
    assert done.exit_code == 0, done.output
    (model,) = load_models(study, study.protocol())
    assert len(model.votes) == 2 and all(vote.choice in (0, 1, "tie") for vote in model.votes)

"""What strangers send over a network or as a folder: submissions, answers of raters, replies of judges."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.hostile import DEEP, changed, dumps, files_below, fuzzed, held, mutated, texts, values
from tests.fuzz.test_rows import GENERATION as ANY_GENERATION
from tests.fuzz.test_rows import MANIFEST, json_bytes, line
from tests.fuzz.test_rows import SCORE as ANY_SCORE
from tests.study.served import Rater, Served, make_study, serving
from vapbench.files.atomic import digest
from vapbench.leaderboard.check import check_submissions
from vapbench.leaderboard.roster import Rosters
from vapbench.metrics.judge.answer import read
from vapbench.metrics.judge.client import _reply
from vapbench.metrics.judge.rubric import load_rubrics
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.analysis.exporting import export

CASE = "mini_bolumo--scene-1000--scene-2000"
SUBMISSION: dict[str, Any] = {
    "schema": 1, "id": "mine", "title": "T", "submitter": "S", "contact": "a@b.org", "licence": "MIT", "seeds": [0],
    "outputs": [{"case": CASE, "seed": 0, "sha256": "ab" * 32}],
}  # fmt: skip
THE_SUITES = {"case": CASE, "condition": "mini_bolumo", "category": "concept"}
GENERATION = ANY_GENERATION | THE_SUITES
SCORE = ANY_SCORE | THE_SUITES | {"case_sha256": digest({})}
PLANNED: dict[str, Any] = {"condition": "mini_bolumo", "category": "concept", "tasks": ["one"], "seeds": [0]}
OURS = {"submission.json": SUBMISSION, "manifest.json": MANIFEST | {"cases": {CASE: PLANNED}, "metrics": {}}}


@cache
def rosters() -> Rosters:
    """The mini suite with a task of one case."""
    known = Rosters()
    mini = known.of("mini")
    case = mini.cases[CASE].model_copy(update={"tasks": ["one"]})
    known._known["mini"] = replace(mini, cases={CASE: case})
    return known


def check(files: dict[str, bytes]) -> dict[Path, list[str]]:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "mine"
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        before = files_below(Path(root))
        found = held(lambda: check_submissions(folder, rosters())) or {}
        assert files_below(Path(root)) == before
        return found


def whole(**changes: bytes) -> dict[str, bytes]:
    files = {name: json_bytes(value) for name, value in OURS.items()}
    return files | {"generations.jsonl": line(GENERATION), "scores/temporal_flickering.jsonl": line(SCORE)} | changes


def test_the_submission_that_is_tampered_with_is_a_good_one() -> None:
    assert list(check(whole()).values()) == [[]]


@fuzzed(40, 4000)
@given(
    st.sampled_from(sorted(whole())).flatmap(
        lambda name: st.tuples(st.just(name), mutated(whole()[name]) | st.sampled_from([d.encode() for d in DEEP]))
    )
)
def test_tampered_submissions(file: tuple[str, bytes]) -> None:
    check(whole() | dict([file]))


@fuzzed(40, 4000)
@given(changed(SUBMISSION), changed(OURS["manifest.json"]), changed(GENERATION), changed(SCORE))
@example(SUBMISSION | {"seeds": [10**400]}, MANIFEST, GENERATION, SCORE)
@example(SUBMISSION, MANIFEST | {"identity": {"suite": [], "name": {}}}, GENERATION | {"case": ["x"]}, SCORE)
@example(SUBMISSION, MANIFEST | {"cases": {CASE: {"target": 7, "condition": None}}}, GENERATION, SCORE)
@example(SUBMISSION, OURS["manifest.json"], GENERATION | {"status": ["ok"]}, SCORE | {"status": {}})
@example(SUBMISSION, OURS["manifest.json"], GENERATION | {"video": None}, SCORE | {"value": 10**400})
def test_submissions_of_other_types(said: Any, manifest: Any, generation: Any, score: Any) -> None:
    files = {"submission.json": json_bytes(said), "manifest.json": json_bytes(manifest)}
    check(files | {"generations.jsonl": line(generation), "scores/temporal_flickering.jsonl": line(score)})


@fuzzed(60, 5000)
@given(texts | st.text(alphabet='{}[]":,0123456789scoreNaN`\n', max_size=200) | values.map(dumps))
@example("<think>" * 1000)
@example("```json\n" + DEEP[0] + "\n```")
@example('{"score": 1e999, "explanation": ""}')
@example(json.dumps({"choices": [{"message": {"content": [1, None]}}], "usage": {"prompt_tokens": "x" * 5000}}))
@example('{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1e400}}')
def test_replies_of_judges(text: str) -> None:
    held(lambda: read(text, load_rubrics().of("style")))
    held(lambda: _reply(text))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving(make_study(tmp_path_factory.mktemp("study") / "s")) as running:
        yield running, running.rater()


GOOD = {"choice": 0, "comment": "c", "client": {"milliseconds": 7, "plays": [1, 1], "viewport": [3, 4]}}


@fuzzed(20, 1000)
@given(changed(GOOD).map(json_bytes) | mutated(json_bytes(GOOD)) | st.sampled_from([d.encode()[:60_000] for d in DEEP]))
@example(json_bytes(GOOD | {"client": {"milliseconds": 10**30}}))
@example(json_bytes(GOOD | {"client": {"plays": [10**30]}}))
@example(json_bytes(GOOD | {"choice": 10**30}))
@example(json_bytes(GOOD | {"comment": "\ud800"}))
def test_bodies_of_votes(study: tuple[Served, Rater], body: bytes) -> None:
    """A rater may send anything: an answer of the server, never a failure of it, and votes can be exported after."""
    server, rater = study
    handed = rater.http.post("/api/next", json={})
    trial = handed.json() if handed.status_code == 200 else {"assignment": "none"}
    headers = {"content-type": "application/json"}
    for method, path in (("PUT", f"/api/votes/{trial['assignment']}"), ("POST", "/api/closing"), ("POST", "/api/next")):
        response: httpx.Response = rater.http.request(method, path, content=body, headers=headers)
        assert response.status_code < 500, (path, response.text)
    with tempfile.TemporaryDirectory() as root:
        export(load_ballots(server.service.folder), Path(root))

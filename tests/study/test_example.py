"""The simulated raters of ``examples/``: plan, server and analysis together, over HTTP."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.conftest import code
from tests.study.served import make_study, serving
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.analysis.figures import forest
from vapbench.study.analysis.fit import analyse
from vapbench.study.settings import freeze_words, settings_path

SCRIPT = Path(__file__).parents[2] / "examples" / "simulated_raters.py"


def simulate(study: Path, *more: str) -> str:
    done = subprocess.run([sys.executable, str(SCRIPT), str(study), *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(said: str) -> dict[str, tuple[float, float]]:
    """Method -> truth and report, in percent."""
    rows = [line.split() for line in said.splitlines() if line.startswith("semantic")]
    assert {row[-1] for row in rows} <= {"yes", "NO"}
    return {row[1]: (float(row[2]), float(row[3])) for row in rows}


def test_simulated_raters_vote_as_they_were_told_and_the_report_finds_it(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", cases=6, trials=6, votes_per_cell=6, raters=6, gold=3, identical=2)
    said = simulate(folder.path, "--strength", "method-0=2", "--strength", "method-1=0")
    ballots = load_ballots(folder)
    votes = [vote for vote in ballots.votes if vote.role == "main"]
    assert len(votes) >= 24
    chosen = Counter(vote.chosen for vote in votes)
    assert chosen[code(0)] > chosen[code(1)]
    same = [vote.choice for vote in ballots.votes if vote.role == "identical"]
    assert same.count("tie") > 0.7 * len(same) > 0
    assert ballots.closed and not ballots.looks
    # The truth stands beside the report's interval, for each method.
    rows = table(said)
    assert list(rows) == ["method-0", "method-1"]
    assert 80 < rows["method-0"][0] < 90
    assert all(abs(found - true) < 20 for true, found in rows.values())
    assert "of 2 intervals contain the truth" in said


@pytest.mark.slow
def test_simulated_raters_choose_the_best_of_four(tmp_path: Path) -> None:
    folder = make_study(
        tmp_path / "study",
        methods=4,
        kind="best_of_n",
        ties=False,
        cases=8,
        trials=8,
        votes_per_cell=6,
        raters=6,
        gold=3,
    )
    said = simulate(folder.path)
    votes = [vote for vote in load_ballots(folder).votes if vote.role == "main"]
    assert {len(vote.order) for vote in votes} == {4}
    assert len(votes) >= 40
    rows = table(said)
    assert set(rows) == {f"method-{m}" for m in range(4)}
    assert [sum(column) for column in zip(*rows.values(), strict=True)] == pytest.approx([100, 100], abs=0.3)
    assert all(abs(found - true) < 25 for true, found in rows.values())
    assert "of 4 intervals contain the truth" in said
    report = json.loads((folder.path / "report/report.json").read_text())
    assert report["kind"] == "best_of_n"
    assert report["questions"][0]["methods"][0]["share"]["low"] is not None
    text = (folder.path / "report/report.txt").read_text()
    assert "choice share %" in text and "win share" not in text
    assert (folder.path / "report/categories-semantic.png").exists()


def test_a_method_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    command = [sys.executable, str(SCRIPT), str(folder.path), "--strength", "vap=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "vap is no method of the study. Methods: method-0, method-1"


def test_four_questions_of_the_example_are_answered_and_reported(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", cases=6, trials=6, votes_per_cell=5, raters=5, training=0)
    shutil.copy(SCRIPT.with_name("study.yaml"), settings_path(folder))
    freeze_words(folder)
    example = runpy.run_path(str(SCRIPT))
    truth = replace(example["read_truth"](folder.path, {"method-0": 2.0, "method-1": 0.0}), seconds=0)
    with serving(folder, raters=5) as served:
        assert all(example["Rater"](link, truth, str(n)).take_part() for n, link in enumerate(served.links.raters))
    ballots = load_ballots(folder)
    assert all(
        vote.grade is not None and set(vote.beside) == {"appearance", "motion", "overall"} for vote in ballots.votes
    )
    result = analyse(ballots)
    keys = ["semantic", "appearance", "motion", "overall"]
    assert [question.question for question in result.questions] == keys
    assert all(question.methods[0].name == "method-0" for question in result.questions)
    assert forest(result).get_figwidth() < 10, "as wide as a page, however many questions"

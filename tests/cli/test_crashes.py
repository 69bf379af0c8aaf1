"""What a user sees of a crash in code of their own: one sentence, the lines that went wrong, where the rest is."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.command import in_a_new_process
from vapbench.cli import main
from vapbench.core.traces import last_lines, shows_own_code
from vapbench.results.run import RunFolder

CARD = "name: crashy\ntitle: Crashy\nsummary: It crashes.\nkind: unified\nclass: Crashy\n"
METHOD = """
import sys

import numpy as np

from vapbench import Clip, Method


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Crashy(Method):
    version = 1

    def __init__(self, where: str = "generate"):
        self.where = where
        self.crash_in("__init__")

    def identity(self):
        self.crash_in("identity")
        return {}

    def setup(self, device):
        self.crash_in("setup")

    def generate(self, case, seed):
        self.crash_in("generate")
        if self.where == "exit":
            sys.exit("bye")
        if self.where == "empty":
            raise ValueError
        if self.where == "lines":
            raise ValueError("\\n\\nfirst\\n" + "\\n".join(f"line {n}" for n in range(60)))
        if self.where == "unspeakable":
            raise Unspeakable

    def crash_in(self, place):
        if self.where == place:
            np.zeros((2, 3)).reshape(5)
"""
METRIC = """
import sys

from vapbench import Metric, Score


class Mine(Metric):
    name, version, higher_is_better, unit, needs = "mine", 1, True, "", frozenset()

    def __init__(self, where: str = "score"):
        self.where = where
        self.crash_in("__init__")

    def weights(self):
        self.crash_in("weights")
        return ["nowhere.pt"]

    def setup(self, device):
        self.crash_in("setup")

    def score(self, clip, case):
        if self.where == "exit":
            sys.exit(3)
        self.crash_in("score")
        return Score(1.0)

    def crash_in(self, place):
        if self.where == place:
            raise KeyError(place)
"""


class Done(NamedTuple):
    code: int
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def vapbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``vapbench run`` in this process, in a folder with a method and a metric that crash where they are told to."""
    (tmp_path / "crashy").mkdir()
    (tmp_path / "crashy" / "card.yaml").write_text(CARD)
    (tmp_path / "crashy" / "method.py").write_text(METHOD)
    (tmp_path / "mine.py").write_text(METRIC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(method: str, metric: str = "temporal_flickering", *more: str) -> Done:
        options = ["--task", "camera", "--limit", "1", "--metric", metric, "--results", "r", *more]
        monkeypatch.setattr(sys, "argv", ["vapbench", "run", "-m", method, *options])
        with pytest.raises(SystemExit) as stopped:
            main()
        return Done(int(stopped.value.code or 0), capsys.readouterr().err)

    return run


def test_a_crash_on_a_case_shows_the_users_lines_and_where_the_whole_is(vapbench: Run, tmp_path: Path) -> None:
    done = vapbench("./crashy")
    assert done.code == 1
    assert "seed 0: ValueError: cannot reshape array of size 6 into shape (5,)" in done.stderr
    assert "in crash_in\n    np.zeros((2, 3)).reshape(5)" in done.stderr
    assert "vapbench/running/attempt.py" not in done.stderr, "not the harness's own frames"
    (row,) = RunFolder(tmp_path / "r/mini/crashy").current()
    assert f"The whole traceback: vapbench show r/mini/crashy --case {row.case}" in done.stderr
    assert "attempt.py" in row.attempts[0].traceback, "the row keeps all of it"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("exit", "SystemExit: bye"),
        ("empty", "seed 0: ValueError\n"),
        ("lines", "ValueError: first\n"),
        ("unspeakable", "seed 0: Unspeakable\n"),
    ],
)
def test_exceptions_of_every_kind_fail_their_case_alone(vapbench: Run, tmp_path: Path, where: str, said: str) -> None:
    done = vapbench(f"./crashy:where={where}")
    assert done.code == 1 and said in done.stderr, done.stderr
    assert "line 59" not in done.stderr, "a long message does not hide where it was raised"
    assert "1 of 1 case failed" in done.stderr
    (folder,) = (tmp_path / "r/mini").iterdir()
    (row,) = RunFolder(folder).current()
    assert row.status == "failed"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("__init__", "error ./crashy cannot be made: ValueError: cannot reshape"),
        ("identity", "error crashy fails when it is asked for identity: ValueError: cannot reshape"),
        ("setup", "error crashy cannot be set up: ValueError: cannot reshape"),
    ],
)
def test_a_crash_before_the_first_case_is_one_sentence_below_its_traceback(
    vapbench: Run, tmp_path: Path, where: str, said: str
) -> None:
    done = vapbench(f"./crashy:where={where}")
    assert done.code == 1 and said in done.stderr, done.stderr
    assert "np.zeros((2, 3)).reshape(5)" in done.stderr
    assert str(Path("vapbench") / "runner.py") not in done.stderr
    assert not list(tmp_path.glob("r/mini/*/manifest.json")), "nothing is left behind"


def test_a_crash_in_a_process_of_its_own_says_the_same(vapbench: Run) -> None:
    done = vapbench("./crashy:where=setup", "temporal_flickering", "--case-timeout", "120")
    assert done.code == 1 and "error crashy cannot be set up: ValueError: cannot reshape" in done.stderr, done.stderr
    assert "np.zeros((2, 3)).reshape(5)" in done.stderr


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("__init__", "error mine.py:Mine (mine.py) cannot be made: KeyError: '__init__'"),
        ("weights", "error mine does not say which files it depends on (weights): KeyError: 'weights'"),
        ("setup", "mine on mini_"),
        ("score", "mine on mini_"),
        ("exit", "SystemExit: 3"),
    ],
)
def test_a_crash_in_a_metric_says_the_same(vapbench: Run, where: str, said: str) -> None:
    done = vapbench("frozen", f"mine.py:Mine:where={where}")
    assert done.code == 1 and said in done.stderr, done.stderr
    assert "raise KeyError(place)" in done.stderr or where == "exit"
    assert ("vapbench show r/mini/frozen" in done.stderr) == (where in ("setup", "score", "exit"))


def test_weights_may_be_named_as_text(vapbench: Run) -> None:
    assert vapbench("frozen", "mine.py:Mine:where=nowhere").code == 0


def test_a_file_that_ends_the_process_when_it_is_imported(vapbench: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import sys\nsys.exit(5)\n")
    done = vapbench("frozen", "mine.py:Mine")
    assert done.code == 1 and "error mine.py cannot be imported: SystemExit: 5" in done.stderr
    (tmp_path / "other.py").write_text("class Mine\n")
    done = vapbench("frozen", "other.py:Mine")
    assert "cannot be imported: SyntaxError" in done.stderr and "    class Mine" in done.stderr


def test_where_a_library_raised_the_users_own_line_is_shown_too() -> None:
    library = str(Path(os.__file__).parent / "json" / "decoder.py")
    trace = f'''\
        Traceback (most recent call last):
          File "{Path(last_lines.__code__.co_filename).parents[1] / "attempt.py"}", line 1, in attempt
            made = method.generate(case, seed)
          File "/home/me/method.py", line 7, in generate
            return load(x)
          File "{library}", line 1, in decode
            one
          File "{library}", line 2, in raw_decode
            two
        ValueError: bad
        '''
    assert last_lines(textwrap.dedent(trace)) == [
        '  File "/home/me/method.py", line 7, in generate',
        "    return load(x)",
        "  …",
        f'  File "{library}", line 2, in raw_decode',
        "    two",
        "ValueError: bad",
    ]


def test_a_bad_file_is_one_sentence_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_bytes(b"no video at all" * 99)
    (tmp_path / "clips" / "b.mp4").write_bytes((Path(__file__).parents[1] / "data/videos/good.mp4").read_bytes())
    options = ("--suite", "custom", "--metric", "temporal_flickering", "--results", "r", "-q")
    done = in_a_new_process("score", "clips", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert "failed a seed 0: DataError" in done.stderr and "a.mp4: not a readable video" in done.stderr
    assert "File " not in done.stderr and "raceback" not in done.stderr


def test_sources_of_compiled_modules_are_not_the_users_code() -> None:
    trace = 'Traceback\n  File "av/error.py", line 1, in err_check\n    raise\n  File "<string>", line 1, in x\n'
    assert not shows_own_code(trace)
    assert shows_own_code(trace + '  File "/home/me/method.py", line 7, in generate\n')


def test_text_that_is_no_traceback_is_shown_as_it_is() -> None:
    assert last_lines("") == []
    assert last_lines("one\ntwo") == ["one", "two"]
    assert len(last_lines("\n".join("abcdefghijklmnopqrstuvwxyz"))) == 16

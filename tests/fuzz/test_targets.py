"""Seeds of the coverage-guided fuzzers, findings included, replayed without atheris; and a short real run with it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.hostile import fuzzed, mutated

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "fuzz"))
from targets import TARGETS  # noqa: E402

SEEDS = sorted((ROOT / "fuzz" / "seeds").rglob("*"))
FILES = [path for path in SEEDS if path.is_file()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@fuzzed(60, 10_000)
@given(st.sampled_from(FILES).flatmap(lambda path: st.tuples(st.just(path.parent.name), mutated(path.read_bytes()))))
def test_a_tampered_seed(seed: tuple[str, bytes]) -> None:
    target, data = seed
    TARGETS[target](data)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is an extra: pip install 'vapbench[fuzz]'")
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_minute_of_coverage_guided_fuzzing(target: str) -> None:
    command = [sys.executable, str(ROOT / "fuzz" / "run.py"), target, "--seconds", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]

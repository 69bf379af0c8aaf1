"""Our calls use nothing that a library has deprecated: pyproject.toml and conftest.py hold it in every test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

# An adapter of ``lora`` is put on what ``i2v`` loads.
METHODS = ("vap:steps=2", "lora:steps=2", "vace-depth:steps=2")


@pytest.mark.parametrize("category", [DeprecationWarning, PendingDeprecationWarning, FutureWarning])
def test_what_our_calls_are_told_is_an_error(category: type[Warning]) -> None:
    def told(module: str) -> None:
        warnings.warn_explicit("the argument is deprecated", category, "file.py", 1, module=module)

    for ours in ("vapbench.core.video", "vapbench", "tests.conftest"):
        with pytest.raises(category):
            told(ours)
    told("diffusers.models.modeling_utils")
    told("vapbenchmark.other")


@pytest.mark.slow
def test_a_run_in_a_new_process_is_told_of_nothing_deprecated(tmp_path: Path) -> None:
    """Every family is loaded, run and scored with all warnings on: also those that name a place other than the call."""
    loud = {"PYTHONWARNINGS": "always", "TRANSFORMERS_VERBOSITY": "warning", "DIFFUSERS_VERBOSITY": "warning"}
    methods = [argument for name in METHODS for argument in ("--method", name)]
    command = [sys.executable, "-m", "vapbench", "run", *methods, "--task", "camera", "--limit", "1"]
    done = subprocess.run(
        [*command, "--results", str(tmp_path)], env=os.environ | loud, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if re.search(r"deprecated|will be removed|\w+Warning: ", line)]
    assert not said

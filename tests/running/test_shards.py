"""Shards run apart and merged are the run nobody divided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.command import vapbench
from tests.refusals import refuses
from tests.running.test_generate import Brightness, Mover, Watcher
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.files.lock import Owner, owner_file
from vapbench.methods import ResolvedMethod
from vapbench.results.merge import merge
from vapbench.results.run import RunFolder
from vapbench.running.context import FailureLimit, Settings
from vapbench.running.plan import MetricSpec, plan_run
from vapbench.running.run import execute
from vapbench.running.shards import Shard

SCRIPT = Path(__file__).parents[2] / "examples" / "slurm.sh"
VOLATILE = {"seconds", "peak_mb", "attempts", "ended", "encode_seconds"}


def content(folder: RunFolder) -> dict[str, Any]:
    """Rows as written, without what a clock or a meter says, and the hashes of the videos."""
    rows: list[Any] = [*folder.generations().values()]
    scores = [row for column in folder.columns() for row in folder.scores(column).values()]
    plain = [{k: v for k, v in asdict(row).items() if k not in VOLATILE} for row in (*rows, *scores)]
    videos = {path.name: file_sha256(path) for path in folder.videos.iterdir()}
    return {"rows": plain, "videos": videos, "cases": folder.manifest().cases}


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_every_case_is_in_one_shard_and_neighbours_stay_together(count: int) -> None:
    items = list(range(7))
    pieces = [Shard(index, count).of(items) for index in range(1, count + 1)]
    assert [item for piece in pieces for item in piece] == items
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2", "1/4/2"])
def test_a_piece_that_is_none_is_refused(text: str) -> None:
    with refuses(UsageError, ErrorKind.INVALID, "shard"):
        Shard.parse(text)


def test_all_shards_merged_are_the_undivided_run(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    cases = [make_case(number) for number in range(5)]
    tricks: dict[str, Any] = {cases[3].id: lambda: None}

    def run(shard: Shard | None, results: Path) -> None:
        method = ResolvedMethod(Mover(tricks), None, {}, {})
        plan = plan_run("suite", "all", method, cases, (0, 1), results, shard=shard)
        columns = [MetricSpec(Brightness(), {}, ())]
        execute(plan, columns, Settings(device="cpu", max_failures=FailureLimit(100)), Watcher())

    run(None, tmp_path / "undivided")
    for index in (3, 1, 2):
        run(Shard(index, 3), tmp_path / "r")
    assert not list((tmp_path / "r").glob("*/*/manifest.json")), "reports do not count shards"
    merge(sorted((tmp_path / "r").glob("shard-*of3")), tmp_path / "r")
    whole = RunFolder(tmp_path / "undivided" / "suite" / "mover")
    assert content(RunFolder(tmp_path / "r" / "suite" / "mover")) == content(whole)
    # The merged run is a run: the undivided command finds nothing to do.
    before = (tmp_path / "r" / "suite" / "mover" / "manifest.json").read_bytes()
    run(None, tmp_path / "r")
    assert (tmp_path / "r" / "suite" / "mover" / "manifest.json").read_bytes() == before


SBATCH = """#!/bin/bash
# As Slurm does it: the array's tasks with their ids, what is wrapped afterwards.
arguments=("$@")
for argument in "$@"; do
    case "$argument" in
        --array=1-*) count=${argument#--array=1-} ;;
        --wrap=*) bash -c "${argument#--wrap=}" >> "$LOG" 2>&1; exit ;;
        --*) ;;
        *) break ;;
    esac
    shift
done
for task in $(seq "$count"); do SLURM_ARRAY_TASK_ID=$task bash "$@" >> "$LOG" 2>&1; done
echo 1234
"""


# A step: what Slurm signals when time ends or somebody else takes the node.
SRUN = """#!/bin/bash
shift
echo "step: $1 $2" >> "$LOG"
exec "$@"
"""


@pytest.mark.slow
def test_the_example_script_runs_all_shards_and_merges_them(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sbatch").write_text(SBATCH)
    (tools / "srun").write_text(SRUN)
    (tools / "vapbench").write_text(f'#!/bin/bash\nexec "{sys.executable}" -m vapbench "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    run = ["--method", "noise", "--task", "camera", "--limit", "3", "--metric", "temporal_flickering", "-q"]
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), "SHARDS": "2"}
    environment["RESULTS"] = str(tmp_path / "my results")
    done = subprocess.run(["bash", str(SCRIPT), *run], env=environment, capture_output=True, text=True, check=False)
    log = (tmp_path / "log").read_text()
    assert done.returncode == 0, done.stderr + log
    assert "3 generations, 3 scores and 3 videos from 2 runs" in log
    assert log.count("step: vapbench run") == 2, "a run beside the steps would never hear of SIGTERM"
    assert "When all are: vapbench results merge" in log
    assert vapbench("run", *run, "--results", tmp_path / "alone").returncode == 0
    merged, whole = (RunFolder(tmp_path / name / "mini" / "noise") for name in ("my results", "alone"))
    assert content(merged) == content(whole)
    # A node is lost, and Slurm starts its task on this one.
    shard = tmp_path / "my results" / "shard-1of2" / "mini" / "noise"
    lost = replace(Owner.this_process(), host="node-7", machine="another")
    owner_file(shard).write_text(json.dumps(asdict(lost)))
    requeued = [*run, "--metric", "first_frame_psnr"]
    task = {**environment, "SLURM_ARRAY_TASK_ID": "1"}
    for restarts, code in (("0", 3), ("1", 0)):
        again = subprocess.run(
            ["bash", str(SCRIPT), *requeued],
            env={**task, "SLURM_RESTART_COUNT": restarts},
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == code, again.stderr


def test_a_shard_without_cases_has_nothing_to_do(tmp_path: Path) -> None:
    command = ["run", "-m", "noise", "--task", "camera", "--limit", "1"]
    done = vapbench(*command, "--shard", "1/2", "--results", tmp_path)
    assert done.returncode == 0
    assert "Shard 1/2 has no case: there are 1. Nothing to do." in done.stderr
    assert not list(tmp_path.iterdir())

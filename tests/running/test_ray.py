"""Runs on a real Ray cluster of several nodes on this machine: same rows, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.refusals import refuses
from tests.running.test_generate import Watcher
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.methods import Card, ResolvedMethod, methods, resolve
from vapbench.methods.hardware import Resources
from vapbench.metrics import REGISTRY
from vapbench.results.run import RunFolder
from vapbench.running.context import FailureLimit, Settings
from vapbench.running.plan import columns, plan_run
from vapbench.running.ray.demand import to_generate, to_score
from vapbench.running.ray.pool import _packed
from vapbench.running.ray.workers import Generating, Scoring
from vapbench.running.run import RunOutcome, choose, execute
from vapbench.running.threads import OnRay

try:
    import ray
    from ray.cluster_utils import Cluster
except ImportError:
    ray = None
needs_ray = pytest.mark.skipif(ray is None, reason='Ray is not installed: pip install "vapbench[ray]"')

CARD = "name: {name}\ntitle: Tried\nsummary: Rolls the first frame.\nkind: unified\nclass: Tried\n"
# What happens to a case is in its caption, so that local runs and Ray's meet the same.
METHOD = """
import os
import signal
import time
from pathlib import Path

import numpy as np

from vapbench import Clip, Method


class Tried(Method):
    version = 1

    def __init__(self, marks: Path, seconds: float = 0.0):
        self.marks, self.seconds = marks, seconds

    def setup(self, device):
        (self.marks / f"setup-{os.getpid()}").touch()

    def generate(self, case, seed):
        time.sleep(600 if case.caption == "hang" else self.seconds)
        if case.caption == "raise":
            raise ValueError("no such luck")
        first = self.marks / f"died-{case.id}"
        if case.caption == "die" or (case.caption == "die once" and not first.exists()):
            first.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        frame = case.image.first_frame()
        return Clip(np.stack([np.roll(frame, (seed + t) * 2, axis=1) for t in range(5)]), 8)
"""
METRIC = """
import os
import signal
from pathlib import Path

from vapbench import Metric, Score


class Deadly(Metric):
    name = "deadly"
    version = 1
    higher_is_better = True
    unit = ""
    needs = frozenset({"prompt"})

    def __init__(self, marks: Path):
        self.marks = marks

    def identity(self):
        return {}

    def setup(self, device): ...

    def score(self, clip, case):
        mark = self.marks / "scorer-died"
        if case.caption == "kill the scorer" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Score(float(clip.frames.mean()))
"""
VOLATILE = {"seconds", "encode_seconds", "peak_mb", "ended", "crc"}
Make = Callable[..., Case]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a node with one CPU each, and object stores that a few videos would fill."""
    before = dict(os.environ)
    # Ray's own watch over memory is off: tests beside these may fill it, and none of these is about that.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "RAY_memory_monitor_refresh_ms": "0"}
    store = {"num_cpus": 1, "object_store_memory": 78 << 20}
    made = started(lambda: Cluster(initialize_head=True, head_node_args={**store, "include_dashboard": False}))
    started(lambda: made.add_node(**store))
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()
    os.environ.clear()
    os.environ.update(before)


def started(start: Callable[[], Any]) -> Any:
    """Ray gives a node half a minute; a machine that is busy with other tests may need a second go."""
    try:
        return start()
    except Exception:
        return start()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A method folder and a metric, as users bring them."""
    (tmp_path / "method").mkdir()
    (tmp_path / "marks").mkdir()
    (tmp_path / "method" / "card.yaml").write_text(CARD.format(name="tried"))
    (tmp_path / "method" / "method.py").write_text(METHOD)
    (tmp_path / "deadly.py").write_text(METRIC)
    return tmp_path


def run(
    folder: Path,
    cases: list[Case],
    results: str,
    on: OnRay | None,
    seeds: tuple[int, ...] = (0,),
    seconds: float = 0,
    **changes: Any,
) -> RunOutcome:
    marks = folder / "marks"
    method = resolve(f"{folder / 'method'}:marks={marks},seconds={seconds}")
    wanted = columns(["temporal_flickering", f"{folder / 'deadly.py'}:Deadly:marks={marks}"])
    plan = plan_run("suite", "all", method, cases, list(seeds), folder / results, name="run")
    settings = Settings(device="cpu", max_failures=FailureLimit(1000), ray=on, **changes)
    return execute(plan, wanted, settings, Watcher())


def rows_of(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [{key: value for key, value in line.items() if key not in VOLATILE} for line in lines]
    return sorted(rows, key=lambda row: row["key"])


def snapshot(run: RunFolder) -> dict[str, Any]:
    files = [run.generations_path, *(run.path / "scores").glob("*.jsonl")]
    content: dict[str, Any] = {path.name: rows_of(path) for path in files}
    return content | {"videos": {path.name: file_sha256(path) for path in run.videos.iterdir()}}


def losses(row: dict[str, Any]) -> int:
    return sum(failure["type"] == "WorkerLost" for failure in row["attempts"])


@pytest.mark.slow
@needs_ray
def test_rows_are_those_of_the_local_executor_whatever_kills_a_worker(
    cluster: Any, folder: Path, make_case: Make
) -> None:
    fates = ["", "raise", "", "die once", "", "kill the scorer", "", ""]
    cases = [make_case(number, caption=fate or "A target.") for number, fate in enumerate(fates)]
    deadly = make_case(9, caption="die")
    outcome = run(folder, [*cases, deadly], "ray", OnRay(cluster.address, 2))
    # The marks are there by now: to the local run nothing is deadly.
    local = run(folder, cases, "local", None)

    assert (outcome.generated.ok, outcome.generated.failed) == (7, 2)
    assert (local.generated.ok, local.generated.failed) == (7, 1)
    assert outcome.scored == local.scored
    ours, theirs = snapshot(outcome.plan.folder), snapshot(local.plan.folder)
    dead = [row for row in ours["generations.jsonl"] if row["case"] == deadly.id]
    assert [(row["status"], row["video"], losses(row)) for row in dead] == [("failed", None, 3)]
    assert "worker was lost" in dead[0]["attempts"][-1]["message"]
    lived = [row for row in ours["generations.jsonl"] if row["case"] != deadly.id]
    assert any(losses(row) for row in lived if row["case"] == cases[3].id)
    ours["generations.jsonl"] = [
        {**row, "attempts": [failure for failure in row["attempts"] if failure["type"] != "WorkerLost"]}
        for row in lived
    ]
    assert ours == theirs

    sessions = outcome.plan.folder.manifest().sessions
    assert sessions[-1].device.startswith("ray: ")
    files = {path: path.stat().st_mtime_ns for path in outcome.plan.folder.path.rglob("*") if path.is_file()}
    again = run(folder, [*cases, deadly], "ray", OnRay(cluster.address, 2))
    assert (again.generated.kept, again.generated.done, again.scored.done) == (9, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in files} == files


@pytest.mark.slow
@needs_ray
def test_a_node_that_goes_takes_no_finished_row_with_it(cluster: Any, folder: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(8)]
    node = started(lambda: cluster.add_node(num_cpus=1, object_store_memory=78 << 20))
    outcome: list[RunOutcome] = []
    thread = threading.Thread(
        target=lambda: outcome.append(run(folder, cases, "ray", OnRay(cluster.address, 3), seconds=0.5))
    )
    thread.start()
    generations = RunFolder(folder / "ray" / "suite" / "run").generations_path
    # Once every node has a worker that is at a case.
    wait_until(lambda: len(list((folder / "marks").glob("setup-*"))) >= 3)
    wait_until(lambda: generations.exists() and generations.read_text().count("\n") >= 1)
    before = rows_of(generations)
    cluster.remove_node(node)
    thread.join(180)
    assert not thread.is_alive()
    assert (outcome[0].generated.ok, outcome[0].scored.ok) == (8, 16)
    after = rows_of(generations)
    assert all(row in after for row in before)
    assert any(losses(row) for row in after)
    local = run(folder, cases, "local", None, seconds=0)
    assert {path.name for path in outcome[0].plan.folder.videos.iterdir()}
    ours, theirs = (
        {row["case"]: row["sha256"] for row in snapshot(item.plan.folder)["generations.jsonl"]}
        for item in (outcome[0], local)
    )
    assert ours == theirs


@pytest.mark.slow
@needs_ray
def test_ctrl_c_leaves_a_run_that_any_executor_resumes(cluster: Any, tmp_path: Path, folder: Path) -> None:
    arguments = ["run", "--method", f"{folder / 'method'}:marks={folder / 'marks'},seconds=0.5", "--task", "camera"]
    arguments += [
        "--metric",
        "temporal_flickering",
        "--results",
        str(tmp_path / "r"),
        "--device",
        "cpu",
        "--name",
        "x",
        "--limit",
        "8",
    ]
    command = [sys.executable, "-m", "vapbench", *arguments]
    on_ray = ["--executor", "ray", "--ray-address", cluster.address, "--workers", "1"]
    process = subprocess.Popen([*command, *on_ray], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    run = RunFolder(tmp_path / "r" / "mini" / "x")
    wait_until(lambda: run.generations_path.exists() and len(run.current()) >= 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "Resume with: vapbench run --method" in errors.replace("\n", " ")
    kept = run.current()
    assert 2 <= len(kept) < 8
    assert all(run.video_of(row) for row in kept)
    assert run.manifest().sessions[-1].ended
    subprocess.run(command, check=True, capture_output=True)
    assert len(run.current()) == 8
    assert [row for row in run.current() if row.key in {row.key for row in kept}] == kept


def wait_until(true: Callable[[], object], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.mark.slow
@needs_ray
def test_weights_that_are_absent_end_the_run_with_their_own_words(cluster: Any, folder: Path, make_case: Make) -> None:
    text = METHOD.replace('(self.marks / f"setup-{os.getpid()}").touch()', 'raise WeightsError("no weights in DIR")')
    text = text.replace(
        "from vapbench import Clip, Method",
        "from vapbench import Clip, Method\nfrom vapbench.errors import WeightsError",
    )
    (folder / "method" / "method.py").write_text(text)
    with pytest.raises(Exception, match="no weights in DIR") as caught:
        run(folder, [make_case(0)], "ray", OnRay(cluster.address, 1))
    assert type(caught.value).__name__ == "WeightsError"


def test_without_ray_one_sentence_says_what_to_install(
    folder: Path, make_case: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with refuses(UsageError, ErrorKind.MISSING, "ray"):
        run(folder, [make_case(0)], "r", OnRay())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--ray-address", "auto"], "--ray-address goes with --executor ray"),
        (["--executor", "ray", "--device", "cuda:1"], "Ray picks which"),
        (["--executor", "ray", "--ray-address", "nowhere"], "--ray-address nowhere: no cluster answers"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], word: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vapbench", "run", "-m", "frozen", "--task", "camera", "--limit", "1", *arguments]
    done = subprocess.run([*command, "--results", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert word in done.stderr.replace("\n", " ")
    assert not list(tmp_path.iterdir())


@needs_ray
@pytest.mark.slow
def test_workers_that_the_cluster_kills_for_their_memory_end_the_run_and_not_its_patience(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vapbench", "run", "-m", "frozen", "--task", "camera", "--limit", "1"]
    command += ["--executor", "ray", "--workers", "1", "--device", "cpu", "--results", str(tmp_path)]
    # Ray's watch over memory finds any use too much; what it kills has a type of its own.
    watch = {**os.environ, "RAY_memory_monitor_refresh_ms": "100", "RAY_memory_usage_threshold": "0.01"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=watch)
    assert done.returncode == 1
    said = done.stderr.replace("\n", " ")
    assert "Ray's workers die while they start to" in said
    assert "low on memory" in said


def card(**fields: Any) -> ResolvedMethod:
    base = {"name": "m", "title": "M", "summary": "", "kind": "unified", "class": "M"}
    return ResolvedMethod(object(), Card.model_validate(base | fields), {}, {})  # type: ignore[arg-type]


def test_a_worker_asks_for_what_the_card_says() -> None:
    size = {"parameters": {"transformer": 17, "text": 5}, "petaflop": 100}
    assert to_generate(card(), "vap-data", None) == Resources(cpus=0.75)
    assert to_generate(card(kind="floor"), "vap-data", 80) == Resources(cpus=0.75)
    assert to_generate(card(size=size), "vap-data", 80).gpus == 0.75  # 52 GB leave a quarter to scoring
    assert to_generate(card(size=size), "vap-data", 60).gpus == 1
    assert to_generate(card(size=size, suites={"mini": {}}), "mini", 24).gpus == 0.75
    asked = card(size=size, resources={"gpus": 2, "cpus": 4})
    assert to_generate(asked, "vap-data", 80) == Resources(gpus=2, cpus=4)
    assert to_generate(asked, "vap-data", None) == Resources(cpus=4)
    assert to_score(0, None) == Resources(cpus=0.25)
    assert to_score(10**9, 80).gpus == 0.25
    assert to_score(30 * 10**9, 80).gpus == 0.4
    assert to_score(200 * 10**9, 80).gpus == 1


@pytest.mark.slow
@needs_ray
def test_every_method_and_metric_that_ships_can_be_sent_to_a_worker(cluster: Any) -> None:
    for entry in methods():
        if entry.name != "folder":
            method = resolve(entry.name, suite="vap-data").method
            sent, plugins = _packed(Generating(method, "cpu", Settings()), "generate")
            assert type(ray.get(sent)) is Generating
            # A baseline is imported by path.
            assert entry.folder is None or entry.folder / "method.py" in plugins
    computing = [entry.name for entry in REGISTRY if entry.name != "semantic_alignment[judge]"]
    sent, _ = _packed(Scoring(columns(computing), "cpu", None), "score")
    assert type(ray.get(sent)) is Scoring
    with refuses(UsageError, ErrorKind.CONFLICT, "executor"):
        _packed(threading.Lock(), "score")  # type: ignore[arg-type]


def test_there_is_one_worker_to_a_device() -> None:
    has = {"GPU": 8.0, "CPU": 64.0}
    assert [Resources(gpus=share).fits(has) for share in (0.25, 0.75, 1, 2)] == [8, 8, 8, 4]
    assert Resources(cpus=4).fits(has) == 16
    assert Resources(gpus=1).fits({"CPU": 4.0}) == 1


@needs_ray
@pytest.mark.slow
def test_workers_killed_at_random_leave_no_trace(cluster: Any, folder: Path) -> None:
    import random

    cases = list(choose("mini", None, "camera").cases)
    undisturbed = snapshot(run(folder, cases, "local", None, (0, 1)).plan.folder)
    draw, over = random.Random(1), threading.Event()

    def kill() -> None:
        while not over.wait(draw.uniform(2, 6)):
            marks = sorted((folder / "marks").glob("setup-*"))
            pid = int(draw.choice(marks).name.removeprefix("setup-")) if marks else os.getpid()
            if pid != os.getpid() and Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        outcome = run(folder, cases, "ray", OnRay(cluster.address, 2), (0, 1), seconds=0.5)
    finally:
        over.set()
        killer.join()
    got = snapshot(outcome.plan.folder)
    hashes = [
        {(row["case"], row["seed"]): row["sha256"] for row in made["generations.jsonl"]} for made in (got, undisturbed)
    ]
    assert hashes[0] == hashes[1]
    assert got.keys() == undisturbed.keys()
    assert outcome.scored.ok == outcome.scored.total == 56


@needs_ray
@pytest.mark.slow
def test_a_method_that_hangs_costs_its_case(cluster: Any, folder: Path, make_case: Make) -> None:
    cases = [make_case(0), make_case(1, caption="hang"), make_case(2)]
    outcome = run(folder, cases, "ray", OnRay(cluster.address, 1), case_timeout=20)
    rows = {row.case: row for row in outcome.plan.folder.current()}
    assert [rows[case.id].status for case in cases] == ["ok", "failed", "ok"]
    assert rows[cases[1].id].attempts[-1].type == "CaseTimeout"

"""Print how long ``vapbench report`` takes on 100 methods, 200 cases and 10 metrics: 200,000 scores."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from vapbench.files.atomic import digest
from vapbench.files.journal import seal
from vapbench.results.keys import needed_sha256
from vapbench.results.rows import SCHEMA, GenerationRow, ScoreRow

METHODS, CASES, METRICS = 100, 200, 10
AIMS = {200: 1.5, 1000: 5.0}
"""Cases -> seconds on a quiet core."""
NEEDS = ("target_caption",)


def write_run(folder: Path, method: str, rng: random.Random, cases: int = CASES) -> None:
    """Write a finished run as the runner would have, hashes and all, without videos: a report needs none."""
    conditions = {f"case-{i:03}": f"condition-{i % 24:02}" for i in range(cases)}
    fields = {case: {"target_caption": digest(case), "reference": digest([case, "video"])} for case in conditions}
    shown = {"higher_is_better": True, "unit": "", "scale": 100.0, "digits": 2, "range": [0, 1], "needs": NEEDS}
    manifest = {
        "schema": SCHEMA,
        "identity": {"suite": "mini", "name": method, "version": 1},
        "cases": {
            case: {"condition": where, "category": "camera", "tasks": ["all"], "seeds": [0], "fields": fields[case]}
            for case, where in conditions.items()
        },
        "metrics": {f"metric_{k}": {**shown, "title": f"Metric {k}"} for k in range(METRICS)},
        "sessions": [],
    }
    (folder / "scores").mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    made = [
        GenerationRow(digest([method, case]), case, where, "camera", 0, "ok", f"{case}.mp4", digest([method, case, 0]))
        for case, where in conditions.items()
    ]
    write_rows(folder / "generations.jsonl", made)
    needed = {case: needed_sha256(NEEDS, hashes) for case, hashes in fields.items()}
    skill = rng.random() * 0.2
    for k in range(METRICS):
        rows = [
            ScoreRow(
                key=digest([k, row.key]),
                metric=f"metric_{k}",
                version=1,
                params={},
                case=row.case,
                condition=row.condition,
                category=row.category,
                seed=0,
                video_sha256=str(row.sha256),
                case_sha256=needed[row.case],
                status="ok",
                value=0.4 + skill + rng.random() * 0.3,
            )
            for row in made
        ]
        write_rows(folder / "scores" / f"metric_{k}.jsonl", rows)


def write_rows(path: Path, rows: list[GenerationRow] | list[ScoreRow]) -> None:
    """Write JSONL."""
    path.write_bytes(b"".join(seal(msgspec.to_builtins(row)) for row in rows))


def environment() -> dict[str, str]:
    """For a command that is measured: where an environment forbids to keep compiled code, it would be compiled anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    """Time the whole command, start of Python included; ``--cases`` makes more rows of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=CASES)
    cases: int = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as root:
        rng = random.Random(0)
        for number in range(METHODS):
            name = f"method-{number:03}"
            write_run(Path(root) / "mini" / name, name, rng, cases)
        command = [sys.executable, "-m", "vapbench", "report", "--results", root]
        walls, spent = [], []
        for _ in range(3):
            began, before = time.perf_counter(), os.times()
            subprocess.run(command, check=True, capture_output=True, env=environment())
            walls.append(time.perf_counter() - began)
            spent.append(sum(os.times()[2:4]) - sum(before[2:4]))
        # The largest child's, in kB on Linux.
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    rows = METHODS * cases * METRICS
    print(f"report, {METHODS} methods x {cases} cases x {METRICS} metrics: {rows:,} rows, best of 3")
    print(f"  {min(walls):.2f} s, of which {min(spent):.2f} s of processor; {memory:.2f} GB at most")
    if cases in AIMS:
        print(f"  aim: {AIMS[cases]:g} s")


if __name__ == "__main__":
    main()

"""Print how long ``vapbench report`` takes on 100 methods, 200 cases and 10 metrics: 200,000 scores."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from vapbench.files import canonical_json
from vapbench.store import SCHEMA, GenerationRow, ScoreRow

METHODS, CASES, METRICS = 100, 200, 10
AIM = 3.0


def write_run(folder: Path, method: str, rng: random.Random) -> None:
    """Write a finished run as the runner would have, without videos: a report needs none."""
    cases = {f"case-{i:03}": f"condition-{i % 24:02}" for i in range(CASES)}
    shown = {"higher_is_better": True, "unit": "", "scale": 100.0, "digits": 2, "range": [0, 1], "needs": []}
    manifest = {
        "schema": SCHEMA,
        "identity": {"suite": "mini", "name": method, "version": 1},
        "cases": {
            name: {"condition": condition, "category": "camera", "tasks": ["all"], "seeds": [0]}
            for name, condition in cases.items()
        },
        "metrics": {f"metric_{k}": {**shown, "title": f"Metric {k}"} for k in range(METRICS)},
        "sessions": [],
    }
    (folder / "scores").mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    made = [GenerationRow(f"g-{c}", c, where, "camera", 0, "ok", f"{c}.mp4", f"sha-{c}") for c, where in cases.items()]
    write_rows(folder / "generations.jsonl", made)
    skill = rng.random() * 0.2
    for k in range(METRICS):
        common = {"metric": f"metric_{k}", "version": 1, "params": {}, "case_sha256": "", "status": "ok"}
        rows = [
            ScoreRow(
                key=f"s-{k}-{row.case}",
                case=row.case,
                condition=row.condition,
                category=row.category,
                seed=0,
                video_sha256=row.sha256,
                value=0.4 + skill + rng.random() * 0.3,
                **common,
            )
            for row in made
        ]
        write_rows(folder / "scores" / f"metric_{k}.jsonl", rows)


def write_rows(path: Path, rows: list[GenerationRow] | list[ScoreRow]) -> None:
    """Write JSONL."""
    path.write_text("".join(canonical_json(asdict(row)) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Time the whole command, start of Python included."""
    with tempfile.TemporaryDirectory() as root:
        rng = random.Random(0)
        for number in range(METHODS):
            name = f"method-{number:03}"
            write_run(Path(root) / "mini" / name, name, rng)
        command = [sys.executable, "-m", "vapbench", "report", "--results", root]
        times = []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    print(
        f"report, {METHODS} methods x {CASES} cases x {METRICS} metrics: {min(times):.2f} s, best of 3 (aim: {AIM:g})"
    )


if __name__ == "__main__":
    main()

"""Print how long it takes to see that a finished run of 100,000 scores lacks nothing."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from vapbench.core.case import Case
from vapbench.files.atomic import file_sha256
from vapbench.files.journal import seal
from vapbench.results.rows import GenerationRow, ScoreRow
from vapbench.results.run import RunFolder
from vapbench.running.pending import pending_scores
from vapbench.running.plan import MetricSpec, columns
from vapbench.suites import load_suites

METRICS = [
    *("temporal_flickering", "first_frame_psnr", "dynamic_degree[dis]", "motion_smoothness[warp]"),
    *("text_alignment[mini-clip]", "aesthetic_quality[mini]", "semantic_alignment[embedding]"),
]
ROWS, AIM = 100_000, 2.0


def write_run(folder: RunFolder, cases: list[Case], wanted: list[MetricSpec], seeds: int) -> None:
    """Write generations, scores and (tiny) videos as a run would have."""
    folder.videos.mkdir(parents=True)
    made = []
    for case in cases:
        for seed in range(seeds):
            name = f"{case.id}__s{seed}.mp4"
            (folder.videos / name).write_text(name)
            sha256 = file_sha256(folder.videos / name)
            made.append(GenerationRow(sha256, case.id, case.condition, case.category, seed, "ok", name, sha256))
    _write(folder.generations_path, made)
    by_id = {case.id: case for case in cases}
    for column in wanted:
        needed = {case.id: column.case_sha256(case) for case in cases}
        rows = [
            ScoreRow(
                key=column.key(by_id[row.case], row.seed, str(row.sha256)),
                metric=column.metric.name,
                version=column.metric.version,
                params=column.params,
                case=row.case,
                condition=row.condition,
                category=row.category,
                seed=row.seed,
                video_sha256=str(row.sha256),
                case_sha256=needed[row.case],
                status="ok",
                value=0.5,
            )
            for row in made
        ]
        _write(folder.scores_path(column.slug), rows)


def _write(path: Path, rows: list[GenerationRow] | list[ScoreRow]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(seal(asdict(row)) for row in rows))


def main() -> None:
    """Plan the scoring of a run that is finished."""
    cases = load_suites()["mini"].cases(None)
    wanted = columns(METRICS)
    seeds = ROWS // (len(cases) * len(wanted)) + 1
    with tempfile.TemporaryDirectory() as root:
        folder = RunFolder(Path(root) / "run")
        write_run(folder, cases, wanted, seeds)
        began, before = time.perf_counter(), time.process_time()
        plan = pending_scores(folder, {case.id: case for case in cases}, wanted, None, "missing")
        wall, spent = time.perf_counter() - began, time.process_time() - before
    print(f"planning over {plan.kept:,} finished scores of {seeds * len(cases):,} videos, {len(plan.jobs)} to do:")
    print(f"  {wall:.2f} s, of which {spent:.2f} s of processor (aim: {AIM:g} s)")


if __name__ == "__main__":
    main()

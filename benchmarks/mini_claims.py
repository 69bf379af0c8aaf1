"""Every claim of the mini suite's next version as rows with intervals, and a figure each, from trained folders.

    vapbench train mini --version 2 --out OUT
    python benchmarks/mini_claims.py OUT                        every claim; what is not trained yet is a row saying so
    python benchmarks/mini_claims.py OUT lora curve --to DIR    some of them, elsewhere than in build/claims

The same command resumes; call it again when more stages are there. DIR holds runs/, as `vapbench run` writes them,
claims.md, claims.json and CLAIM.png. Scores are semantic_alignment[parameters]; means and paired differences have 95 %
intervals, clustered by condition. Aims are those that were set before training.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from mini_claims_asked import CLAIMS, KNOWN, RUNS, TRAINED, Ask, belongs
from mini_claims_figures import draw

from vapbench.checkpoints.tensors import read_json
from vapbench.core.case import Case
from vapbench.core.video import read_video
from vapbench.errors import VapbenchError
from vapbench.files.atomic import atomic_path, quoted, write_json
from vapbench.methods import resolve
from vapbench.report.read.read_runs import read_summary
from vapbench.report.read.run_summary import chosen
from vapbench.results.run import RunFolder
from vapbench.running.context import Settings
from vapbench.running.plan import columns, plan_run
from vapbench.running.progress import progress
from vapbench.running.run import execute
from vapbench.stats.intervals import clustered_mean
from vapbench.stats.paired import Pairs, paired_differences
from vapbench.suites import find_suite

METRIC = "semantic_alignment[parameters]"
SUITE = "mini@2"


@dataclass(frozen=True)
class Row:
    """What was asked, and what came of it: a number, or the reason why there is none."""

    what: str
    unit: str
    total: int
    """Cases of the group."""
    n: int = 0
    """Those that have what is asked."""
    clusters: int = 0
    """Their conditions."""
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    aim: str = ""
    met: bool | None = None
    conditions: int | None = None
    reason: str = ""
    """Why there is no number, or no interval."""


@dataclass(frozen=True)
class Bench:
    """A trained folder, and where what is made of it goes."""

    out: Path
    to: Path
    limit: int | None
    device: str
    _done: dict[str, RunFolder | str] = field(default_factory=dict)

    @cached_property
    def cases(self) -> list[Case]:
        """Every case of the benchmark."""
        return find_suite(SUITE).cases(None)

    @cached_property
    def kept(self) -> frozenset[str]:
        """Ids of the cases to measure: all, or so many of them, spread evenly."""
        chosen = np.linspace(0, len(KNOWN) - 1, min(self.limit or len(KNOWN), len(KNOWN))).round().astype(int)
        return frozenset(np.array(list(KNOWN))[chosen].tolist())

    def ids(self, group: str) -> list[str]:
        """Ids of a group's cases."""
        return [name for name, case in KNOWN.items() if name in self.kept and belongs(case, group)]

    def run(self, name: str) -> RunFolder | str:
        """The run, brought up to date; or why there is none."""
        if name not in self._done:
            self._done[name] = self.lacking(name) or self._run(name)
        return self._done[name]

    def lacking(self, name: str) -> str:
        """What of a run's weights is not there, in words; empty where all is."""
        for stage in RUNS[name].needs:
            parts = self.trained(stage)
            absent = parts.count(False)
            if absent:
                several = f": {absent} of {len(parts)} adapters are missing" if stage == "lora" else ""
                return f"stage {stage} is not trained{several}"
        return ""

    def trained(self, stage: str) -> list[bool]:
        """Whether each part of a stage is there: an adapter for each condition, or the stage itself."""
        parts = [self.out / "lora" / condition for condition in TRAINED] if stage == "lora" else [self.out / stage]
        return [(part / "card.json").is_file() for part in parts]

    def _run(self, name: str) -> RunFolder | str:
        clips, wanted = RUNS[name], columns([METRIC])
        ids = set(self.ids(clips.group))
        try:
            cases = [case for case in clips.shown(self.cases_of(clips.group)) if case.id in ids]
            method = resolve(clips.method.format(out=self.out.resolve()), suite=SUITE)
            version = find_suite(SUITE).version
            plan = plan_run(*(SUITE, "all", method, cases, [0], self.to / "runs", name), suite_version=version)
            return execute(plan, wanted, Settings(self.device, every_case=True), progress(False)).folder
        except VapbenchError as error:
            return f"{type(error).__name__}: {error}"

    def cases_of(self, group: str) -> list[Case]:
        """A group's cases, those besides that are not measured."""
        return [case for case in self.cases if belongs(KNOWN[case.id], group)]

    def values(self, ask: Ask, run: str) -> dict[str, float] | str:
        """Scores, or decibels, of the group's cases that have one; or why there are none."""
        folder = self.run(run)
        if isinstance(folder, str):
            return folder
        found = self._psnr(folder) if ask.psnr else _scores(folder)
        return {name: found[name] for name in self.ids(ask.group) if name in found}

    def _psnr(self, folder: RunFolder) -> dict[str, float]:
        targets = {case.id: case.target for case in self.cases if case.target}
        found = {}
        for row in folder.current():
            if row.status == "ok" and row.video:
                made, target = read_video(folder.videos / row.video).frames, targets[row.case].read().frames
                error = np.square(made.astype(np.float64) - target).mean()
                found[row.case] = float(10 * np.log10(255**2 / max(error, 1e-3)))
        return found

    def row(self, ask: Ask) -> Row:
        """What came of a question."""
        row = Row(ask.what, ask.unit, len(self.ids(ask.group)), aim=ask.aim, conditions=ask.conditions)
        sides = [self.values(ask, run) for run in (ask.run, ask.minus) if run]
        reasons = [side for side in sides if isinstance(side, str)]
        if reasons:
            return replace(row, reason=reasons[0])
        scored = [side for side in sides if not isinstance(side, str)]
        common = [name for name in scored[0] if all(name in side for side in scored)]
        if not common:
            return replace(row, reason="no case has a score")
        values = [[side[name] for name in common] for side in scored]
        clusters = [KNOWN[name].condition for name in common]
        if ask.minus:
            (estimate,) = paired_differences([Pairs(*values, clusters)])
        else:
            estimate = clustered_mean(*values, clusters, bounds=(None, None) if ask.psnr else (0, 100))
        whole = len(common) == row.total and not self.limit
        return replace(
            row,
            n=len(common),
            clusters=estimate.clusters,
            mean=estimate.mean,
            low=estimate.low,
            high=estimate.high,
            met=ask.met(estimate.mean, estimate.low) if whole else None,
            reason=estimate.reason,
        )


def _scores(folder: RunFolder) -> dict[str, float]:
    summary = read_summary(folder)
    return summary.case_means(*chosen(summary.scores, [METRIC]))


def table(title: str, rows: Sequence[Row]) -> str:
    """A claim as a section of Markdown."""
    lines = [f"## {title}", "", "| | 95 % | n | aim |", "|---|---|---|---|"]
    for row in rows:
        aim = row.aim + {True: ": reached", False: ": not reached", None: ""}[row.met]
        lines.append(f"| {row.what} | {number(row)} | {row.n}/{row.total} of {row.clusters} conditions | {aim} |")
    return "\n".join(lines) + "\n"


def number(row: Row) -> str:
    """Mean and interval, or why there are none."""
    if row.mean is None:
        return f"not measured: {row.reason}"
    sign, unit = ("+" if row.unit == "points" else ""), (" dB" if row.unit == "dB" else "")
    ends = f" [{row.low:.1f}, {row.high:.1f}]" if row.low is not None and row.high is not None else f" ({row.reason})"
    return f"{row.mean:{sign}.1f}{unit}{ends}"


def keep(folder: Path, claim: str, rows: Sequence[Row]) -> None:
    """Put a claim beside those that earlier calls measured."""
    path = folder / "claims.json"
    before = read_json(path) if path.is_file() else {}
    before[claim] = [asdict(row) for row in rows]
    found = {name: before[name] for name in CLAIMS if name in before}
    write_json(path, found)
    sections = [table(CLAIMS[name][0], [Row(**row) for row in kept]) for name, kept in found.items()]
    with atomic_path(folder / "claims.md") as temporary:
        temporary.write_text("\n".join(sections), encoding="utf-8")


def main() -> None:
    """Measure each claim asked for, print it, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="what `vapbench train mini --version 2` wrote")
    parser.add_argument("claim", nargs="*", help=f"all of: {', '.join(CLAIMS)}")
    parser.add_argument(
        "--to", type=Path, default=Path("build/claims"), help="where rows and figures go [build/claims]"
    )
    parser.add_argument("--limit", type=int, help="so many cases, for a trial: no aim is then said to be reached")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.claim) - set(CLAIMS)):
        parser.error(f"no claim {unknown[0]!r}; there are {', '.join(CLAIMS)}")
    train = f"vapbench train mini --version 2 --out {quoted(asked.out)}"
    if not asked.out.is_dir():
        parser.error(f"{asked.out}: no such folder; train it first: {train}")
    bench = Bench(asked.out, asked.to, asked.limit, asked.device)
    if not any(any(bench.trained(stage)) for run in RUNS.values() for stage in run.needs):
        parser.error(f"{asked.out}: nothing is trained here; {train}")
    for name in asked.claim or CLAIMS:
        title, asks = CLAIMS[name]
        rows = [bench.row(ask) for ask in asks]
        draw(asked.to / f"{name}.png", title, rows)
        print(table(title, rows), flush=True)
        keep(asked.to, name, rows)


if __name__ == "__main__":
    main()

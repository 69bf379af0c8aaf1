"""What a run will do: cases, seeds, keys."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vapbench.core.case import Case, ClipSpec, Media, NoMedia, check_name
from vapbench.core.registry import Spec, spelled
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.files.atomic import canonical_json, content_sha256, digest, home_folder
from vapbench.methods import ResolvedMethod
from vapbench.methods.base import Method, asked, identity_of, inputs_of, provenance_of, remarks_of
from vapbench.methods.folder import Folder
from vapbench.methods.provenance import Provenance, notes_on
from vapbench.metrics import resolve as resolve_metric
from vapbench.metrics.base import Metric, shown, weights_of
from vapbench.results.keys import ScoreKeys, column_slug, generation_keys, needed_sha256, params8, score_keys
from vapbench.results.manifest import LARGEST_SEED, is_seed
from vapbench.results.run import RunFolder
from vapbench.running.shards import Shard
from vapbench.suites.tasks import tasks_with


@dataclass(frozen=True)
class Job:
    """One generation to have."""

    case: Case
    seed: int
    key: str


@dataclass(frozen=True)
class RunPlan:
    """One method on the cases of one task."""

    suite: str
    task: str
    method: ResolvedMethod
    jobs: tuple[Job, ...]
    folder: RunFolder
    identity: Mapping[str, Any]
    undivided: tuple[Case, ...] = ()
    """Cases of all shards, where this is one."""
    named: bool = False
    """Whether the user named the run, and it is not called after its method."""
    suite_version: int = 1
    """Recorded, not keyed: the cases' own content is."""

    @cached_property
    def cases(self) -> dict[str, Case]:
        """Planned cases by id."""
        return {job.case.id: job.case for job in self.jobs}

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Planned seeds, in order of size."""
        return tuple(sorted({job.seed for job in self.jobs}))

    @cached_property
    def media_root(self) -> Path | None:
        """Folder that holds every file of the planned cases, those of other shards included; None without files."""
        cases = self.undivided or self.cases.values()
        folders = [_unlinked(media.path).parent for case in cases for media in case.media()]
        return Path(os.path.commonpath(folders)) if folders else None

    @property
    def place(self) -> str:
        """Folder that finished videos are taken from; empty for a method that makes them."""
        return _from_home(self.method.method.path) if isinstance(self.method.method, Folder) else ""

    def manifest_cases(self) -> dict[str, dict[str, Any]]:
        """What the manifest keeps of each case, so that a report needs nothing but the run folder.

        Files are named relative to the media root of the plan, which is kept beside them.
        """
        return {
            case.id: _for_manifest(
                case, self.task, self.seeds, self.media_root, provenance_of(self.method.method, case)
            )
            for case in self.cases.values()
        }

    def manifest_card(self) -> dict[str, Any]:
        """What the manifest keeps of the method's card."""
        card, changed = self.method.card, {"changed": dict(self.method.changed)}
        if card is None:
            return {"title": self.method.method.name, **changed}
        notes = list(card.notes)
        if self.method.clip:
            differing = ", ".join(f"{name} {value:g}" for name, value in self.method.clip.items())
            notes.append(f"It needs {differing} instead of the suite's.")
        notes += remarks_of(self.method.method, list(self.cases.values()))
        notes += notes_on([provenance_of(self.method.method, case) for case in self.cases.values()])
        return {"title": card.title, "kind": card.kind, "notes": notes, **changed}


@dataclass(frozen=True)
class MetricSpec:
    """A metric with the parameters that make it a column of its own."""

    metric: Metric
    params: Mapping[str, Any]
    weights: tuple[str, ...]
    """Hashes of the files its values depend on."""

    @property
    def label(self) -> str:
        """Name and changed parameters, as the command line spells them."""
        parameters = ",".join(f"{name}={spelled(value)}" for name, value in self.params.items())
        return f"{self.metric.name}:{parameters}" if parameters else self.metric.name

    @property
    def slug(self) -> str:
        """File name of its rows, without suffix."""
        return column_slug(self.metric.name, self.params)

    def shown(self) -> dict[str, Any]:
        """How a table shows its values."""
        return shown(self.metric)

    def key(self, case: Case, seed: int, video_sha256: str) -> str:
        """Score key of the video of one case and seed."""
        begun = self.begin_keys(case_for_keys(case.id, self.case_sha256(case)))
        return score_keys([begun], seed, video_sha256)[0]

    def begin_keys(self, case: str) -> Any:
        """What the score keys of all videos of a case, as :func:`case_for_keys` spells it, begin with."""
        return self._keys.begin(case)

    @cached_property
    def _keys(self) -> ScoreKeys:
        metric = self.metric
        params, weights = dict(self.params), list(self.weights)
        return ScoreKeys({"name": metric.name, "version": metric.version, "params": params, "weights": weights})

    def case_sha256(self, case: Case) -> str:
        """Hash of the case fields the metric needs."""
        return needed_sha256(self.metric.needs, field_hashes(case))

    @property
    def weights_sha256(self) -> str:
        """One hash for all the files its values depend on; empty for none."""
        return digest(list(self.weights)) if self.weights else ""


def plan_run(
    suite: str,
    task: str,
    method: ResolvedMethod,
    cases: Sequence[Case],
    seeds: Sequence[int],
    results: Path,
    name: str | None = None,
    among: Sequence[Case] = (),
    tentative: bool = False,
    shard: Shard | None = None,
    suite_version: int = 1,
) -> RunPlan:
    """Lay out a run. Nothing is loaded; files are only hashed.

    Args:
        suite: name of the suite.
        task: name of the task.
        method: what to run.
        cases: the task's cases.
        seeds: seeds to run each case with.
        results: where runs are kept.
        name: name of the run folder, instead of the method's.
        among: every case of the suite, for methods that look across cases; by default those of the task.
        tentative: whether absent weights are only noted, for a plan that is shown and not run.
        shard: the piece of the cases to plan, each with all its seeds; it may be empty.
        suite_version: version of the suite, which the run records.

    Raises:
        DataError: a file of a case is missing.
        UsageError: a seed is not between 0 and the largest that random generators take.
        WeightsError: the method's weights are absent or incomplete.
    """
    if refused := [seed for seed in seeds if not (is_seed(seed) and seed >= 0)]:
        raise UsageError(
            f"--seed {refused[0]}: a seed is a whole number from 0 to {LARGEST_SEED}.", ErrorKind.INVALID, "seeds"
        )
    overrides = method.clip
    if overrides:
        cases = [case.model_copy(update={"clip": _override(case.clip, overrides)}) for case in cases]
    seeds = list(dict.fromkeys(seeds))
    asked(method.method, "prepare_cases", among or cases)
    if not method.method.uses_seed:
        seeds = seeds[:1]
    elif (has := method.method.seeds(cases)) is not None:
        seeds = [seed for seed in seeds if seed in has] or seeds[:1]
    cases = sorted(cases, key=lambda case: str(asked(method.method, "batch_key", case)))
    undivided = tuple(cases) if shard else ()
    if shard:
        cases, results = shard.of(cases), shard.results(results)
    described = {
        "name": method.method.name,
        "version": method.method.version,
        "parameters": keyed_parameters(method),
        "weights": _weights(method.method, tentative),
    }
    keyed = {**described, "code": method.code} if method.code else described
    jobs = []
    for case in cases:
        inputs = _inputs(method.method, case, tentative)
        content = case.content()
        keys = generation_keys(keyed, content, inputs, seeds)
        jobs += [Job(case, seed, key) for seed, key in zip(seeds, keys, strict=True)]
    identity = {"suite": suite, **described, "clip": overrides and dict(overrides)}
    folder = RunFolder(results / suite / (_checked(name) if name else run_name(method)))
    return RunPlan(suite, task, method, tuple(jobs), folder, identity, undivided, bool(name), suite_version)


def keyed_parameters(method: ResolvedMethod) -> dict[str, Any]:
    """The parameters that are part of a result's key, see :class:`vapbench.methods.base.Method`."""
    unhashed_params, neutral = method.method.unhashed_params, method.method.neutral
    return {
        name: value
        for name, value in method.parameters.items()
        if name not in unhashed_params and not (name in neutral and neutral[name] == value)
    }


def _weights(method: Method, tentative: bool) -> dict[str, Any]:
    try:
        return dict(identity_of(method))
    except WeightsError as error:
        if not tentative:
            raise
        return {"absent": str(error)}


def _inputs(method: Method, case: Case, tentative: bool) -> list[str]:
    try:
        items = inputs_of(method, case)
    except WeightsError:
        if not tentative:
            raise
        return []
    return [_input_sha256(item) for item in items]


def _input_sha256(item: Path | Media | str) -> str:
    if isinstance(item, Media):
        return item.identity
    return content_sha256(item) if isinstance(item, Path) else digest(item)


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise UsageError(f"--name {error}.", ErrorKind.INVALID, "name") from None


def run_name(method: ResolvedMethod) -> str:
    """Folder name of a run: the method's, with eight digits where its parameters are not the usual ones."""
    if method.method.label:
        return method.method.label
    return f"{method.method.name}~{params8(method.changed)}" if method.changed else method.method.name


def columns(metrics: Sequence[str]) -> list[MetricSpec]:
    """Resolve metric names, each once. Nothing is loaded.

    Raises:
        UsageError: a metric or parameter is unknown, or two metrics share a name.
    """
    found: dict[str, MetricSpec] = {}
    for text in metrics:
        metric, changed = resolve_metric(text)
        params = {name: _by_content(value) for name, value in changed.items()}
        column = MetricSpec(
            metric, params, tuple(content_sha256(path) for path in (*weights_of(metric), *_source(text)))
        )
        known = found.setdefault(column.label, column)
        if type(known.metric) is not type(metric):
            raise UsageError(
                f"Two metrics are called {column.label}; give the class in {text} another name.",
                ErrorKind.CONFLICT,
                "metric",
            )
    return list(found.values())


def _source(text: str) -> list[Path]:
    # While a metric given by path is written, its version says too little: its file counts as well.
    file, _, attribute = Spec.parse(text).name.rpartition(":")
    return [Path(file)] if attribute and file.endswith(".py") else []


def _unlinked(path: Path) -> Path:
    # Links are followed to the folder and no further: a cache of downloads keeps files under their hashes, and only
    # the link to one has its name and suffix.
    return path.parent.resolve() / path.name


def _from_home(path: Path) -> str:
    # Manifests are committed and shared: whose home it was is nobody's business.
    home = home_folder()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def _override(clip: ClipSpec, overrides: Mapping[Any, float]) -> ClipSpec:
    return ClipSpec.model_validate({**clip.model_dump(), **overrides})


def field_hashes(case: Case, needs: Collection[str] | None = None) -> dict[str, str]:
    """Hash of each case field a metric may need, or of those named."""
    return {need: digest(value) for need, value in case.fields().items() if needs is None or need in needs}


def case_for_keys(case: str, case_sha256: str) -> str:
    """How score keys spell a case: its id, and the hash of the fields that the metric needs."""
    return canonical_json({"id": case, "fields": case_sha256})


def _by_content(value: Any) -> Any:
    # Two files of weights are two columns wherever they lie; the path itself says nothing.
    # Parameters that are paths arrive resolved.
    if isinstance(value, str) and Path(value).is_absolute() and Path(value).exists():
        return content_sha256(Path(value))[:12]
    return value


def _for_manifest(case: Case, task: str, seeds: Sequence[int], root: Path | None, origin: Provenance) -> dict[str, Any]:
    def relative(media: Media | None) -> str | None:
        if media is None or root is None or isinstance(media, NoMedia):
            return None
        return _unlinked(media.path).relative_to(root).as_posix()

    return {
        "condition": case.condition,
        "category": case.category,
        "tasks": sorted({task, *tasks_with(case.condition, case.category)}),
        "seeds": list(seeds),
        "fields": field_hashes(case),
        "media": _from_home(root) if root else None,
        "caption": case.caption,
        "reference": relative(case.reference.video),
        "reference_caption": case.reference.caption,
        "image": relative(case.image),
        "target": relative(case.target),
        "clip": case.clip.model_dump(),
        **({"notes": [note.model_dump() for note in case.notes]} if case.notes else {}),
        **({"provenance": dict(origin)} if origin else {}),
    }

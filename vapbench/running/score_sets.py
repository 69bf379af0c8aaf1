"""Score a run as a whole: features of its videos and of their targets, cached, then reduced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vapbench.core.case import Case
from vapbench.core.video import read_video
from vapbench.errors import NotApplicable
from vapbench.files.atomic import atomic_path, cache_folder, content_sha256, digest, expand
from vapbench.metrics.sets import Features, SetMetric, SetScore, score_set
from vapbench.metrics.view import ClipView
from vapbench.results.run import RunFolder
from vapbench.results.sets import SetResult, videos_digest


@dataclass(frozen=True)
class _Video:
    path: Path
    sha256: str
    case: Case


def score_run(
    folder: RunFolder, cases: Mapping[str, Case], metric: SetMetric, params: Mapping[str, Any], device: Any, task: str
) -> SetResult:
    """Score the finished videos of ``cases`` that have a target.

    A target counts once per output of its case, so that both sets have one size and one mix of conditions. Too few
    videos give a result without a value.

    Args:
        folder: the run.
        cases: those of the task, by id.
        metric: what to reduce to.
        params: the parameters that set it apart.
        device: where the network runs.
        task: name of the task.

    Raises:
        NotApplicable: the network is absent.
        DataError: a video cannot be read.
    """
    cache = _FeatureCache(metric, params, device)
    outputs, targets, used = [], [], []
    for row in folder.current():
        path, case = folder.video_of(row), cases.get(row.case)
        if path is None or row.sha256 is None or case is None or case.target is None:
            continue
        outputs.append(cache.features(_Video(path, row.sha256, case)))
        targets.append(cache.features(_Video(case.target.path, case.target.sha256, case)))
        used.append((row.case, row.seed, row.sha256))
    conditions = [cases[case].condition for case, _, _ in used]
    return SetResult(
        metric=metric.name,
        version=metric.version,
        params={name: _named(value) for name, value in params.items()},
        weights=digest(cache.weights) if cache.weights else "",
        task=task,
        reference="the ground-truth videos of the same cases",
        **asdict(_scored(metric, outputs, targets, conditions)),
        cases=len({case for case, _, _ in used}),
        videos=videos_digest(used),
        title=metric.title,
        higher_is_better=metric.higher_is_better,
        unit=metric.unit,
        digits=metric.digits,
    )


def _scored(
    metric: SetMetric, outputs: Sequence[Features], targets: Sequence[Features], conditions: Sequence[str]
) -> SetScore:
    try:
        if not outputs:
            raise NotApplicable("there is no finished video of a case with a ground-truth video")
        return score_set(metric, np.stack(outputs), np.stack(targets), conditions)
    except NotApplicable as error:
        return SetScore(None, None, None, len(outputs), len(set(conditions)), str(error))


def _named(value: Any) -> Any:
    """A folder by its name alone: a result must not tell where somebody keeps things."""
    path = expand(str(value))
    return path.resolve().name if path.is_dir() else value


class _FeatureCache:
    """Features by what they depend on: metric, version, parameters, weights, and the video's bytes."""

    def __init__(self, metric: SetMetric, params: Mapping[str, Any], device: Any) -> None:
        self._metric = metric
        self._set_up: Callable[[], None] | None = lambda: metric.setup(device)
        self._device = device
        # Where the weights lie says nothing; what they are is in their hash.
        shown = {name: value for name, value in params.items() if name != "model"}
        self.weights = [content_sha256(path) for path in metric.weights()]
        self._identity = [metric.name, metric.version, shown, self.weights]

    def features(self, video: _Video) -> Features:
        """From the cache, or computed and kept."""
        path = cache_folder() / "features" / f"{digest([*self._identity, video.sha256])}.npy"
        if path.is_file():
            return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
        if self._set_up:
            self._set_up()
            self._set_up = None
        features = self._metric.features(ClipView(read_video(video.path), video.case, self._device))
        with atomic_path(path) as temporary:
            np.save(temporary, features, allow_pickle=False)
        return features

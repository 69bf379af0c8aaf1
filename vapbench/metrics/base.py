"""What a metric is: something that scores one clip for one case."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from vapbench.errors import BudgetSpent, blaming

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

CAPTION_CUT = "caption cut by the encoder"
"""Kind of the note on a caption that is longer than what its text encoder reads."""

Need = Literal["prompt", "reference", "image", "target", "category"]
Change = Literal[
    "reversed",
    "frozen",
    "looped",
    "shuffled",
    "mirrored",
    "darker",
    "blurred",
    "noised",
    "letterboxed",
    "watermark",
    "three-panel",
    "copy-reference",
    "other-condition",
    "wrong-reference",
    "wrong-caption",
    "re-encoded",
    "rescaled",
    "mirrored-pair",
]
"""What ``vapbench check metric`` does to a video: :data:`vapbench.validation.audit.edits.EDITS`."""


@dataclass(frozen=True)
class Score:
    """One answer of one metric.

    Attributes:
        value: the score, or None where the metric does not apply: *unscored*, never zero.
        parts: what the value is made of (per-pair magnitudes, thresholds, truncated tokens), JSON-ready.
        note: why there is no value, or what a reader must know about it.
        kind: what the note says, in words that are the same for every case it is true of (:data:`CAPTION_CUT`):
            tables count the cases of a kind. A note without one is shown with its case alone.
    """

    value: float | None
    parts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Cost:
    """What scoring costs somebody: an estimate, before anything is sent."""

    calls: int = 0
    images: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            self.calls + other.calls,
            self.images + other.images,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
        )


class CallBudget:
    """How many paid calls may still be made; one budget serves every metric of a command, from any thread."""

    def __init__(self, limit: int | None = None) -> None:
        """Allow ``limit`` calls; None: as many as it takes."""
        self.limit = limit
        self.taken = 0
        self._lock = Lock()

    def take(self, calls: int = 1) -> None:
        """Reserve calls before they are made.

        Raises:
            BudgetSpent: fewer are left; none is reserved.
        """
        with self._lock:
            if self.limit is not None and self.taken + calls > self.limit:
                raise BudgetSpent(f"--max-judge-calls {self.limit} is spent")
            self.taken += calls


class Metric:
    """A metric, built-in or your own: derive a class, say how its column reads, write :meth:`score`.

    Parameters of ``__init__`` with defaults are what ``--metric "name:key=value"`` sets; changed ones make a column of
    their own.
    """

    name: str = ""
    """With its variant in brackets where there is more than one: ``dynamic_degree[raft]``. By default the name of the
    class in snake_case."""
    version: int = 1
    """Raised whenever equal input may give another value."""
    higher_is_better: bool = True
    unit: str = ""
    needs: frozenset[Need] = frozenset()
    """Case fields the value depends on; a case that lacks one is unscored."""
    invariant_to: frozenset[Change] = frozenset()
    """Edits of a video that must not move the value; ``vapbench check metric`` holds it to this."""
    cases: str = ""
    """Which cases alone it can score, in words; empty where it can be any."""
    title: str = ""
    """The column's header; by default the name."""
    scale: float = 1.0
    """Factor for display: 100 prints 0.42 as 42.0."""
    digits: int = 2
    range: tuple[float | None, float | None] = (None, None)
    """Values it can take, for intervals; None where there is no bound."""

    _named = False
    """Whether a class names itself, or one it derives from does."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Name the class if it does not name itself."""
        super().__init_subclass__(**options)
        if "name" in vars(cls):
            cls._named = True
        elif not cls._named:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower().strip("_")

    def weights(self) -> tuple[Path, ...]:
        """Files the score depends on: their hashes enter the score key."""
        return ()

    def identity(self) -> Mapping[str, Any] | None:
        """What sets its column apart; None: the parameters that were changed."""
        return None

    def setup(self, device: torch.device) -> None:
        """Load models onto ``device``; called once, before the first score, only if something needs scoring.

        Raises:
            NotApplicable: the weights are absent; the message says which command fetches them.
        """

    def score(self, clip: ClipView, case: Case) -> Score | float:
        """Score one clip.

        Raises:
            NotApplicable: the metric does not apply to this clip; the message becomes the note.
        """
        raise NotImplementedError


class PaidMetric(Metric):
    """A metric that waits for somebody else's answer, and pays for it."""

    budget: CallBudget
    """Calls that may still be made; one budget serves every metric of a command."""
    concurrency: int = 1
    """How many answers are waited for at once, from other threads, while the next clips are scored."""

    def begin(self, clip: ClipView, case: Case) -> Callable[[], Score]:
        """Take what the answer needs of the clip, and return what waits for it.

        Raises:
            NotApplicable: the metric does not apply to this clip.
            BudgetSpent: the answer would cost a call that is not allowed.
        """
        raise NotImplementedError

    def cost(self, case: Case) -> Cost:
        """What the answer will cost: an estimate, before anything is sent."""
        raise NotImplementedError

    def score(self, clip: ClipView, case: Case) -> Score:
        """Ask, and wait for the answer."""
        return self.begin(clip, case)()


class BatchMetric(Metric):
    """A metric whose model answers about several clips at once, in less time than about one after another.

    What it says of a clip must not depend on the clips it is asked about with: which these are depends on what a run
    still lacks.
    """

    at_once: int = 8
    """Clips to ask about together at most. What :meth:`take` returned is kept until there are so many."""

    def take(self, clip: ClipView, case: Case) -> Any:
        """Take what the answer needs of the clip, and no more: decoded frames go when this returns.

        Raises:
            NotApplicable: the metric does not apply to this clip.
        """
        raise NotImplementedError

    def score_many(self, taken: Sequence[Any]) -> Sequence[Score | float]:
        """Score several clips: what was taken of each gives one answer, in the same order.

        What this raises fails no clip that is not to blame: each half is asked about again, down to single clips.
        """
        raise NotImplementedError

    def score(self, clip: ClipView, case: Case) -> Score | float:
        """Score one clip."""
        return self.score_many([self.take(clip, case)])[0]


def shown(metric: Metric) -> dict[str, Any]:
    """How tables show a metric's values; manifests keep it, so that a plug-in's columns outlive the plug-in."""
    return {
        "needs": sorted(metric.needs),
        "title": metric.title or metric.name,
        "higher_is_better": metric.higher_is_better,
        "unit": metric.unit,
        "scale": metric.scale,
        "digits": metric.digits,
        "range": list(metric.range),
    }


def weights_of(metric: Metric) -> tuple[Path, ...]:
    """Files the metric's values depend on, as far as they exist.

    Raises:
        PluginError: the metric raises when it is asked, or names something that is no path.
    """
    with blaming(f"{metric.name} does not say which files it depends on (weights)"):
        return tuple(path for path in map(Path, metric.weights()) if path.exists())


def scaled_unit(unit: str, scale: float) -> str:
    """The unit of numbers that are printed ``scale`` times as large."""
    factor = f"x {scale:g}"
    # Manifests of before have it in the unit.
    return unit if scale == 1 or not unit or unit.endswith(factor) else f"{unit} {factor}"

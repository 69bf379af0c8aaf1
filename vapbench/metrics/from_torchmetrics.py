"""Any image metric of torchmetrics, by name: ``torchmetrics:image.StructuralSimilarityIndexMeasure``.

What a class takes is read from its source, not by importing it: torchmetrics imports torch, and planning must
not.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from vapbench.core.clip import Clip, Frames, resize_clip
from vapbench.errors import ErrorKind, NotApplicable, UsageError, did_you_mean
from vapbench.metrics.base import Metric, Need, Score
from vapbench.metrics.features.precision import exact_float32

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

Against = Literal["target", "reference", "image"]

_SUPPORTED = (
    "Supported are torchmetrics:image.* classes that score one image, or one image against another "
    "(StructuralSimilarityIndexMeasure, PeakSignalNoiseRatio, TotalVariation, …)"
)
# Frames are handed over in 0..1: classes whose default assumes otherwise are told so.
_TOLD: Mapping[str, Any] = {"data_range": 1.0, "normalize": True}


@dataclass(frozen=True)
class ImageClass:
    """One class of ``torchmetrics.image``, as its source describes it."""

    name: str
    module: str
    inputs: Mapping[str, str]
    """Parameters of ``update`` and their annotations."""
    options: Mapping[str, str]
    """Parameters of ``__init__`` and their annotations."""
    higher_is_better: bool | None

    @property
    def told(self) -> dict[str, Any]:
        """Options that say that frames lie in 0..1, as far as the class has them."""
        # Elsewhere `normalize` is the name of a method, not a switch.
        return {
            name: value
            for name, value in _TOLD.items()
            if name in self.options and (name != "normalize" or self.options[name] == "bool")
        }

    @property
    def images(self) -> int:
        """How many images ``update`` takes; 0 where it takes something else, such as a set of images."""
        per_image = all(kind == "Tensor" for kind in self.inputs.values()) and "imgs" not in self.inputs
        return len(self.inputs) if per_image and len(self.inputs) <= 2 else 0


class TorchImageMetric(Metric):
    """A torchmetrics image metric, frame by frame.

    Formula: the mean over frames of the class's own value; a class that takes two images compares each frame
    with that of the ground-truth target, the reference or the first frame (``against``), chosen evenly and
    resized to the clip. Range, direction: the class's own. Source: torchmetrics (Apache-2.0). Frames are
    float32 RGB in 0..1, and ``data_range=1.0`` and ``normalize=True`` are passed where the class has them,
    unless given.
    """

    version = 1
    unit = "as torchmetrics defines it"
    scale = 1.0
    digits = 4

    def __init__(self, image_class: ImageClass, against: Against | None, options: Mapping[str, Any]) -> None:
        """Wrap a class; :func:`build` checks the arguments.

        Args:
            image_class: which class.
            against: what each frame is compared with; None for a class that takes one image.
            options: arguments of its ``__init__``.
        """
        self.name = f"torchmetrics:image.{image_class.name}"
        self.title = image_class.name
        self.higher_is_better = image_class.higher_is_better is not False
        self.needs: frozenset[Need] = frozenset({against}) if against else frozenset()
        self._class = image_class
        self._against = against
        self._options = dict(options)
        self._metric: Any = None

    def setup(self, device: torch.device) -> None:
        """Import the class, and load what it needs onto ``device``.

        Raises:
            UsageError: the class refuses its options, or lacks a package.
            NotApplicable: the class downloads weights and cannot.
        """
        try:
            cls = getattr(importlib.import_module(self._class.module), self._class.name)
            self._metric = cls(**self._options).to(device).eval()
        except OSError as error:
            raise NotApplicable(
                f"{self.name} cannot download its weights: {error}; with a network, run again with --refresh failed",
                ErrorKind.UNREACHABLE,
                "weights",
            ) from error
        except (ImportError, TypeError, ValueError) as error:
            raise UsageError(f"{self.name} refuses {self._options}: {error}", ErrorKind.INVALID, "options") from error

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the case lacks what the frames are compared with, the class does not take frames of
                this size, or the value is not finite (the signal-to-noise ratio of identical frames).
        """
        others = self._others(clip)
        values = []
        with exact_float32(clip.device):
            for index, frame in enumerate(clip.tensor):
                images = [frame] if others is None else [frame, _to_tensor(others[index % len(others)], clip.device)]
                values.append(self._value(images))
        return Score(sum(values) / len(values), {"per_frame": values})

    def _value(self, images: list[torch.Tensor]) -> float:
        self._metric.reset()
        try:
            self._metric.update(*(image[None].float() / 255 for image in images))
        except ValueError as error:
            raise NotApplicable(f"{self.name}: {error}", ErrorKind.NOT_APPLICABLE, "size") from error
        value = self._metric.compute()
        if getattr(value, "numel", lambda: 0)() != 1:
            raise UsageError(
                f"{self.name} with {self._options} does not give one number; leave those options out.",
                ErrorKind.INVALID,
                "options",
            )
        number = float(value)
        if not math.isfinite(number):
            raise NotApplicable(
                f"{self.name} is {number} for a frame, which has no mean", ErrorKind.NOT_APPLICABLE, "value"
            )
        return number

    def _others(self, clip: ClipView) -> Frames | None:
        if self._against is None:
            return None
        if self._against == "image":
            frames, count = clip.image[None], 1
        else:
            frames, count = getattr(clip, self._against).frames, len(clip)
        return clip.shared(
            ("fitted", self._against),
            lambda: (
                resize_clip(Clip(frames, clip.clip.fps), count, clip.clip.fps, clip.clip.height, clip.clip.width).frames
            ),
        )


def build(name: str, given: Mapping[str, str]) -> tuple[Metric, dict[str, Any]]:
    """Make the metric for ``torchmetrics:<name>`` without importing torchmetrics.

    Args:
        name: ``image.Class``.
        given: parameters as text: ``against`` (``target``, ``reference`` or ``image``), the rest is the
            class's own.

    Returns:
        The metric, and the parameters whose value is not the default, ready for JSON.

    Raises:
        UsageError: torchmetrics is not installed, the class does not exist or takes something else than
            images, or a parameter is unknown or unusable.
    """
    domain, _, class_name = name.partition(".")
    if domain != "image" or not class_name:
        raise UsageError(f"torchmetrics:{name} is not supported. {_SUPPORTED}.", ErrorKind.INVALID, "metric")
    classes = image_classes()
    if class_name not in classes:
        known = [known for known, found in classes.items() if found.images]
        raise UsageError(
            f"torchmetrics.image has no class {class_name!r}.{did_you_mean(class_name, known)}",
            ErrorKind.UNKNOWN,
            class_name,
        )
    image_class = classes[class_name]
    if not image_class.images:
        takes = ", ".join(f"{key}: {kind}" for key, kind in image_class.inputs.items())
        raise UsageError(
            f"torchmetrics:{name} takes ({takes}), not single images. {_SUPPORTED}.", ErrorKind.INVALID, "metric"
        )
    texts = dict(given)
    against = _against(name, image_class, texts.pop("against", None))
    options = {key: _literal(text) for key, text in texts.items()}
    if unknown := set(options) - set(image_class.options):
        option = min(unknown)
        suggestion = did_you_mean(option, [*image_class.options, "against"])
        raise UsageError(f"torchmetrics:{name} has no parameter {option!r}.{suggestion}", ErrorKind.UNKNOWN, option)
    told = image_class.told
    changed = {key: value for key, value in options.items() if key not in told or told[key] != value}
    if against not in (None, "target"):
        changed["against"] = against
    return TorchImageMetric(image_class, against, {**told, **options}), changed


def image_classes() -> dict[str, ImageClass]:
    """Every metric class of the installed ``torchmetrics.image``, read from its source.

    Raises:
        UsageError: torchmetrics is not installed.
    """
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            "torchmetrics is not installed; install it with: pip install torchmetrics",
            ErrorKind.MISSING,
            "torchmetrics",
        )
    folder = Path(spec.submodule_search_locations[0]) / "image"
    found = {}
    for path in sorted(folder.glob("[!_]*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and (described := _describe(node, f"torchmetrics.image.{path.stem}")):
                found[node.name] = described
    return found


def _describe(node: ast.ClassDef, module: str) -> ImageClass | None:
    functions = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    if "update" not in functions or node.name.startswith("_"):
        return None
    options = _parameters(functions["__init__"]) if "__init__" in functions else {}
    inputs = _parameters(functions["update"])
    return ImageClass(node.name, module, inputs, options, _class_constant(node, "higher_is_better"))


def _parameters(function: ast.FunctionDef) -> dict[str, str]:
    """Parameters after ``self``, with their annotations as text."""
    arguments = [*function.args.args[1:], *function.args.kwonlyargs]
    return {each.arg: ast.unparse(each.annotation) if each.annotation else "" for each in arguments}


def _class_constant(node: ast.ClassDef, name: str) -> bool | None:
    for item in node.body:
        targets = [item.target] if isinstance(item, ast.AnnAssign) else getattr(item, "targets", [])
        value = getattr(item, "value", None)
        if isinstance(value, ast.Constant) and any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return cast("bool | None", value.value)
    return None


def _against(name: str, image_class: ImageClass, text: str | None) -> Against | None:
    if image_class.images == 1:
        if text is not None:
            raise UsageError(
                f"torchmetrics:{name} scores one image: it takes no `against`.", ErrorKind.CONFLICT, "against"
            )
        return None
    against = text or "target"
    if against not in get_args(Against):
        raise UsageError(
            f"torchmetrics:{name}: against={against}.{did_you_mean(against, get_args(Against))}",
            ErrorKind.INVALID,
            "against",
        )
    return cast("Against", against)


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _to_tensor(frame: Frames, device: torch.device) -> torch.Tensor:
    import torch

    return torch.from_numpy(frame.copy()).permute(2, 0, 1).to(device)

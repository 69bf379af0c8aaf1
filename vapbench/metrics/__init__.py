"""Metrics: one file each, found by name, imported when used.

Nothing in this package imports torch, OpenCV or a model library before a metric's ``setup``: planning a run,
and finding out that it is finished, stay instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from vapbench.core.registry import Registry, Spec, defaults, load_attribute, load_module, parameters, plain
from vapbench.errors import ErrorKind, UsageError, blaming
from vapbench.metrics.base import Change, Metric, Need, shown

REGISTRY = Registry(
    "metric",
    {
        "text_alignment[clip]": "vapbench.metrics.text_alignment:ClipTextAlignment",
        "text_alignment[viclip]": "vapbench.metrics.viclip_alignment:ViClipTextAlignment",
        "aesthetic_quality": "vapbench.metrics.aesthetic_quality:AestheticQuality",
        "dynamic_degree[raft]": "vapbench.metrics.dynamic_degree:RaftDynamicDegree",
        "dynamic_degree[dis]": "vapbench.metrics.dynamic_degree:DisDynamicDegree",
        "motion_smoothness[amt]": "vapbench.metrics.motion_smoothness:AmtMotionSmoothness",
        "motion_smoothness[warp]": "vapbench.metrics.motion_smoothness:WarpMotionSmoothness",
        "temporal_flickering": "vapbench.metrics.temporal_flickering:TemporalFlickering",
        "first_frame_psnr": "vapbench.metrics.first_frame_psnr:FirstFramePsnr",
        "camera_agreement": "vapbench.metrics.camera_agreement:CameraAgreement",
        "motion_agreement": "vapbench.metrics.motion_agreement:MotionAgreement",
        "style_agreement": "vapbench.metrics.style_agreement:StyleAgreement",
        "reference_leakage[pixels]": "vapbench.metrics.reference_leakage:PixelReferenceLeakage",
        "semantic_alignment[embedding]": "vapbench.metrics.semantic_embedding:EmbeddingSemanticAlignment",
        "semantic_alignment[parameters]": "vapbench.metrics.semantic_parameters:ParameterSemanticAlignment",
        "text_alignment[mini-clip]": "vapbench.metrics.mini:MiniTextAlignment",
        "aesthetic_quality[mini]": "vapbench.metrics.mini:MiniAestheticQuality",
        "semantic_alignment[judge]": "vapbench.metrics.judge.endpoint:SemanticAlignmentJudge",
        "semantic_alignment[local]": "vapbench.metrics.judge.local:SemanticAlignmentLocal",
        "subject_consistency": "vapbench.metrics.consistency:SubjectConsistency",
        "background_consistency": "vapbench.metrics.consistency:BackgroundConsistency",
        "i2v_subject": "vapbench.metrics.i2v_subject:I2vSubject",
        "reference_leakage": "vapbench.metrics.reference_leakage:ReferenceLeakage",
    },
)

_TORCHMETRICS = "torchmetrics:"


def resolve(text: str) -> tuple[Metric, dict[str, Any]]:
    """Turn what was written on the command line into a metric and the parameters that set it apart.

    Args:
        text: ``name[variant]``, ``name`` (its first variant), ``my.py:MyMetric`` or
            ``torchmetrics:image.Class``, each with ``:key=value,key=value`` after it where needed.

    Returns:
        The metric, not set up, and what sets its column apart, ready for JSON: every parameter whose value is not
        its default, or what the metric says itself (``identity``).

    Raises:
        UsageError: nothing has the name, or a parameter is unknown, missing or unusable.
        PluginError: a plug-in cannot be imported or made.
        VapbenchError: it is no metric.
    """
    spec = Spec.parse(text)
    if spec.name.startswith(_TORCHMETRICS):
        from vapbench.metrics.from_torchmetrics import build

        return build(spec.name.removeprefix(_TORCHMETRICS), spec.parameters)
    if spec.name.endswith((".py", ".py:")):
        raise UsageError(
            f"{spec.name}: say which class of the file is the metric: {spec.name.rstrip(':')}:MyMetric",
            ErrorKind.MISSING,
            "metric",
        )
    file, _, attribute = spec.name.rpartition(":")
    if file.endswith(".py"):
        metric, changed = _build(load_attribute(load_module(Path(file)), attribute, file), spec, file)
        if metric.name in {entry.name for entry in REGISTRY}:
            raise UsageError(
                f"{spec.name}: the name {metric.name!r} is taken; give the class another one.",
                ErrorKind.CONFLICT,
                "name",
            )
        return metric, changed
    from vapbench.metrics.sets import REGISTRY as SETS

    if spec.name in {entry.name for entry in SETS}:
        raise UsageError(
            f"{spec.name} is of a whole run, not of a video: vapbench score RUN --metric {text}",
            ErrorKind.CONFLICT,
            "metric",
        )
    entry = REGISTRY.find(_with_variant(spec.name))
    return _build(entry.load(), spec, entry.origin)


def _with_variant(name: str) -> str:
    names = [entry.name for entry in REGISTRY]
    return name if name in names else next((known for known in names if known.startswith(f"{name}[")), name)


def _build(cls: type[Any], spec: Spec, origin: str) -> tuple[Metric, dict[str, Any]]:
    if not (isinstance(cls, type) and issubclass(cls, Metric)):
        raise UsageError(
            f"{spec.name} ({origin}) is no metric: derive its class from vapbench.Metric.", ErrorKind.INVALID, "metric"
        )
    values = parameters(cls, spec)
    with blaming(f"{spec.name} ({origin}) cannot be made"):
        metric = cls(**values)
    _refuse_unfit(metric, f"{spec.name} ({origin})")
    if strange := set(metric.needs) - set(get_args(Need)):
        raise UsageError(
            f"{spec.name}: needs {min(strange)!r}; it may need {', '.join(get_args(Need))}.", ErrorKind.UNKNOWN, "needs"
        )
    if unknown := set(metric.invariant_to) - set(get_args(Change)):
        raise UsageError(
            f"{spec.name}: invariant_to {min(unknown)!r}; the edits are {', '.join(get_args(Change))}.",
            ErrorKind.UNKNOWN,
            "invariant_to",
        )
    with blaming(f"{spec.name} ({origin}) does not say what sets it apart (identity)"):
        identity = metric.identity()
    if identity is not None:
        return metric, plain(identity)
    usual = defaults(cls, {}, spec.name)
    return metric, plain({name: value for name, value in values.items() if name not in usual or usual[name] != value})


def _refuse_unfit(metric: Metric, who: str) -> None:
    """Refuse what a class says of itself that a manifest or a row could not hold."""
    from pydantic import ValidationError

    from vapbench.results.manifest import ColumnDisplay

    if type(metric.version) is not int or metric.version < 0:
        raise UsageError(
            f"{who}: version is {metric.version!r}: it must be a whole number.", ErrorKind.INVALID, "version"
        )
    for field in ("needs", "invariant_to"):
        if isinstance(getattr(metric, field), str):
            text = f"{who}: {field} is a text; write a set: {{{getattr(metric, field)!r}}}."
            raise UsageError(text, ErrorKind.INVALID, field)
    try:
        ColumnDisplay.model_validate(shown(metric))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        reason = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise UsageError(
            f"{who}: {field} is {getattr(metric, field)!r}: {reason}.", ErrorKind.INVALID, field
        ) from error

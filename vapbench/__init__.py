"""vapbench: benchmark and evaluation harness for semantic-controlled video generation.

The public API is what this module exports; names are imported when they are first used, so that ``import vapbench``
and ``vapbench --help`` stay instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "run": "vapbench.api",
    "score": "vapbench.api",
    "probe": "vapbench.api",
    "metric": "vapbench.api",
    "load_run": "vapbench.report.runs",
    "load_runs": "vapbench.report.runs",
    "table": "vapbench.api",
    "compare": "vapbench.api",
    "list_methods": "vapbench.api",
    "list_metrics": "vapbench.api",
    "list_tasks": "vapbench.api",
    "Run": "vapbench.report.runs",
    "Runs": "vapbench.report.runs",
    "Table": "vapbench.report.tabulate",
    "Comparison": "vapbench.report.tabulate",
    "ProbeResult": "vapbench.validation.probe.outcome",
    "ClipMetric": "vapbench.running.clip_metric",
    "Adapter": "vapbench.methods.lora_files",
    "find_adapter": "vapbench.methods.lora_files",
    "fingerprint": "vapbench.methods.lora_files",
    "training_command": "vapbench.methods.lora_files",
    "Layer": "vapbench.methods.lora_forms",
    "put_on": "vapbench.methods.lora_put_on",
    "BatchMetric": "vapbench.metrics.base",
    "Case": "vapbench.core.case",
    "Clip": "vapbench.core.clip",
    "ClipSpec": "vapbench.core.case",
    "ClipView": "vapbench.metrics.view",
    "DataError": "vapbench.errors",
    "ErrorKind": "vapbench.errors",
    "DepthEstimator": "vapbench.methods.estimators",
    "FlowEstimator": "vapbench.methods.estimators",
    "Media": "vapbench.core.case",
    "Method": "vapbench.methods.base",
    "Metric": "vapbench.metrics.base",
    "PaidMetric": "vapbench.metrics.base",
    "NotApplicable": "vapbench.errors",
    "Note": "vapbench.results.rows",
    "PipelineMethod": "vapbench.methods.pipelines",
    "Reference": "vapbench.core.case",
    "Score": "vapbench.metrics.base",
    "TooManyFailures": "vapbench.errors",
    "UsageError": "vapbench.errors",
    "VapbenchError": "vapbench.errors",
    "WeightsError": "vapbench.errors",
    "checkpoint_folder": "vapbench.checkpoints.folder",
    "checkpoint_identity": "vapbench.checkpoints.folder",
    "depth_to_rgb": "vapbench.core.control",
    "linspace_indices": "vapbench.core.clip",
    "resize_clip": "vapbench.core.clip",
    "flow_to_rgb": "vapbench.core.control",
    "load_upstream_pipeline": "vapbench.methods.pipelines",
    "local_folder": "vapbench.checkpoints.folder",
    "plain_caption": "vapbench.suites.mini.oracle",
    "read_video": "vapbench.core.video",
    "rendered_depth": "vapbench.suites.mini.oracle",
    "rendered_flow": "vapbench.suites.mini.oracle",
    "renderer_version": "vapbench.suites.mini.oracle",
    "unit_depth": "vapbench.core.control",
    "write_video": "vapbench.core.video",
}
__all__ = sorted([*_EXPORTS, "__version__"])

if TYPE_CHECKING:
    from vapbench.api import compare as compare
    from vapbench.api import list_methods as list_methods
    from vapbench.api import list_metrics as list_metrics
    from vapbench.api import list_tasks as list_tasks
    from vapbench.api import metric as metric
    from vapbench.api import probe as probe
    from vapbench.api import run as run
    from vapbench.api import score as score
    from vapbench.api import table as table
    from vapbench.checkpoints.folder import checkpoint_folder as checkpoint_folder
    from vapbench.checkpoints.folder import checkpoint_identity as checkpoint_identity
    from vapbench.checkpoints.folder import local_folder as local_folder
    from vapbench.core.case import Case as Case
    from vapbench.core.case import ClipSpec as ClipSpec
    from vapbench.core.case import Media as Media
    from vapbench.core.case import Reference as Reference
    from vapbench.core.clip import Clip as Clip
    from vapbench.core.clip import linspace_indices as linspace_indices
    from vapbench.core.clip import resize_clip as resize_clip
    from vapbench.core.control import depth_to_rgb as depth_to_rgb
    from vapbench.core.control import flow_to_rgb as flow_to_rgb
    from vapbench.core.control import unit_depth as unit_depth
    from vapbench.core.video import read_video as read_video
    from vapbench.core.video import write_video as write_video
    from vapbench.errors import DataError as DataError
    from vapbench.errors import ErrorKind as ErrorKind
    from vapbench.errors import NotApplicable as NotApplicable
    from vapbench.errors import TooManyFailures as TooManyFailures
    from vapbench.errors import UsageError as UsageError
    from vapbench.errors import VapbenchError as VapbenchError
    from vapbench.errors import WeightsError as WeightsError
    from vapbench.methods.base import Method as Method
    from vapbench.methods.estimators import DepthEstimator as DepthEstimator
    from vapbench.methods.estimators import FlowEstimator as FlowEstimator
    from vapbench.methods.lora_files import Adapter as Adapter
    from vapbench.methods.lora_files import find_adapter as find_adapter
    from vapbench.methods.lora_files import fingerprint as fingerprint
    from vapbench.methods.lora_files import training_command as training_command
    from vapbench.methods.lora_forms import Layer as Layer
    from vapbench.methods.lora_put_on import put_on as put_on
    from vapbench.methods.pipelines import PipelineMethod as PipelineMethod
    from vapbench.methods.pipelines import load_upstream_pipeline as load_upstream_pipeline
    from vapbench.metrics.base import BatchMetric as BatchMetric
    from vapbench.metrics.base import Metric as Metric
    from vapbench.metrics.base import PaidMetric as PaidMetric
    from vapbench.metrics.base import Score as Score
    from vapbench.metrics.view import ClipView as ClipView
    from vapbench.report.runs import Run as Run
    from vapbench.report.runs import Runs as Runs
    from vapbench.report.runs import load_run as load_run
    from vapbench.report.runs import load_runs as load_runs
    from vapbench.report.tabulate import Comparison as Comparison
    from vapbench.report.tabulate import Table as Table
    from vapbench.results.rows import Note as Note
    from vapbench.running.clip_metric import ClipMetric as ClipMetric
    from vapbench.suites.mini.oracle import plain_caption as plain_caption
    from vapbench.suites.mini.oracle import rendered_depth as rendered_depth
    from vapbench.suites.mini.oracle import rendered_flow as rendered_flow
    from vapbench.suites.mini.oracle import renderer_version as renderer_version
    from vapbench.validation.probe.outcome import ProbeResult as ProbeResult


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'vapbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)

"""vapbench: benchmark and evaluation harness for semantic-controlled video generation.

The public API is what this module exports; names are imported when they are first used, so that ``import vapbench``
and ``vapbench --help`` stay instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Adapter": "vapbench.methods.adapters",
    "find_adapter": "vapbench.methods.adapters",
    "fingerprint": "vapbench.methods.adapters",
    "training_command": "vapbench.methods.adapters",
    "Case": "vapbench.cases",
    "Clip": "vapbench.clip",
    "ClipSpec": "vapbench.cases",
    "ClipView": "vapbench.metrics.view",
    "DataError": "vapbench.errors",
    "DepthEstimator": "vapbench.methods.estimators",
    "FlowEstimator": "vapbench.methods.estimators",
    "Media": "vapbench.cases",
    "Method": "vapbench.methods.base",
    "Metric": "vapbench.metrics.base",
    "NotApplicable": "vapbench.errors",
    "PipelineMethod": "vapbench.methods.pipelines",
    "Reference": "vapbench.cases",
    "Score": "vapbench.metrics.base",
    "UsageError": "vapbench.errors",
    "VapbenchError": "vapbench.errors",
    "WeightsError": "vapbench.errors",
    "checkpoint_folder": "vapbench.methods.checkpoints",
    "checkpoint_identity": "vapbench.methods.checkpoints",
    "depth_to_rgb": "vapbench.control",
    "evenly": "vapbench.clip",
    "fit": "vapbench.clip",
    "flow_to_rgb": "vapbench.control",
    "load_upstream_pipeline": "vapbench.methods.pipelines",
    "local_folder": "vapbench.methods.checkpoints",
    "plain_caption": "vapbench.suites.mini.oracle",
    "read_video": "vapbench.video",
    "rendered_depth": "vapbench.suites.mini.oracle",
    "rendered_flow": "vapbench.suites.mini.oracle",
    "renderer_version": "vapbench.suites.mini.oracle",
    "unit_depth": "vapbench.control",
    "write_video": "vapbench.video",
}
__all__ = sorted([*_EXPORTS, "__version__"])

if TYPE_CHECKING:
    from vapbench.cases import Case as Case
    from vapbench.cases import ClipSpec as ClipSpec
    from vapbench.cases import Media as Media
    from vapbench.cases import Reference as Reference
    from vapbench.clip import Clip as Clip
    from vapbench.clip import evenly as evenly
    from vapbench.clip import fit as fit
    from vapbench.control import depth_to_rgb as depth_to_rgb
    from vapbench.control import flow_to_rgb as flow_to_rgb
    from vapbench.control import unit_depth as unit_depth
    from vapbench.errors import DataError as DataError
    from vapbench.errors import NotApplicable as NotApplicable
    from vapbench.errors import UsageError as UsageError
    from vapbench.errors import VapbenchError as VapbenchError
    from vapbench.errors import WeightsError as WeightsError
    from vapbench.methods.adapters import Adapter as Adapter
    from vapbench.methods.adapters import find_adapter as find_adapter
    from vapbench.methods.adapters import fingerprint as fingerprint
    from vapbench.methods.adapters import training_command as training_command
    from vapbench.methods.base import Method as Method
    from vapbench.methods.checkpoints import checkpoint_folder as checkpoint_folder
    from vapbench.methods.checkpoints import checkpoint_identity as checkpoint_identity
    from vapbench.methods.checkpoints import local_folder as local_folder
    from vapbench.methods.estimators import DepthEstimator as DepthEstimator
    from vapbench.methods.estimators import FlowEstimator as FlowEstimator
    from vapbench.methods.pipelines import PipelineMethod as PipelineMethod
    from vapbench.methods.pipelines import load_upstream_pipeline as load_upstream_pipeline
    from vapbench.metrics.base import Metric as Metric
    from vapbench.metrics.base import Score as Score
    from vapbench.metrics.view import ClipView as ClipView
    from vapbench.suites.mini.oracle import plain_caption as plain_caption
    from vapbench.suites.mini.oracle import rendered_depth as rendered_depth
    from vapbench.suites.mini.oracle import rendered_flow as rendered_flow
    from vapbench.suites.mini.oracle import renderer_version as renderer_version
    from vapbench.video import read_video as read_video
    from vapbench.video import write_video as write_video


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'vapbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)

"""vapbench: benchmark and evaluation harness for semantic-controlled video generation.

The public API is what this module exports; names are imported when they are first used, so that ``import vapbench``
and ``vapbench --help`` stay instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Case": "vapbench.cases",
    "Clip": "vapbench.clip",
    "ClipSpec": "vapbench.cases",
    "ClipView": "vapbench.metrics.view",
    "Media": "vapbench.cases",
    "Method": "vapbench.methods.base",
    "Metric": "vapbench.metrics.base",
    "NotApplicable": "vapbench.errors",
    "Reference": "vapbench.cases",
    "Score": "vapbench.metrics.base",
    "VapbenchError": "vapbench.errors",
    "depth_to_rgb": "vapbench.control",
    "evenly": "vapbench.clip",
    "fit": "vapbench.clip",
    "flow_to_rgb": "vapbench.control",
    "read_video": "vapbench.video",
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
    from vapbench.errors import NotApplicable as NotApplicable
    from vapbench.errors import VapbenchError as VapbenchError
    from vapbench.methods.base import Method as Method
    from vapbench.metrics.base import Metric as Metric
    from vapbench.metrics.base import Score as Score
    from vapbench.metrics.view import ClipView as ClipView
    from vapbench.video import read_video as read_video
    from vapbench.video import write_video as write_video


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'vapbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)

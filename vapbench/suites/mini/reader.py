"""The mini suite as cases: rendered once into the cache, then read like any copy of VAP-Data."""

from __future__ import annotations

from vapbench.core.case import Case, ClipSpec
from vapbench.files.atomic import cache_folder
from vapbench.suites import vap_data
from vapbench.suites.mini.writer import DATA_VERSION, write_vap_data


def load(clip: ClipSpec) -> list[Case]:
    """Read the benchmark and zero-shot cases, rendering their videos first where they are not in the cache."""
    folder = cache_folder() / f"mini-{DATA_VERSION}"
    write_vap_data(folder)
    return vap_data.load(folder, clip)

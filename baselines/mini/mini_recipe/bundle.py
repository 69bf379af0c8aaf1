"""What ships of a training: the folders that methods and metrics of the mini suite load, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from vapbench.files.atomic import TEMPORARY

BUNDLED = ("vap", "lora", "vace", "image_text", "quality", "semantic")
"""Folders of a training's output that ship; the base of ``i2v`` and ``lora`` lies within ``vap``."""


def bundle(output: Path) -> float:
    """Copy what ships from ``output`` to ``output/bundle``, without pictures.

    Returns:
        The size of the copy in MB (10^6 bytes).
    """
    target = output / "bundle"
    temporary = target.with_name(f"{TEMPORARY}{target.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    for name in BUNDLED:
        shutil.copytree(output / name, temporary / name, ignore=shutil.ignore_patterns("*.png"))
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / 1e6

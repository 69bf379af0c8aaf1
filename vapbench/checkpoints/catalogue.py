"""Weights of the metrics: which there are, where they lie on this machine, and what they may be used for.

Looking never touches the network; :mod:`vapbench.checkpoints.fetching` downloads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vapbench.errors import ErrorKind, NotApplicable, UsageError, did_you_mean
from vapbench.files.atomic import cache_folder, chosen_cache, expand


@dataclass(frozen=True)
class MetricWeights:
    """One file that a metric loads."""

    name: str
    """What ``vapbench data weights fetch`` takes."""
    file: str
    """File name in the weights folder."""
    source: str
    """``https://…``, or ``hf://owner/repository/file`` on the model hub."""
    megabytes: float
    """Approximate size of the download."""
    licence: str
    used_by: str
    """The metrics that load it."""
    sha256_prefix: str = ""
    """Leading digits of the SHA-256, where the publisher states them."""

    @property
    def size(self) -> str:
        """Size of the download, for people."""
        return f"{self.megabytes:,.0f} MB" if self.megabytes >= 1 else "under 1 MB"

    @property
    def address(self) -> str:
        """Where a browser finds the file."""
        if not self.source.startswith("hf://"):
            return self.source
        owner, repository, file = self.source.removeprefix("hf://").split("/", 2)
        return f"https://huggingface.co/{owner}/{repository}/resolve/main/{file}"


CATALOGUE: Mapping[str, MetricWeights] = {
    weights.name: weights
    for weights in (
        MetricWeights(
            name="clip-vit-l-14",
            file="clip-vit-l-14-openai.safetensors",
            source="hf://timm/vit_large_patch14_clip_224.openai/open_clip_model.safetensors",
            megabytes=1711,
            licence="MIT (OpenAI CLIP)",
            used_by="text_alignment[clip], aesthetic_quality",
        ),
        MetricWeights(
            name="clip-vit-b-32",
            file="clip-vit-b-32-openai.safetensors",
            source="hf://timm/vit_base_patch32_clip_224.openai/open_clip_model.safetensors",
            megabytes=605,
            licence="MIT (OpenAI CLIP)",
            used_by="background_consistency, text_alignment[clip]:model=ViT-B-32",
        ),
        MetricWeights(
            name="laion-aesthetic",
            file="sa_0_4_vit_l_14_linear.pth",
            source="https://github.com/LAION-AI/aesthetic-predictor/raw/main/sa_0_4_vit_l_14_linear.pth",
            megabytes=0.004,
            licence="MIT (LAION aesthetic predictor)",
            used_by="aesthetic_quality",
        ),
        MetricWeights(
            name="raft-large",
            file="raft_large_C_T_V1-22a6c225.pth",
            source="https://download.pytorch.org/models/raft_large_C_T_V1-22a6c225.pth",
            megabytes=21.1,
            licence="BSD-3-Clause (RAFT, torchvision)",
            used_by="dynamic_degree[raft]",
            sha256_prefix="22a6c225",
        ),
        MetricWeights(
            name="amt-s",
            file="amt-s.pth",
            source="hf://lalala125/AMT/amt-s.pth",
            megabytes=12,
            licence="CC BY-NC 4.0 (AMT): not for commercial use",
            used_by="motion_smoothness[amt]",
        ),
        MetricWeights(
            name="viclip-l-14",
            file="ViClip-InternVid-10M-FLT.pth",
            source="hf://OpenGVLab/VBench_Used_Models/ViClip-InternVid-10M-FLT.pth",
            megabytes=1711,
            licence="Apache-2.0 (InternVideo); trained on InternVid, whose annotations are CC BY-NC-SA 4.0",
            used_by="text_alignment[viclip]",
        ),
        MetricWeights(
            name="dino-vit-b-16",
            file="dino_vitbase16_pretrain.pth",
            source="https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
            megabytes=343,
            licence="Apache-2.0 (DINO)",
            used_by="subject_consistency, i2v_subject, reference_leakage",
        ),
    )
}


def find(name: str) -> MetricWeights:
    """Look an entry of the catalogue up.

    Raises:
        UsageError: there is none of that name (with a suggestion).
    """
    if name not in CATALOGUE:
        raise UsageError(f"Unknown weights {name!r}.{did_you_mean(name, CATALOGUE)}", ErrorKind.UNKNOWN, "weights")
    return CATALOGUE[name]


def folders() -> tuple[Path, ...]:
    """Where weights are looked for: ``$VAPBENCH_WEIGHTS``, then ``weights`` in the cache folder.

    A cache that can only be read comes last.
    """
    override = os.environ.get("VAPBENCH_WEIGHTS")
    first = [expand(override)] if override else []
    return tuple(dict.fromkeys([*first, cache_folder() / "weights", chosen_cache() / "weights"]))


def locate(name: str) -> Path | None:
    """Path of the file on this machine, or None.

    Raises:
        UsageError: the name is not in the catalogue.
    """
    file = find(name).file
    return next((folder / file for folder in folders() if (folder / file).is_file()), None)


def absent_of(metric: str, params: Mapping[str, Any]) -> list[str]:
    """Names of the catalogue's files that a column loads and that are not on this machine.

    Args:
        metric: the metric's name.
        params: its changed parameters; whoever gives files of their own is asked nothing.
    """
    if {"weights", "head"} & set(params):
        return []
    wanted = f"{metric}:model={params['model']}" if "model" in params else metric
    return [name for name, item in CATALOGUE.items() if wanted in item.used_by.split(", ") and locate(name) is None]


def require(name: str) -> Path:
    """Path of the file on this machine.

    Raises:
        NotApplicable: it is absent; the message says which command fetches it.
    """
    path = locate(name)
    if path is None:
        raise NotApplicable(
            f"the weights {name} are not on this machine; fetch them with: vapbench data weights fetch {name}",
            ErrorKind.MISSING,
            "weights",
        )
    return path

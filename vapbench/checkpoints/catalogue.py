"""Weights of the metrics: where they come from, where they lie, and what they may be used for.

Looking never touches the network: :func:`locate` and :func:`verify` read the disk, :func:`fetch` alone
downloads. The first download of a file is trusted and its SHA-256 kept in ``weights.lock.json`` beside it;
every later one must match.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vapbench.errors import ErrorKind, NotApplicable, UsageError, WeightsError, did_you_mean, first_line
from vapbench.files.atomic import TEMPORARY, atomic_path, cache_folder, chosen_cache, expand, file_sha256, write_json
from vapbench.files.download import Progress, download, proxy_note
from vapbench.files.parsing import parse_json

if TYPE_CHECKING:
    import torch

LOCK_FILE = "weights.lock.json"
_STATE_DICTS = ("state_dict", "model_state_dict", "model", "module")
"""Where trainers keep a state dict: plainly, under PyTorch's customary names, under DeepSpeed's."""
_WRAPPERS = ("_orig_mod.", "module.")
"""What compiling and training on several devices put before every name."""
_SAVE_ANEW = "where its publisher is trusted, save its state dict as safetensors, and give that file as weights="


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


@dataclass(frozen=True)
class WeightsStatus:
    """What the disk says of one entry of the catalogue."""

    weights: MetricWeights
    path: Path | None
    """Where the file lies, None if it is absent."""
    state: Literal["absent", "ok", "recorded", "changed"]
    """``recorded``: its hash was unknown and is now kept; ``changed``: it differs from the hash that was
    kept."""


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


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """Download the file into the first of :func:`folders`, unless it is on this machine and what it was.

    The file appears whole or not at all, and only if its hash is the one that the catalogue or an earlier
    download gave it. A download that breaks off is completed by the next call.

    Args:
        name: an entry of the catalogue.
        progress: called while bytes arrive; the model hub's client shows its own bar instead.

    Raises:
        UsageError: the name is not in the catalogue.
        WeightsError: the download fails or is forbidden (:func:`offline`), or the content is not what it was the
            first time.
    """
    weights, present, folder = find(name), locate(name), folders()[0]
    if present is not None and file_sha256(present).startswith(_known_sha256(weights, present.parent)):
        return present
    path = folder / weights.file
    if offline():
        raise WeightsError(
            f"{name}: not fetched, because HF_HUB_OFFLINE is set; unset it, or copy {weights.address} to {path}.",
            ErrorKind.UNREACHABLE,
            "weights",
        )
    try:
        with atomic_path(path) as temporary:
            _download(weights, temporary, progress)
            sha256 = _expected_sha256(weights, folder, temporary)
    except OSError as error:
        reason = str(error) or type(error).__name__
        raise WeightsError(
            f"{name}: {weights.address}: {reason}; try again, or put the file at {path}.",
            ErrorKind.UNREACHABLE,
            "weights",
        ) from error
    _record(folder, weights, sha256)
    return path


def offline() -> bool:
    """Whether nothing may be downloaded: ``HF_HUB_OFFLINE`` (the model hub's own switch) is set."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def verify(name: str) -> WeightsStatus:
    """Compare the file with the hash kept at its first use; keep the hash if there was none.

    Raises:
        UsageError: the name is not in the catalogue.
    """
    weights = find(name)
    path = locate(name)
    if path is None:
        return WeightsStatus(weights, None, "absent")
    sha256 = file_sha256(path)
    if not sha256.startswith(_known_sha256(weights, path.parent)):
        return WeightsStatus(weights, path, "changed")
    if weights.name in _read_lock(path.parent):
        return WeightsStatus(weights, path, "ok")
    _record(path.parent, weights, sha256)
    return WeightsStatus(weights, path, "recorded")


def load_tensors(path: Path, *, numpy_values: bool = False) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint: safetensors, or a state dict saved by torch.

    A state dict may lie under one of :data:`_STATE_DICTS` beside other plain values (step counters, optimiser state),
    which are left out, and its names may begin with those of :data:`_WRAPPERS`, as when a model was trained on several
    devices. What is no tensor or plain value is never loaded.

    Args:
        path: the file.
        numpy_values: whether numpy's numbers and arrays of numbers may lie beside the state dict, as trainers that
            compute their learning rate with numpy leave them.

    Returns:
        Tensors on the CPU, by name.

    Raises:
        WeightsError: the file is missing, damaged, or holds more than tensors.
    """
    import torch

    if not path.is_file():
        raise WeightsError(f"{path}: no such checkpoint; check the path.", ErrorKind.MISSING, "weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(_numpy_values() if numpy_values else []):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path}: not a readable checkpoint: {unreadable(error)}", ErrorKind.DAMAGED, "weights"
        ) from error
    while isinstance(loaded, dict) and (inner := [key for key in _STATE_DICTS if isinstance(loaded.get(key), dict)]):
        loaded = loaded[inner[0]]
    flat = isinstance(loaded, dict) and all(isinstance(value, torch.Tensor) for value in loaded.values())
    if not flat or not loaded:
        raise WeightsError(
            f"{path}: expected a flat dictionary of tensors; save its state dict as safetensors.",
            ErrorKind.INVALID,
            "weights",
        )
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in loaded):
            loaded = {name.removeprefix(prefix): tensor for name, tensor in loaded.items()}
    return dict(loaded)


def unreadable(error: Exception) -> str:
    """Why torch refused a file, and what to do: its own messages advise to run what the file holds."""
    text = str(error)
    if "TorchScript" in text:
        return f"it is a TorchScript archive, a program, and no program is run here; {_SAVE_ANEW}"
    if held := re.search(r"GLOBAL (\w[\w.]{0,100})", text):
        return f"beside tensors it holds {held[1]}, and only tensors and plain values are loaded; {_SAVE_ANEW}"
    return f"it is damaged or of another format ({type(error).__name__}); fetch it again."


def _numpy_values() -> list[Any]:
    """What torch needs to be allowed for numpy's numbers and arrays of them, under numpy 1's names and numpy 2's."""
    import numpy as np

    makers: list[Any] = [np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]]
    named = [(maker, f"numpy.{core}.multiarray.{maker.__name__}") for maker in makers for core in ("core", "_core")]
    return [*named, np.ndarray, np.dtype, *{type(np.dtype(code)) for code in "?bhilqBHILQefd"}]


def _download(weights: MetricWeights, destination: Path, progress: Progress | None) -> None:
    if weights.source.startswith("hf://"):
        _download_from_hub(weights.source, destination)
    else:
        _download_url(weights.source, destination, weights.file, progress)


def _download_from_hub(source: str, destination: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import ENDPOINT

    owner, repository, file = source.removeprefix("hf://").split("/", 2)
    # Kept when the download fails: the client resumes from what is there.
    staging = destination.parent / f"{TEMPORARY}{owner}--{repository}"
    try:
        downloaded = hf_hub_download(f"{owner}/{repository}", file, local_dir=staging)
    except Exception as error:
        # The client lets its libraries' errors through: of httpx, of a proxy's address, ….
        raise OSError(f"{first_line(error)}{proxy_note(ENDPOINT)}") from error
    Path(downloaded).replace(destination)
    shutil.rmtree(staging)


def _download_url(source: str, destination: Path, name: str, progress: Progress | None) -> None:
    # Kept when the download fails, under a name that nothing looks for: the next call goes on from there.
    staging = destination.parent / f"{TEMPORARY}{name}"
    download(source, staging, progress)
    staging.replace(destination)


def _expected_sha256(weights: MetricWeights, folder: Path, path: Path) -> str:
    sha256 = file_sha256(path)
    expected = _known_sha256(weights, folder)
    if not sha256.startswith(expected):
        raise WeightsError(
            f"{weights.name}: {weights.source} has SHA-256 {sha256[:12]}…, expected {expected[:12]}…; if its "
            f"publisher replaced it on purpose, remove its entry from {folder / LOCK_FILE}.",
            ErrorKind.CONFLICT,
            "sha256",
        )
    return sha256


def _known_sha256(weights: MetricWeights, folder: Path) -> str:
    """What the hash must begin with: all of it after the first download, before it what the publisher states."""
    entry = _read_lock(folder).get(weights.name)
    return str(entry["sha256"]) if entry else weights.sha256_prefix


def _read_lock(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / LOCK_FILE
    if not path.is_file():
        return {}
    try:
        lock: dict[str, dict[str, Any]] = parse_json(path.read_text(encoding="utf-8"))
        if all(isinstance(entry["sha256"], str) for entry in lock.values()):
            return lock
        reason = "a hash is no text"
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        reason = str(error)
    raise WeightsError(
        f"{path} holds no hashes of weights ({reason}); repair or remove it.", ErrorKind.DAMAGED, path.name
    )


def _record(folder: Path, weights: MetricWeights, sha256: str) -> None:
    entry = {
        "file": weights.file,
        "sha256": sha256,
        "source": weights.source,
        "licence": weights.licence,
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(folder / LOCK_FILE, {**_read_lock(folder), weights.name: entry})

"""Checkpoints by local path, hub id or name of bundled weights: where they are, and what identifies them."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from vapbench.errors import ErrorKind, WeightsError, first_line
from vapbench.files.atomic import content_sha256, expand
from vapbench.files.download import proxy_note
from vapbench.files.resources import bundled_weights

BUNDLED = "vapbench:"
"""What names of weights that come with vapbench begin with: ``vapbench:mini/vap``."""
_NEEDED = ["*.json", "*.safetensors", "*.model", "*.txt"]


def checkpoint_identity(
    weights: str | PathLike[str], revision: str | None, parameter: str = "weights"
) -> dict[str, Any]:
    """What a checkpoint is: the hash of a folder's content, or repository and commit of a hub id.

    Args:
        weights: folder, hub id, or name of bundled weights.
        revision: of the hub's repository.
        parameter: the method's parameter that names it, for what an error says to do.

    Raises:
        WeightsError: the folder is missing, or the hub cannot say which commit the revision is.
    """
    weights = fspath(weights)
    if folder := _local(weights):
        return {"sha256": content_sha256(folder)}
    if snapshot := _cached_snapshot(weights, revision):
        return {"repository": weights, "commit": snapshot.name}
    return {"repository": weights, "commit": _commit(weights, revision, parameter)}


def checkpoint_folder(weights: str | PathLike[str], revision: str | None, parameter: str = "weights") -> Path:
    """The checkpoint's folder, downloaded if it is not on this machine; arguments as of :func:`checkpoint_identity`.

    Of a hub id that is here, the commit that is here, which :func:`checkpoint_identity` told, though the branch may
    have moved since: results are kept under that commit.

    Raises:
        WeightsError: it is neither here nor to be had.
    """
    weights = fspath(weights)
    if folder := _local(weights):
        return folder
    from huggingface_hub import snapshot_download

    here = _cached_snapshot(weights, revision)
    commit = here.name if here else revision
    # The hub's client completes what an interrupted download left; offline, what is here must do.
    try:
        return Path(snapshot_download(weights, revision=commit, allow_patterns=_NEEDED))
    except Exception as error:
        if here:
            return here
        raise _unreachable(weights, error, parameter) from error


def local_folder(weights: str | PathLike[str], revision: str | None = None) -> Path | None:
    """The checkpoint's folder if it is on this machine; the network is not asked.

    Raises:
        WeightsError: the folder is missing, or bundled weights are.
    """
    weights = fspath(weights)
    return _local(weights) or _cached_snapshot(weights, revision)


def _local(weights: str) -> Path | None:
    if weights.startswith(BUNDLED):
        return _bundled(weights.removeprefix(BUNDLED))
    path = expand(weights)
    if path.is_dir():
        return path
    # ``owner/name`` is a hub id; anything else that is spelled like a path was meant as one.
    if weights.startswith((".", "/", "~")) or weights.count("/") != 1:
        raise WeightsError(
            f"{weights}: no such checkpoint folder; check weights=, or give a hub id (owner/name).",
            ErrorKind.MISSING,
            "weights",
        )
    return None


def _bundled(name: str) -> Path:
    path = bundled_weights(name)
    if not path.is_dir():
        suite, _, part = name.partition("/")
        parameter = "adapters" if part == "lora" else "weights"
        raise WeightsError(
            f"The weights {name} are not part of this installation ({path} is missing). "
            f"Train them: vapbench train {suite} --out DIR, then give them to the method as {parameter}=DIR/{part}",
            ErrorKind.MISSING,
            parameter,
        )
    return path


def _cached_snapshot(weights: str, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(weights, revision=revision, allow_patterns=_NEEDED, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        return None


def _commit(weights: str, revision: str | None, parameter: str) -> str:
    from huggingface_hub import HfApi

    try:
        return str(HfApi().model_info(weights, revision=revision, timeout=20).sha)
    except Exception as error:
        raise _unreachable(weights, error, parameter) from error


def _unreachable(weights: str, error: Exception, parameter: str) -> WeightsError:
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return WeightsError(
            f"{weights} is gated: accept its licence at https://huggingface.co/{weights}, run hf auth login, "
            "then run this again.",
            ErrorKind.UNREACHABLE,
            "weights",
        )
    if isinstance(error, RepositoryNotFoundError):
        return WeightsError(
            f"The hub has no repository {weights} that you may see; check {parameter}= for its spelling.",
            ErrorKind.UNKNOWN,
            parameter,
        )
    return WeightsError(
        f"{weights} is not on this machine and the hub cannot be reached ({first_line(error)}){proxy_note(ENDPOINT)}. "
        f"Where there is a network: hf download {weights} --local-dir DIR, then add {parameter}=DIR to the method: "
        f"--method NAME:{parameter}=DIR",
        ErrorKind.UNREACHABLE,
        parameter,
    )

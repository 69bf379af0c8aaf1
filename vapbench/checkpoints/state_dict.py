"""Tensors of a checkpoint, as safetensors or as torch saves a state dict; nothing else in it is ever loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.errors import ErrorKind, WeightsError

if TYPE_CHECKING:
    import torch

_STATE_DICTS = ("state_dict", "model_state_dict", "model", "module")
"""Where trainers keep a state dict: plainly, under PyTorch's customary names, under DeepSpeed's."""
_WRAPPERS = ("_orig_mod.", "module.")
"""What compiling and training on several devices put before every name."""
_SAVE_ANEW = "where its publisher is trusted, save its state dict as safetensors, and give that file as weights="


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

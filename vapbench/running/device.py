"""The device that everything computes on."""

from __future__ import annotations

from typing import Any

from vapbench.errors import ErrorKind, UsageError


def torch_device(name: str) -> Any:
    """``auto`` is the first accelerator, or the CPU.

    Raises:
        UsageError: torch knows no such device, or it is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"--device {name} is not usable here ({reason}); try --device cpu.", ErrorKind.INVALID, "device"
        ) from error
    return device

"""Checking a checkpoint before it is loaded: every tensor is there, in its shape, and none too many.

diffusers initialises tensors that a checkpoint lacks at random and logs a warning. A randomly initialised
expert makes videos, only wrong ones, so here it is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from vapbench.core.mistaken import what_it_is
from vapbench.errors import ErrorKind, WeightsError
from vapbench.files.parsing import parse_json
from vapbench.files.text import counted, some

Shape = tuple[int, ...]
FLOATS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000), "F64": ("<u8", 0x7FF << 52)}
"""Storage of each number format, and its exponent's bits: all set for infinity and for what is no number."""
INTEGERS = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1"}
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True, order=True)
class Tensor:
    """A tensor within a safetensors file."""

    name: str
    dtype: str
    shape: Shape
    file: Path
    begin: int
    end: int

    def bytes(self) -> bytes:
        """Its numbers as they are stored."""
        with self.file.open("rb") as handle:
            handle.seek(self.begin)
            return handle.read(self.end - self.begin)

    def words(self) -> np.ndarray[Any, Any]:
        """Its numbers' bit patterns, flat."""
        return np.frombuffer(self.bytes(), dtype=FLOATS[self.dtype][0])

    def value(self) -> float:
        """Its only number, a float or an integer."""
        if self.dtype in INTEGERS:
            return float(np.frombuffer(self.bytes(), dtype=INTEGERS[self.dtype])[0])
        words = self.words()
        if self.dtype == "BF16":
            return float((words.astype("<u4") << 16).view("<f4")[0])
        return float(words.view(f"<f{words.itemsize}")[0])


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        WeightsError: the file is missing or holds no JSON object.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing; is the download complete?", ErrorKind.MISSING, path.name) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}", ErrorKind.DAMAGED, path.name) from None
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no JSON object.", ErrorKind.INVALID, path.name)
    return content


def weight_files(folder: Path, stem: str) -> list[Path]:
    """Return the safetensors files of a model folder: one, or the shards its index names.

    Args:
        folder: the model's folder.
        stem: ``diffusion_pytorch_model`` (diffusers) or ``model`` (transformers).

    Raises:
        WeightsError: no safetensors file, or a shard is missing.
    """
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise WeightsError(
            f"{single} is missing, and so is {index.name} (only safetensors are read); is the download complete?",
            ErrorKind.MISSING,
            single.name,
        )
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{index} has no weight_map.", ErrorKind.INVALID, index.name)
    shards = [folder / Path(str(name)).name for name in sorted(set(weight_map.values()))]
    for shard in shards:
        if not shard.is_file():
            raise WeightsError(
                f"{shard} is missing, though {index.name} names it; download it again.", ErrorKind.MISSING, shard.name
            )
    return shards


def read_shapes(files: Sequence[Path]) -> dict[str, tuple[Shape, Path]]:
    """Return the shape and file of each tensor; only headers are read.

    Raises:
        WeightsError: a file is no complete safetensors file.
    """
    found: dict[str, tuple[Shape, Path]] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():
                    found[name] = tuple(tensors.get_slice(name).get_shape()), file
        except (SafetensorError, OSError) as error:
            raise _unreadable(file, error) from None
    return found


def _unreadable(file: Path, error: Exception) -> WeightsError:
    """What to raise of a file that is no whole safetensors file."""
    what = f"is damaged or incomplete ({error}); fetch it again."
    if file.is_file():
        with file.open("rb") as handle:
            head = handle.read(9)
        # The length of a safetensors header may begin with a pickle's two bytes; the header itself begins with a brace.
        if head.startswith(_PICKLES) and head[8:] != b"{":
            what = (
                "is a PyTorch pickle, which can run code and is not read; save its tensors as safetensors: "
                "safetensors.torch.save_file(torch.load(FILE, weights_only=True), OUT)"
            )
        elif it := what_it_is(file):
            what = f"is no safetensors file but {it}."
    return WeightsError(f"{file} {what}", ErrorKind.DAMAGED, file.name)


def read_header(file: Path) -> tuple[list[Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and its metadata; no number is read.

    Raises:
        WeightsError: the file is damaged or incomplete.
    """
    try:
        # Whoever wrote safetensors checks that offsets, shapes and types fit; only what it does not tell is read here.
        with safe_open(file, framework="numpy") as checked:
            metadata = dict(checked.metadata() or {})
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            header = parse_json(handle.read(length))
    except (OSError, ValueError, SafetensorError, MemoryError, OverflowError) as error:
        raise _unreadable(file, error) from None
    header.pop("__metadata__", None)
    found = []
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        found.append(Tensor(name, entry["dtype"], tuple(entry["shape"]), file, begin, end))
    return found, metadata


def check_tensors(files: Sequence[Path], expected: Mapping[str, Shape], ignored: Sequence[str] = ()) -> None:
    """Compare the tensors of a checkpoint with those of a model.

    Args:
        files: the checkpoint's safetensors files.
        expected: the model's tensors.
        ignored: tensors with one of these in their name may be there though the model has none.

    Raises:
        WeightsError: a missing, superfluous or wrongly shaped tensor.
    """
    found = read_shapes(files)
    where = files[0] if len(files) == 1 else f"{files[0].parent} ({len(files)} shards)"
    missing = [name for name in expected if name not in found]
    if missing:
        raise WeightsError(
            f"{where} lacks {counted(len(missing), 'tensor')} that config.json calls for: {some(missing)}.",
            ErrorKind.MISSING,
            "tensors",
        )
    surplus = [name for name in found if name not in expected and not any(part in name for part in ignored)]
    if surplus:
        raise WeightsError(
            f"{where} has {counted(len(surplus), 'tensor')} that config.json has no place for: {some(surplus)}.",
            ErrorKind.UNKNOWN,
            "tensors",
        )
    for name, shape in expected.items():
        if found[name][0] != shape:
            raise WeightsError(
                f"{found[name][1]}: {name} is {list(found[name][0])}, config.json needs {list(shape)}.",
                ErrorKind.INVALID,
                name,
            )

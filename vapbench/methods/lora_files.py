"""LoRA adapters, one per condition: where they lie, and whether they belong to a base model.

<folder>/<condition>/pytorch_lora_weights.safetensors   in diffusers' format
<folder>/<condition>/card.json                          condition, base, data, steps, seed

Nothing here imports torch, so that a plan can refuse an adapter of another backbone before anything is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from vapbench.core.case import Name
from vapbench.errors import WeightsError
from vapbench.files.atomic import content_sha256
from vapbench.files.parsing import parse_json, read_text
from vapbench.suites.tasks import conditions_of, find_task

CARD = "card.json"
WEIGHTS = "pytorch_lora_weights.safetensors"
_EXPERT = "_mot_ref"


class AdapterCard(BaseModel):
    """How an adapter came to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: Name
    base: str
    """Fingerprint of the transformer it was trained on."""
    base_weights: str
    """Where that transformer came from, for people."""
    data: str
    """Hash of the clips and captions it was trained on."""
    clips: int
    steps: int
    seed: int
    rank: int
    alpha: int
    config: str
    """Hash of everything else it was trained with."""
    loss: tuple[tuple[int, float], ...]
    packages: dict[str, str]
    sha256: str
    """Of the weights file."""


@dataclass(frozen=True)
class Adapter:
    """An adapter on disk."""

    folder: Path
    card: AdapterCard

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / WEIGHTS

    def check(self, base: str, where: str) -> None:
        """Refuse a base model that the adapter was not trained on.

        Args:
            base: the model's fingerprint.
            where: where the model comes from, for the message.

        Raises:
            WeightsError: they do not belong together.
        """
        if self.card.base != base:
            raise WeightsError(
                f"{self.folder} was trained on another backbone ({self.card.base_weights}) than {where}; "
                f"train one for it: {training_command(self.card.condition)}, or give weights= of that backbone."
            )


def find_adapter(folder: str | PathLike[str], condition: str) -> Adapter | None:
    """The adapter of a condition below ``folder``, or None.

    Raises:
        WeightsError: it is incomplete, its card is of another condition, or its weights are not those of the card.
    """
    own = Path(folder) / condition
    if not own.is_dir():
        return None
    try:
        card = AdapterCard.model_validate(parse_json(read_text(own / CARD)))
    except (OSError, ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"{own / CARD} cannot be read ({reason}); train it again: {training_command(condition)}"
        ) from None
    if not (own / WEIGHTS).is_file():
        raise WeightsError(f"{own / WEIGHTS} is missing; train it again: {training_command(condition)}")
    if card.condition != condition:
        raise WeightsError(
            f"{own} holds an adapter of {card.condition}, not of {condition}; put it into its own folder."
        )
    if content_sha256(own / WEIGHTS) != card.sha256:
        raise WeightsError(
            f"{own / WEIGHTS} is not the file that {CARD} beside it describes; copy the folder again, whole, or "
            f"train it again: {training_command(condition)}"
        )
    return Adapter(own, card)


def training_command(condition: str) -> str:
    """The command that trains a condition's adapter, or why none may."""
    if condition in conditions_of(find_task("zero-shot")):
        return "the zero-shot task keeps this condition out of all training"
    if condition.startswith("mini_"):
        return f"vapbench train lora --condition {condition} --suite mini --out DIR"
    return f"vapbench train lora --condition {condition} --suite vap-data --data DIR --out DIR"


def fingerprint(pipeline: str | PathLike[str]) -> str:
    """What the transformer of a pipeline folder is: a hash of its tensors' names and shapes and of its vectors' values.

    Biases and norms are a thousandth of the weights and differ between any two trainings. An expert beside the base
    does not count, so that a base is the same within a Video-As-Prompt folder and alone.

    Raises:
        WeightsError: there is no complete safetensors file.
    """
    folder = Path(pipeline) / "transformer"
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(f"{folder} has no safetensors file; is the download complete?")
    tensors = sorted(tensor for file in files for tensor in _tensors(file) if _EXPERT not in tensor.name)
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(f"{tensor.name} {tensor.dtype} {tensor.shape}\n".encode())
        if len(tensor.shape) == 1:
            total.update(tensor.bytes())
    return total.hexdigest()


@dataclass(frozen=True, order=True)
class _Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    begin: int
    end: int

    def bytes(self) -> bytes:
        with self.file.open("rb") as handle:
            handle.seek(self.begin)
            return handle.read(self.end - self.begin)


def _tensors(file: Path) -> Iterator[_Tensor]:
    """What a safetensors file holds: eight bytes of length, a JSON header, the data."""
    try:
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            header = parse_json(handle.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = (8 + length + offset for offset in entry["data_offsets"])
                yield _Tensor(name, entry["dtype"], tuple(entry["shape"]), file, begin, end)
    except (OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise WeightsError(f"{file} is damaged or incomplete ({error}); fetch it again.") from None

"""LoRA adapters, one per condition: where they lie, and whether they belong to a base model.

<folder>/<condition>/pytorch_lora_weights.safetensors   of any trainer, see :mod:`vapbench.methods.lora_forms`
<folder>/<condition>/card.json                          condition, base, data, steps, seed

Nothing here imports torch, so that a plan can refuse an adapter of another backbone before anything is loaded.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from vapbench.checkpoints.tensors import Tensor, read_header
from vapbench.core.case import Name
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.files.atomic import atomic_path, content_sha256, write_json
from vapbench.files.faults import faults
from vapbench.files.parsing import parse_json, read_text
from vapbench.files.text import some
from vapbench.methods.lora_forms import Layer, LoraFile, states_scale
from vapbench.methods.lora_settings import PEFT_CONFIG
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
    data: str | None = None
    """Hash of the clips and captions it was trained on; None, here and below, for an adapter trained elsewhere."""
    clips: int | None = None
    steps: int | None = None
    seed: int | None = None
    rank: int
    """The largest of its layers."""
    alpha: int | float | None = None
    """None is what the weights file says, and the rank where it says nothing."""
    config: str | None = None
    """Hash of everything else it was trained with."""
    loss: tuple[tuple[int, float], ...] = ()
    packages: dict[str, str] = {}
    sha256: str
    """Of the weights file."""

    @property
    def adopted(self) -> bool:
        """Whether it was trained elsewhere."""
        return self.config is None


@dataclass(frozen=True)
class Adapter:
    """An adapter on disk."""

    folder: Path
    card: AdapterCard

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / WEIGHTS

    def inputs(self) -> list[Path | str]:
        """What frames made with it depend on: the weights, and what says their scale."""
        beside = self.folder / PEFT_CONFIG
        own_scale = self.card.alpha is not None and self.card.alpha != self.card.rank
        return [
            self.weights,
            *([beside] if beside.is_file() else []),
            *([f"alpha={self.card.alpha:g}"] if own_scale else []),
        ]

    def layers(self, base: Path, where: str) -> tuple[Layer, ...]:
        """What it changes in a base model.

        Args:
            base: the model's pipeline folder.
            where: where the model comes from, for messages.

        Raises:
            WeightsError: its file does not fit the base, see :meth:`LoraFile.layers`.
        """
        return LoraFile(self.weights, base_shapes(base), where, self.card.alpha).layers()

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
                f"train one for it: {training_command(self.card.condition)}, or give weights= of that backbone.",
                ErrorKind.CONFLICT,
                "base",
            )


def find_adapter(folder: str | PathLike[str], condition: str, base: str = "BASE") -> Adapter | None:
    """The adapter of a condition below ``folder``, or None.

    Args:
        folder: of adapters.
        condition: whose adapter to look for.
        base: where the base model comes from, for the command that an error gives.

    Raises:
        WeightsError: it is incomplete, its card is of another condition, or its weights are not those of the card.
    """
    own = Path(folder) / condition
    if not own.is_dir():
        return None
    found = weights_in(own)
    if found and not (own / CARD).exists():
        raise WeightsError(
            f"{found} has no {CARD} beside it, as an adapter trained elsewhere has none; write one: "
            f"{adopting_command(found, condition, base, Path(folder))}, or train one: {training_command(condition)}",
            ErrorKind.MISSING,
            CARD,
        )
    try:
        card = AdapterCard.model_validate(parse_json(read_text(own / CARD)))
    except (OSError, ValueError, ValidationError) as error:
        reason = faults(error) if isinstance(error, ValidationError) else str(error).splitlines()[0]
        raise WeightsError(
            f"{own / CARD} cannot be read ({reason}); train it again: {training_command(condition)}",
            ErrorKind.DAMAGED,
            CARD,
        ) from None
    if not (own / WEIGHTS).is_file():
        raise WeightsError(
            f"{own / WEIGHTS} is missing; train it again: {training_command(condition)}", ErrorKind.MISSING, WEIGHTS
        )
    if card.condition != condition:
        raise WeightsError(
            f"{own} holds an adapter of {card.condition}, not of {condition}; put it into its own folder.",
            ErrorKind.CONFLICT,
            "condition",
        )
    if content_sha256(own / WEIGHTS) != card.sha256:
        raise WeightsError(
            f"{own / WEIGHTS} is not the file that {CARD} beside it describes; copy the folder again, whole, or "
            f"train it again: {training_command(condition)}",
            ErrorKind.CONFLICT,
            "sha256",
        )
    return Adapter(own, card)


def adopt(source: Path, output: Path, condition: str, base: Path, where: str, alpha: float | None = None) -> Adapter:
    """Write the card of an adapter that was trained elsewhere; a second call finds it written.

    Args:
        source: the safetensors file, or the folder it lies in.
        output: folder of adapters: the file is copied to its place there, unless it lies there already.
        condition: what it shows.
        base: pipeline folder of the model it was trained on.
        where: where that model comes from.
        alpha: of an adapter whose file says nothing of its scale; None is its rank.

    Raises:
        UsageError: the condition is held out from training, or ``alpha`` is given for a file that says its own.
        WeightsError: the file does not fit the base, or another adapter has its place.
    """
    if condition in conditions_of(find_task("zero-shot")):
        raise UsageError(
            f"{condition}: {training_command(condition)}, so no adapter of it can be compared.",
            ErrorKind.CONFLICT,
            "condition",
        )
    file = weights_in(source) if source.is_dir() else source
    if file is None or not file.is_file():
        there = sorted(path.name for path in source.glob("*.safetensors")) if source.is_dir() else []
        held = f"several safetensors files there ({some(there)})" if there else "no safetensors file there"
        raise WeightsError(
            f"{source}: {held}; only safetensors are read, one file for each adapter: give it.",
            ErrorKind.CONFLICT if there else ErrorKind.MISSING,
            "weights",
        )
    shard = re.search(r"-(\d{5})-of-(\d{5})\.safetensors$", file.name)
    if shard and int(shard[2]) > 1:
        raise WeightsError(
            f"{file}: part {int(shard[1])} of {int(shard[2])} of an adapter, which is read as one file; save it whole.",
            ErrorKind.INVALID,
            "weights",
        )
    if alpha is not None and states_scale(file):
        raise UsageError(f"{file} says its own scale; leave out --alpha.", ErrorKind.CONFLICT, "alpha")
    layers = LoraFile(file, base_shapes(base), where, alpha).layers()
    card = AdapterCard(
        condition=condition,
        base=fingerprint(base),
        base_weights=where,
        rank=max(layer.rank for layer in layers),
        alpha=alpha,
        sha256=content_sha256(file),
    )
    folder = output / condition
    for name, part in ((WEIGHTS, file), (PEFT_CONFIG, file.with_name(PEFT_CONFIG))):
        target = folder / name
        if target.exists() and not (part.is_file() and content_sha256(part) == content_sha256(target)):
            raise _another(folder)
        if part.is_file() and not target.exists():
            with atomic_path(target) as temporary:
                shutil.copyfile(part, temporary)
    if (folder / CARD).exists():
        found = find_adapter(output, condition, where)
        if found is None or found.card.base != card.base or alpha not in (None, found.card.alpha):
            raise _another(folder)
        return found
    write_json(folder / CARD, card.model_dump(exclude_defaults=True))
    return Adapter(folder, card)


def _another(folder: Path) -> WeightsError:
    return WeightsError(
        f"{folder} holds another adapter or card; move it away, or give another --out.", ErrorKind.CONFLICT, "out"
    )


def weights_in(folder: Path) -> Path | None:
    """The adapter's file in a folder: of diffusers' name, of peft's, or the only safetensors file there."""
    for name in (WEIGHTS, "adapter_model.safetensors"):
        if (folder / name).is_file():
            return folder / name
    files = sorted(folder.glob("*.safetensors"))
    return files[0] if len(files) == 1 else None


def adopting_command(file: Path, condition: str, base: str, output: Path) -> str:
    """The command that writes the card of an adapter trained elsewhere."""
    options = ("--condition", condition, "--base", base, "--out", str(output))
    return shlex.join(("vapbench", "data", "adopt-lora", str(file), *options))


def training_command(condition: str) -> str:
    """The command that trains a condition's adapter, or why none may."""
    if condition in conditions_of(find_task("zero-shot")):
        return "the zero-shot task keeps this condition out of all training"
    if condition.startswith("mini_"):
        return f"vapbench train lora --condition {condition} --suite mini --out DIR"
    return f"vapbench train lora --condition {condition} --suite vap-data --data DIR --out DIR"


def base_shapes(pipeline: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each weight that an adapter may change, by the layer's name; an expert beside the base has none.

    Raises:
        WeightsError: there is no complete safetensors file.
    """
    return {
        tensor.name.removesuffix(".weight"): tensor.shape
        for tensor in _base_tensors(pipeline)
        if tensor.name.endswith(".weight") and len(tensor.shape) > 1
    }


def fingerprint(pipeline: str | PathLike[str]) -> str:
    """What the transformer of a pipeline folder is: a hash of its tensors' names and shapes and of its vectors' values.

    Biases and norms are a thousandth of the weights and differ between any two trainings. An expert beside the base
    does not count, so that a base is the same within a Video-As-Prompt folder and alone.

    Raises:
        WeightsError: there is no complete safetensors file.
    """
    total = hashlib.sha256()
    for tensor in _base_tensors(pipeline):
        total.update(f"{tensor.name} {tensor.dtype} {tensor.shape}\n".encode())
        if len(tensor.shape) == 1:
            total.update(tensor.bytes())
    return total.hexdigest()


def _base_tensors(pipeline: str | PathLike[str]) -> list[Tensor]:
    folder = Path(pipeline) / "transformer"
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(f"{folder} has no safetensors file; is the download complete?", ErrorKind.MISSING, "tensors")
    return sorted(tensor for file in files for tensor in read_header(file)[0] if _EXPERT not in tensor.name)

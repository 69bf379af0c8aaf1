"""What trainers write beside a LoRA's tensors: its rank, its alpha, and what kind of adapter it is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vapbench.errors import ErrorKind, WeightsError
from vapbench.files.parsing import parse_json, read_text

PEFT_CONFIG = "adapter_config.json"
"""Beside a file that peft saved: its rank, alpha and kind."""


class Settings(BaseModel):
    """What peft, diffusers or finetrainers write beside the tensors."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    r: int | None
    """None where only its tensors say it."""
    lora_alpha: float
    target_modules: list[str] | str | None = None
    exclude_modules: list[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | str | None = True
    layer_replication: list[Any] | None = None
    peft_type: Annotated[str, Field(pattern=r"^\w{1,20}$")] = "LORA"

    @field_validator("rank_pattern", "alpha_pattern", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("rank_pattern", "alpha_pattern")
    @classmethod
    def _of_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        # peft takes keys for regular expressions; it writes names and their ends, and a file gets no more than that.
        named = {key.removeprefix("^").removesuffix("$").replace("\\.", "."): item for key, item in value.items()}
        if odd := [key for key in named if not re.fullmatch(r"[\w.]+", key)]:
            raise ValueError(f"{odd[0]!r} names no layer")
        return named

    def target_of(self, module: str) -> str:
        """The name by which a layer is one that the adapter changes; empty if it is none, or an expression says so."""
        if not isinstance(self.target_modules, list) or self.layers_to_transform is not None:
            return ""
        left_out = self.exclude_modules if isinstance(self.exclude_modules, list) else []
        # An expression might leave out anything.
        if isinstance(self.exclude_modules, str) or any(named(name, module) for name in left_out):
            return ""
        return next((name for name in self.target_modules if named(name, module)), "")

    def scale(self, module: str, of_tensors: int) -> tuple[int, float]:
        """Rank and scale of a layer, whose tensors have the rank ``of_tensors``."""
        rank = _of_pattern(self.rank_pattern, module, of_tensors if self.r is None else self.r)
        alpha = _of_pattern(self.alpha_pattern, module, self.lora_alpha)
        return rank, alpha / (math.sqrt(rank) if self.use_rslora else rank)


def read_settings(file: Path, metadata: Mapping[str, str], own_alphas: bool) -> dict[str, Settings]:
    """What is said of rank and alpha, by who says it.

    Args:
        file: the adapter; peft's configuration may be beside it.
        metadata: of the file's header.
        own_alphas: whether the file has alphas as tensors.

    Raises:
        WeightsError: something is said that cannot be read or used.
    """
    said: dict[str, Any] = {}
    if text := metadata.get("lora_adapter_metadata"):
        values = _object(file, text, "its metadata")
        said["its metadata"] = {name.removeprefix("transformer."): value for name, value in values.items()}
    if text := metadata.get("lora_config"):
        said["its metadata"] = _object(file, text, "its metadata")
    # kohya's scripts mean these for people: tools that resize or merge leave "Dynamic" or other numbers there.
    if "ss_network_alpha" in metadata and not own_alphas:
        said["its metadata"] = {"r": metadata.get("ss_network_dim"), "lora_alpha": metadata["ss_network_alpha"]}
    beside = file.with_name(PEFT_CONFIG)
    if beside.is_file():
        said[PEFT_CONFIG] = _object(file, beside, PEFT_CONFIG)
    return {source: _settings(file, source, values) for source, values in said.items()}


def named(key: str, module: str) -> bool:
    """Whether a name is a layer's, or its end."""
    return f".{module}".endswith(f".{key}")


def _of_pattern(pattern: Mapping[str, Any], module: str, usual: Any) -> Any:
    """The first entry whose name is the layer's, or its end."""
    return next((value for key, value in pattern.items() if named(key, module)), usual)


def _settings(file: Path, source: str, values: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise WeightsError(
            f"{file}: {source} cannot be used ({field}: {first['msg']}); save it again.", ErrorKind.INVALID, field
        ) from None


def _object(file: Path, text: str | Path, source: str) -> dict[str, Any]:
    try:
        value = parse_json(read_text(text) if isinstance(text, Path) else text)
    except ValueError as error:
        raise WeightsError(
            f"{file}: {source} cannot be read ({error}); save it again.", ErrorKind.DAMAGED, source
        ) from None
    if not isinstance(value, dict):
        raise WeightsError(f"{file}: {source} is no JSON object; save it again.", ErrorKind.INVALID, source)
    return value

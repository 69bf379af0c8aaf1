"""What a system is run with, and who says so: a card names the sources, the values are those of the method itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Item = Literal["steps", "guidance", "shift", "negative_prompt", "size"]
"""Denoising steps; guidance scale; shift of the schedule; negative prompt; frames, height and width."""
_GIVEN = {
    "steps": ("steps",),
    "guidance": ("guidance", "dynamic_guidance"),
    "shift": ("shift",),
    "negative_prompt": ("negative_prompt",),
    "size": ("frames", "height", "width"),
}
"""The parameters that change an item."""


class Setting(BaseModel):
    """Where one item comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """The script, configuration or page that says so."""
    value: str = ""
    """Where no parameter holds it: what a scheduler's configuration says, for example."""


def protocol_table(
    protocol: Mapping[Item, Setting],
    parameters: Mapping[str, Any],
    changed: Mapping[str, Any],
    clip: Mapping[str, float],
) -> list[tuple[str, str, str]]:
    """Item, value and source, in the card's order.

    Args:
        protocol: the card's.
        parameters: every parameter of the method with its value.
        changed: those that the command set otherwise.
        clip: frames, fps, height and width to generate.
    """
    rows = []
    for item, setting in protocol.items():
        given = any(name in changed for name in _GIVEN[item])
        value = _value(item, parameters, clip) or setting.value
        rows.append((item.replace("_", " "), value, "this command" if given else setting.source))
    return rows


def _value(item: Item, parameters: Mapping[str, Any], clip: Mapping[str, float]) -> str:
    if item == "size":
        frames, height, width = (parameters.get(name) or clip[name] for name in ("frames", "height", "width"))
        return f"{frames:g} frames of {height:g}x{width:g}"
    value = parameters.get(item)
    if item == "negative_prompt":
        return {"": "empty", "wan": "Wan's own (Bright tones, overexposed, …)"}.get(str(value), f"{value}")
    if value is None:
        return ""
    dynamic = item == "guidance" and parameters.get("dynamic_guidance")
    return f"{value:g}, on its cosine schedule" if dynamic else f"{value:g}"

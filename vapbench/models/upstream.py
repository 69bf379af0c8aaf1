"""Loading folders of upstream diffusers' own pipelines, with the checks that Video-As-Prompt's folders get.

A folder of Video-As-Prompt on CogVideoX also holds the frozen image-to-video model it builds on; it can be loaded
from there, without the expert, so that both rows of a table stand on the very same weights.
"""

from __future__ import annotations

import inspect
from os import PathLike
from pathlib import Path
from typing import Any

import diffusers
import torch

from vapbench.checkpoints.tensors import read_json
from vapbench.errors import ErrorKind, WeightsError
from vapbench.models.cogvideox.mot import CogVideoXTransformer3DMOTModel
from vapbench.models.experts import SUFFIX
from vapbench.models.layout import holds_expert
from vapbench.models.loading import COMPONENTS, load_component, lookup

_MOT = "CogVideoXImageToVideoMOTPipeline"
_COGVIDEOX = "CogVideoXImageToVideoPipeline"
_TRANSFORMERS = {
    "CogVideoXImageToVideoPipeline": diffusers.CogVideoXTransformer3DModel,
    "WanImageToVideoPipeline": diffusers.WanTransformer3DModel,
    "WanVACEPipeline": diffusers.WanVACETransformer3DModel,
}
_FLOAT32 = {"WanImageToVideoPipeline": ("vae", "image_encoder"), "WanVACEPipeline": ("vae",)}
"""Components that upstream's examples keep in float32 whatever the type asked for."""
_LEFT_OUT = ("transformer_2",)
"""Components of Wan 2.2, which no checkpoint here has."""


def load_upstream_pipeline(path: str | PathLike[str], name: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    """Load a pipeline of upstream's onto the CPU.

    Args:
        path: the folder with ``model_index.json``.
        name: the pipeline class it should hold: ``CogVideoXImageToVideoPipeline``, ``WanImageToVideoPipeline`` or
            ``WanVACEPipeline``. The first may also stand in a folder of Video-As-Prompt on CogVideoX.
        dtype: type of the weights.

    Raises:
        WeightsError: the folder is incomplete or damaged, or holds another pipeline; the message names the file.
    """
    folder = Path(path)
    index_file = folder / "model_index.json"
    index = read_json(index_file)
    found = index.get("_class_name")
    # What a copied index calls the pipeline tells nothing of the transformer that was put into the copy.
    inside_vap = name == _COGVIDEOX and found in (_MOT, name) and holds_expert(folder / "transformer")
    if found != name and not inside_vap:
        raise WeightsError(
            f"{index_file} holds a {found}, and this method needs a {name}; check weights=.",
            ErrorKind.CONFLICT,
            "weights",
        )
    pipeline_class = getattr(diffusers, name)
    named = {part: entry for part, entry in index.items() if isinstance(entry, list) and entry != [None, None]}
    places = inspect.signature(pipeline_class).parameters
    if unknown := sorted(set(named) - set(places)) + sorted(set(named) & set(_LEFT_OUT)):
        raise WeightsError(
            f"{index_file} names {', '.join(unknown)}, which {name} has no place for here.",
            ErrorKind.UNKNOWN,
            index_file.name,
        )
    components: dict[str, Any] = {}
    for part, entry in named.items():
        width = torch.float32 if part in _FLOAT32.get(name, ()) else dtype
        if part == "transformer" and inside_vap:
            components[part] = _base_of_vap(folder / part, width)
        else:
            known = {_TRANSFORMERS[name].__name__: _TRANSFORMERS[name]} if part == "transformer" else COMPONENTS[part]
            components[part] = load_component(lookup(known, entry[-1], index_file), folder / part, width)
    required = [part for part, value in places.items() if value.default is value.empty]
    if missing := [part for part in (*required, "transformer") if part not in components]:
        raise WeightsError(
            f"{index_file} must name {', '.join(missing)} for a {name}.", ErrorKind.MISSING, index_file.name
        )
    return pipeline_class(**components)


def _base_of_vap(folder: Path, dtype: torch.dtype) -> Any:
    """The frozen base within a Mixture-of-Transformers folder; the expert's memory is given back."""
    whole = load_component(CogVideoXTransformer3DMOTModel, folder, dtype)
    with torch.device("meta"):
        base = diffusers.CogVideoXTransformer3DModel(**whole._base_config(diffusers.CogVideoXTransformer3DModel))
    own = {name: tensor for name, tensor in whole.state_dict().items() if SUFFIX not in name}
    base.load_state_dict(own, strict=True, assign=True)
    # Buffers that no file keeps were made with the whole.
    for name, buffer in list(base.named_buffers()):
        if buffer.is_meta:
            module, _, leaf = name.rpartition(".")
            base.get_submodule(module).register_buffer(leaf, whole.get_buffer(name), persistent=False)
    return base.eval().requires_grad_(False)

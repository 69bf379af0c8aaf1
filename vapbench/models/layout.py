"""Where the parts of a Video-As-Prompt model lie, and which class each is of; only JSON is read.

Official training saves a transformer and a scheduler, so what people have is a copy of the base's repository with the
transformer exchanged, or a transformer alone. The official code takes both: it never asks what ``model_index.json``
calls the pipeline. ``transformer/config.json`` decides here too, and what is passed over is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vapbench.checkpoints.tensors import read_json
from vapbench.errors import ErrorKind, WeightsError

PIPELINE_OF = {
    "CogVideoXTransformer3DMOTModel": "CogVideoXImageToVideoMOTPipeline",
    "WanTransformer3DMOTModel": "WanImageToVideoMOTPipeline",
}
"""Transformer with an expert -> the pipeline it runs in."""
_EXPERT_OF = {
    "CogVideoXTransformer3DModel": "CogVideoXTransformer3DMOTModel",
    "WanTransformer3DModel": "WanTransformer3DMOTModel",
}
_EXPERT_FIELD = "block_idx_with_mot_ref"
_PIPELINES = {
    "CogVideoXImageToVideoMOTPipeline": ("CogVideoXImageToVideoPipeline", "CogVideoXPipeline"),
    "WanImageToVideoMOTPipeline": ("WanImageToVideoPipeline", "WanPipeline"),
}
"""Pipeline -> what the base's repository calls its own."""
_UNUSED = {"WanTransformer3DMOTModel": ("supported_effect_types", "num_ref_embeddings")}
"""Fields of a config that the official model takes and never reads."""
_PASSED_OVER = {
    "CLIPVisionModelWithProjection": "its projection",
    "CLIPModel": "its text encoder",
    "CLIPProcessor": "its tokenizer",
}
"""Classes that hold more than Wan reads."""


@dataclass(frozen=True)
class Layout:
    """A pipeline's folders and classes."""

    transformer: Path
    """Folder of the transformer."""
    transformer_class: str
    """With an expert: one of :data:`PIPELINE_OF`."""
    parts: Path
    """Folder of everything else, with ``model_index.json``."""
    classes: dict[str, str]
    """Class of each part but the transformer, as ``model_index.json`` names it."""
    passed_over: tuple[str, ...]
    """What is there and not used, in sentences."""

    @property
    def pipeline_class(self) -> str:
        """The pipeline to make."""
        return PIPELINE_OF[self.transformer_class]


def read_layout(folder: Path, base: Path | None = None) -> Layout:
    """Find the parts of a model.

    Args:
        folder: a pipeline; with ``base`` a transformer's folder, or the folder it lies in.
        base: the pipeline of the model that the transformer was trained on, which gives everything else.

    Raises:
        WeightsError: a file is missing or damaged, or names a class that has no place here.
    """
    transformer = folder if (folder / "config.json").is_file() else folder / "transformer"
    parts = base or folder
    index_file = parts / "model_index.json"
    if not index_file.is_file() and not base and (transformer / "config.json").is_file():
        raise WeightsError(
            f"{index_file} is missing, so there is no autoencoder and no text encoder beside the transformer; is the "
            "download complete? For a transformer alone add the model it was trained on: base=FOLDER_OR_HUB_ID.",
            ErrorKind.MISSING,
            index_file.name,
        )
    index = read_json(index_file)
    name, passed_over = transformer_class(transformer)
    pipeline = PIPELINE_OF[name]
    found = index.get("_class_name")
    if found != pipeline:
        if found not in _PIPELINES[pipeline]:
            known = ", ".join((pipeline, *_PIPELINES[pipeline]))
            raise WeightsError(
                f"{index_file} names the class {found}; supported here: {known}.", ErrorKind.UNKNOWN, index_file.name
            )
        if not base:
            passed_over.append(f"model_index.json names {found}; transformer/config.json, a {name}, decides.")
    named = {part: entry for part, entry in index.items() if isinstance(entry, list) and entry != [None, None]}
    classes = {part: str(entry[-1]) for part, entry in named.items() if part != "transformer"}
    for part, kind in classes.items():
        if kind in _PASSED_OVER:
            passed_over.append(f"The {part.replace('_', ' ')} is a {kind}: {_PASSED_OVER[kind]} is not used.")
    if base:
        own = [part for part in (*classes, "scheduler") if (folder / part).is_dir() and transformer != folder]
        if own:
            passed_over.append(f"The {', '.join(dict.fromkeys(own))} beside the transformer: those of base= are used.")
    elif "transformer" not in named:
        raise WeightsError(f"{index_file} must name transformer for a {pipeline}.", ErrorKind.MISSING, index_file.name)
    return Layout(transformer, name, parts, classes, tuple(passed_over))


def transformer_class(folder: Path) -> tuple[str, list[str]]:
    """Class of a transformer with an expert, and which of its config's fields are passed over.

    Raises:
        WeightsError: the config is missing, or of another model; a base model has no expert.
    """
    file = folder / "config.json"
    config = read_json(file)
    found = config.get("_class_name")
    name = str(_EXPERT_OF.get(str(found), found) if _EXPERT_FIELD in config else found)
    if name not in PIPELINE_OF:
        hint = ""
        if name in _EXPERT_OF:
            hint = " That is a base model: it has no expert to read a reference; run it as i2v or i2v-wan."
        raise WeightsError(
            f"{file} names the class {name}; supported here: {', '.join(sorted(PIPELINE_OF))}.{hint}",
            ErrorKind.UNKNOWN,
            file.name,
        )
    passed_over = [f"config.json names {found}; its {_EXPERT_FIELD} makes it a {name}."] if found != name else []
    unused = [field for field in _UNUSED.get(name, ()) if config.get(field)]
    if unused:
        passed_over.append(f"{', '.join(unused)} of the transformer's config: Wan's expert never reads them.")
    return name, passed_over


def holds_expert(folder: Path) -> bool:
    """Whether a transformer's folder is that of a model with an expert, whatever its index calls it."""
    try:
        transformer_class(folder)
    except WeightsError:
        return False
    return True

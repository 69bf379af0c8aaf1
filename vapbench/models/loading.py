"""Loading a Video-As-Prompt folder, released, trained or saved by us, with upstream diffusers.

Upstream has none of the classes that are named there, so they are looked up here, each component among the few classes
that can stand in its place. Nothing is downloaded, no code of the folder is run, only safetensors are read.
"""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights

from vapbench.checkpoints.tensors import check_tensors, read_json, weight_files
from vapbench.errors import ErrorKind, VapbenchError, WeightsError
from vapbench.files.text import some
from vapbench.models.cogvideox.mot import CogVideoXTransformer3DMOTModel
from vapbench.models.cogvideox.pipeline import CogVideoXImageToVideoMOTPipeline
from vapbench.models.layout import read_layout, transformer_class
from vapbench.models.pipeline import VapPipeline
from vapbench.models.wan.mot import WanTransformer3DMOTModel
from vapbench.models.wan.pipeline import WanImageToVideoMOTPipeline

log = logging.getLogger(__name__)

PIPELINES: dict[str, type[VapPipeline]] = {
    "CogVideoXImageToVideoMOTPipeline": CogVideoXImageToVideoMOTPipeline,
    "WanImageToVideoMOTPipeline": WanImageToVideoMOTPipeline,
}
TRANSFORMERS: dict[str, Any] = {
    "CogVideoXTransformer3DMOTModel": CogVideoXTransformer3DMOTModel,
    "WanTransformer3DMOTModel": WanTransformer3DMOTModel,
}
# diffusers deprecates the second name; its releases before 0.40 overlook the first and load float32.
_DTYPE = "dtype" if tuple(map(int, diffusers.__version__.split(".")[:2])) >= (0, 40) else "torch_dtype"
# transformers 5 resizes with torchvision where it is installed; the models were trained and are run with PIL.
_CLIP_PROCESSOR = getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)

COMPONENTS: dict[str, dict[str, Any]] = {
    "vae": {
        "AutoencoderKLCogVideoX": diffusers.AutoencoderKLCogVideoX,
        "AutoencoderKLWan": diffusers.AutoencoderKLWan,
    },
    "scheduler": {
        "CogVideoXDDIMScheduler": diffusers.CogVideoXDDIMScheduler,
        "CogVideoXDPMScheduler": diffusers.CogVideoXDPMScheduler,
        "FlowMatchEulerDiscreteScheduler": diffusers.FlowMatchEulerDiscreteScheduler,
        "UniPCMultistepScheduler": diffusers.UniPCMultistepScheduler,
    },
    "text_encoder": {
        "T5EncoderModel": transformers.T5EncoderModel,
        "UMT5EncoderModel": transformers.UMT5EncoderModel,
    },
    "tokenizer": {
        "T5Tokenizer": transformers.T5Tokenizer,
        "T5TokenizerFast": transformers.T5TokenizerFast,
    },
    "image_encoder": {
        "CLIPModel": transformers.CLIPVisionModel,
        "CLIPVisionModel": transformers.CLIPVisionModel,
        "CLIPVisionModelWithProjection": transformers.CLIPVisionModel,
    },
    "image_processor": {
        "CLIPImageProcessor": _CLIP_PROCESSOR,
        "CLIPImageProcessorFast": _CLIP_PROCESSOR,
        "CLIPImageProcessorPil": _CLIP_PROCESSOR,
        "CLIPProcessor": _CLIP_PROCESSOR,
    },
}
"""The classes that may stand in each place of ``model_index.json``."""


def load_pipeline(
    path: str | Path,
    dtype: torch.dtype = torch.bfloat16,
    device: str | torch.device | None = None,
    base: str | Path | None = None,
) -> CogVideoXImageToVideoMOTPipeline | WanImageToVideoMOTPipeline:
    """Load a pipeline folder; what it holds beyond that is logged, see :mod:`vapbench.models.layout`.

    Args:
        path: the folder with ``model_index.json``; with ``base``, that of a transformer alone.
        dtype: type of the weights; Wan's autoencoder and image encoder stay float32, as in the official
            scripts.
        device: where to put the pipeline. None leaves it on the CPU, e.g. for ``enable_model_cpu_offload()``.
        base: folder of the pipeline that gives everything but the transformer.

    Raises:
        WeightsError: the folder is incomplete, damaged, or names a class that has no place here; the message
            names the file.
    """
    layout = read_layout(Path(path), Path(base) if base else None)
    for sentence in layout.passed_over:
        log.warning("%s: %s", path, sentence)
    index_file = layout.parts / "model_index.json"
    pipeline_class = PIPELINES[layout.pipeline_class]
    named = {"transformer", *layout.classes}
    wanted = set(inspect.signature(pipeline_class).parameters)
    if wanted != named:
        raise WeightsError(
            f"{index_file} must name {', '.join(sorted(wanted))} for a {pipeline_class.__name__}, "
            f"but names {', '.join(sorted(named))}.",
            ErrorKind.INVALID,
            index_file.name,
        )
    classes = {name: lookup(COMPONENTS[name], kind, index_file) for name, kind in layout.classes.items()}
    components = {"transformer": load_component(TRANSFORMERS[layout.transformer_class], layout.transformer, dtype)}
    for name, component_class in classes.items():
        kept = name in pipeline_class.float32_components
        components[name] = load_component(component_class, layout.parts / name, torch.float32 if kept else dtype)
    pipeline: Any = pipeline_class(**components)
    return pipeline.to(device) if device is not None else pipeline  # type: ignore[no-any-return]


def load_transformer(
    path: str | Path, dtype: torch.dtype = torch.bfloat16
) -> CogVideoXTransformer3DMOTModel | WanTransformer3DMOTModel:
    """Load a transformer folder, base and expert together; the class is read from its ``config.json``.

    Raises:
        WeightsError: as :func:`load_pipeline`.
    """
    return load_component(TRANSFORMERS[transformer_class(Path(path))[0]], Path(path), dtype)  # type: ignore[no-any-return]


def lookup(known: dict[str, Any], name: Any, file: Path) -> Any:
    """Return the class of a name that ``file`` gives.

    Raises:
        WeightsError: it is none of the known ones.
    """
    if name not in known:
        raise WeightsError(
            f"{file} names the class {name}; supported here: {', '.join(sorted(known))}.", ErrorKind.UNKNOWN, file.name
        )
    return known[name]


def load_component(component: Any, folder: Path, dtype: torch.dtype) -> Any:
    """Load one component.

    Raises:
        WeightsError: whatever goes wrong, with the folder's name.
    """
    if not folder.is_dir():
        raise WeightsError(f"{folder} is missing; is the download complete?", ErrorKind.MISSING, folder.name)
    try:
        if issubclass(component, diffusers.ModelMixin):
            return _load_diffusers_model(component, folder, dtype)
        if issubclass(component, transformers.PreTrainedModel):
            return _load_transformers_model(component, folder, dtype)
        return component.from_pretrained(folder, local_files_only=True)
    except VapbenchError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{folder / 'config.json'}: {error}", error.kind, error.field) from None
    except Exception as error:
        hint = ""
        if issubclass(component, transformers.PreTrainedTokenizerBase):
            hint = " (T5 tokenizers need the packages sentencepiece and protobuf)"
        raise WeightsError(
            f"{folder} cannot be loaded as {component.__name__}{hint}: {error}", ErrorKind.DAMAGED, folder.name
        ) from error


def _load_diffusers_model(model_class: Any, folder: Path, dtype: torch.dtype) -> Any:
    config = read_json(folder / "config.json")
    files = weight_files(folder, "diffusion_pytorch_model")
    with init_empty_weights():
        empty = model_class.from_config(config)
    expected = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    check_tensors(files, expected, getattr(model_class, "_keys_to_ignore_on_load_unexpected", None) or ())
    return model_class.from_pretrained(folder, use_safetensors=True, local_files_only=True, **{_DTYPE: dtype})


def _load_transformers_model(model_class: Any, folder: Path, dtype: torch.dtype) -> Any:
    read_json(folder / "config.json")
    files = weight_files(folder, "model")
    model, report = model_class.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    # Tied embeddings and old buffers differ in name only, so transformers' own report decides, not the names.
    for key, kind in (("missing_keys", ErrorKind.MISSING), ("mismatched_keys", ErrorKind.INVALID)):
        if report[key]:
            names = some(sorted(report[key]))
            raise WeightsError(f"{files[0]}: {len(report[key])} {key.replace('_', ' ')}: {names}.", kind, "tensors")
    return model

"""What a LoRA file of any trainer holds: which layers of the base it changes, by what, and at which scale.

Trainers spell the same tensors differently: peft, diffusers, ComfyUI, kohya's scripts, finetrainers. Every spelling is
brought to the base's own layers here, or refused by the name of its form. Loaders that skip tensors they do not know
make videos too, only other ones, so a tensor without a place is an error.

Headers and numbers are read with numpy; :mod:`~vapbench.methods.lora_put_on` puts the layers on a transformer.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vapbench.checkpoints.tensors import FLOATS, INTEGERS, Shape, Tensor, read_header
from vapbench.errors import ErrorKind, WeightsError
from vapbench.files.text import counted, some
from vapbench.methods.lora_settings import Settings, named, read_settings

_LONGEST_NAME = 300
_FACTOR = re.compile(r"(.+?)[._]lora[._](A|B|down|up)(?:\.(?!weight$|bias$)[^.]+)?(?:\.weight)?")
_ALPHA = re.compile(r"(.+?)(?:[._]lora)?[._]alpha")
# Names that trainers, wrappers and other loaders put before the model's own, and within them.
_BEFORE = re.compile(
    r"(?:lora|lycoris|base_model|model|module|_orig_mod|_fsdp_wrapped_module|pipe|dit|unet|denoiser|diffusion_model"
    r"|transformer)_+"
)
_WITHIN = re.compile(r"\b(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|module|processor)\.")
_TRAIN = (
    "only plain LoRA is put on here. Train it as plain LoRA, or merge it into its base and run that: "
    "--method i2v:weights=MERGED_FOLDER"
)
_FORMS = {
    r"lora_magnitude_vector|dora_scale|\.magnitude$": ("DoRA", _TRAIN),
    r"lokr_": ("LoKr", _TRAIN),
    r"hada_": ("LoHa", _TRAIN),
    r"[._]b?oft_": ("OFT", _TRAIN),
    r"vera_lambda": ("VeRA", _TRAIN),
    r"ia3_": ("(IA)3", _TRAIN),
    r"lora_E\b": ("AdaLoRA", _TRAIN),
    r"lora_mid|lora_t[12]": ("LoCon with Tucker decomposition", _TRAIN),
    r"lora_embedding": ("LoRA of an embedding", _TRAIN),
    r"lora_(B|up)(\.\w+)?\.bias$": ("LoRA with biases", _TRAIN),
    r"\.diff(_b|_m)?$|set_weight$": ("differences of whole weights", _TRAIN),
    r"matrix_[AB]": ("CogVideo's own (SAT) form", "export it to diffusers with that repository's tools first."),
    r"base_layer": ("a whole model with its adapter inside", "save the adapter alone."),
    r"^lora_te|text_encoder": (
        "an adapter of the text encoder as well",
        "the text encoder stays frozen here: save the transformer's part alone.",
    ),
}
"""What tensors of other kinds of files have in their names: what those are, and what to do."""
# peft changes the base's own weights with these, so the file is no adapter of the base as it is.
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True)
class Layer:
    """A layer that is changed: its weight grows by ``scale * up @ down``."""

    module: str
    down: Tensor
    up: Tensor
    scale: float

    @property
    def rank(self) -> int:
        """Rows of ``down``, columns of ``up``."""
        return self.down.shape[0]


@dataclass(frozen=True)
class LoraFile:
    """A safetensors file with an adapter, against the base it is for."""

    file: Path
    base: Mapping[str, Shape]
    """Shape of the weight of each of the base's layers."""
    where: str
    """Where the base comes from, for messages."""
    alpha: float | None = None
    """What a card says of the scale; None is nothing."""

    def layers(self) -> tuple[Layer, ...]:
        """Each layer it changes.

        The scale is alpha / rank. Alpha is what the file, or peft's configuration beside it, says; where nothing says
        anything it is the rank, so that the scale is 1: what trainers that keep no alpha mean, and what diffusers does
        for adapters of one rank in every version.

        Raises:
            WeightsError: a tensor has no place in the base, lacks its partner, has another shape, holds no finite
                numbers, or the file is of a form that is no LoRA.
        """
        tensors, metadata = read_header(self.file)
        if any(len(tensor.name) > _LONGEST_NAME or not tensor.name.isprintable() for tensor in tensors):
            raise self._error(
                "its tensors have names that no trainer gives; fetch it again.", ErrorKind.INVALID, "tensors"
            )
        said = read_settings(self.file, metadata, own_alphas=any(map(_is_alpha, tensors)))
        settings = {source: self._of_layers(source, each) for source, each in said.items()}
        self._refuse_other_forms(tensors, settings)
        factors, alphas = self._placed(tensors)
        pairs = self._pairs(factors)
        self._refuse_missing(pairs, settings)
        silent = sorted(pairs.keys() - alphas.keys())
        if alphas and silent and not settings and self.alpha is None:
            raise self._error(
                f"has an alpha for {len(alphas)} of {counted(len(pairs), 'layer')}, and none for {some(silent)}; copy "
                "or save it again, whole.",
                ErrorKind.MISSING,
                "alpha",
            )
        self._check_numbers(factors.values(), pairs.values())
        return tuple(
            Layer(module, down, up, self._scale(module, down.shape[0], alphas.get(module), settings))
            for module, (down, up) in sorted(pairs.items())
        )

    @cached_property
    def _flat(self) -> dict[str, str]:
        # Some trainers write underscores for dots, so names are compared without either.
        return {module.replace(".", "_"): module for module in self.base}

    def _error(self, what: str, kind: ErrorKind, field: str) -> WeightsError:
        return WeightsError(f"{self.file}: {what}", kind, field)

    def _of_layers(self, source: str, settings: Settings) -> Settings:
        """The settings with patterns that name the base's layers as the base does, or ends of them."""
        patterns = {}
        for field in ("rank_pattern", "alpha_pattern"):
            patterns[field] = {self._module(key) or key: value for key, value in getattr(settings, field).items()}
            for key in patterns[field]:
                if not any(named(key, module) for module in self.base):
                    raise self._error(
                        f"{source} has {key!r} in its {field}, and no layer of {self.where} is called so; correct it.",
                        ErrorKind.UNKNOWN,
                        field,
                    )
        return settings.model_copy(update=patterns)

    def _refuse_other_forms(self, tensors: Sequence[Tensor], settings: Mapping[str, Settings]) -> None:
        for pattern, (form, todo) in _FORMS.items():
            if names := [tensor.name for tensor in tensors if re.search(pattern, tensor.name)]:
                raise self._error(
                    f"holds {form} ({len(names)} of {counted(len(tensors), 'tensor')}: {some(names)}); {todo}",
                    ErrorKind.INVALID,
                    "form",
                )
        for source, said in settings.items():
            if said.peft_type != "LORA" or said.use_dora:
                raise self._error(
                    f"holds {'DoRA' if said.use_dora else said.peft_type} ({source} says so); {_TRAIN}",
                    ErrorKind.INVALID,
                    "form",
                )
            if str(said.init_lora_weights).lower().startswith(_CHANGES_BASE) or said.layer_replication:
                raise self._error(
                    f"is a LoRA on a base that its trainer changed ({source} says so); {_TRAIN}",
                    ErrorKind.CONFLICT,
                    "init_lora_weights",
                )

    def _placed(self, tensors: Sequence[Tensor]) -> tuple[dict[tuple[str, str], Tensor], dict[str, Tensor]]:
        """Factors by layer and side, alphas by layer."""
        factors: dict[tuple[str, str], Tensor] = {}
        alphas: dict[str, Tensor] = {}
        without: dict[str, str] = {}
        for tensor in tensors:
            if match := _FACTOR.fullmatch(tensor.name):
                spelled, side = match[1], "down" if match[2] in ("A", "down") else "up"
            elif match := _ALPHA.fullmatch(tensor.name):
                spelled, side = match[1], "alpha"
            else:
                without[tensor.name] = tensor.name
                continue
            module = self._module(spelled)
            if module is None:
                without[tensor.name] = spelled
            elif side == "alpha":
                alphas[module] = tensor
            elif earlier := factors.get((module, side)):
                raise self._error(
                    f"{earlier.name} and {tensor.name} have one place, {module}; save it again.",
                    ErrorKind.CONFLICT,
                    module,
                )
            else:
                factors[module, side] = tensor
        if without:
            raise self._without_place(without, len(tensors))
        if not factors:
            raise self._error("holds no LoRA tensor; is this the adapter's file?", ErrorKind.MISSING, "tensors")
        numbers = FLOATS.keys() | INTEGERS.keys()
        if odd := [a.name for a in alphas.values() if math.prod(a.shape) != 1 or a.dtype not in numbers]:
            raise self._error(f"{some(odd)} should be one number each; save it again.", ErrorKind.INVALID, "alpha")
        if stray := sorted(set(alphas) - {module for module, _ in factors}):
            raise self._error(
                f"has an alpha but no factors for {some(stray)}; save it again.", ErrorKind.MISSING, stray[0]
            )
        return factors, alphas

    def _module(self, spelled: str) -> str | None:
        """The base's layer that a trainer's spelling means."""
        name = _WITHIN.sub("", spelled).replace(".", "_")
        while True:
            # An attention's output projection is the first of two entries, and some spell it without the number.
            for candidate in (name, f"{name}_0"):
                if candidate in self._flat:
                    return self._flat[candidate]
            if not (match := _BEFORE.match(name)):
                return None
            name = name[match.end() :]

    def _without_place(self, without: Mapping[str, str], total: int) -> WeightsError:
        shown = []
        for name, spelled in list(without.items())[:3]:
            stripped = re.sub(r"^(?:base_model\.model\.|diffusion_model\.|transformer\.|lora_unet_+)", "", spelled)
            near = difflib.get_close_matches(stripped.replace(".", "_"), self._flat, n=1, cutoff=0.0)
            shown.append(f"{name} (nearest: {self._flat[near[0]]})" if near else name)
        more = ", …" if len(without) > 3 else ""
        return self._error(
            f"{len(without)} of {counted(total, 'tensor')} without a place in {self.where}: {', '.join(shown)}{more}. "
            "It was trained on another model, or its names were changed; nothing of it is used.",
            ErrorKind.UNKNOWN,
            "tensors",
        )

    def _pairs(self, factors: Mapping[tuple[str, str], Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Both factors of each layer, in shapes that fit."""
        modules = sorted({module for module, _ in factors})
        for side, other, spelled in (("down", "up", "lora_B (up)"), ("up", "down", "lora_A (down)")):
            if alone := [module for module in modules if (module, other) not in factors]:
                have = factors[alone[0], side].name
                raise self._error(
                    f"{len(alone)} of {counted(len(modules), 'layer')} without their {spelled}, e.g. {alone[0]}, which "
                    f"has only {have}; copy or save it again, whole.",
                    ErrorKind.MISSING,
                    spelled.partition(" ")[0],
                )
        pairs = {module: (factors[module, "down"], factors[module, "up"]) for module in modules}
        for module, (down, up) in pairs.items():
            out, *within = self.base[module]
            rank = down.shape[0] if down.shape else 0
            # Linear layers' factors may be stored as convolutions of one pixel.
            if rank and _plain(down.shape) == _plain((rank, *within)) and _plain(up.shape) == _plain((out, rank)):
                continue
            raise self._error(
                f"{down.name} {list(down.shape)} and {up.name} {list(up.shape)} do not fit {module} of {self.where}, "
                f"whose weight is {list(self.base[module])}: it was trained on another model, or its rank is mixed up.",
                ErrorKind.INVALID,
                module,
            )
        return pairs

    def _refuse_missing(self, pairs: Mapping[str, object], settings: Mapping[str, Settings]) -> None:
        """Layers that a configuration names, and the file does not hold: half an adapter is another adapter."""
        for source, said in settings.items():
            targets = {module: name for module in self.base if (name := said.target_of(module))}
            # Where the file's layers are called otherwise than its configuration has them, nothing is known.
            if not pairs.keys() <= targets.keys():
                continue
            # The model that it was trained on may lack a part of this one: a block of which it changes nothing.
            blocks = {_block(module, targets[module]) for module in pairs} - {""}
            absent = [m for m, name in targets.items() if m not in pairs and _block(m, name) in blocks]
            if absent:
                raise self._error(
                    f"has {len(pairs)} of the {counted(len(pairs) + len(absent), 'layer')} that {source} names, and "
                    f"not {some(absent)}; copy or save it again, whole.",
                    ErrorKind.MISSING,
                    "target_modules",
                )

    def _check_numbers(self, tensors: Iterable[Tensor], pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
        for tensor in tensors:
            if tensor.dtype not in FLOATS:
                raise self._error(
                    f"{tensor.name} is stored as {tensor.dtype}; save it as float16 or float32.",
                    ErrorKind.INVALID,
                    "dtype",
                )
            exponent = FLOATS[tensor.dtype][1]
            bad = int(((tensor.words() & exponent) == exponent).sum())
            if bad:
                raise self._error(
                    f"{tensor.name} holds {counted(bad, 'value')} that "
                    f"{'is infinite or no number' if bad == 1 else 'are infinite or no numbers'}; its training failed. "
                    "Use an earlier checkpoint.",
                    ErrorKind.DAMAGED,
                    tensor.name,
                )
        pairs = list(pairs)
        for place, name in enumerate(("lora_A (down)", "lora_B (up)")):
            # Shifted, so that a negative zero is zero.
            if not any((pair[place].words() << 1).any() for pair in pairs):
                raise self._error(
                    f"every {name} is zero, as before training: it would change nothing.",
                    ErrorKind.INVALID,
                    name.partition(" ")[0],
                )

    def _scale(self, module: str, rank: int, tensor: Tensor | None, settings: Mapping[str, Settings]) -> float:
        said: dict[str, float] = {}
        if tensor is not None:
            said[tensor.name] = tensor.value() / rank
        for source, values in settings.items():
            stated, said[source] = values.scale(module, rank)
            if stated != rank:
                raise self._error(
                    f"{source} says rank {stated} for {module}, its tensors have {rank}; save it again.",
                    ErrorKind.CONFLICT,
                    "r",
                )
        if self.alpha is not None:
            said["card.json"] = self.alpha / rank
        for source, scale in said.items():
            if not (math.isfinite(scale) and scale > 0):
                raise self._error(
                    f"{source} gives {module} the scale {scale:g}; it must be above 0.", ErrorKind.INVALID, "scale"
                )
        if len({round(scale, 6) for scale in said.values()}) > 1:
            what = ", ".join(f"{scale:g} by {source}" for source, scale in said.items())
            raise self._error(f"{module} has two scales ({what}); correct the wrong one.", ErrorKind.CONFLICT, "scale")
        return next(iter(said.values()), 1.0)


def states_scale(file: Path) -> bool:
    """Whether a file, or peft's configuration beside it, says at which scale it is to be used.

    Raises:
        WeightsError: the file is damaged.
    """
    tensors, metadata = read_header(file)
    own_alphas = any(map(_is_alpha, tensors))
    return own_alphas or bool(read_settings(file, metadata, own_alphas))


def _block(module: str, name: str) -> str:
    """What holds a layer that is called by the end of its name."""
    return module.removesuffix(name).removesuffix(".")


def _is_alpha(tensor: Tensor) -> bool:
    return bool(_ALPHA.fullmatch(tensor.name)) and not _FACTOR.fullmatch(tensor.name)


def _plain(shape: Sequence[int]) -> Shape:
    """A shape without the ones at its end."""
    shape = tuple(shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape

"""One adapter in the forms of many trainers is one adapter; what is none of them is refused by name."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.refusals import refuses
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.files.resources import bundled_weights
from vapbench.methods.lora_files import adopt, base_shapes, find_adapter, weights_in
from vapbench.methods.lora_forms import Layer, LoraFile

Tensors = dict[str, np.ndarray[Any, Any]]
BASE = bundled_weights("mini/vap")
OWN = bundled_weights("mini/lora") / "mini_dekavu" / "pytorch_lora_weights.safetensors"
SHAPES = base_shapes(BASE)
QUERY = "transformer_blocks.0.attn1.to_q"
FACTOR = {side: f"transformer.{QUERY}.lora_{side}.weight" for side in "AB"}
OUTPUT = "transformer_blocks.0.attn1.to_out.0"


@pytest.fixture(scope="module")
def own() -> Tensors:
    """The bundled adapter's tensors: ``transformer.<layer>.lora_A.weight`` and ``lora_B``."""
    return load_file(OWN)


def written(path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)
    return path


def layers(file: Path, alpha: float | None = None) -> tuple[Layer, ...]:
    return LoraFile(file, SHAPES, "the base", alpha).layers()


def changes(found: tuple[Layer, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """What each layer's weight grows by."""
    tensors = load_file(found[0].down.file)
    return {layer.module: layer.scale * _matrix(tensors, layer.up) @ _matrix(tensors, layer.down) for layer in found}


def _matrix(tensors: Tensors, tensor: Any) -> np.ndarray[Any, Any]:
    values = tensors[tensor.name].astype(np.float64)
    return values.reshape(values.shape[:2])


def renamed(tensors: Tensors, rename: Callable[[str, str], str]) -> Tensors:
    """Each tensor under ``rename(layer, "A" or "B")``."""
    made = {}
    for name, values in tensors.items():
        layer, _, rest = name.removeprefix("transformer.").partition(".lora_")
        made[rename(layer, rest[0])] = values
    return made


UP_DOWN = {"A": "down", "B": "up"}
FORMS: dict[str, Callable[[str, str], str]] = {
    "diffusers": lambda layer, side: f"transformer.{layer}.lora_{side}.weight",
    "no prefix": lambda layer, side: f"{layer}.lora_{side}.weight",
    "peft": lambda layer, side: f"base_model.model.{layer}.lora_{side}.weight",
    "peft around a pipeline": lambda layer, side: f"base_model.model.transformer.{layer}.lora_{side}.weight",
    "peft, in memory, by a name": lambda layer, side: f"base_model.model.{layer}.lora_{side}.my-style.weight",
    "peft, in memory": lambda layer, side: f"{layer}.lora_{side}.default.weight",
    "ComfyUI": lambda layer, side: f"diffusion_model.{layer}.lora_{side}.weight",
    "ComfyUI, whole model": lambda layer, side: f"model.diffusion_model.{layer}.lora_{side}.weight",
    "ComfyUI of kohya": lambda layer, side: f"diffusion_model.{layer}.lora_{UP_DOWN[side]}.weight",
    "DiffSynth": lambda layer, side: f"pipe.dit.{layer}.lora_{side}.default.weight",
    "compiled": lambda layer, side: f"_orig_mod.{layer}.lora_{side}.weight",
    "under DistributedDataParallel": lambda layer, side: f"module.{layer}.lora_{side}.weight",
    "checkpointed": lambda layer, side: (
        f"{layer.replace('.attn1', '._checkpoint_wrapped_module.attn1')}.lora_{side}.weight"
    ),
    "kohya": lambda layer, side: f"lora_unet_{layer.replace('.', '_')}.lora_{UP_DOWN[side]}.weight",
    "VideoX-Fun": lambda layer, side: f"lora_unet__{layer.replace('.', '_')}.lora_{UP_DOWN[side]}.weight",
    "LyCORIS": lambda layer, side: f"lycoris_{layer.replace('.', '_')}.lora_{UP_DOWN[side]}.weight",
    "kohya, transformer": lambda layer, side: f"lora_transformer_{layer.replace('.', '_')}.lora_{UP_DOWN[side]}.weight",
    "old diffusers": lambda layer, side: f"transformer.{layer}.lora.{UP_DOWN[side]}.weight",
    "older diffusers": lambda layer, side: (
        f"transformer.{layer.replace('attn1.', 'attn1.processor.').replace('to_out.0', 'to_out')}"
        f"_lora.{UP_DOWN[side]}.weight"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_adapter(form: str, own: Tensors, tmp_path: Path) -> None:
    found = changes(layers(written(tmp_path / "a.safetensors", renamed(own, FORMS[form]))))
    whole = changes(layers(OWN))
    assert len(whole) == 24
    assert found.keys() == whole.keys()
    assert all(np.array_equal(found[name], whole[name]) for name in whole)


def test_factors_stored_as_convolutions_are_those_of_linear_layers(own: Tensors, tmp_path: Path) -> None:
    tensors = {name: values[..., None, None] for name, values in renamed(own, FORMS["kohya"]).items()}
    found, whole = changes(layers(written(tmp_path / "a.safetensors", tensors))), changes(layers(OWN))
    assert all(np.array_equal(found[name], whole[name]) for name in whole)


class TestScale:
    """alpha / rank, wherever a trainer writes it, and 1 where nothing is written."""

    def file(self, folder: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
        return written(folder / "a.safetensors", tensors, metadata)

    def test_without_alpha_it_is_one_for_every_rank(self, own: Tensors, tmp_path: Path) -> None:
        """Some versions of diffusers took the first layer's rank for every layer's alpha."""
        tensors = dict(own)
        half = f"transformer.{OUTPUT}.lora_"
        tensors[f"{half}A.weight"] = np.ascontiguousarray(own[f"{half}A.weight"][:4])
        tensors[f"{half}B.weight"] = np.ascontiguousarray(own[f"{half}B.weight"][:, :4])
        found = layers(self.file(tmp_path, tensors))
        assert {layer.rank for layer in found} == {4, 8}
        assert {layer.scale for layer in found} == {1.0}

    @pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8])
    def test_kohyas_tensors(self, dtype: Any, own: Tensors, tmp_path: Path) -> None:
        tensors = renamed(own, FORMS["kohya"])
        names = {name.partition(".")[0] for name in tensors}
        tensors |= {f"{name}.alpha": np.array(2, dtype) for name in names}
        assert {layer.scale for layer in layers(self.file(tmp_path, tensors))} == {0.25}

    @pytest.mark.parametrize("said", ["Dynamic", "None", "16"])
    def test_kohyas_tensors_count_whatever_its_metadata_says(self, said: str, own: Tensors, tmp_path: Path) -> None:
        """Tools that resize or merge adapters leave ``Dynamic`` there, or the numbers of before."""
        tensors = renamed(own, FORMS["kohya"])
        tensors |= {f"{name.partition('.')[0]}.alpha": np.array(2, np.float32) for name in list(tensors)}
        metadata = {"ss_network_dim": said, "ss_network_alpha": said}
        assert {layer.scale for layer in layers(self.file(tmp_path, tensors, metadata))} == {0.25}

    def test_alphas_of_some_layers_are_a_part_of_a_file(self, own: Tensors, tmp_path: Path) -> None:
        tensors = renamed(own, FORMS["kohya"])
        names = sorted({name.partition(".")[0] for name in tensors})
        tensors |= {f"{name}.alpha": np.array(2, np.float32) for name in names[::2]}
        with refuses(WeightsError, ErrorKind.MISSING, "alpha", "a.safetensors: ", "12 of 24 layers"):
            layers(self.file(tmp_path, tensors))

    @pytest.mark.parametrize(
        "metadata",
        [
            {"lora_adapter_metadata": json.dumps({"transformer.r": 8, "transformer.lora_alpha": 16})},
            {"lora_adapter_metadata": json.dumps({"r": 8, "lora_alpha": 16})},
            {"lora_config": json.dumps({"r": 8, "lora_alpha": 16})},
            {"ss_network_dim": "8", "ss_network_alpha": "16.0"},
        ],
    )
    def test_metadata(self, metadata: dict[str, str], own: Tensors, tmp_path: Path) -> None:
        assert {layer.scale for layer in layers(self.file(tmp_path, own, metadata))} == {2.0}

    @pytest.mark.parametrize(
        ("config", "scale", "of_query"),
        [
            ({"lora_alpha": 16}, 2.0, 2.0),
            ({"lora_alpha": 16, "use_rslora": True}, 16 / math.sqrt(8), 16 / math.sqrt(8)),
            ({"lora_alpha": 8, "alpha_pattern": {QUERY: 32}}, 1.0, 4.0),
            ({"lora_alpha": 8, "alpha_pattern": {f"transformer.{QUERY}": 32}}, 1.0, 4.0),
            ({"lora_alpha": 8, "alpha_pattern": {f"base_model.model.{QUERY}": 32}}, 1.0, 4.0),
            ({"lora_alpha": 8, "alpha_pattern": None, "rank_pattern": None}, 1.0, 1.0),
            ({"lora_alpha": 8, "alpha_pattern": {rf"^{QUERY}$".replace(".", r"\."): 32}}, 1.0, 4.0),
        ],
    )
    def test_pefts_configuration(
        self, config: dict[str, Any], scale: float, of_query: float, own: Tensors, tmp_path: Path
    ) -> None:
        said = json.dumps({"peft_type": "LORA", "r": 8, **config})
        (tmp_path / "adapter_config.json").write_text(said, encoding="utf-8-sig")
        scales = {layer.module: layer.scale for layer in layers(self.file(tmp_path, own))}
        assert scales.pop(QUERY) == pytest.approx(of_query)
        assert list(scales.values()) == pytest.approx([scale] * 23)

    def test_what_a_card_says_counts_where_the_file_is_silent(self, own: Tensors, tmp_path: Path) -> None:
        assert {layer.scale for layer in layers(self.file(tmp_path, own), alpha=4)} == {0.5}
        with refuses(WeightsError, ErrorKind.CONFLICT, "scale", "1 by its metadata, 0.5 by card.json"):
            layers(OWN, alpha=4)

    @pytest.mark.parametrize(
        ("config", "kind", "field", "named"),
        [
            ({"r": 16, "lora_alpha": 16}, ErrorKind.CONFLICT, "r", "rank 16"),
            ({"r": 8, "lora_alpha": 0}, ErrorKind.INVALID, "scale", "the scale 0;"),
            ({"r": 8}, ErrorKind.INVALID, "lora_alpha", ""),
            ({"r": 8, "lora_alpha": 8, "alpha_pattern": {"(a+)+$": 1}}, ErrorKind.INVALID, "alpha_pattern", "(a+)+"),
            (
                {"r": 8, "lora_alpha": 8, "alpha_pattern": {"blocks.9.to_q": 1}},
                ErrorKind.UNKNOWN,
                "alpha_pattern",
                "no layer",
            ),
            ({"r": 8, "lora_alpha": 8, "use_dora": True}, ErrorKind.INVALID, "form", "DoRA"),
            ({"r": 8, "lora_alpha": 8, "peft_type": "LOKR"}, ErrorKind.INVALID, "form", "LOKR"),
            (
                {"r": 8, "lora_alpha": 8, "init_lora_weights": "pissa_niter_4"},
                ErrorKind.CONFLICT,
                "init_lora_weights",
                "",
            ),
        ],
    )
    def test_a_configuration_that_does_not_fit(
        self, config: dict[str, Any], kind: ErrorKind, field: str, named: str, own: Tensors, tmp_path: Path
    ) -> None:
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        with refuses(WeightsError, kind, field, "a.safetensors: ", "adapter_config.json", named):
            layers(self.file(tmp_path, own))


def _moved(tensors: Tensors) -> Tensors:
    return {name.replace("attn1.to_out.0", "attnX.to_out.0"): values for name, values in tensors.items()}


def _with(tensors: Tensors, name: str, shape: tuple[int, ...] = (128,)) -> Tensors:
    return tensors | {name: np.ones(shape, np.float16)}


def _without(tensors: Tensors, part: str) -> Tensors:
    return {name: values for name, values in tensors.items() if part not in name}


def _changed(tensors: Tensors, side: str, change: Callable[[Any], Any]) -> Tensors:
    name = FACTOR[side]
    return tensors | {name: np.ascontiguousarray(change(tensors[name].copy()))}


def _one_bad(values: Any, bad: float) -> Any:
    values.flat[3] = bad
    return values


@pytest.mark.parametrize(
    ("change", "kind", "field", "named"),
    [
        (_moved, ErrorKind.UNKNOWN, "tensors", ("12 of 48", "attnX", f"(nearest: {OUTPUT})")),
        (lambda own: _without(own, "lora_B"), ErrorKind.MISSING, "lora_B", ("24 of 24", f"transformer.{QUERY[:12]}")),
        (lambda own: _without(own, f"{QUERY}.lora_A"), ErrorKind.MISSING, "lora_A", ("1 of 24",)),
        (lambda own: _changed(own, "A", lambda a: a[:, :64]), ErrorKind.INVALID, QUERY, ("weight is [128, 128]",)),
        (lambda own: _changed(own, "A", lambda a: a[:4]), ErrorKind.INVALID, QUERY, ("[4, 128]",)),
        (lambda own: _changed(own, "B", lambda b: b[:64]), ErrorKind.INVALID, QUERY, ("[64, 8]",)),
        (lambda own: _changed(own, "A", lambda a: _one_bad(a, np.nan)), ErrorKind.DAMAGED, FACTOR["A"], ("1 value",)),
        (lambda own: _changed(own, "B", lambda b: _one_bad(b, -np.inf)), ErrorKind.DAMAGED, FACTOR["B"], ("1 value",)),
        (lambda own: _changed(own, "B", lambda b: b.astype(np.int8)), ErrorKind.INVALID, "dtype", ("I8", "float16")),
        (lambda own: {n: v * ("_A" in n) for n, v in own.items()}, ErrorKind.INVALID, "lora_B", ("is zero",)),
        (lambda own: {}, ErrorKind.MISSING, "tensors", ()),
        (lambda own: _with(own, f"{QUERY}.lora_A.weight", (8, 128)), ErrorKind.CONFLICT, QUERY, (FACTOR["A"],)),
        (lambda own: _with(own, f"transformer.{QUERY}.lora_B.bias"), ErrorKind.INVALID, "form", ("LoRA with biases",)),
        (
            lambda own: _with(own, f"transformer.{QUERY}.lora_magnitude_vector"),
            ErrorKind.INVALID,
            "form",
            ("DoRA (1 of 49 tensors",),
        ),
        (
            lambda own: _with(own, f"lora_unet_{QUERY.replace('.', '_')}.dora_scale"),
            ErrorKind.INVALID,
            "form",
            ("DoRA",),
        ),
        (lambda own: _with({}, f"{QUERY}.lokr_w1"), ErrorKind.INVALID, "form", ("LoKr",)),
        (lambda own: _with({}, f"{QUERY}.hada_w1_a"), ErrorKind.INVALID, "form", ("LoHa",)),
        (lambda own: _with({}, f"{QUERY}.diff"), ErrorKind.INVALID, "form", ("differences of whole weights",)),
        (
            lambda own: _with({}, "transformer.layers.0.attention.dense.matrix_A.0"),
            ErrorKind.INVALID,
            "form",
            ("SAT", "export it to diffusers"),
        ),
        (
            lambda own: _with(own, "text_encoder.encoder.lora_A.weight"),
            ErrorKind.INVALID,
            "form",
            ("adapter of the text encoder", "frozen"),
        ),
        (
            lambda own: _with(own, "lora_te_text_model.lora_down.weight"),
            ErrorKind.INVALID,
            "form",
            ("adapter of the text encoder",),
        ),
        (lambda own: _with(own, "transformer.patch_embed.proj.weight"), ErrorKind.UNKNOWN, "tensors", ("1 of 49",)),
        (lambda own: _with(own, f"{QUERY}\x1b[2J.lora_A.weight"), ErrorKind.INVALID, "tensors", ()),
        (lambda own: _with(own, f"transformer_2.{QUERY}.lora_A.weight"), ErrorKind.UNKNOWN, "tensors", ("1 of 49",)),
        (lambda own: _with(own, f"transformer.{QUERY}.alpha", (2,)), ErrorKind.INVALID, "alpha", (QUERY,)),
        (
            lambda own: _with(own, "transformer.transformer_blocks.0.ff.net.2.alpha", ()),
            ErrorKind.MISSING,
            "transformer_blocks.0.ff.net.2",
            (),
        ),
    ],
)
def test_what_is_no_adapter_of_the_base_is_refused_by_name(
    change: Callable[[Tensors], Tensors],
    kind: ErrorKind,
    field: str,
    named: tuple[str, ...],
    own: Tensors,
    tmp_path: Path,
) -> None:
    file = written(tmp_path / "a.safetensors", change(dict(own)))
    with refuses(WeightsError, kind, field, "a.safetensors: ", *named):
        layers(file)


def test_an_adapter_without_layers_that_its_configuration_names_is_refused(own: Tensors, tmp_path: Path) -> None:
    half = {name: tensor for name, tensor in own.items() if "to_q" in name or "to_k" in name}
    file = written(tmp_path / "a.safetensors", half)
    config = {"r": 8, "lora_alpha": 8, "target_modules": ["to_q", "to_k", "to_v", "to_out.0"]}
    beside = tmp_path / "adapter_config.json"
    beside.write_text(json.dumps(config))
    with refuses(WeightsError, ErrorKind.MISSING, "target_modules", file, "adapter_config.json", "to_v"):
        layers(file)
    for known in (["to_q", "to_k"], "all-linear", ["blocks.0.q"], None):
        beside.write_text(json.dumps(config | {"target_modules": known}))
        assert len(layers(file)) == len(half) // 2
    for left_out in ({"exclude_modules": ["to_v", "to_out.0"]}, {"layers_to_transform": [0]}):
        beside.write_text(json.dumps(config | left_out))
        assert len(layers(file)) == len(half) // 2


def test_an_alpha_without_a_rank_is_over_that_of_the_tensors(own: Tensors, tmp_path: Path) -> None:
    file = written(tmp_path / "a.safetensors", own, {"ss_network_alpha": "4"})
    assert {layer.scale for layer in layers(file)} == {0.5}
    with refuses(UsageError, ErrorKind.CONFLICT, "alpha"):
        adopt(file, tmp_path / "out", "mini_dekavu", BASE, "the base", alpha=4)


def test_one_part_of_an_adapter_in_parts_is_no_adapter(own: Tensors, tmp_path: Path) -> None:
    names = sorted(own)
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), start=1):
        written(tmp_path / f"a-0000{number}-of-00002.safetensors", {name: own[name] for name in part})
    with refuses(WeightsError, ErrorKind.INVALID, "weights", "part 1 of 2"):
        adopt(tmp_path / "a-00001-of-00002.safetensors", tmp_path / "out", "mini_dekavu", BASE, "the base")
    with refuses(WeightsError, ErrorKind.CONFLICT, "weights", "a-00001-of-00002.safetensors"):
        adopt(tmp_path, tmp_path / "out", "mini_dekavu", BASE, "the base")


@pytest.mark.parametrize("side", "AB")
def test_an_adapter_that_changes_nothing_is_refused(side: str, own: Tensors, tmp_path: Path) -> None:
    nothing = {name: 0 * tensor if f"lora_{side}" in name else tensor for name, tensor in own.items()}
    file = written(tmp_path / "a.safetensors", nothing)
    with refuses(WeightsError, ErrorKind.INVALID, f"lora_{side}", file, "change nothing"):
        layers(file)


def test_a_file_that_is_cut_or_none_is_named(tmp_path: Path) -> None:
    for name, content in (("cut", OWN.read_bytes()[:-10]), ("page", b"<html>not found</html>"), ("empty", b"")):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(content)
        with refuses(WeightsError, ErrorKind.DAMAGED, file.name):
            layers(file)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"<html>not found</html>", "a web page"),
        (b"PK\x03\x04" + bytes(60), "save_file(torch.load(FILE, weights_only=True), OUT)"),
        (b"\x80\x02}q\x00." + bytes(60), "PyTorch pickle"),
        ((0x280).to_bytes(8, "little") + b'{"a":', "damaged or incomplete"),
    ],
    ids=["pointer", "page", "zip", "pickle", "cut, with a header as long as a pickle's first bytes say"],
)
def test_a_file_of_another_kind_is_named(content: bytes, named: str, tmp_path: Path) -> None:
    file = tmp_path / "adapter_model.bin"
    file.write_bytes(content)
    with refuses(WeightsError, ErrorKind.DAMAGED, file.name, file, named):
        layers(file)


class TestAdopting:
    """The card of an adapter that was trained elsewhere."""

    @pytest.fixture
    def foreign(self, own: Tensors, tmp_path: Path) -> Path:
        return written(tmp_path / "from" / "a.safetensors", renamed(own, FORMS["kohya"]))

    def test_the_file_is_copied_to_its_place_and_gets_a_card(self, foreign: Path, tmp_path: Path) -> None:
        for source in (foreign, foreign.parent):
            adopt(source, tmp_path / "to", "mini_dekavu", BASE, "the base")
        adapter = find_adapter(tmp_path / "to", "mini_dekavu")
        assert adapter is not None
        assert adapter.card.adopted
        assert adapter.card.rank == 8
        assert adapter.weights.read_bytes() == foreign.read_bytes()
        assert changes(adapter.layers(BASE, "the base")).keys() == changes(layers(OWN)).keys()

    def test_a_key_of_a_card_that_nobody_knows_is_named(self, tmp_path: Path) -> None:
        adopt(OWN, tmp_path, "mini_dekavu", BASE, "the base")
        card = tmp_path / "mini_dekavu" / "card.json"
        card.write_text(json.dumps(json.loads(card.read_text()) | {"colour": 1}))
        with refuses(WeightsError, ErrorKind.DAMAGED, "card.json", card, "colour: there is no such field"):
            find_adapter(tmp_path, "mini_dekavu")

    def test_a_file_in_its_place_gets_a_card_and_a_second_call_changes_nothing(self, tmp_path: Path) -> None:
        place = tmp_path / "mini_dekavu"
        place.mkdir()
        shutil.copy(OWN, place)
        adopt(place, tmp_path, "mini_dekavu", BASE, "the base")
        before = {path: path.read_bytes() for path in place.iterdir()}
        assert len(before) == 2
        adopt(place, tmp_path, "mini_dekavu", BASE, "the base")
        assert {path: path.read_bytes() for path in place.iterdir()} == before

    def test_pefts_configuration_goes_along_and_is_keyed(self, foreign: Path, tmp_path: Path) -> None:
        config = foreign.with_name("adapter_config.json")
        config.write_text(json.dumps({"r": 8, "lora_alpha": 16}))
        adapter = adopt(foreign, tmp_path / "to", "mini_dekavu", BASE, "the base")
        assert {layer.scale for layer in adapter.layers(BASE, "the base")} == {2.0}
        assert adapter.inputs() == [adapter.weights, adapter.folder / "adapter_config.json"]
        config.write_text(json.dumps({"r": 8, "lora_alpha": 8}))
        with refuses(WeightsError, ErrorKind.CONFLICT, "out", tmp_path / "to" / "mini_dekavu"):
            adopt(foreign, tmp_path / "to", "mini_dekavu", BASE, "the base")

    def test_a_given_alpha_is_kept_and_keyed(self, foreign: Path, tmp_path: Path) -> None:
        adapter = adopt(foreign, tmp_path, "mini_dekavu", BASE, "the base", alpha=16)
        again = find_adapter(tmp_path, "mini_dekavu")
        assert again is not None
        assert {layer.scale for layer in again.layers(BASE, "the base")} == {2.0}
        assert again.inputs() == adapter.inputs() == [again.weights, "alpha=16"]
        with refuses(UsageError, ErrorKind.CONFLICT, "alpha", OWN):
            adopt(OWN, tmp_path / "other", "mini_dekavu", BASE, "the base", alpha=16)

    def test_another_adapter_or_card_is_never_overwritten(self, foreign: Path, own: Tensors, tmp_path: Path) -> None:
        output = tmp_path / "to"
        adopt(foreign, output, "mini_dekavu", BASE, "the base")
        before = {path: path.read_bytes() for path in (output / "mini_dekavu").iterdir()}
        other = written(tmp_path / "other.safetensors", own)
        with refuses(WeightsError, ErrorKind.CONFLICT, "out", output / "mini_dekavu", "move it away"):
            adopt(other, output, "mini_dekavu", BASE, "the base")
        with refuses(WeightsError, ErrorKind.CONFLICT, "out", output / "mini_dekavu"):
            adopt(foreign, output, "mini_dekavu", BASE, "the base", alpha=4)
        assert {path: path.read_bytes() for path in (output / "mini_dekavu").iterdir()} == before

    def test_a_trained_adapter_keeps_its_card(self, tmp_path: Path) -> None:
        shutil.copytree(OWN.parent, tmp_path / "mini_dekavu")
        before = (tmp_path / "mini_dekavu" / "card.json").read_bytes()
        adopt(OWN, tmp_path, "mini_dekavu", BASE, "the base")
        assert (tmp_path / "mini_dekavu" / "card.json").read_bytes() == before

    def test_what_does_not_fit_gets_no_card(self, own: Tensors, tmp_path: Path) -> None:
        file = written(tmp_path / "from" / "a.safetensors", _moved(own))
        with refuses(WeightsError, ErrorKind.UNKNOWN, "tensors", "12 of 48 tensors"):
            adopt(file, tmp_path / "to", "mini_dekavu", BASE, "the base")
        assert not (tmp_path / "to").exists()
        with refuses(WeightsError, ErrorKind.MISSING, "weights", "only safetensors are read"):
            adopt(tmp_path, tmp_path / "to", "mini_dekavu", BASE, "the base")

    def test_a_held_out_condition_gets_none(self, foreign: Path, tmp_path: Path) -> None:
        with refuses(UsageError, ErrorKind.CONFLICT, "condition", "mini_lopeni"):
            adopt(foreign, tmp_path, "mini_lopeni", BASE, "the base")

    def test_the_adapters_file_is_found_by_name(self, own: Tensors, tmp_path: Path) -> None:
        assert weights_in(tmp_path) is None
        for name in ("b", "adapter_model", "pytorch_lora_weights"):
            file = written(tmp_path / f"{name}.safetensors", own)
            assert weights_in(tmp_path) == file

"""Adapters: trained by the command's own code, worn by the method, never mistaken for one another."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mini_recipe.base import BaseConfig, make_base
from safetensors.torch import load_file, save_file

from tests.baselines.conftest import CONDITIONS, amplify, save_cogvideox, train
from tests.baselines.test_pipelines import frames, loaded
from tests.refusals import refuses
from vapbench.cli import main
from vapbench.core.case import Case, ClipSpec
from vapbench.errors import DataError, ErrorKind, NotApplicable, UsageError, WeightsError
from vapbench.files.atomic import file_sha256
from vapbench.files.resources import bundled_weights
from vapbench.methods import resolve
from vapbench.methods.base import inputs_of, remarks_of
from vapbench.methods.lora_files import adopt, base_shapes, find_adapter, fingerprint, training_command
from vapbench.methods.lora_forms import LoraFile
from vapbench.methods.lora_put_on import put_on
from vapbench.models import load_upstream_pipeline
from vapbench.running.plan import plan_run
from vapbench.running.progress import Silent
from vapbench.suites import find_suite
from vapbench.suites.mini.writer import write_vap_data
from vapbench.suites.vap_data import training_rows
from vapbench.training.examples import data_sha256, encoded_examples
from vapbench.training.lora import RECIPES, LoraConfig, mini_lora_config
from vapbench.training.lora_run import mini_samples, samples_of, trainable


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    mini = find_suite("mini").cases(None)
    return {name: next(case for case in mini if case.condition == name) for name in (*CONDITIONS, "mini_zirqua")}


def test_the_condition_decides_which_adapter_is_worn(
    cogvideox_i2v: Path, adapters: Path, cases: dict[str, Case]
) -> None:
    method = loaded(f"lora:weights={cogvideox_i2v},adapters={adapters}")
    one, two = (frames(method, cases[name]) for name in CONDITIONS)
    # Back to the first: nothing of the second is left.
    assert np.array_equal(frames(method, cases[CONDITIONS[0]]), one)
    other = loaded(f"lora:weights={cogvideox_i2v},adapters={adapters}")
    assert np.array_equal(frames(other, cases[CONDITIONS[1]]), two)
    # The same case, were its condition the other: the adapter makes the difference.
    exchanged = cases[CONDITIONS[0]].model_copy(update={"condition": CONDITIONS[1]})
    assert not np.array_equal(frames(method, exchanged), one)
    bare = loaded(f"i2v:weights={cogvideox_i2v}")
    assert not np.array_equal(frames(bare, cases[CONDITIONS[0]]), one)
    off = loaded(f"lora:weights={cogvideox_i2v},adapters={adapters},strength=0")
    assert np.array_equal(frames(off, cases[CONDITIONS[0]]), frames(bare, cases[CONDITIONS[0]]))


def test_a_missing_condition_is_unscored_and_says_how_to_train_it(
    cogvideox_i2v: Path, adapters: Path, cases: dict[str, Case]
) -> None:
    method = loaded(f"lora:weights={cogvideox_i2v},adapters={adapters}")
    frames(method, cases[CONDITIONS[0]])
    with refuses(
        NotApplicable, ErrorKind.MISSING, "condition", "vapbench train lora --condition mini_zirqua --suite mini"
    ):
        method.generate(cases["mini_zirqua"], 0)


def test_a_folder_of_adapters_that_is_not_there_is_seen_before_anything_is_loaded(
    cogvideox_i2v: Path, cases: dict[str, Case], tmp_path: Path
) -> None:
    method = resolve(f"lora:weights={cogvideox_i2v},adapters={tmp_path / 'nowhere'}").method
    with refuses(WeightsError, ErrorKind.MISSING, "adapters", "nowhere", "vapbench train lora --task all"):
        method.inputs(cases[CONDITIONS[0]])


def test_a_held_out_condition_is_not_told_to_be_trained() -> None:
    assert "vapbench train" not in training_command("mini_lopeni")
    with refuses(UsageError, ErrorKind.CONFLICT, "condition"):
        mini_samples("mini_lopeni", 1)


def test_cases_are_grouped_by_condition_and_keyed_by_their_adapter(
    cogvideox_i2v: Path, adapters: Path, cases: dict[str, Case], tmp_path: Path
) -> None:
    one, two = (cases[name] for name in CONDITIONS)
    again = one.model_copy(update={"id": "again"})
    method = resolve(f"lora:weights={cogvideox_i2v},adapters={adapters}", suite="mini")
    plan = plan_run("mini", "all", method, [one, two, again], [0], tmp_path)
    assert [job.case.condition for job in plan.jobs] == [CONDITIONS[0], CONDITIONS[0], CONDITIONS[1]]
    assert method.method.inputs(cases["mini_zirqua"]) == []
    copy = tmp_path / "copy"
    shutil.copytree(adapters, copy)
    moved = plan_run(
        "mini", "all", resolve(f"lora:weights={cogvideox_i2v},adapters={copy}", suite="mini"), [one], [0], tmp_path
    )
    assert moved.jobs[0].key == plan.jobs[0].key
    amplify(copy / "mini_bolumo", seed=1)
    changed = plan_run(
        "mini", "all", resolve(f"lora:weights={cogvideox_i2v},adapters={copy}", suite="mini"), [one], [0], tmp_path
    )
    assert changed.jobs[0].key != plan.jobs[0].key


def test_an_adapter_of_another_backbone_is_refused_before_anything_is_written(
    adapters: Path, cases: dict[str, Case], tmp_path: Path
) -> None:
    other = save_cogvideox(tmp_path / "other", seed=7)
    method = resolve(f"lora:weights={other},adapters={adapters}", suite="mini")
    with refuses(WeightsError, ErrorKind.CONFLICT, "base", "vapbench train lora --condition mini_bolumo"):
        plan_run("mini", "all", method, [cases["mini_bolumo"]], [0], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_damaged_adapter_is_named(cogvideox_i2v: Path, adapters: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(adapters, copy)
    (copy / "mini_bolumo" / "card.json").write_text("{")
    with refuses(WeightsError, ErrorKind.DAMAGED, "card.json", "mini_bolumo/card.json"):
        find_adapter(copy, "mini_bolumo")
    (copy / "mini_lesuvo").rename(copy / "mini_zirqua")
    with refuses(WeightsError, ErrorKind.CONFLICT, "condition", "mini_lesuvo, not of mini_zirqua"):
        find_adapter(copy, "mini_zirqua")


def test_weights_that_are_not_the_cards_are_refused(adapters: Path, tmp_path: Path) -> None:
    """Another condition's file under this one's card, or half of its own."""
    copy = tmp_path / "copy"
    shutil.copytree(adapters, copy)
    own, other = (copy / name / "pytorch_lora_weights.safetensors" for name in CONDITIONS)
    for content in (other.read_bytes(), own.read_bytes()[:-1]):
        own.write_bytes(content)
        with refuses(
            WeightsError, ErrorKind.CONFLICT, "sha256", "mini_bolumo/pytorch_lora", "train it again: vapbench"
        ):
            find_adapter(copy, "mini_bolumo")


def test_an_adapter_in_another_trainers_form_makes_the_same_frames(
    cogvideox_i2v: Path, adapters: Path, cases: dict[str, Case], tmp_path: Path
) -> None:
    """Layers of another rank among them, and kohya's alphas, which are half the rank with factors twice as large."""
    own = adapters / CONDITIONS[0] / "pytorch_lora_weights.safetensors"
    other = tmp_path / "kohya.safetensors"
    tensors = {}
    for name, values in load_file(own).items():
        layer, _, side = name.removeprefix("transformer.").removesuffix(".weight").partition(".lora_")
        spelled = f"lora_unet_{layer.replace('.', '_')}"
        if layer.endswith("0.attn1.to_q"):
            values = torch.cat([values, torch.zeros_like(values)], dim="AB".index(side))
        tensors[f"{spelled}.lora_{'down' if side == 'A' else 'up'}.weight"] = values * (2 if side == "B" else 1)
        tensors[f"{spelled}.alpha"] = torch.tensor(min(values.shape) / 2)
    save_file({name: values.contiguous() for name, values in tensors.items()}, other)
    assert adopt(other, tmp_path, CONDITIONS[0], cogvideox_i2v, "the base").card.rank == 4
    one, two = (
        frames(loaded(f"lora:weights={cogvideox_i2v},adapters={folder}"), cases[CONDITIONS[0]])
        for folder in (adapters, tmp_path)
    )
    assert np.abs(one.astype(int) - two).max() <= 1


def test_the_scale_is_that_of_the_file_in_every_version_of_the_loaders(cogvideox_i2v: Path, tmp_path: Path) -> None:
    """A layer's weight grows by scale * up @ down: measured on the layers themselves, without any metadata."""
    transformer = load_upstream_pipeline(cogvideox_i2v, "CogVideoXImageToVideoPipeline", torch.float32).transformer
    torch.manual_seed(0)
    ranks = {"transformer_blocks.0.attn1.to_q": 3, "transformer_blocks.1.attn1.to_out.0": 2}
    tensors = {}
    for layer, rank in ranks.items():
        tensors[f"{layer}.lora_A.weight"], tensors[f"{layer}.lora_B.weight"] = (
            torch.randn(rank, 32),
            torch.randn(32, rank),
        )
    tensors["patch_embed.proj.lora_A.weight"] = torch.randn(2, 8, 2, 2)
    tensors["patch_embed.proj.lora_B.weight"] = torch.randn(32, 2, 1, 1)
    save_file(tensors, tmp_path / "a.safetensors")
    found = LoraFile(tmp_path / "a.safetensors", base_shapes(cogvideox_i2v), "the base").layers()
    put_on(transformer, found, "condition")
    for layer in ranks:
        module, given = transformer.get_submodule(layer), torch.randn(5, 32)
        grown = tensors[f"{layer}.lora_B.weight"] @ tensors[f"{layer}.lora_A.weight"]
        assert torch.allclose(module(given) - module.base_layer(given), given @ grown.T, atol=1e-4)
    module, given = transformer.get_submodule("patch_embed.proj"), torch.randn(1, 8, 4, 4)
    grown = torch.einsum("orab,rixy->oixy", *(tensors[f"patch_embed.proj.lora_{side}.weight"] for side in "BA"))
    expected = torch.nn.functional.conv2d(given, grown, stride=2)
    assert torch.allclose(module(given) - module.base_layer(given), expected, atol=1e-4)
    assert transformer.dtype == torch.float32
    transformer.delete_adapters("condition")
    assert not any("lora" in name for name, _ in transformer.named_parameters())


def test_an_adapter_without_a_card_names_the_command_that_writes_it(
    cogvideox_i2v: Path,
    adapters: Path,
    cases: dict[str, Case],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = tmp_path / "with space"
    shutil.copytree(adapters, copy)
    (copy / CONDITIONS[0] / "card.json").unlink()
    method = resolve(f"lora:weights={cogvideox_i2v},adapters={copy}").method
    with refuses(WeightsError, ErrorKind.MISSING, "card.json", "vapbench data adopt-lora") as refused:
        inputs_of(method, cases[CONDITIONS[0]])
    command = shlex.split(str(refused.value).partition("write one: ")[2].partition(", or train")[0])
    for _ in range(2):
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code == 0
        assert f"--method lora:adapters={shlex.quote(str(copy))}" in capsys.readouterr().out
    assert inputs_of(method, cases[CONDITIONS[0]]) == (copy / CONDITIONS[0] / "pytorch_lora_weights.safetensors",)
    two = [cases[name] for name in CONDITIONS]
    (remark,) = remarks_of(method, two)
    assert "trained elsewhere, on clips not known here: 1 of 2 conditions (mini_bolumo)" in remark
    assert not remarks_of(resolve(f"lora:weights={cogvideox_i2v},adapters={adapters}").method, two)
    own = loaded(f"lora:weights={cogvideox_i2v},adapters={adapters}")
    adopted = loaded(f"lora:weights={cogvideox_i2v},adapters={copy}")
    assert np.array_equal(frames(own, cases[CONDITIONS[0]]), frames(adopted, cases[CONDITIONS[0]]))


def test_a_bundled_adapter_under_pefts_names_has_the_bundled_ones_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = bundled_weights("mini/lora") / "mini_dekavu"
    file = tmp_path / "loras" / "mini_dekavu" / "pytorch_lora_weights.safetensors"
    file.parent.mkdir(parents=True)
    save_file(
        {
            name.replace("transformer.", "base_model.model.", 1): value
            for name, value in load_file(bundled / file.name).items()
        },
        file,
    )
    card = json.loads((bundled / "card.json").read_text())
    file.with_name("card.json").write_text(json.dumps(card | {"sha256": file_sha256(file)}))
    asked = f"-m lora:adapters={file.parents[1]} --suite mini --task style --limit 1 --device cpu -q --results"
    column = "semantic_alignment[embedding]"
    argv = ["vapbench", "run", *asked.split(), str(tmp_path / "runs"), "--metric", column]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0
    (rows,) = (tmp_path / "runs").glob("mini/lora/scores/*.jsonl")
    assert json.loads(rows.read_text().splitlines()[-1])["value"] == pytest.approx(54.0, abs=0.5)


def test_an_adapter_that_does_not_fit_is_refused_before_anything_is_written(
    cogvideox_i2v: Path, adapters: Path, cases: dict[str, Case], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(adapters, copy)
    file = copy / CONDITIONS[0] / "pytorch_lora_weights.safetensors"
    save_file({name.replace("attn1.to_v", "attn1.to_w"): value for name, value in load_file(file).items()}, file)
    card = file.with_name("card.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"sha256": file_sha256(file)}))
    method = resolve(f"lora:weights={cogvideox_i2v},adapters={copy}", suite="mini")
    with refuses(WeightsError, ErrorKind.UNKNOWN, "tensors", "4 of 16 tensors", "nearest: transformer_blocks.0.attn1"):
        plan_run("mini", "all", method, [cases[CONDITIONS[0]]], [0], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_base_is_the_same_alone_and_within_vap(cogvideox_i2v: Path, vap_around_it: Path, tmp_path: Path) -> None:
    assert fingerprint(cogvideox_i2v) == fingerprint(vap_around_it)
    assert fingerprint(cogvideox_i2v) != fingerprint(save_cogvideox(tmp_path / "other", seed=7))


class TestTraining:
    def test_the_card_tells_what_it_was_trained_on(self, cogvideox_i2v: Path, tmp_path: Path) -> None:
        train(tmp_path, cogvideox_i2v, CONDITIONS[:1])
        adapter = find_adapter(tmp_path, CONDITIONS[0])
        assert adapter is not None
        card = adapter.card
        assert card.base == fingerprint(cogvideox_i2v)
        assert (card.condition, card.steps, card.clips, card.seed) == (CONDITIONS[0], 2, 2, 0)
        assert card.sha256 == file_sha256(adapter.weights)
        assert list((tmp_path / ".work" / CONDITIONS[0]).glob("step-*.png"))

    def test_a_second_call_keeps_what_is_there_and_a_seed_decides(self, cogvideox_i2v: Path, tmp_path: Path) -> None:
        train(tmp_path / "a", cogvideox_i2v, CONDITIONS[:1])
        path = tmp_path / "a" / CONDITIONS[0] / "pytorch_lora_weights.safetensors"
        before, written = load_file(path), path.stat().st_mtime_ns
        train(tmp_path / "a", cogvideox_i2v, CONDITIONS[:1])
        assert path.stat().st_mtime_ns == written
        # In company of another condition, and after it: the same adapter.
        train(tmp_path / "b", cogvideox_i2v, CONDITIONS[::-1])
        after = load_file(tmp_path / "b" / CONDITIONS[0] / path.name)
        assert after.keys() == before.keys()
        assert all(torch.equal(after[name], before[name]) for name in before)

    def test_vap_data_is_trained_on_by_its_training_split_alone(self, cogvideox_i2v: Path, tmp_path: Path) -> None:
        data = tmp_path / "data"
        write_vap_data(data, train_clips_per_condition=2)
        assert len(trainable("vap-data", data)) == 27
        rows = {row.condition: row.video() for row in training_rows(data)}
        # Who trains one condition needs the videos of no other.
        rows[CONDITIONS[1]].unlink()
        train(tmp_path / "out", cogvideox_i2v, CONDITIONS[:1], suite="vap-data", data=data)
        assert find_adapter(tmp_path / "out", CONDITIONS[0]) is not None
        with refuses(DataError, ErrorKind.MISSING, "", "vap_data.csv:"):
            train(tmp_path / "out", cogvideox_i2v, CONDITIONS, suite="vap-data", data=data)
        table = data / "vap_data.csv"
        table.write_text(table.read_text().replace(",test,", ",train,"))
        with refuses(DataError, ErrorKind.CONFLICT, "split", "benchmark.csv"):
            trainable("vap-data", data)

    def test_clips_are_encoded_anew_for_another_base(self, cogvideox_i2v: Path, tmp_path: Path) -> None:
        pipeline = load_upstream_pipeline(cogvideox_i2v, "CogVideoXImageToVideoPipeline", torch.float32)
        samples, path = mini_samples(CONDITIONS[0], 40)[:1], tmp_path / "examples.safetensors"
        first = encoded_examples(path, pipeline, "one", samples, Silent())
        with torch.no_grad():
            pipeline.vae.encoder.conv_in.conv.weight.mul_(2)
        again, other = (encoded_examples(path, pipeline, base, samples, Silent()) for base in ("one", "two"))
        assert torch.equal(again.clips, first.clips)
        assert not torch.equal(other.clips, first.clips)

    def test_the_size_is_part_of_what_is_trained_on(self, tmp_path: Path) -> None:
        write_vap_data(tmp_path, train_clips_per_condition=1)
        sizes = (ClipSpec(frames=frames, fps=8, height=64, width=64) for frames in (9, 13))
        one, two = (samples_of("vap-data", tmp_path, CONDITIONS[:1], size, None)[CONDITIONS[0]] for size in sizes)
        assert data_sha256(one) != data_sha256(two)

    def test_there_are_two_recipes_and_an_adapter_knows_its_own(self) -> None:
        plans = {name: (recipe.plan.steps, recipe.plan.learning_rate) for name, recipe in RECIPES.items()}
        assert plans == {"short": (2_000, 5e-5), "official": (60_000, 1e-5)}
        assert RECIPES["short"] == LoraConfig()
        assert {(recipe.rank, recipe.alpha) for recipe in RECIPES.values()} == {(64, 64)}

    def test_an_adapter_trained_elsewhere_is_never_overwritten(
        self, cogvideox_i2v: Path, adapters: Path, tmp_path: Path
    ) -> None:
        own = adapters / CONDITIONS[0] / "pytorch_lora_weights.safetensors"
        for output, taken_over in ((tmp_path / "bare", False), (tmp_path / "adopted", True)):
            (output / CONDITIONS[0]).mkdir(parents=True)
            kept = Path(shutil.copy(own, output / CONDITIONS[0]))
            if taken_over:
                adopt(kept, output, CONDITIONS[0], cogvideox_i2v, "the base")
            with refuses(UsageError, ErrorKind.CONFLICT, "out", output):
                train(output, cogvideox_i2v, CONDITIONS[:1])
            assert kept.read_bytes() == own.read_bytes()

    @pytest.mark.parametrize(
        ("condition", "kind", "named"),
        [
            ("mini_lopeni", ErrorKind.CONFLICT, "zero-shot"),
            ("mini_bolum", ErrorKind.UNKNOWN, "Did you mean mini_bolumo"),
        ],
    )
    def test_what_must_not_be_trained_is_refused(self, condition: str, kind: ErrorKind, named: str) -> None:
        with refuses(UsageError, kind, "condition", condition, named):
            mini_samples(condition, 2)

    def test_the_mini_adapters_fit_into_the_package(self) -> None:
        from peft import LoraConfig as PeftConfig

        config = mini_lora_config()
        model = make_base(BaseConfig(), torch.Size((7, 16, 8, 8)), (64, 96))
        model.requires_grad_(False)
        model.add_adapter(PeftConfig(r=config.rank, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
        numbers = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        assert 27 * 2 * numbers < 8e6


def test_cards_are_plain_json(adapters: Path) -> None:
    card = json.loads((adapters / CONDITIONS[0] / "card.json").read_text())
    assert {"condition", "base", "data", "steps", "seed"} <= set(card)

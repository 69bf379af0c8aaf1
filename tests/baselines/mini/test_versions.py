"""The next version's training: its data, its judges, and that it leaves when asked and goes on where it left."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mini_recipe import STAGES, MiniConfig, train_mini
from mini_recipe.config import ASSEMBLED, FOR_CLAIMS, VERSIONS
from mini_recipe.data import MiniData, first_data, grammar_data
from mini_recipe.diffusion import rotary
from mini_recipe.expert import VARIANTS, Variant, reference_rotary
from mini_recipe.latents import Latents
from mini_recipe.readings import told_apart
from mini_recipe.regressor import Regressor, RegressorConfig, drawn_specs, family_of
from mini_recipe.text import make_tokenizer
from mini_recipe.vae import make_vae

from tests.refusals import refuses
from vapbench.errors import ErrorKind, IdentityError, UsageError
from vapbench.files.atomic import digest
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.conditions import condition
from vapbench.suites.mini.grammar.codes import semantics_of
from vapbench.suites.mini.grammar.distance import features
from vapbench.suites.mini.grammar.parameters import CATEGORIES
from vapbench.suites.mini.grammar.split import broken_rules
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.scenes import scene_number, split_of
from vapbench.suites.mini.writer import DATA_VERSION
from vapbench.training.data import training_specs
from vapbench.training.loop import STATE

_STAGES = {
    "vae": "a84457c51f693b73",
    "text": "8188ef801f4b1c8d",
    "semantic": "f33de56b8521b448",
    "image_text": "1222f62338351731",
    "quality": "2ab4e232045f1a3d",
    "base": "1212f0d3ad0c6e9a",
    "lora": "ad5ea9f1a80e22fe",
    "wan_vae": "336f9c0d8e243cd0",
    "vace": "a0a1bc589bc14e0e",
    "expert": "da1225e8a4f84b12",
}
_EXPERTS = {
    "expert_shared": "2440450a03fafaf7",
    "expert_far": "5c937fd00f1c1420",
    "expert_20": "ef35263b9215c877",
    "expert_40": "1c67c45599302f1d",
    "expert_80": "18146e0511f9e84f",
    "expert_160": "7c5b52521d5b9c83",
}


@pytest.fixture(scope="module")
def small() -> MiniConfig:
    """The smallest form."""
    return VERSIONS[2]().seeded(0).smoke()


class TestData:
    @pytest.fixture(scope="class")
    def data(self) -> MiniData:
        return grammar_data()

    def test_nothing_that_is_trained_on_is_held_out(self, data: MiniData) -> None:
        assert (len(data.training), len(data.benchmark), len(data.held_out)) == (640, 28, 12)
        assert set(data.benchmark) < set(data.training)
        assert all(broken_rules(semantics_of(code)) for code in data.held_out)
        assert not set(data.held_out) & set(data.training)

    def test_the_first_version_trains_on_what_it_always_did(self) -> None:
        data = first_data()
        assert (len(data.training), len(data.held_out), len(data.judged)) == (27, 6, 33)
        assert data.effects.of(data.training[5]) == (5,)
        assert dict(data.built_on) == {}

    @pytest.mark.parametrize("whole", [first_data(), grammar_data()], ids=["first", "grammar"])
    def test_a_few_of_the_conditions_are_of_every_category_and_keep_their_roles(self, whole: MiniData) -> None:
        few = whole.few()
        assert {condition(name).category for name in few.benchmark} == set(CATEGORIES)
        for role in ("training", "benchmark", "asked", "judged", "held_out"):
            assert 0 < len(getattr(few, role)) < 12 and set(getattr(few, role)) <= set(getattr(whole, role))
        assert (few.benchmark == few.training) == (whole.benchmark == whole.training)
        assert {name: len(specs) for name, specs in few.shown().items()} == dict.fromkeys(whole.shown(), 1)

    def test_every_plain_caption_fits(self, data: MiniData) -> None:
        captions = [clip_captions(spec).plain for spec in training_specs(4, names=data.training)]
        tokenizer = make_tokenizer(captions, data.caption_length)
        lengths = [len(ids) for ids in tokenizer(captions).input_ids]
        assert max(lengths) <= data.caption_length

    def test_what_captions_say_tells_all_conditions_apart(self, data: MiniData) -> None:
        said = [data.effects.of(code) for code in data.asked + data.training]
        assert len(set(said)) == len({*data.asked, *data.training})
        assert all(len(kinds) == len(data.effects.sizes) for kinds in said)
        assert max(max(np.subtract(kinds, data.effects.sizes)) for kinds in said) == 0  # which is "not said"

    def test_latents_are_large_enough_for_sharp_pictures_and_what_is_shown_is_unseen(self, data: MiniData) -> None:
        shown = data.shown()
        assert [len(specs) for specs in shown.values()] == [28, 12]
        assert {split_of(spec.scene) for specs in shown.values() for spec in specs} == {"validation"}
        vae = make_vae(VERSIONS[2]().vae)
        with torch.no_grad():
            assert vae.encode(torch.zeros(1, 3, 13, 64, 64)).latent_dist.mode().shape == (1, 16, 7, 16, 16)


class TestJudges:
    def test_a_clip_read_right_is_told_from_the_others_of_its_family(self) -> None:
        specs = [MiniClip(code, scene_number("validation", 0), 0) for code in grammar_data().benchmark[:4]]
        right = [features(semantics_of(spec.condition)) for spec in specs]
        assert told_apart(right, specs) == {"all": 1.0, "concept": 1.0, "score": 100.0, "score_concept": 100.0}
        wrong = told_apart(right[1:] + right[:1], specs)
        assert wrong["all"] == 0 and wrong["score"] < 60

    def test_a_regressor_reads_every_family_and_comes_back_from_its_folder(self, tmp_path: Path) -> None:
        config = RegressorConfig(widths=(8, 8, 8), dimension=8)
        torch.manual_seed(0)
        model = Regressor(config.widths, config.dimension)
        specs = drawn_specs(4, 200_000)
        assert [family_of(spec) for spec in specs] == ["concept", "style", "motion", "camera"]
        clips = render_batch(specs)
        read = model.read(clips, specs)
        assert [len(row) for row in read] == [len(features(semantics_of(spec.condition))) for spec in specs]
        model.save_pretrained(tmp_path)
        again = Regressor.from_pretrained(tmp_path, config).read(clips, specs)
        np.testing.assert_allclose(np.concatenate(again), np.concatenate(read), rtol=0, atol=2e-2)


class TestIdentity:
    """Trained folders and saved states are found again by these: what changes one trains that stage anew."""

    def test_the_next_versions_stages_are_those_that_began(self) -> None:
        config = VERSIONS[2]().seeded(0)
        trained = [stage for stage in config.stages if stage not in (*ASSEMBLED, *FOR_CLAIMS)]
        assert {stage: digest(asdict(getattr(config, stage)))[:16] for stage in trained} == _STAGES
        assert {name: digest(asdict(variant))[:16] for name, variant in VARIANTS.items()} == _EXPERTS
        assert digest(asdict(config.compared)).startswith("96fc6a0cab299c94")
        assert config.data.built_on["grammar"].startswith("3263bf25fe4206b3") and DATA_VERSION == 2


class TestVariants:
    def test_each_differs_in_one_thing_from_the_one_trained_on_all(self) -> None:
        whole, stages = asdict(VARIANTS["expert_160"]), VERSIONS[2]().stages
        assert whole == asdict(Variant(conditions=len(grammar_data().training) // 4))
        for name, variant in VARIANTS.items():
            different = [key for key, value in asdict(variant).items() if value != whole[key]]
            assert len(different) == (name != "expert_160")
            assert name in stages and name not in STAGES
        assert stages.index("bundle") < min(map(stages.index, VARIANTS))  # What ships does not wait for them.

    def test_a_reference_is_where_its_variant_says(self) -> None:
        sizes = SimpleNamespace(sample_height=16, sample_width=16, patch_size=2, attention_head_dim=32)
        tables = [reference_rotary(sizes, torch.device("cpu"), where)[1] for where in ("before", "shared", "far")]
        target = rotary(sizes, torch.device("cpu"))[1]
        assert tables[0].shape == target.shape == (7 * 8 * 8, 32)
        assert [torch.equal(table, target) for table in tables] == [False, True, False]
        assert not torch.equal(tables[0], tables[2])

    def test_fewer_conditions_are_clips_of_these_alone(self) -> None:
        specs = training_specs(2, names=grammar_data().training[:8])
        numbers = torch.arange(16).reshape(16, 1, 1, 1, 1)
        latents = Latents(tuple(specs), numbers, numbers[:, 0], torch.ones(1))
        few = latents.only(grammar_data().training[:4])
        assert [spec.condition for spec in few.specs] == 2 * list(grammar_data().training[:4])
        assert few.clips.flatten().tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


class TestTraining:
    def test_it_leaves_when_asked_resumes_and_says_what_it_was_built_on(
        self, tmp_path: Path, small: MiniConfig, capfd: pytest.CaptureFixture[str]
    ) -> None:
        asked = iter([False, True, True])
        stages = ("vae", "text")
        assert not train_mini(tmp_path, config=small, only=stages, stopping=lambda: next(asked))
        assert torch.load(tmp_path / "work" / "vae" / STATE, weights_only=True)["step"] == 2
        assert not (tmp_path / "vae").exists() and not (tmp_path / "work" / "text").exists()
        assert train_mini(tmp_path, config=small, only=stages)
        card = json.loads((tmp_path / "vae" / "card.json").read_text())
        assert set(card["measured"]) == {"psnr_of_training_conditions", "psnr_of_held_out_conditions", "scaling_factor"}
        assert card["built_on"] == dict(small.data.built_on)
        capfd.readouterr()
        assert train_mini(tmp_path, config=small, only=stages)
        assert "vae: done before" in capfd.readouterr().err

    def test_another_seed_does_not_go_on(self, tmp_path: Path, small: MiniConfig) -> None:
        stop = threading.Event()
        stop.set()
        train_mini(tmp_path, config=small, only=["vae"], stopping=stop.is_set, quiet=True)
        with refuses(IdentityError, ErrorKind.CONFLICT, "out"):
            train_mini(tmp_path, config=small, only=["vae"], seed=1, quiet=True)

    def test_a_stage_says_what_it_needs(self, tmp_path: Path, small: MiniConfig) -> None:
        with refuses(UsageError, ErrorKind.MISSING, "vae", "base needs vae"):
            train_mini(tmp_path, config=small, only=["base"], quiet=True)
        with refuses(UsageError, ErrorKind.UNKNOWN, "stage", "classifier"):
            train_mini(tmp_path, config=small, only=["classifier"], quiet=True)
        with refuses(UsageError, ErrorKind.UNKNOWN, "version", "1 and 2, not 3"):
            train_mini(tmp_path, version=3, quiet=True)

"""What each part of the training promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLCogVideoX
from mini_recipe.clips import judge_specs, random_clips, to_frames, validation_specs
from mini_recipe.degradations import FAULTS, degrade
from mini_recipe.diffusion import Denoising, Sampling, make_scheduler, sample
from mini_recipe.expert import _Pairs
from mini_recipe.image_text import with_faults
from mini_recipe.latents import Latents
from mini_recipe.prompts import Mix, told
from mini_recipe.quality import Rated, ranking_accuracy
from mini_recipe.text import MAX_LENGTH, make_tokenizer, tokenise
from mini_recipe.vae import LATENT_FRAMES, VaeConfig, make_vae
from torch.nn import functional

from vapbench.models import NEGATIVE_PROMPT
from vapbench.models.semantic_encoder import SemanticEncoder, to_video
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.scenes import split_of
from vapbench.training.attention import quick_attention
from vapbench.training.data import SEEN_NAMES, training_specs
from vapbench.training.optimiser import orthogonalise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return make_tokenizer(clip_captions(spec).plain for spec in training_specs(150))


class TestData:
    def test_no_training_clip_is_on_a_test_or_validation_scene(self) -> None:
        specs = training_specs(5) + judge_specs(2, 200_000)
        assert {split_of(spec.scene) for spec in specs} == {"train"}

    def test_held_out_conditions_are_known_to_the_judges_alone(self) -> None:
        assert {spec.condition for spec in training_specs(2)} == set(SEEN_NAMES)
        assert len({spec.condition for spec in judge_specs(1, 200_000)}) == 33

    def test_every_clip_has_a_scene_of_its_own(self) -> None:
        specs = training_specs(6, first=2)
        assert len({spec.scene for spec in specs}) == len(specs)
        assert not {s.scene for s in specs} & {s.scene for s in training_specs(2)}

    def test_random_clips_follow_the_generator(self) -> None:
        assert np.array_equal(random_clips(2, seeded(1)), random_clips(2, seeded(1)))

    def test_frames_survive_the_way_to_a_tensor_and_back(self) -> None:
        clips = render_batch(training_specs(1)[:2])
        assert np.array_equal(to_frames(to_video(clips)), clips)


class TestText:
    def test_every_caption_fits(self, tokenizer: object) -> None:
        specs = [*validation_specs(20, SEEN_NAMES), *(case.target for case in benchmark_cases())]
        captions = [clip_captions(spec) for spec in specs]
        texts = [getattr(caption, kind) for caption in captions for kind in ("plain", "benchmark", "scene")]
        assert max(len(ids) for ids in tokenizer(texts).input_ids) <= MAX_LENGTH  # type: ignore[operator]

    def test_code_names_all_read_the_same(self, tokenizer: object) -> None:
        captions = {
            told(clip_captions(MiniClip(name, 100_000, 0)), "benchmark").replace(name, "mini_any")
            for name in SEEN_NAMES[:3]
        }
        ids = [
            tokenise(tokenizer, [caption.replace("mini_any", name)])  # type: ignore[arg-type]
            for caption in captions
            for name in SEEN_NAMES
        ]
        distinct = {tuple(row[0].tolist()) for row in ids}
        assert len(distinct) == len(captions)

    def test_plain_words_are_all_known(self, tokenizer: object) -> None:
        ids = tokenise(tokenizer, [clip_captions(spec).plain for spec in validation_specs(5, SEEN_NAMES)])  # type: ignore[arg-type]
        assert not (ids == 2).any()

    def test_the_mix_tells_as_often_as_it_says(self) -> None:
        tellings = Mix().draw(4_000, seeded())
        assert tellings.count("plain") / 4_000 == pytest.approx(0.5, abs=0.03)
        assert told(clip_captions(training_specs(1)[0]), "negative") == NEGATIVE_PROMPT


class TestVae:
    @pytest.fixture(scope="class")
    def vae(self) -> AutoencoderKLCogVideoX:
        torch.manual_seed(0)
        return make_vae(VaeConfig(channels=(8, 8, 8, 8), latent_channels=4)).eval()

    @torch.no_grad()
    def test_clips_and_pictures_come_back_at_their_size(self, vae: AutoencoderKLCogVideoX) -> None:
        for frames, latent in ((13, LATENT_FRAMES), (5, 3), (1, 1)):
            encoded = vae.encode(torch.rand(1, 3, frames, 64, 64)).latent_dist.mode()
            assert encoded.shape == (1, 4, latent, 8, 8)
            assert vae.decode(encoded).sample.shape == (1, 3, frames, 64, 64)

    @torch.no_grad()
    def test_the_fast_norms_change_nothing(self, vae: AutoencoderKLCogVideoX) -> None:
        upstream = AutoencoderKLCogVideoX.from_config(vae.config).eval()
        upstream.load_state_dict(vae.state_dict())
        for parameter in [*vae.parameters(), *upstream.parameters()]:
            if not parameter.any():
                parameter.fill_(0.01)  # Blocks begin as the identity; here they should matter.
        latents = torch.randn(1, 4, 7, 8, 8, generator=seeded())
        torch.testing.assert_close(vae.decode(latents).sample, upstream.decode(latents).sample, rtol=1e-4, atol=1e-4)


class TestSemantic:
    def test_it_comes_back_from_its_folder(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        model = SemanticEncoder((8, 16, 16), 12, ("a", "b")).eval()
        model.save_pretrained(tmp_path)
        clips = render_batch(training_specs(1)[:2])
        loaded = SemanticEncoder.from_pretrained(tmp_path)
        torch.testing.assert_close(loaded.embed(clips), model.embed(clips), rtol=0, atol=2e-3)
        assert set(loaded.classify(clips)) <= {"a", "b"}

    def test_embeddings_are_unit_vectors(self) -> None:
        embedded = SemanticEncoder((8, 8), 5, ("a",)).embed(render_batch(training_specs(1)[:2]))
        torch.testing.assert_close(embedded.norm(dim=1), torch.ones(2))


class TestImageText:
    def test_words_of_faults_are_known_and_cost_captions_nothing_that_matters(self) -> None:
        captions = [clip_captions(spec).plain for spec in [*judge_specs(150, 400_000), *validation_specs(20)]]
        faulty = [f"{word} {caption}" for word in FAULTS.values() for caption in captions]
        tokenizer = make_tokenizer([*captions, *FAULTS.values()])
        ids = tokenizer(faulty).input_ids
        lengths = [len(row) for row in ids]
        assert max(lengths) <= MAX_LENGTH + 1  # A full stop, of one caption in a hundred.
        assert np.mean([length > MAX_LENGTH for length in lengths]) < 0.01
        assert not any(tokenizer.unk_token_id in row for row in ids)

    def test_faults_are_drawn_and_told_frame_by_frame(self) -> None:
        frames = torch.from_numpy(render_batch(training_specs(1)[:12])[:, 6]).permute(0, 3, 1, 2)
        before = frames.clone()
        faulty, said = with_faults(frames, ["A red circle."] * 12, seeded())
        assert torch.equal(frames, before)
        assert {caption.split()[0] for caption in said} == set(FAULTS.values())
        assert all((faulty != frames).flatten(1).any(dim=1))


class TestQuality:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_faults_grow_with_their_strength(self, fault: str) -> None:
        frames = torch.from_numpy(render_batch(training_specs(1)[:4])[:, 6]).permute(0, 3, 1, 2)
        slight, bad = (degrade(frames, fault, (strength, strength), seeded()) for strength in (0.2, 1.0))
        errors = [float((faulty.float() - frames).abs().mean()) for faulty in (slight, bad)]
        assert slight.dtype == frames.dtype and slight.shape == frames.shape
        assert 0 < 2 * errors[0] < errors[1]

    def test_a_head_that_prefers_clean_frames_ranks_every_pair_right(self) -> None:
        quality = torch.stack([torch.tensor(level).expand(5, 1) for level in (2.0, 1.0, 0.0)])
        rated = Rated(quality[0], quality[1].expand(4, 5, 1), quality[2].expand(4, 5, 1))
        head = torch.nn.Linear(1, 1)
        torch.nn.init.ones_(head.weight)
        assert set(ranking_accuracy(head, rated).values()) == {1.0}
        torch.nn.init.constant_(head.weight, -1.0)
        assert set(ranking_accuracy(head, rated).values()) == {0.0}


class TestDiffusion:
    def test_the_velocity_recovers_the_clean_latents(self) -> None:
        class Encoder:
            config = None

        latents = Latents(
            tuple(training_specs(1)[:2]),
            torch.randn(2, 7, 4, 8, 8, generator=seeded()).half(),
            torch.zeros(2, 4, 8, 8).half(),
            torch.zeros(4),
        )
        tokenizer = make_tokenizer(["a"])
        denoising = Denoising(latents, tokenizer, Encoder(), torch.device("cpu"), (0.0, 1.0), 2.0)
        timesteps = torch.tensor([999, 400])
        inputs, velocity = denoising.noisy(torch.tensor([0, 1]), timesteps, seeded())
        scheduler = make_scheduler()
        for row, timestep in enumerate(timesteps):
            clean = scheduler.get_velocity(velocity[row], inputs[row, :, :4], timestep[None])
            torch.testing.assert_close(-clean, -latents.clips[row].float(), rtol=0, atol=1e-3)

    def test_a_perfect_model_samples_the_clean_latents(self) -> None:
        clean = torch.randn(1, LATENT_FRAMES, 4, 8, 8, generator=seeded())
        alphas = make_scheduler().alphas_cumprod

        def perfect(inputs: torch.Tensor, text: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            alpha = alphas[timesteps[0]]
            noisy = inputs[:, :, :4]
            # At zero signal the noise is the input itself; elsewhere it follows from what is clean.
            noise = (noisy - alpha.sqrt() * clean) / (1 - alpha).sqrt()
            return alpha.sqrt() * noise - (1 - alpha).sqrt() * clean

        text = torch.zeros(2, 1, 1)
        result = sample(perfect, text, clean[:, :1], Sampling(steps=4, guidance=1.0), seeded())
        torch.testing.assert_close(result, clean, rtol=0, atol=1e-3)

    def test_quick_attention_is_attention_and_leaves_no_trace(self) -> None:
        fused = functional.scaled_dot_product_attention
        shapes = ((3, 5, 10, 8), (3, 5, 13, 8), (3, 5, 13, 8))  # An odd number of heads, which go in pairs.
        q, k, v = (torch.randn(shape, generator=seeded()).requires_grad_() for shape in shapes)
        wanted = torch.randn(shapes[0], generator=seeded())
        with quick_attention(torch.device("cpu")):
            assert functional.scaled_dot_product_attention is not fused
            quick = functional.scaled_dot_product_attention(q, k, v)
            with torch.no_grad():
                unasked = functional.scaled_dot_product_attention(q, k, v)
        assert functional.scaled_dot_product_attention is fused
        plain = fused(q, k, v)
        torch.testing.assert_close(quick, plain, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(unasked, plain.detach(), rtol=1e-5, atol=1e-5)
        for own, known in zip(*(torch.autograd.grad(out, (q, k, v), wanted) for out in (quick, plain)), strict=True):
            torch.testing.assert_close(own, known, rtol=1e-5, atol=1e-5)


def test_references_are_other_clips_of_the_condition_unless_ignored() -> None:
    specs = training_specs(3)
    pairs = _Pairs(specs)
    chosen = torch.arange(len(specs)).repeat(20)
    partners = pairs.draw(chosen, [False] * len(chosen), seeded())
    assert not (partners == chosen).any()
    for row, partner in zip(chosen.tolist(), partners.tolist(), strict=True):
        assert specs[row].condition == specs[partner].condition
    ignored = pairs.draw(chosen, [True] * len(chosen), seeded())
    assert len({specs[partner].condition for partner in ignored.tolist()}) == len(SEEN_NAMES)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonalise(torch.randn(*shape, generator=seeded())))
    assert 0.5 < values.min() and values.max() < 1.5

"""The structure-control baseline is trained on what upstream's pipeline will feed it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, WanVACEPipeline
from mini_recipe.control_latents import SOURCES, ControlLatents, encode_normalised, source_of, split
from mini_recipe.text import MAX_LENGTH, make_tokenizer
from mini_recipe.umt5 import as_umt5
from mini_recipe.vace import FlowMatching, VaceConfig, control_inputs, make_pipeline, make_vace
from mini_recipe.vae import VaeConfig
from mini_recipe.wan_vae import latent_statistics, make_wan_vae
from transformers import T5Config, T5EncoderModel

from vapbench.models.semantic_encoder import to_video
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.controls import CONTROL_KINDS, render_control
from vapbench.training.data import SEEN_NAMES, training_specs


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def text_encoder() -> T5EncoderModel:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=200,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=3,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
    )
    encoder = T5EncoderModel(config).eval()
    # As it begins, the bias is too small to be missed.
    torch.nn.init.normal_(encoder.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight)
    return encoder


@pytest.fixture(scope="module")
def vae() -> AutoencoderKLWan:
    torch.manual_seed(0)
    vae = make_wan_vae(VaeConfig(channels=(8, 8, 16, 16), latent_channels=4)).eval()
    for parameter in vae.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)  # Blocks begin as the identity; here they should matter.
    vae.decoder.conv_out.weight.data.mul_(20)  # Values beyond -1..1 show where clamping matters.
    mean, deviation = latent_statistics(vae, to_video(np.stack([spec.render() for spec in training_specs(1)[:4]])))
    vae.register_to_config(latents_mean=mean, latents_std=deviation)
    return vae


@pytest.fixture(scope="module")
def pipeline(vae: AutoencoderKLWan, text_encoder: T5EncoderModel) -> WanVACEPipeline:
    tokenizer = make_tokenizer(clip_captions(spec).plain for spec in training_specs(20))
    config = VaceConfig(heads=2, head_dim=16, layers=2, control_layers=(0,))
    return make_pipeline(tokenizer, text_encoder, vae, make_vace(config, 4, 16).eval())


class TestTextEncoder:
    @pytest.mark.parametrize("masked", [False, True])
    @torch.no_grad()
    def test_umt5_says_what_t5_says(self, text_encoder: T5EncoderModel, masked: bool) -> None:
        ids = torch.randint(3, 200, (3, MAX_LENGTH), generator=seeded())
        mask = torch.ones_like(ids)
        if masked:
            mask[1, 20:] = 0
        expected = text_encoder(ids, attention_mask=mask if masked else None)[0]
        converted = as_umt5(text_encoder)(ids, attention_mask=mask if masked else None)[0]
        kept = mask.bool()
        torch.testing.assert_close(converted[kept], expected[kept], rtol=1e-5, atol=1e-5)

    def test_the_pipeline_knows_how_long_captions_are(self, pipeline: WanVACEPipeline) -> None:
        assert pipeline.tokenizer.model_max_length == MAX_LENGTH


class TestAutoencoder:
    @pytest.mark.parametrize("frames", [1, 5, 13])
    @torch.no_grad()
    def test_two_pieces_give_what_upstream_gives(self, vae: AutoencoderKLWan, frames: int) -> None:
        upstream = AutoencoderKLWan.from_config(vae.config).eval()
        upstream.load_state_dict(vae.state_dict())
        video = torch.rand(2, 3, frames, 64, 64, generator=seeded()) * 2 - 1
        encoded = vae.encode(video).latent_dist.mode()
        assert encoded.shape == (2, 4, (frames - 1) // 4 + 1, 8, 8)
        torch.testing.assert_close(encoded, upstream.encode(video).latent_dist.mode(), rtol=1e-4, atol=1e-4)
        decoded = vae.decode(encoded).sample
        assert decoded.abs().max() > 1
        torch.testing.assert_close(decoded.clamp(-1, 1), upstream.decode(encoded).sample, rtol=1e-4, atol=1e-4)

    def test_normalised_latents_have_mean_zero_and_deviation_one(self, vae: AutoencoderKLWan) -> None:
        clips = to_video(np.stack([spec.render() for spec in training_specs(1)[:4]]))
        latents = encode_normalised(vae, clips)
        axes = (0, 2, 3, 4)
        torch.testing.assert_close(latents.mean(axes), torch.zeros(4), rtol=0, atol=0.05)
        torch.testing.assert_close(latents.std(axes), torch.ones(4), rtol=0, atol=0.05)


class TestConditioning:
    @torch.no_grad()
    def test_it_is_what_the_pipeline_prepares(self, pipeline: WanVACEPipeline, vae: AutoencoderKLWan) -> None:
        spec = training_specs(1)[4]
        clip, control = spec.render(), render_control(spec, "flow")
        video, mask = control_inputs(clip[0], control)
        tensors = pipeline.preprocess_conditions(video, mask, None, 1, 64, 64, 13, torch.float32, torch.device("cpu"))
        expected = torch.cat([pipeline.prepare_video_latents(*tensors), pipeline.prepare_masks(*tensors[1:])], dim=1)

        known, reactive = split(to_video(clip[None]), to_video(control[None]))
        parts = [encode_normalised(vae, part).half() for part in (known, reactive)]
        latents = ControlLatents((spec,), parts[0], *parts, neutral=torch.zeros_like(parts[0]))
        matching = FlowMatching(pipeline, latents, VaceConfig())
        prepared = matching._conditioning(torch.tensor([0]), torch.tensor([True]))
        assert prepared.shape == (1, 2 * 4 + 64, 4, 8, 8)
        assert torch.equal(prepared[:, 8:], expected[:, 8:])
        difference = prepared[:, :8] - expected[:, :8]  # The cache is made in bfloat16.
        assert float(difference.square().mean() / expected[:, :8].square().mean()) < 1e-3
        without = matching._conditioning(torch.tensor([0]), torch.tensor([False]))
        assert not without[:, 4:8].any()

    def test_every_condition_meets_every_kind_of_control(self) -> None:
        specs = training_specs(len(SOURCES))
        met = {(spec.condition, source_of(index, len(SEEN_NAMES))) for index, spec in enumerate(specs)}
        assert len(met) == len(SEEN_NAMES) * len(set(SOURCES))

    def test_controls_differ_and_have_the_size_of_clips(self) -> None:
        controls = [render_control(training_specs(1)[20], kind) for kind in CONTROL_KINDS]
        assert {(control.shape, control.dtype) for control in controls} == {((13, 64, 64, 3), np.dtype(np.uint8))}
        assert not np.array_equal(controls[0], controls[1])
        assert not np.array_equal(controls[1], controls[2])


class TestFlowMatching:
    def test_the_sampler_follows_the_velocity_that_is_trained(self, pipeline: WanVACEPipeline) -> None:
        clean = torch.randn(1, 4, 4, 8, 8, generator=seeded())
        latents = torch.randn(clean.shape, generator=seeded(1))
        pipeline.scheduler.set_timesteps(10)
        for timestep in pipeline.scheduler.timesteps:
            # On the path (1 - s) clean + s noise, the velocity noise - clean is (latents - clean) / s.
            velocity = (latents - clean) / (timestep / 1000)
            latents = pipeline.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        torch.testing.assert_close(latents, clean, rtol=0, atol=2e-2)

    def test_an_untrained_model_has_the_loss_of_knowing_nothing(self, pipeline: WanVACEPipeline) -> None:
        specs = tuple(training_specs(1)[:6])
        latents = torch.randn(6, 4, 4, 8, 8, generator=seeded()).half()
        few = replace(VaceConfig(), plan=replace(VaceConfig().plan, steps=1))  # too few to be compiled for
        matching = FlowMatching(pipeline, ControlLatents(specs, latents, latents, latents, latents[:1]), few)
        loss = matching.loss(16, seeded(2))
        assert float(loss.detach()) == pytest.approx(2.0, abs=0.1)  # the variances of noise and latents
        loss.backward()
        assert pipeline.transformer.proj_out.weight.grad.abs().sum() > 0

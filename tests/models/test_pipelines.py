"""The pipelines reproduce the official ones, and what breaks those works or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.conftest import Case
from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError, VapbenchError
from vapbench.models import load_pipeline
from vapbench.models.inputs import select_frames

TOLERANCE = 1e-4
"""For latents and frames; the vectors' own README allows 1e-3."""

OFFICIAL_NAMES = {
    "prompt_mot_ref": "reference_prompts",
    "negative_prompt_mot_ref": "negative_reference_prompt",
    "frames_selection": "frame_selection",
    "use_dynamic_cfg": "dynamic_guidance",
}


def replay(case: Case, load: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = load(case.folder.parents[1] / "pipeline")
    call = {OFFICIAL_NAMES.get(name, name): value for name, value in case.spec["call"].items()}
    call.pop("max_sequence_length", None)  # always the model's
    if call.pop("ref_type", None) == "discrete_long_reference":
        call["reference_rope"] = "far"
    override = case.spec["scheduler_override"]
    if override:
        scheduler = getattr(diffusers, override["class"]).from_config(override["config"])
        monkeypatch.setattr(pipeline, "scheduler", scheduler)

    steps: list[torch.Tensor] = []
    output = pipeline(
        case.inputs["image"].numpy(),
        [case.inputs[f"ref_video_{number}"].numpy() for number in range(case.spec["num_refs"])],
        **call,
        latents=case.inputs.get("latents"),
        generator=torch.Generator().manual_seed(case.spec["generator_seed"]),
        output_type="pt",
        callback_on_step_end=lambda _pipe, _step, _t, tensors: steps.append(tensors["latents"]),
    )
    expected = case.outputs
    assert torch.equal(pipeline.scheduler.timesteps, expected["timesteps"])
    for number, latents in enumerate(steps):
        torch.testing.assert_close(latents, expected[f"latents_after_step{number}"], atol=TOLERANCE, rtol=0)
    frames = output.frames
    if "frames" in expected:
        torch.testing.assert_close(frames, expected["frames"][0], atol=TOLERANCE, rtol=0)
    else:
        torch.testing.assert_close(frames[::4], expected["frames.every4"][0], atol=TOLERANCE, rtol=0)


def test_cogvideox_equals_the_official_pipeline(
    cogvideox_pipeline_case: Case, pipelines: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(cogvideox_pipeline_case, pipelines, monkeypatch)


def test_wan_equals_the_official_pipeline(
    wan_pipeline_case: Case, pipelines: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(wan_pipeline_case, pipelines, monkeypatch)


def video(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8)


IMAGE = video(1)[0]
SHORT = {"num_frames": 5, "num_inference_steps": 1, "guidance_scale": 1.0, "output_type": "latent"}
COGVIDEOX = {**SHORT, "height": 64, "width": 96}
WAN = {**SHORT, "height": 32, "width": 32}


def generate(pipeline: Any, *args: Any, **changes: Any) -> Any:
    defaults = COGVIDEOX if "CogVideoX" in type(pipeline).__name__ else WAN
    return pipeline(*args, generator=torch.Generator().manual_seed(0), **{**defaults, **changes}).frames


@pytest.fixture(params=["cogvideox", "wan"])
def pipeline(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_references_of_different_length_are_each_spanned_evenly(cogvideox: Any) -> None:
    long, short = video(11), video(5, seed=1)
    mixed = generate(cogvideox, IMAGE, [long, short])
    chosen = generate(cogvideox, IMAGE, [long[[0, 2, 5, 7, 10]], short])
    assert torch.equal(mixed, chosen)


def test_pil_frames_are_the_same_as_arrays_and_stay_untouched(pipeline: Any) -> None:
    frames = [Image.fromarray(frame) for frame in video(9)]
    references = [frames]
    from_pil = generate(pipeline, Image.fromarray(IMAGE), references)
    assert references == [frames]
    assert len(frames) == 9
    assert torch.equal(from_pil, generate(pipeline, IMAGE, [video(9)]))


def test_a_caption_may_be_a_string_where_there_is_one_reference(pipeline: Any) -> None:
    as_string = generate(pipeline, IMAGE, [video(5)], "a cat", "melting")
    as_list = generate(pipeline, IMAGE, [video(5)], "a cat", ["melting"])
    other = generate(pipeline, IMAGE, [video(5)], "a cat", ["zooming out"])
    assert torch.equal(as_string, as_list)
    assert not torch.equal(as_string, other)


def test_the_reference_matters(pipeline: Any) -> None:
    one, other = (generate(pipeline, IMAGE, [video(5, seed)]) for seed in (1, 2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("placement", ["shared", "far"])
def test_moving_the_reference_in_time_matters(pipeline: Any, placement: str) -> None:
    before = generate(pipeline, IMAGE, [video(5)])
    moved = generate(pipeline, IMAGE, [video(5)], reference_rope=placement)
    assert (before - moved).abs().max() > 1e-4


def test_output_types_agree(wan: Any) -> None:
    array, tensor, images = (generate(wan, IMAGE, [video(5)], output_type=kind) for kind in ("np", "pt", "pil"))
    assert array.shape == (5, 32, 32, 3)
    assert array.dtype == np.float32
    assert 0 <= array.min() <= array.max() <= 1
    np.testing.assert_array_equal(tensor.permute(0, 2, 3, 1).numpy(), array)
    np.testing.assert_array_equal(np.stack([np.asarray(i) for i in images]), (array * 255).round().astype(np.uint8))


def test_a_callback_may_replace_latents(pipeline: Any) -> None:
    result = generate(
        pipeline,
        IMAGE,
        [video(5)],
        callback_on_step_end=lambda _pipe, _step, _t, kept: {"latents": torch.zeros_like(kept["latents"])},
    )
    assert not result.any()


def test_bfloat16_runs_and_keeps_wan_in_its_mixed_types(vectors: Path) -> None:
    wan = load_pipeline(vectors / "wan_pipeline/pipeline")
    block = wan.transformer.blocks[0]
    assert block.attn1_mot_ref.to_q.weight.dtype == torch.bfloat16
    assert {wan.vae.dtype, wan.image_encoder.dtype} == {torch.float32}
    assert {block.scale_shift_table_mot_ref.dtype, block.norm2_mot_ref.weight.dtype} == {torch.float32}
    cogvideox = load_pipeline(vectors / "cogvideox_pipeline/pipeline")
    for pipeline in (wan, cogvideox):
        pipeline.set_progress_bar_config(disable=True)
        assert generate(pipeline, IMAGE, [video(5)], guidance_scale=2.0).isfinite().all()


@pytest.mark.parametrize(
    ("changes", "error", "kind", "field", "named"),
    [
        ({"prompt": ["a", "b"]}, UsageError, ErrorKind.INVALID, "prompt", ""),
        ({"reference_prompts": ["a", "b"]}, UsageError, ErrorKind.INVALID, "reference_prompts", ""),
        ({"reference_videos": []}, UsageError, ErrorKind.INVALID, "reference_videos", "at least one video"),
        ({"reference_videos": video(5)}, UsageError, ErrorKind.INVALID, "reference_videos", "a list"),
        (
            {"reference_videos": [video(5).astype(np.float32)]},
            DataError,
            ErrorKind.INVALID,
            "reference_videos",
            "float32",
        ),
        ({"reference_videos": [video(0)]}, DataError, ErrorKind.MISSING, "frames", ""),
        (
            {"reference_videos": [video(4)], "frame_selection": "first"},
            DataError,
            ErrorKind.CONFLICT,
            "frame_selection",
            "5 frames",
        ),
        ({"frame_selection": "random"}, UsageError, ErrorKind.UNKNOWN, "frame_selection", "evenly, first"),
        ({"image": video(2)}, DataError, ErrorKind.INVALID, "image", "[2, 48, 64, 3]"),
        ({"num_frames": 6}, UsageError, ErrorKind.INVALID, "num_frames", "4k + 1"),
        ({"height": 36}, UsageError, ErrorKind.INVALID, "height", "multiples of 16"),
        ({"num_inference_steps": 0}, UsageError, ErrorKind.INVALID, "num_inference_steps", "not 0"),
        ({"output_type": "gif"}, UsageError, ErrorKind.UNKNOWN, "output_type", "gif"),
        ({"reference_rope": "near"}, UsageError, ErrorKind.UNKNOWN, "reference_rope", "before, far, shared"),
        ({"latents": torch.zeros(1, 2, 3, 4, 5)}, UsageError, ErrorKind.INVALID, "latents", "[1, 2, 3, 4, 5]"),
    ],
)
def test_unusable_requests_are_refused(
    pipeline: Any, changes: dict[str, Any], error: type[VapbenchError], kind: ErrorKind, field: str, named: str
) -> None:
    arguments = {"image": IMAGE, "reference_videos": [video(5)], **changes}
    with refuses(error, kind, field, named):
        generate(pipeline, **arguments)


def test_several_references_need_a_list_of_captions(cogvideox: Any) -> None:
    with refuses(UsageError, ErrorKind.CONFLICT, "reference_prompts", "2 captions"):
        generate(cogvideox, IMAGE, [video(5), video(5)], "a cat", "melting")


def test_wan_takes_one_reference(wan: Any) -> None:
    with refuses(UsageError, ErrorKind.INVALID, "reference_videos"):
        generate(wan, IMAGE, [video(5), video(5)])


def test_learned_positions_fix_the_size(cogvideox: Any) -> None:
    with refuses(UsageError, ErrorKind.INVALID, "height", "64 x 96"):
        generate(cogvideox, IMAGE, [video(5)], height=96)


def test_cogvideox_15_is_refused(cogvideox: Any) -> None:
    old = cogvideox.transformer
    new = old.from_config({**old.config, "patch_size_t": 2, "use_learned_positional_embeddings": False})
    with refuses(UsageError, ErrorKind.INVALID, "transformer", "1.5"):
        type(cogvideox)(**{**cogvideox.components, "transformer": new})


def test_even_selection_spans_the_video() -> None:
    assert select_frames(13, 5) == [0, 3, 6, 9, 12]
    assert select_frames(2, 4) == [0, 0, 0, 1]
    assert select_frames(9, 3, "first") == [0, 1, 2]


def test_captions_are_encoded_once(cogvideox: Any) -> None:
    calls: list[int] = []
    hook = cogvideox.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        first = cogvideox._text("A caption nobody has used before.")
        again = cogvideox._text("A caption nobody has used before.")
    finally:
        hook.remove()
    assert len(calls) == 1
    assert torch.equal(first, again)

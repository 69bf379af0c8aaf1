"""VAP as a method, on the tiny checkpoints of the parity vectors: real classes, random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import ErrorKind, NotApplicable, UsageError, WeightsError
from vapbench.methods import resolve
from vapbench.methods.base import identity_of
from vapbench.running.plan import keyed_parameters, plan_run

PARITY = Path(__file__).parents[1] / "data" / "parity" / "vap"
COGVIDEOX, WAN = PARITY / "cogvideox_pipeline" / "pipeline", PARITY / "wan_pipeline" / "pipeline"
CLIP = {"frames": 9, "fps": 8, "height": 64, "width": 96}


def generate(text: str, case: Case, seed: int = 0) -> Clip:
    method = resolve(f"{text},steps=2,dtype=float32").method
    method.setup(torch.device("cpu"))
    made = method.generate(case, seed)
    assert isinstance(made, Clip)
    return made


@pytest.mark.parametrize("text", [f"vap:weights={COGVIDEOX}", f"vap-wan:weights={WAN}"])
def test_the_clip_has_the_suites_size_and_follows_the_seed(text: str, make_case: Callable[..., Case]) -> None:
    case = make_case(clip=CLIP)
    first = generate(text, case)
    assert first.frames.shape == (9, 64, 96, 3)
    assert first.fps == 8
    assert np.array_equal(first.frames, generate(text, case).frames)
    assert not np.array_equal(first.frames, generate(text, case, seed=1).frames)


def test_the_reference_decides_the_frames(make_case: Callable[..., Case]) -> None:
    case, other = make_case(0, clip=CLIP), make_case(1, clip=CLIP)
    swapped = case.model_copy(update={"references": other.references})
    text = f"vap:weights={COGVIDEOX}"
    assert not np.array_equal(generate(text, case).frames, generate(text, swapped).frames)
    assert not np.array_equal(generate(text, case).frames, generate(f"{text},reference_rope=shared", case).frames)


def test_several_references_and_no_captions(make_case: Callable[..., Case]) -> None:
    case, other = make_case(0, clip=CLIP, caption=None), make_case(1, clip=CLIP)
    both = case.model_copy(update={"references": (*case.references, *other.references)})
    assert len(generate(f"vap:weights={COGVIDEOX},references=2", both)) == 9
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "references", "1 reference, not 2"):
        generate(f"vap:weights={COGVIDEOX},references=2", case)


def test_its_size_can_be_set_apart_from_the_suites(make_case: Callable[..., Case]) -> None:
    clip = generate(f"vap:weights={COGVIDEOX},frames=5,height=64,width=96", make_case())
    assert clip.frames.shape == (5, 64, 96, 3)


def test_identity_is_the_checkpoints_content(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(COGVIDEOX, copy)
    here, there = (resolve(f"vap:weights={path}").method.identity() for path in (COGVIDEOX, copy))
    assert here == there
    config = copy / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("trailing", "leading"))
    assert resolve(f"vap:weights={copy}").method.identity() != here


def test_a_transformer_alone_runs_on_its_base_and_both_are_keyed(
    tmp_path: Path, make_case: Callable[..., Case]
) -> None:
    trained, base = tmp_path / "trained", tmp_path / "base"
    shutil.copytree(COGVIDEOX / "transformer", trained)
    shutil.copytree(COGVIDEOX, base)
    text, case = f"vap:weights={trained},base={base}", make_case(clip=CLIP)
    assert np.array_equal(generate(text, case).frames, generate(f"vap:weights={COGVIDEOX}", case).frames)
    keyed = identity_of(resolve(text).method)
    assert resolve(text).changed == {}
    for config in (trained / "config.json", base / "scheduler" / "scheduler_config.json"):
        config.write_text(config.read_text() + " ")
        assert identity_of(resolve(text).method) != keyed
        keyed = identity_of(resolve(text).method)


def test_what_is_passed_over_of_the_weights_is_in_the_manifest(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(COGVIDEOX, copy)
    index = copy / "model_index.json"
    index.write_text(index.read_text().replace("MOTPipeline", "Pipeline"))
    plan = plan_run("mini", "all", resolve(f"vap:weights={copy}"), [make_case()], [0], tmp_path / "results")
    (note,) = plan.manifest_card()["notes"]
    assert note.startswith("Weights: model_index.json names CogVideoXImageToVideoPipeline")


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("vap:weights=./nowhere", ErrorKind.MISSING, "./nowhere"),
        ("vap:weights=owner/name", ErrorKind.UNREACHABLE, "hf download owner/name"),
    ],
)
def test_absent_weights_say_what_to_do(text: str, kind: ErrorKind, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with refuses(WeightsError, kind, "weights", named):
        resolve(text).method.identity()


def test_offload_needs_an_accelerator() -> None:
    method = resolve(f"vap:weights={COGVIDEOX},offload=model").method
    with refuses(UsageError, ErrorKind.CONFLICT, "offload"):
        method.setup(torch.device("cpu"))


class TestTheOfficialRunRepeated:
    """``generator=cuda,export=official``: noise and files as the official scripts make them."""

    @pytest.mark.parametrize("name", ["vap", "vap-wan", "i2v", "i2v-wan", "lora", "vace-depth"])
    def test_both_are_keyed_and_what_was_before_keeps_its_key(self, name: str) -> None:
        usual = keyed_parameters(resolve(f"{name}:weights={COGVIDEOX}"))
        assert not {"generator", "export"} & set(usual)
        assert keyed_parameters(resolve(f"{name}:weights={COGVIDEOX},generator=cpu,export=fine")) == usual
        official = keyed_parameters(resolve(f"{name}:weights={COGVIDEOX},generator=cuda,export=official"))
        assert official == usual | {"generator": "cuda", "export": "official"}

    def test_without_cuda_one_sentence_before_anything_is_loaded(self, tmp_path: Path) -> None:
        method = resolve(f"vap:weights={tmp_path / 'nowhere'},generator=cuda").method
        with refuses(UsageError, ErrorKind.CONFLICT, "generator", "cpu"):
            method.setup(torch.device("cpu"))

    def test_without_the_writers_packages_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vapbench.core.video.find_spec", lambda name: None)
        method = resolve(f"vap:weights={tmp_path / 'nowhere'},export=official").method
        with refuses(UsageError, ErrorKind.MISSING, "export", "vapbench[official]"):
            method.setup(torch.device("cpu"))

    def test_the_run_holds_the_official_file_of_the_same_frames(
        self, tmp_path: Path, make_case: Callable[..., Case]
    ) -> None:
        pytest.importorskip("imageio_ffmpeg")
        case = make_case(clip=CLIP)
        fine, official = (generate(f"vap:weights={COGVIDEOX},export={export}", case) for export in ("fine", "official"))
        assert np.array_equal(fine.frames, official.frames)
        write_video(tmp_path / "fine.mp4", fine)
        write_video(tmp_path / "official.mp4", official)
        # x264 names its settings in the stream: a constant rate factor of 25 is imageio's quality 5.
        assert b"crf=25.0" in (tmp_path / "official.mp4").read_bytes()
        assert b"crf=12.0" in (tmp_path / "fine.mp4").read_bytes()

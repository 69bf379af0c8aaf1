"""What a method cannot do ends in one sentence with the next step, an exit code, and nothing left behind.

The commands are the real ones, on tiny checkpoints of the real classes; the model hub is a local server.
"""

from __future__ import annotations

import http.server
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import raft_large
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
    GLPNConfig,
    GLPNForDepthEstimation,
)

from tests.baselines.conftest import save_cogvideox
from tests.baselines.test_pipelines import CPU, loaded
from tests.refusals import refuses
from vapbench import depth_to_rgb, unit_depth
from vapbench.cli import main
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, TooManyFailures, VapbenchError
from vapbench.methods import pipelines, resolve
from vapbench.methods.estimators import DepthEstimator
from vapbench.results.run import RunFolder
from vapbench.running.attempt import attempt
from vapbench.running.context import Settings
from vapbench.running.plan import plan_run
from vapbench.running.progress import progress
from vapbench.running.run import execute
from vapbench.suites import find_suite

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def mini() -> list[Case]:
    return find_suite("mini").cases(None)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """``vapbench run`` on two cases, as a shell runs it: exit code, and what it said last."""

    def run(method: str, *more: str) -> tuple[int, str]:
        results = ("--results", str(tmp_path / "results"))
        task = ("--task", "concept", "--limit", "2", "--metric", "temporal_flickering", "--device", "cpu", "-q")
        monkeypatch.setattr("sys.argv", ["vapbench", "run", "-m", method, *task, *results, *more])
        try:
            main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        else:
            code = 0
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return code, said.strip().splitlines()[-1] if said.strip() else ""

    return run


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert [path for path in (tmp_path / "results").rglob("*") if not path.is_dir()] == []
    assert not list((tmp_path / "results").glob("*/*"))


def tiny_depth(folder: Path, **config: Any) -> Path:
    """Depth-Anything with random weights, saved as the hub has it."""
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=56,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    model = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=16,
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            head_hidden_size=8,
            head_in_channels=8,
            **config,
        )
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    # Fresh weights answer nearly the same everywhere; these do not, and stay above the last layer's zero.
    torch.nn.init.constant_(model.head.conv3.bias, 1.0)
    model.save_pretrained(folder)
    DPTImageProcessor(size={"height": 56, "width": 56}, ensure_multiple_of=14).save_pretrained(folder)
    return folder


class TestDepthAndFlow:
    def test_depth_of_a_clip_end_to_end(
        self, wan_vace: Path, tmp_path: Path, command: Command, mini: list[Case]
    ) -> None:
        model = tiny_depth(tmp_path / "depth")
        method = f"vace-depth:weights={wan_vace},source=estimated,depth_model={model},steps=2"
        assert command(method)[0] == 0
        (run,) = (tmp_path / "results" / "mini").iterdir()
        assert [row.status for row in RunFolder(run).current()] == ["ok", "ok"]
        estimator = DepthEstimator(str(model))
        estimator.load(CPU)
        shown = mini[0].reference.video.read().frames
        depth = estimator(shown)
        assert depth.shape == shown.shape[:3]
        assert depth.dtype == np.float32
        assert np.array_equal(estimator(shown[:2]), depth[:2])
        rendered = depth_to_rgb(unit_depth(depth))
        assert (rendered.min(), rendered.max()) == (0, 255)

    def test_flow_of_a_clip_end_to_end(
        self, wan_vace: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        torch.manual_seed(0)
        monkeypatch.setenv("VAPBENCH_WEIGHTS", str(tmp_path))
        torch.save(raft_large(weights=None, progress=False).state_dict(), tmp_path / "raft_large_C_T_V1-22a6c225.pth")
        size = "frames=5,height=128,width=128"
        method = f"vace-flow:weights={wan_vace},source=estimated,steps=2,{size}"
        assert command(method, "--limit", "1")[0] == 0
        (run,) = (tmp_path / "results" / "mini").iterdir()
        (row,) = RunFolder(run).current()
        assert (row.status, row.note) == ("ok", "the clip is 5x128x128 at 8 fps; the suite asks for 13x64x64 at 8 fps")

    @pytest.mark.parametrize("kind", ["metric", "dpt", "glpn"])
    @pytest.mark.usefixtures("nothing_left")
    def test_depth_on_another_scale_is_refused(
        self, kind: str, wan_vace: Path, tmp_path: Path, command: Command
    ) -> None:
        folder = tmp_path / "depth"
        if kind == "metric":
            tiny_depth(folder, depth_estimation_type="metric", max_depth=20)
        elif kind == "glpn":
            sizes = {"hidden_sizes": [8] * 4, "depths": [1] * 4, "num_attention_heads": [1] * 4}
            GLPNForDepthEstimation(GLPNConfig(**sizes, decoder_hidden_size=8)).save_pretrained(folder)
        else:
            # DPT answers on the right scale; half of its download is missing.
            sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 16}
            neck = {"neck_hidden_sizes": [8] * 4, "fusion_hidden_size": 8, "backbone_out_indices": [0, 1, 2, 3]}
            DPTForDepthEstimation(DPTConfig(**sizes, **neck, image_size=32, is_hybrid=False)).save_pretrained(folder)
            (folder / "model.safetensors").unlink()
        code, said = command(f"vace-depth:weights={wan_vace},source=estimated,depth_model={folder},steps=2")
        if kind == "dpt":
            assert code == 3
            assert "cannot be loaded as a depth model" in said
            assert said.endswith("fetch it again.")
        else:
            assert code == 2
            assert "does not answer with relative inverse depth, larger being nearer; give a depth_model" in said
        assert str(folder) in said


@pytest.mark.usefixtures("nothing_left")
class TestCheckpoints:
    @pytest.mark.parametrize(
        ("lost", "message"),
        [
            ("transformer/diffusion_pytorch_model.safetensors", "is the download complete?"),
            ("text_encoder/config.json", "is the download complete?"),
            ("model_index.json", "is the download complete?"),
        ],
    )
    def test_half_a_download(
        self, lost: str, message: str, cogvideox_i2v: Path, tmp_path: Path, command: Command
    ) -> None:
        folder = tmp_path / "half"
        shutil.copytree(cogvideox_i2v, folder)
        (folder / lost).unlink()
        code, said = command(f"i2v:weights={folder}")
        assert code == 3
        assert str(folder / lost) in said
        assert said.endswith(message)

    def test_an_adapter_of_another_backbone(self, adapters: Path, tmp_path: Path, command: Command) -> None:
        other = save_cogvideox(tmp_path / "other", seed=7)
        code, said = command(f"lora:weights={other},adapters={adapters}")
        assert code == 3
        assert "was trained on another backbone" in said
        assert "vapbench train lora --condition mini_bolumo" in said


class Hub:
    """A model hub that has one repository, which is gated."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gated = "/owner/gated" in self.path
            self.send_response(403 if gated else 404)
            self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
            self.send_header("X-Error-Message", "no")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Point the hub's client at a local server, or at a closed door, where it asks again without waiting."""
    monkeypatch.setattr(time, "sleep", lambda _: None)

    def point(address: str) -> None:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub.Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        point(f"http://127.0.0.1:{server.server_port}")
        yield point
        server.shutdown()


@pytest.mark.usefixtures("nothing_left")
class TestHub:
    @pytest.mark.parametrize(
        ("repository", "message"),
        [
            (
                "owner/gated",
                "owner/gated is gated: accept its licence at https://huggingface.co/owner/gated, run hf auth",
            ),
            ("owner/missing", "no repository owner/missing that you may see; check weights= for its spelling"),
        ],
    )
    @pytest.mark.usefixtures("hub")
    def test_a_repository_that_is_gated_or_missing(self, repository: str, message: str, command: Command) -> None:
        code, said = command(f"vap:weights={repository}")
        assert code == 3
        assert message in said

    def test_no_network(self, hub: Callable[[str], None], command: Command) -> None:
        hub("http://127.0.0.1:9")
        code, said = command("vap:weights=owner/name")
        assert code == 3
        assert "hf download owner/name --local-dir DIR, then add weights=DIR" in said

    def test_half_a_repository_in_the_hubs_cache(
        self, hub: Callable[[str], None], command: Command, cogvideox_i2v: Path, tmp_path: Path
    ) -> None:
        hub("http://127.0.0.1:9")
        commit = "0123456789abcdef0123456789abcdef01234567"
        cached = tmp_path / "hub" / "models--owner--name"
        shutil.copytree(cogvideox_i2v, cached / "snapshots" / commit)
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text(commit)
        (cached / "snapshots" / commit / "vae" / "diffusion_pytorch_model.safetensors").unlink()
        code, said = command("i2v:weights=owner/name")
        assert code == 3
        assert "vae/diffusion_pytorch_model.safetensors is missing" in said
        assert said.endswith("is the download complete?")


def no_memory(*_: object) -> None:
    """What an accelerator's allocator raises."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


class TestMemory:
    def test_a_row_says_what_to_try(self, cogvideox_i2v: Path, mini: list[Case]) -> None:
        method: Any = loaded(f"i2v:weights={cogvideox_i2v}")
        method.pipeline.transformer.register_forward_pre_hook(no_memory)
        for offload, advice in {
            "none": "run again with --refresh failed --offload model",
            "model": "run again with --refresh failed --offload sequential",
            "sequential": "add tiling=true to the method, or ask for fewer frames with frames=",
        }.items():
            method.offload = offload
            attempted = attempt(method, mini[0], 0, retries=1, device=CPU)
            assert attempted.made is None
            # Memory may have been short for a moment, so there is a second attempt.
            assert [failure.type for failure in attempted.failures] == ["OutOfMemoryError"] * 2
            assert attempted.failures[-1].message.endswith(f"Tried to allocate 20.00 MiB. Next: {advice}.")

    def test_the_row_is_kept_and_the_run_ends(self, cogvideox_i2v: Path, mini: list[Case], tmp_path: Path) -> None:
        method = resolve(f"i2v:weights={cogvideox_i2v},steps=2,dtype=float32", suite="mini")
        load = method.method.load  # type: ignore[attr-defined]

        def short(folder: Path, dtype: torch.dtype) -> Any:
            pipeline = load(folder, dtype)
            pipeline.transformer.register_forward_pre_hook(no_memory)
            return pipeline

        method.method.load = short  # type: ignore[attr-defined]
        plan = plan_run("mini", "concept", method, mini[:1], [0], tmp_path)
        with refuses(TooManyFailures, ErrorKind.LIMIT, "max_failures", "1 of 1 case failed", "--refresh failed"):
            execute(plan, [], Settings(device="cpu", retries=0), progress(quiet=True))
        (line,) = plan.folder.generations_path.read_text().splitlines()
        assert json.loads(line)["attempts"][0]["message"].endswith("--offload model.")
        assert not list(plan.folder.videos.iterdir())

    def test_weights_that_do_not_fit(self, cogvideox_i2v: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pipelines, "place", no_memory)
        with refuses(VapbenchError, ErrorKind.LIMIT, "memory", "try --offload model"):
            loaded(f"i2v:weights={cogvideox_i2v}")

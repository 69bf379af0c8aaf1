"""The weights catalogue: looking, fetching, verifying, reading."""

from __future__ import annotations

import argparse
import functools
import hashlib
import http.server
import json
import pickle
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.metrics.conftest import parity_tensors
from tests.refusals import refuses
from vapbench.checkpoints import catalogue as weights
from vapbench.checkpoints import fetching
from vapbench.checkpoints.state_dict import load_tensors
from vapbench.errors import ErrorKind, NotApplicable, UsageError, WeightsError
from vapbench.metrics.features.amt import AmtInterpolator
from vapbench.metrics.features.clip import ClipWeights

CONTENT = b"weights" * 1000


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A local web server in place of the head's publisher; yields the file it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "head.pth").write_bytes(CONTENT)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = f"http://127.0.0.1:{server.server_port}/head.pth"
        entry = replace(weights.CATALOGUE["laion-aesthetic"], source=source)
        monkeypatch.setattr(weights, "CATALOGUE", {**weights.CATALOGUE, "laion-aesthetic": entry})
        yield folder / "head.pth"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def test_the_catalogue_is_complete() -> None:
    for name, entry in weights.CATALOGUE.items():
        assert entry.name == name
        assert entry.file and entry.licence and entry.used_by and entry.megabytes > 0
        assert entry.source.startswith(("https://", "hf://"))
    assert len({entry.file for entry in weights.CATALOGUE.values()}) == len(weights.CATALOGUE)


def test_looking_finds_the_override_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.locate("raft-large") is None
    cached = tmp_path / "cache" / "weights" / weights.CATALOGUE["raft-large"].file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"x")
    assert weights.locate("raft-large") == cached
    own = tmp_path / "own" / cached.name
    own.parent.mkdir()
    monkeypatch.setenv("VAPBENCH_WEIGHTS", str(own.parent))
    assert weights.locate("raft-large") == cached
    own.write_bytes(b"y")
    assert weights.locate("raft-large") == own


def test_absent_weights_name_the_command() -> None:
    with refuses(NotApplicable, ErrorKind.MISSING, "weights", "vapbench data weights fetch raft-large"):
        weights.require("raft-large")


def test_unknown_names_have_a_suggestion() -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "weights"):
        weights.locate("raft")


def test_fetching_reports_progress_and_keeps_the_hash(served: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetching.fetch("laion-aesthetic", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    entry = json.loads((path.parent / fetching.LOCK_FILE).read_text())["laion-aesthetic"]
    assert entry["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert "MIT" in entry["licence"]
    assert fetching.verify("laion-aesthetic").state == "ok"


def test_fetching_what_is_there_downloads_nothing(served: Path) -> None:
    path = fetching.fetch("laion-aesthetic")
    served.unlink()
    assert fetching.fetch("laion-aesthetic") == path


def test_another_content_than_the_first_time_is_refused(served: Path) -> None:
    path = fetching.fetch("laion-aesthetic")
    path.unlink()
    served.write_bytes(b"something else")
    with refuses(WeightsError, ErrorKind.CONFLICT, "sha256", "weights.lock.json"):
        fetching.fetch("laion-aesthetic")
    assert not path.exists()


def test_fetching_mends_what_is_damaged(served: Path) -> None:
    path = fetching.fetch("laion-aesthetic")
    path.write_bytes(CONTENT[:-1])
    with refuses(WeightsError, ErrorKind.DAMAGED, "weights", path):
        load_tensors(path)
    assert fetching.fetch("laion-aesthetic") == path
    assert path.read_bytes() == CONTENT


def test_a_failed_download_leaves_nothing(served: Path) -> None:
    served.unlink()
    with refuses(WeightsError, ErrorKind.UNREACHABLE, "weights"):
        fetching.fetch("laion-aesthetic")
    assert weights.locate("laion-aesthetic") is None
    assert [path for path in weights.folders()[0].rglob("*") if path.is_file()] == []


def test_a_published_hash_is_checked_the_first_time(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(weights.CATALOGUE["laion-aesthetic"], sha256_prefix="0123abcd")
    monkeypatch.setattr(weights, "CATALOGUE", {"laion-aesthetic": entry})
    with refuses(WeightsError, ErrorKind.CONFLICT, "sha256", "0123abcd"):
        fetching.fetch("laion-aesthetic")


def test_verifying_trusts_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPBENCH_WEIGHTS", str(tmp_path))
    assert fetching.verify("laion-aesthetic").state == "absent"
    path = tmp_path / weights.CATALOGUE["laion-aesthetic"].file
    path.write_bytes(CONTENT)
    assert [fetching.verify("laion-aesthetic").state for _ in range(2)] == ["recorded", "ok"]
    path.write_bytes(b"changed")
    assert fetching.verify("laion-aesthetic").state == "changed"


@pytest.mark.parametrize("text", ["{", "[]", '{"laion-aesthetic": {}}', '{"laion-aesthetic": {"sha256": 1}}'])
def test_a_damaged_lock_file_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / weights.CATALOGUE["laion-aesthetic"].file).write_bytes(CONTENT)
    (tmp_path / fetching.LOCK_FILE).write_text(text)
    with refuses(WeightsError, ErrorKind.DAMAGED, "weights.lock.json"):
        fetching.verify("laion-aesthetic")


def test_the_hub_is_asked_for_the_file_and_nothing_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked = []

    def download(repository: str, file: str, local_dir: Path) -> str:
        asked.append((repository, file))
        local_dir.mkdir(parents=True)
        (local_dir / file).write_bytes(CONTENT)
        return str(local_dir / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    path = fetching.fetch("clip-vit-b-32")
    assert asked == [("timm/vit_base_patch32_clip_224.openai", "open_clip_model.safetensors")]
    assert path.read_bytes() == CONTENT
    assert sorted(item.name for item in path.parent.iterdir()) == [path.name, fetching.LOCK_FILE]


def test_tensors_are_read_from_both_formats(tmp_path: Path) -> None:
    tensors = {"weight": torch.arange(3.0)}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        assert torch.equal(load_tensors(tmp_path / name)["weight"], tensors["weight"])


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps(Path("x"), protocol=2)])
def test_checkpoints_that_are_not_tensors_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with refuses(WeightsError, ErrorKind.DAMAGED, "weights"):
        load_tensors(tmp_path / "a.pth")


def test_offline_nothing_is_fetched(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with refuses(WeightsError, ErrorKind.UNREACHABLE, "weights", "HF_HUB_OFFLINE", "head.pth"):
        fetching.fetch("laion-aesthetic")
    assert weights.locate("laion-aesthetic") is None


def test_nested_checkpoints_and_absent_files_are_refused(tmp_path: Path) -> None:
    for name, content in (("nested", {"a": {"b": torch.ones(1)}}), ("empty", {"state_dict": {}}), ("list", [1])):
        torch.save(content, tmp_path / f"{name}.pth")
        with refuses(WeightsError, ErrorKind.INVALID, "weights"):
            load_tensors(tmp_path / f"{name}.pth")
    with refuses(WeightsError, ErrorKind.MISSING, "weights"):
        load_tensors(tmp_path / "absent.pth")


class TestWhatTrainersSave:
    """Files like the published ones, with everything that trainers put beside and around a state dict."""

    TENSORS: ClassVar = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.bias": torch.ones(2)}

    @pytest.fixture
    def saved(self, tmp_path: Path) -> Callable[[Any], Path]:
        def save(content: Any) -> Path:
            torch.save(content, tmp_path / "a.pth")
            return tmp_path / "a.pth"

        return save

    @pytest.mark.parametrize("under", ["state_dict", "model_state_dict", "model", "module"])
    @pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module."])
    def test_names_around_a_state_dict_are_taken_off(
        self, under: str, prefix: str, saved: Callable[[Any], Path]
    ) -> None:
        inner = {prefix + name: tensor for name, tensor in self.TENSORS.items()}
        optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))]).state_dict()
        for content in (inner, {under: inner, "epoch": 3, "optimizer": optimiser, "name": "x", "best": None}):
            found = load_tensors(saved(content))
            assert found.keys() == self.TENSORS.keys()
            assert all(torch.equal(found[name], tensor) for name, tensor in self.TENSORS.items())

    def optimiser(self) -> dict[str, Any]:
        """The state of one whose learning rate numpy computed."""
        rates = {"lr": np.float64(1e-4), "initial_lr": np.float32(2e-4), "betas": np.array([0.9, 0.99])}
        return {
            "state": {0: {"step": np.int64(3)}},
            "param_groups": [rates | {"params": [0], "amsgrad": np.bool_(False)}],
        }

    @pytest.mark.parametrize("numpy", [1, 2])
    def test_numpys_numbers_beside_amts_weights(self, numpy: int, saved: Callable[[Any], Path], vectors: Path) -> None:
        tensors = parity_tensors(vectors / "amt_s")
        path = saved({"epoch": np.int64(300), "state_dict": tensors, "optim": self.optimiser()})
        if numpy == 1:
            _as_numpy_1(path)
        with pytest.raises(pickle.UnpicklingError, match="multiarray.scalar"):
            torch.load(path, weights_only=True)
        found = AmtInterpolator(path, torch.device("cpu")).model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())

    def test_they_are_allowed_nowhere_else(self, saved: Callable[[Any], Path]) -> None:
        path = saved({"state_dict": self.TENSORS, "optim": self.optimiser()})
        with refuses(WeightsError, ErrorKind.DAMAGED, "weights", "multiarray.scalar", "safetensors"):
            load_tensors(path)
        assert load_tensors(path, numpy_values=True).keys() == self.TENSORS.keys()
        with refuses(WeightsError, ErrorKind.DAMAGED, "weights"):
            load_tensors(saved({"state_dict": self.TENSORS, "x": np.array([{}], object)}), numpy_values=True)

    def test_objects_beside_tensors_are_named_and_not_to_be_fetched_again(self, saved: Callable[[Any], Path]) -> None:
        path = saved({"state_dict": self.TENSORS, "args": argparse.Namespace(lr=1)})
        with refuses(WeightsError, ErrorKind.DAMAGED, "weights", "argparse.Namespace", "safetensors") as told:
            load_tensors(path, numpy_values=True)
        assert "fetch it again" not in str(told.value)

    @pytest.mark.filterwarnings("ignore")
    def test_a_program_is_never_run(self, tmp_path: Path) -> None:
        """OpenAI publishes CLIP as TorchScript in half precision."""
        path = tmp_path / "ViT-B-32.pt"
        torch.jit.script(torch.nn.Linear(2, 2).half()).save(path)
        with refuses(WeightsError, ErrorKind.DAMAGED, "weights", "a TorchScript archive"):
            load_tensors(path)
        with refuses(WeightsError, ErrorKind.INVALID, "weights", "CLIP ViT-B-32", "a TorchScript archive"):
            ClipWeights("ViT-B-32", path).load(torch.device("cpu"))

    def test_half_precision_is_the_networks_own_afterwards(self, saved: Callable[[Any], Path], vectors: Path) -> None:
        halves = {name: tensor.half() for name, tensor in parity_tensors(vectors / "amt_s").items()}
        model = AmtInterpolator(saved({"state_dict": halves}), torch.device("cpu")).model
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def _as_numpy_1(path: Path) -> None:
    """Rewrite a checkpoint as numpy 1 would have written it."""
    with zipfile.ZipFile(path) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(name, data.replace(b"numpy._core", b"numpy.core") if name.endswith("data.pkl") else data)

"""Clips with known properties, tiny weights, and the parity vectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.metrics.judges import Endpoint, write_tiny_vlm
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.view import ClipView

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
COLOURS = {"red": (210, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 210)}


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The selection of parity vectors that the repository holds."""
    return ROOT / "tests" / "data" / "vbench"


@pytest.fixture(scope="session")
def all_vectors() -> Path:
    """The full parity vectors, where they lie beside the checkout."""
    folder = ROOT.parent / "shared" / "data" / "parity" / "vbench"
    if not folder.is_dir():
        pytest.skip("the full parity vectors are not beside the checkout")
    return folder


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the weights of the machine it runs on."""
    monkeypatch.setenv("VAPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VAPBENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth random texture ``(H, W, 3)`` in 0..1 with structure at several scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (4, 9, 20):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=float) / 255
    return total / 3


def moving_clip(
    frames: int = 5, height: int = 128, width: int = 136, step: int = 4, fps: float = 8, colour: str = "red"
) -> Clip:
    """A coloured texture that moves ``step`` pixels to the right per frame."""
    wide = texture(height, width + step * frames) * 0.6 + 0.4
    tint = np.array(COLOURS[colour], dtype=float)
    stack = [wide[:, step * i : step * i + width] * tint for i in range(frames)][::-1]
    return Clip(np.stack(stack).clip(0, 255).astype(np.uint8), fps)


def noisy(clip: Clip, sigma: float = 40) -> Clip:
    """Independent noise on every frame."""
    noise = np.random.default_rng(1).normal(0, sigma, clip.frames.shape)
    return Clip((clip.frames + noise).clip(0, 255).astype(np.uint8), clip.fps)


@dataclass(frozen=True)
class TinyWeights:
    """Stand-ins for the weights that metrics load."""

    clip: Path
    """An open_clip folder, trained to tell red, green and blue videos apart."""
    head: Path
    """An aesthetic head that prefers clean frames to noisy ones."""
    raft: Path
    """``raft_large`` with the parity vectors' random weights."""
    quality: Path
    """The head as the folder that the mini suite's training makes."""
    semantic: Path
    """A semantic encoder that tells noise from what is clean."""
    judge: str
    """Address of an endpoint that gives every video 70 points."""
    vlm: Path
    """A vision-language model with random weights."""
    amt: Path
    """AMT-S with the parity vectors' random weights, wrapped as the public checkpoint is."""
    viclip: Path
    """The parity vectors' small ViCLIP, wrapped as the public checkpoint is."""
    dino: Path
    """A small DINO with random weights."""

    def spec(self, name: str) -> str:
        """The metric's name with the parameters that make it use these weights."""
        parameters = {
            "text_alignment[clip]": f"weights={self.clip}",
            "aesthetic_quality": f"weights={self.clip},head={self.head}",
            "dynamic_degree[raft]": f"weights={self.raft}",
            "text_alignment[mini-clip]": f"weights={self.clip}",
            "aesthetic_quality[mini]": f"weights={self.clip},head={self.quality}",
            "semantic_alignment[embedding]": f"weights={self.semantic}",
            "semantic_alignment[judge]": f"base_url={self.judge}",
            "semantic_alignment[local]": f"weights={self.vlm},frames=2",
            "motion_smoothness[amt]": f"weights={self.amt}",
            "text_alignment[viclip]": f"weights={self.viclip}",
            "background_consistency": f"weights={self.clip}",
            **dict.fromkeys(("subject_consistency", "i2v_subject", "reference_leakage"), f"weights={self.dino}"),
        }.get(name, "")
        return f"{name}:{parameters}" if parameters else name


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, vectors: Path) -> Iterator[TinyWeights]:
    """Tiny weights, made once."""
    folder = tmp_path_factory.mktemp("weights")
    clip = folder / "clip"
    clip.mkdir()
    train_tiny_clip(clip)
    raft = folder / "raft.pth"
    torch.save(raft_parameters(vectors), raft)
    head = folder / "head.pth"
    torch.save(prefer_clean_frames(clip), head)
    quality, semantic = folder / "quality", folder / "semantic"
    quality.mkdir()
    save_file(torch.load(head), quality / "model.safetensors")
    train_tiny_semantic(semantic)
    vlm = folder / "tiny-vlm"
    write_tiny_vlm(vlm)
    amt, viclip, dino = (folder / f"{name}.pth" for name in ("amt", "viclip", "dino"))
    torch.save({"state_dict": parity_tensors(vectors / "amt_s"), "epoch": 3}, amt)
    torch.save({"model": parity_tensors(vectors / "viclip")}, viclip)
    torch.save(small_dino(), dino)
    with Endpoint() as endpoint:
        yield TinyWeights(clip, head, raft, quality, semantic, endpoint.url, vlm, amt, viclip, dino)


def parity_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The vectors' weights, which are stored in half precision."""
    with np.load(folder / "weights.npz") as stored:
        return {name: torch.from_numpy(np.asarray(array, dtype=np.float32)) for name, array in stored.items()}


def small_dino() -> dict[str, torch.Tensor]:
    """Two random blocks whose answers depend on the image."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=2, embed_dim=128, num_heads=2)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return dict(model.state_dict())


def raft_parameters(vectors: Path) -> dict[str, torch.Tensor]:
    """The vectors' weights under torchvision's names."""
    names = json.loads((vectors / "raft" / "torchvision_key_map.json").read_text())
    stored = {
        name: array for path in sorted((vectors / "raft").glob("weights*.npz")) for name, array in np.load(path).items()
    }
    return {
        names[name]: torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array)
        for name, array in stored.items()
        if names[name]
    }


def train_tiny_clip(folder: Path) -> None:
    """Write an open_clip folder: two small towers, taught three colours in a few steps."""
    import open_clip

    from vapbench.metrics.features.clip import prepare

    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    torch.manual_seed(0)
    model: Any = open_clip.CLIP(**config)
    captions = open_clip.tokenize([f"a {colour} video" for colour in COLOURS])
    frames = [torch.from_numpy(moving_clip(8, 64, 64, colour=colour).frames) for colour in COLOURS]
    images = torch.stack([prepare(video.permute(0, 3, 1, 2), 32) for video in frames], dim=1)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(40):
        image = model.encode_image(images[step % 8], normalize=True)
        text = model.encode_text(captions, normalize=True)
        loss = torch.nn.functional.cross_entropy(10 * image @ text.T, torch.arange(len(COLOURS)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))


def train_tiny_semantic(folder: Path) -> None:
    """Write a semantic encoder's folder, taught in a few steps that clips of one colour show one condition."""
    from vapbench.core.clip import resize_clip
    from vapbench.models.semantic_encoder import SemanticEncoder, to_video

    torch.manual_seed(0)
    model = SemanticEncoder((8, 16), 8, tuple(COLOURS))
    video = to_video(np.stack([resize_clip(moving_clip(13, 64, 64, colour=c), 13, 8, 64, 64).frames for c in COLOURS]))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(model.logits(video), torch.arange(len(COLOURS)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)


def prefer_clean_frames(clip: Path) -> dict[str, torch.Tensor]:
    """A linear head along the direction from noisy frames' features to clean ones'."""
    from vapbench.metrics.features.clip import ClipWeights

    encoder = ClipWeights.of("tiny", clip).load(CPU)
    clean = moving_clip()
    features = [encoder.image_features(view(video)).mean(0) for video in (clean, noisy(clean))]
    direction = features[0] - features[1]
    return {"weight": direction[None] / direction.norm(), "bias": torch.zeros(1)}


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A case whose ground truth, reference and first frame show the moving red texture."""
    folder = tmp_path_factory.mktemp("case")
    clip = moving_clip()
    write_video(folder / "target.mp4", clip)
    write_video(folder / "reference.mp4", moving_clip(9, 96, 96, colour="green"))
    Image.fromarray(clip.frames[0]).save(folder / "first.png")
    return Case(
        id="case",
        condition="pan",
        references=(Reference(video=Media(path=folder / "reference.mp4"), caption="a green video"),),
        image=Media(path=folder / "first.png"),
        caption="a red video",
        target=Media(path=folder / "target.mp4"),
        clip=ClipSpec(frames=5, fps=8, height=128, width=136),
    )


def view(clip: Clip, case: Any = None) -> ClipView:
    """A view on the CPU."""
    return ClipView(clip, case, CPU)


@pytest.fixture(scope="session")
def build(tiny: TinyWeights) -> Iterator[Callable[[str], Metric]]:
    """Set-up metrics by name, each made once."""
    made: dict[str, Metric] = {}

    def get(name: str) -> Metric:
        if name not in made:
            made[name], _ = resolve(tiny.spec(name))
            made[name].setup(CPU)
        return made[name]

    yield get
    made.clear()


@pytest.fixture(scope="session")
def score(build: Callable[[str], Metric], case: Case) -> Callable[..., Score]:
    """Score a clip by a metric's name, for the case or one like it."""

    def run(name: str, clip: Clip, **changed: Any) -> Score:
        scored = case.model_copy(update=changed)
        made = build(name).score(view(clip, scored), scored)
        assert isinstance(made, Score)
        return made

    return run

"""Two ways to score a clip, for the scripts that time them: vapbench, and a loop that does what VBench does.

The reference loop decodes the video for each metric, sends one frame or pair at a time through the networks, encodes
every frame once per pair and per metric, and brings every flow to full resolution. Both sides use the published
architectures with seeded random weights, which cost what trained ones cost; ``tiny`` ones only show that a script runs.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate
from torchvision.models.optical_flow import raft_large

from vapbench.checkpoints.state_dict import load_tensors
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import read_video, write_video
from vapbench.metrics import resolve
from vapbench.metrics.aesthetic_quality import load_head, rate
from vapbench.metrics.base import Metric
from vapbench.metrics.dynamic_degree import fastest_share, is_dynamic, motion_threshold, pairs_needed, sampling_interval
from vapbench.metrics.features.clip import ClipEncoder, prepare, prepare_rounded
from vapbench.metrics.features.flow import normalise, padding
from vapbench.metrics.features.precision import Precision, exact_float32
from vapbench.metrics.viclip_alignment import ViClipTextAlignment, middle_frames
from vapbench.metrics.view import ClipView
from vapbench.models.vision.amt import AmtS
from vapbench.models.vision.raft import RaftSequence
from vapbench.models.vision.viclip import ViClip

CAPTION = "a red fox runs through fresh snow at dusk while the camera follows from the side"


VBENCH = ("dynamic_degree[raft]", "motion_smoothness[amt]", "aesthetic_quality", "text_alignment[viclip]")
"""VBench's dimensions dynamic_degree, motion_smoothness, aesthetic_quality and overall_consistency."""

FILES = {
    "dynamic_degree[raft]": "weights={0}/raft.pth",
    "motion_smoothness[amt]": "weights={0}/amt.pth",
    "aesthetic_quality": "weights={0}/clip.safetensors,head={0}/head.pth",
    "text_alignment[viclip]": "weights={0}/viclip.safetensors",
    "text_alignment[clip]": "weights={0}/clip.safetensors",
}
"""VBench's four, and the CLIP score of the paper, which VBench does not have."""


def spec(name: str, folder: Path, precision: Precision = "exact") -> str:
    """A column with the parameters that make it use the weights in ``folder``."""
    files = FILES[name].format(folder).replace(str(folder / "clip.safetensors"), str(clip_weights(folder)))
    return f"{name}:{files},precision={precision}"


def clip_weights(folder: Path) -> Path:
    """A checkpoint of ViT-L/14, or the folder of a tiny model with its configuration."""
    tiny = folder / "clip"
    return tiny if tiny.is_dir() else folder / "clip.safetensors"


@dataclass(frozen=True)
class Spent:
    """What one column took, and what it said."""

    wall: float
    cpu: float
    value: float | None = None


NETWORKS = {
    "RAFT, features of frames": (RaftSequence, "features"),
    "RAFT, 20 updates of the flow": (RaftSequence, "flow"),
    "AMT-S, frames between": (AmtS, "forward"),
    "CLIP ViT-L/14, images": (ClipEncoder, "still_features"),
    "CLIP ViT-L/14, caption": (ClipEncoder, "text_features"),
    "ViCLIP, video": (ViClip, "encode_video"),
    "ViCLIP, caption": (ViClip, "encode_text"),
}
"""What vapbench calls of its networks."""


@contextmanager
def watched(device: torch.device) -> Iterator[dict[str, float]]:
    """Add up the seconds of each of :data:`NETWORKS`, waiting for the device around each call."""
    seconds = dict.fromkeys(NETWORKS, 0.0)

    def timed(label: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*arguments: Any, **named: Any) -> Any:
            wait(device)
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                wait(device)
                seconds[label] += time.perf_counter() - began

        return watch

    calls = {label: getattr(owner, name) for label, (owner, name) in NETWORKS.items()}
    for label, (owner, name) in NETWORKS.items():
        setattr(owner, name, timed(label, calls[label]))
    try:
        yield seconds
    finally:
        for label, (owner, name) in NETWORKS.items():
            setattr(owner, name, calls[label])


def wait(device: torch.device) -> None:
    """Let the device finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def write_weights(folder: Path, names: Sequence[str], tiny: bool = False) -> None:
    """Write random weights that the metrics need, exact in half precision, as VBench loads CLIP's.

    Args:
        folder: where.
        names: of the columns.
        tiny: small towers of CLIP and ViCLIP instead of the published ones; RAFT and AMT are small as they are.
    """
    torch.manual_seed(0)
    if "text_alignment[clip]" in names or "aesthetic_quality" in names:
        width = _write_tiny_clip(folder / "clip") if tiny else _write_clip(folder / "clip.safetensors")
        head = {"weight": torch.randn(1, width) / width**0.5, "bias": torch.tensor([5.0])}
        torch.save(_halved(head), folder / "head.pth")
    if "dynamic_degree[raft]" in names:
        torch.save(_halved(raft_large(weights=None, progress=False).state_dict()), folder / "raft.pth")
    if "motion_smoothness[amt]" in names:
        torch.save({"state_dict": _halved(AmtS().state_dict())}, folder / "amt.pth")
    if "text_alignment[viclip]" in names:
        save_file(_halved(random_viclip(tiny)), folder / "viclip.safetensors")


def _halved(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t.half().float() if t.is_floating_point() else t for name, t in tensors.items()}


def _write_clip(path: Path) -> int:
    """Write ViT-L/14; returns the width of its features."""
    model = open_clip.create_model("ViT-L-14", force_quick_gelu=True)
    save_file(_halved({name: tensor.contiguous() for name, tensor in model.state_dict().items()}), path)
    return 768


def _write_tiny_clip(folder: Path) -> int:
    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    folder.mkdir()
    save_file(open_clip.CLIP(**config).state_dict(), folder / "open_clip_model.safetensors")  # type: ignore[arg-type]
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    return 32


def random_viclip(tiny: bool = False) -> dict[str, torch.Tensor]:
    """ViCLIP-L/14 with random weights; ``tiny`` has one narrow layer and reads 28 x 28 pixels."""
    width = {"vision": 64, "text": 64} if tiny else {"vision": 1024, "text": 768}
    layers = {"vision": 1, "text": 1} if tiny else {"vision": 24, "text": 12}
    out, patches, tokens = (64, 4, 49408) if tiny else (768, 256, 49408)
    shapes = {
        "vision_encoder.conv1.weight": (width["vision"], 3, 1, 14, 14),
        "vision_encoder.positional_embedding": (patches + 1, width["vision"]),
        "vision_encoder.temporal_positional_embedding": (1, 8, width["vision"]),
        "vision_encoder.proj": (width["vision"], out),
        "text_encoder.positional_embedding": (32, width["text"]),
        "text_encoder.text_projection": (width["text"], out),
        "text_encoder.token_embedding.weight": (tokens, width["text"]),
        **{
            f"{tower}_encoder.transformer.resblocks.{layer}.ln_1.weight": (width[tower],)
            for tower in width
            for layer in range(layers[tower])
        },
    }
    model = ViClip({name: torch.Size(shape) for name, shape in shapes.items()})
    for name, parameter in model.named_parameters():
        if not name.endswith(("ln_1.weight", "ln_2.weight")):
            torch.nn.init.normal_(parameter, std=0.03)
    return dict(model.state_dict())


def write_case(folder: Path, frames: int, height: int, width: int, fps: float, name: str = "clip") -> Case:
    """Write a video of a texture that moves, and the case it belongs to."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((1, 3, 12, 24), dtype=np.float32))
    step = 6
    wide = interpolate(coarse, size=(height, width + step * frames), mode="bicubic")[0].clamp(0, 1)
    stack = [wide[..., step * i : step * i + width].permute(1, 2, 0).numpy() for i in range(frames)]
    video = folder / f"{name}.mp4"
    write_video(video, Clip.from_float(np.stack(stack), fps))
    return case_of(video, frames, height, width, fps)


def case_of(video: Path, frames: int, height: int, width: int, fps: float) -> Case:
    """A case whose first frame, reference and output are one video."""
    media = Media(path=video)
    return Case(
        id=video.stem,
        condition="pan",
        references=(Reference(video=media),),
        image=media,
        caption=CAPTION,
        clip=ClipSpec(frames=frames, fps=fps, height=height, width=width),
    )


class Side(Protocol):
    """One way to score."""

    name: str

    def load(self, column: str) -> None:
        """Load what a column needs, which is not timed."""

    def score(self, column: str, case: Case) -> float:
        """Score the case's video, decoding included."""


class Vapbench:
    """The package's own metrics."""

    def __init__(self, folder: Path, precision: Precision, device: torch.device) -> None:
        """Use the weights in ``folder``."""
        self.name = f"vapbench, {precision}"
        self.device = device
        self.metrics: dict[str, Metric] = {}
        self._folder, self._precision = folder, precision

    def load(self, column: str) -> None:
        """Set the metric up."""
        if column not in self.metrics:
            metric, _ = resolve(spec(column, self._folder, self._precision))
            metric.setup(self.device)
            self.metrics[column] = metric

    def score(self, column: str, case: Case) -> float:
        """Decode and score."""
        return self.score_together([column], case)[column]

    def score_together(self, columns: Sequence[str], case: Case) -> dict[str, float]:
        """Decode once and score with several columns, as a run does."""
        view = ClipView(read_video(case.image.path), case, self.device)
        return {column: float(self.metrics[column].score(view, case).value or 0.0) for column in columns}


class ReferenceLoop:
    """What VBench does, metric by metric, with the same weights."""

    name = "reference loop"

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Load nothing yet."""
        self._folder, self._device = folder, device

    @cached_property
    def _clip(self) -> ClipEncoder:
        return ClipEncoder("ViT-L-14", clip_weights(self._folder), self._device)

    @cached_property
    def _raft(self) -> Any:
        model = raft_large(weights=None, progress=False)
        model.load_state_dict(load_tensors(self._folder / "raft.pth"))
        return model.eval().to(self._device)

    @cached_property
    def _amt(self) -> AmtS:
        model = AmtS()
        model.load_state_dict(load_tensors(self._folder / "amt.pth", numpy_values=True))
        return model.eval().to(self._device)

    @cached_property
    def _viclip(self) -> ViClipTextAlignment:
        metric = ViClipTextAlignment(weights=self._folder / "viclip.safetensors")
        metric.setup(self._device)
        return metric

    def load(self, column: str) -> None:
        """Load its network."""
        networks = {
            "dynamic_degree[raft]": "_raft",
            "motion_smoothness[amt]": "_amt",
            "text_alignment[viclip]": "_viclip",
        }
        getattr(self, networks.get(column, "_clip"))

    def score(self, column: str, case: Case) -> float:
        """Decode and score."""
        columns = {
            "text_alignment[clip]": self._text_alignment,
            "aesthetic_quality": self._aesthetic_quality,
            "dynamic_degree[raft]": self._dynamic_degree,
            "motion_smoothness[amt]": self._motion_smoothness,
            "text_alignment[viclip]": self._video_alignment,
        }
        with exact_float32(self._device):
            return columns[column](case.image.path)

    def _frames(self, video: Path) -> torch.Tensor:
        frames = torch.from_numpy(read_video(video).frames)
        return frames.permute(0, 3, 1, 2).contiguous().to(self._device)

    def _image_features(self, video: Path) -> torch.Tensor:
        size = self._clip.image_size
        features = [self._clip.model.encode_image(prepare(frame[None], size)) for frame in self._frames(video)]
        return torch.nn.functional.normalize(torch.cat(features), dim=-1)

    def _text_alignment(self, video: Path) -> float:
        """CLIP score."""
        text, _ = self._clip.text_features(CAPTION)
        return float((100 * self._image_features(video) @ text).double().mean())

    def _aesthetic_quality(self, video: Path) -> float:
        """The linear head."""
        head = (tensor.to(self._device) for tensor in load_head(self._folder / "head.pth"))
        return float(rate(self._image_features(video), *head).double().mean())

    def _dynamic_degree(self, video: Path) -> float:
        """Flow of each pair through the model's own forward, whose every update comes back at full size."""
        clip = read_video(video)
        kept = self._frames(video)[:: sampling_interval(clip.fps)]
        magnitudes = []
        for first, second in pairwise(kept):
            flow = self._raft(normalise(first[None]), normalise(second[None]), num_flow_updates=20)[-1]
            length = flow.square().sum(dim=1).sqrt().flatten()
            magnitudes.append(float(length.topk(fastest_share(*flow.shape[-2:])).values.mean()))
        return float(is_dynamic(magnitudes, motion_threshold(clip.height, clip.width), pairs_needed(len(kept))))

    def _motion_smoothness(self, video: Path) -> float:
        """The frame between each two even ones."""
        frames = self._frames(video)
        height, width = frames.shape[-2:]
        margins = padding(height, width, 16)
        errors = []
        for odd in range(1, len(frames) - 1, 2):
            pair = torch.nn.functional.pad(frames[[odd - 1, odd + 1]].float() / 255, margins, mode="replicate")
            frame = self._amt(pair[:1], pair[1:]).frame[0]
            shown = (frame[:, margins[2] : margins[2] + height, margins[0] : margins[0] + width] * 255).byte()
            errors.append(float((shown.double() - frames[odd].double()).abs().mean()))
        return (255 - float(np.mean(errors))) / 255

    def _video_alignment(self, video: Path) -> float:
        """Eight frames and the caption."""
        frames, model = self._frames(video), self._viclip._model
        chosen = prepare_rounded(frames[middle_frames(len(frames), model.frames)], model.image_size)
        features = torch.nn.functional.normalize(model.encode_video(chosen[None]), dim=-1)[0]
        tokens, _ = self._viclip.tokens(CAPTION)
        return float(self._viclip._text_features(tokens, self._device) @ features)


def alternate(
    sides: Sequence[Side], column: str, case: Case, warm: Case, rounds: int, device: torch.device
) -> list[Spent]:
    """Time the sides on one column in turns, each warmed up by ``warm``; medians of the rounds, in the sides' order."""
    for side in sides:
        side.load(column)
        side.score(column, warm)
    taken: list[list[Spent]] = [[] for _ in sides]
    for round_ in range(rounds):
        order = range(len(sides)) if round_ % 2 == 0 else reversed(range(len(sides)))
        for number in order:
            taken[number].append(_timed(sides[number], column, case, device))
    return [
        Spent(statistics.median(one.wall for one in each), statistics.median(one.cpu for one in each), each[0].value)
        for each in taken
    ]


def _timed(side: Side, column: str, case: Case, device: torch.device) -> Spent:
    wait(device)
    wall, cpu = time.perf_counter(), time.process_time()
    value = side.score(column, case)
    wait(device)
    return Spent(time.perf_counter() - wall, time.process_time() - cpu, value)

"""Print what scoring costs beside a loop that does what VBench does: same weights, same machine, one run.

The reference loop decodes the video for each metric, sends one frame or pair at a time through the networks, encodes
every frame once per pair and per metric, and brings every flow to full resolution. Both sides use the published
architectures with seeded random weights: they cost what trained ones cost. Ours runs first, so that the peak of memory
printed for it is its own.

    python benchmarks/scoring.py                                  49 frames of 480 x 720: some ten minutes on two cores
    python benchmarks/scoring.py --frames 5 --metric "dynamic_degree[raft]"     one of the columns, sooner
    python benchmarks/scoring.py --device cuda
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate
from torchvision.models.optical_flow import raft_large

from vapbench.checkpoints.catalogue import load_tensors
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import read_video, write_video
from vapbench.metrics import resolve
from vapbench.metrics.aesthetic_quality import load_head, rate
from vapbench.metrics.dynamic_degree import fastest_share, is_dynamic, motion_threshold, pairs_needed, sampling_interval
from vapbench.metrics.features.clip import ClipEncoder, prepare, prepare_rounded
from vapbench.metrics.features.flow import normalise, padding
from vapbench.metrics.features.precision import exact_float32
from vapbench.metrics.viclip_alignment import ViClipTextAlignment, middle_frames
from vapbench.metrics.view import ClipView
from vapbench.models.vision.amt import AmtS
from vapbench.models.vision.raft import RaftSequence
from vapbench.models.vision.viclip import ViClip

CAPTION = "a red fox runs through fresh snow at dusk while the camera follows from the side"


@dataclass
class Spent:
    """Seconds of one metric."""

    wall: float = 0.0
    cpu: float = 0.0
    inside: float = 0.0
    """Wall time inside the networks."""
    value: float | None = None


@dataclass
class Side:
    """One way to score."""

    name: str
    spent: dict[str, Spent] = field(default_factory=dict)

    def total(self, what: str) -> float:
        """Sum over metrics."""
        return float(sum(getattr(spent, what) for spent in self.spent.values()))


class Stopwatch:
    """Time spent inside the networks."""

    inside = 0.0

    def watch(self, owner: Any, name: str, wait: Callable[[], None]) -> None:
        """Time every call of ``owner.name``."""
        call = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            wait()
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                wait()
                self.inside += time.perf_counter() - began

        setattr(owner, name, timed)


def write_weights(folder: Path, names: Sequence[str]) -> None:
    """Write random weights of the published architectures that the metrics need."""
    torch.manual_seed(0)
    if "text_alignment[clip]" in names or "aesthetic_quality" in names:
        model = open_clip.create_model("ViT-L-14", force_quick_gelu=True)
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(tensors, folder / "clip.safetensors")
        torch.save({"weight": torch.randn(1, 768) / 28, "bias": torch.tensor([5.0])}, folder / "head.pth")
    if "dynamic_degree[raft]" in names:
        torch.save(raft_large(weights=None, progress=False).state_dict(), folder / "raft.pth")
    if "motion_smoothness[amt]" in names:
        torch.save(AmtS().state_dict(), folder / "amt.pth")
    if "text_alignment[viclip]" in names:
        save_file(random_viclip(), folder / "viclip.safetensors")


def random_viclip() -> dict[str, torch.Tensor]:
    """ViCLIP-L/14 with random weights."""
    width, layers, tokens = {"vision": 1024, "text": 768}, {"vision": 24, "text": 12}, 49408
    shapes = {
        "vision_encoder.conv1.weight": (1024, 3, 1, 14, 14),
        "vision_encoder.positional_embedding": (257, 1024),
        "vision_encoder.temporal_positional_embedding": (1, 8, 1024),
        "vision_encoder.proj": (1024, 768),
        "text_encoder.positional_embedding": (32, 768),
        "text_encoder.text_projection": (768, 768),
        "text_encoder.token_embedding.weight": (tokens, 768),
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


def write_case(folder: Path, frames: int, height: int, width: int, fps: float) -> Case:
    """Write a video of a texture that moves, and the case it belongs to."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((1, 3, 12, 24), dtype=np.float32))
    step = 6
    wide = interpolate(coarse, size=(height, width + step * frames), mode="bicubic")[0].clamp(0, 1)
    stack = [wide[..., step * i : step * i + width].permute(1, 2, 0).numpy() for i in range(frames)]
    write_video(folder / "clip.mp4", Clip.from_float(np.stack(stack), fps))
    media = Media(path=folder / "clip.mp4")
    return Case(
        id="clip",
        condition="pan",
        references=(Reference(video=media),),
        image=media,
        caption=CAPTION,
        clip=ClipSpec(frames=frames, fps=fps, height=height, width=width),
    )


FILES = {
    "text_alignment[clip]": "weights={0}/clip.safetensors",
    "aesthetic_quality": "weights={0}/clip.safetensors,head={0}/head.pth",
    "dynamic_degree[raft]": "weights={0}/raft.pth",
    "motion_smoothness[amt]": "weights={0}/amt.pth",
    "text_alignment[viclip]": "weights={0}/viclip.safetensors",
}
"""The four automatic columns of the paper, and ViCLIP."""


class Clock:
    """Times one metric, decoding included."""

    def __init__(self, device: torch.device, stopwatch: Stopwatch) -> None:
        """Time work on ``device``."""
        self._device, self._stopwatch = device, stopwatch

    def wait(self) -> None:
        """Let the device finish."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    @contextmanager
    def __call__(self, spent: Spent) -> Iterator[None]:
        """Add what the block takes."""
        self.wait()
        wall, cpu, inside = time.perf_counter(), time.process_time(), self._stopwatch.inside
        yield
        self.wait()
        spent.wall += time.perf_counter() - wall
        spent.cpu += time.process_time() - cpu
        spent.inside += self._stopwatch.inside - inside


def score_ours(
    case: Case, folder: Path, names: Sequence[str], precision: str, clock: Clock, device: torch.device
) -> Side:
    """Score as vapbench does: one decode, shared features, batches."""
    side = Side(f"vapbench, {precision}")
    specs = {name: f"{name}:{FILES[name].format(folder)},precision={precision}" for name in names}
    metrics = {name: resolve(spec)[0] for name, spec in specs.items()}
    for metric in metrics.values():
        metric.setup(device)
    decoding = side.spent.setdefault("decoding", Spent())
    with clock(decoding):
        view = ClipView(read_video(case.image.path), case, device)
    for name, metric in metrics.items():
        spent = side.spent.setdefault(name, Spent())
        with clock(spent):
            spent.value = metric.score(view, case).value
        print(f"  {side.name}: {name} {spent.value:.6f}, {spent.wall:.1f} s", flush=True)
    return side


class ReferenceLoop:
    """What VBench does, metric by metric, with the same weights."""

    def __init__(self, case: Case, folder: Path, device: torch.device) -> None:
        """Load nothing yet."""
        self._path, self._case, self._device = case.image.path, case, device
        self._folder = folder

    @cached_property
    def _clip(self) -> ClipEncoder:
        return ClipEncoder("ViT-L-14", self._folder / "clip.safetensors", self._device)

    @cached_property
    def _raft(self) -> Any:
        model = raft_large(weights=None, progress=False)
        model.load_state_dict(load_tensors(self._folder / "raft.pth"))
        return model.eval().to(self._device)

    @cached_property
    def _amt(self) -> AmtS:
        model = AmtS()
        model.load_state_dict(load_tensors(self._folder / "amt.pth"))
        return model.eval().to(self._device)

    @cached_property
    def _viclip(self) -> ViClipTextAlignment:
        metric = ViClipTextAlignment(weights=self._folder / "viclip.safetensors")
        metric.setup(self._device)
        return metric

    def load(self, name: str) -> None:
        """Load what a metric needs, so that loading is not timed; vapbench's is not either."""
        networks = {
            "dynamic_degree[raft]": "_raft",
            "motion_smoothness[amt]": "_amt",
            "text_alignment[viclip]": "_viclip",
        }
        getattr(self, networks.get(name, "_clip"))

    def metrics(self) -> dict[str, Callable[[], float]]:
        """Each metric as a function of nothing."""
        return {
            "text_alignment[clip]": self.text_alignment,
            "aesthetic_quality": self.aesthetic_quality,
            "dynamic_degree[raft]": self.dynamic_degree,
            "motion_smoothness[amt]": self.motion_smoothness,
            "text_alignment[viclip]": self.viclip,
        }

    def _frames(self) -> torch.Tensor:
        frames = torch.from_numpy(read_video(self._path).frames)
        return frames.permute(0, 3, 1, 2).contiguous().to(self._device)

    def _image_features(self) -> torch.Tensor:
        features = [self._clip.model.encode_image(prepare(frame[None])) for frame in self._frames()]
        return torch.nn.functional.normalize(torch.cat(features), dim=-1)

    def text_alignment(self) -> float:
        """CLIP score."""
        text, _ = self._clip.text_features(CAPTION)
        return float((100 * self._image_features() @ text).double().mean())

    def aesthetic_quality(self) -> float:
        """The linear head."""
        head = (tensor.to(self._device) for tensor in load_head(self._folder / "head.pth"))
        return float(rate(self._image_features(), *head).double().mean())

    def dynamic_degree(self) -> float:
        """Flow of each pair through the model's own forward, whose every update comes back at full size."""
        clip = read_video(self._path)
        kept = self._frames()[:: sampling_interval(clip.fps)]
        magnitudes = []
        for first, second in pairwise(kept):
            flow = self._raft(normalise(first[None]), normalise(second[None]), num_flow_updates=20)[-1]
            length = flow.square().sum(dim=1).sqrt().flatten()
            magnitudes.append(float(length.topk(fastest_share(*flow.shape[-2:])).values.mean()))
        return float(is_dynamic(magnitudes, motion_threshold(clip.height, clip.width), pairs_needed(len(kept))))

    def motion_smoothness(self) -> float:
        """The frame between each two even ones."""
        frames = self._frames()
        height, width = frames.shape[-2:]
        margins = padding(height, width, 16)
        errors = []
        for odd in range(1, len(frames) - 1, 2):
            pair = torch.nn.functional.pad(frames[[odd - 1, odd + 1]].float() / 255, margins, mode="replicate")
            frame = self._amt(pair[:1], pair[1:]).frame[0]
            shown = (frame[:, margins[2] : margins[2] + height, margins[0] : margins[0] + width] * 255).byte()
            errors.append(float((shown.double() - frames[odd].double()).abs().mean()))
        return (255 - float(np.mean(errors))) / 255

    def viclip(self) -> float:
        """Eight frames and the caption."""
        frames = self._frames()
        chosen = prepare_rounded(frames[middle_frames(len(frames), 8)])
        video = torch.nn.functional.normalize(self._viclip._model.encode_video(chosen[None]), dim=-1)[0]
        tokens, _ = self._viclip.tokens(CAPTION)
        return float(self._viclip._text_features(tokens, self._device) @ video)


def score_reference(case: Case, folder: Path, names: Sequence[str], clock: Clock, device: torch.device) -> Side:
    """Score as VBench does."""
    side = Side("reference loop")
    loop = ReferenceLoop(case, folder, device)
    for name, metric in loop.metrics().items():
        if name not in names:
            continue
        loop.load(name)
        spent = side.spent.setdefault(name, Spent())
        with clock(spent), exact_float32(device):
            spent.value = metric()
        print(f"  {side.name}: {name} {spent.value:.6f}, {spent.wall:.1f} s", flush=True)
    return side


def compare(ours: Side, reference: Side) -> None:
    """Print both, metric by metric."""
    print(f"\n{ours.name}{'wall':>28}{'reference':>12}{'ratio':>8}{'cpu ratio':>11}{'difference':>12}")
    for name, spent in ours.spent.items():
        other = reference.spent.get(name)
        if other is None or spent.value is None or other.value is None:
            print(f"  {name:28}{spent.wall:10.1f}")
            continue
        # A metric that finds its features ready costs next to nothing; its ratio says nothing.
        ratio = f"{other.wall / spent.wall:8.2f}{other.cpu / spent.cpu:11.2f}" if spent.wall > 0.02 * other.wall else ""
        print(f"  {name:28}{spent.wall:10.1f}{other.wall:12.1f}{ratio:19}{spent.value - other.value:12.1e}")
    wall, cpu = (reference.total(what) / ours.total(what) for what in ("wall", "cpu"))
    print(f"  {'together':28}{ours.total('wall'):10.1f}{reference.total('wall'):12.1f}{wall:8.2f}{cpu:11.2f}")
    on_clip = ("text_alignment[clip]", "aesthetic_quality")
    if all(name in ours.spent for name in on_clip):
        first, second = (ours.spent[name].wall for name in on_clip)
        print(f"  text_alignment + aesthetic_quality: {(first + second) / first:.2f} of the first alone")
    print(f"  inside the networks: {100 * ours.total('inside') / ours.total('wall'):.0f} % of the time")


def main() -> None:
    """Score one clip both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--fps", type=float, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--metric", nargs="+", choices=tuple(FILES), default=tuple(FILES))
    parser.add_argument("--precision", nargs="+", choices=("exact", "fast"), default=("exact", "fast"))
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    device, stopwatch = torch.device(asked.device), Stopwatch()
    clock = Clock(device, stopwatch)
    for owner, name in ((AmtS, "forward"), (RaftSequence, "features"), (RaftSequence, "flow")):
        stopwatch.watch(owner, name, clock.wait)
    for owner, name in ((ClipEncoder, "still_features"), (ViClip, "encode_video"), (ViClip, "encode_text")):
        stopwatch.watch(owner, name, clock.wait)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_weights(folder, asked.metric)
        case = write_case(folder, asked.frames, asked.height, asked.width, asked.fps)
        size = f"{asked.frames} frames of {asked.height}x{asked.width} at {asked.fps:g} fps"
        print(f"{size}, {torch.get_num_threads()} threads", flush=True)
        sides = []
        for precision in asked.precision:
            sides.append(score_ours(case, folder, asked.metric, precision, clock, device))
            print(f"  peak host memory so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
        reference = score_reference(case, folder, asked.metric, clock, device)
        for side in sides:
            compare(side, reference)


if __name__ == "__main__":
    main()

"""What writing a clip as the official scripts do costs each column that needs neither weights nor a reference.

Every video of a folder is decoded and written twice: as vapbench writes by itself (``export=fine``) and as
Video-As-Prompt's scripts do (``export=official``). Both files are scored, with the video's own first frame as the
image it was to begin with and the video itself as its reference, and compared with the scores of the video as it is.

    python benchmarks/exports.py FOLDER                 about 40 s a clip of 49x480x720 on one core
    python benchmarks/exports.py FOLDER --limit 4

Needs ``pip install 'vapbench[official]'``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip, Export
from vapbench.core.clip_files import find_clips
from vapbench.core.video import read_video, write_video
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric
from vapbench.metrics.view import ClipView

COLUMNS = (
    "temporal_flickering",
    "motion_smoothness[warp]",
    "dynamic_degree[dis]",
    "camera_agreement",
    "first_frame_psnr",
)
EXPORTS: tuple[Export, ...] = ("fine", "official")
CPU = torch.device("cpu")


def scores(clip: Clip, case: Case, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """The columns of a clip, as tables print them."""
    view = ClipView(clip, case, CPU)
    return {name: float(metric.score(view, case).value) * metric.scale for name, metric in metrics.items()}


def psnr(one: Clip, other: Clip) -> float:
    """Of all frames together, in dB."""
    error = np.mean((one.frames.astype(np.float32) - other.frames) ** 2)
    return float(10 * np.log10(255**2 / error))


def measure(path: Path, metrics: Mapping[str, Metric], folder: Path) -> dict[str, dict[str, float]]:
    """Scores of a video as it is and of both files made of it; beside the scores, MB and PSNR to the video."""
    source = read_video(path)
    first = folder / "first.png"
    Image.fromarray(source.frames[0]).save(first)
    spec = ClipSpec(frames=len(source), fps=source.fps, height=source.height, width=source.width)
    case = Case(
        id="clip", condition="clip", references=(Reference(video=Media(path=path)),), image=Media(path=first), clip=spec
    )
    found = {"as it is": scores(source, case, metrics)}
    for export in EXPORTS:
        file = folder / f"{export}.mp4"
        write_video(file, replace(source, export=export))
        written = read_video(file)
        facts = {"MB": file.stat().st_size / 1e6, "PSNR to the frames": psnr(source, written)}
        found[export] = scores(written, case, metrics) | facts
    return found


def report(measured: list[dict[str, dict[str, float]]]) -> list[str]:
    """A Markdown table: means of each column, and how far the official file is from the fine one."""
    values: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for kind in ("as it is", *EXPORTS):
        for name in measured[0][kind]:
            values[name][kind] = np.array([one[kind][name] for one in measured])
    lines = [
        "| column | as it is | fine | official | official - fine: mean | smallest | largest |",
        "|---|" + "---|" * 6,
    ]
    for name, by_kind in values.items():
        moved = by_kind["official"] - by_kind["fine"]
        means = [f"{by_kind[kind].mean():.2f}" if kind in by_kind else "" for kind in ("as it is", *EXPORTS)]
        numbers = [f"{number:+.2f}" for number in (moved.mean(), moved.min(), moved.max())]
        lines.append(f"| {name} | {' | '.join((*means, *numbers))} |")
    return lines


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    metrics = {name: resolve(name)[0] for name in COLUMNS}
    for metric in metrics.values():
        metric.setup(CPU)
    videos = find_clips(asked.folder).videos[: asked.limit]
    if not videos:
        raise SystemExit(f"{asked.folder}: no video there")
    measured = []
    with tempfile.TemporaryDirectory() as place:
        for number, path in enumerate(videos, start=1):
            measured.append(measure(path, metrics, Path(place)))
            print(f"{number} of {len(videos)}: {path.name}", flush=True)
    print()
    print("\n".join(report(measured)))
    print()
    print(f"{len(measured)} videos; imageio-ffmpeg {version('imageio-ffmpeg')}, av {version('av')}")


if __name__ == "__main__":
    main()

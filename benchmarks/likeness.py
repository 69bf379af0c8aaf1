"""Print how well copies are told from honest videos: what the best edit leaves of each, and what each limit catches.

Honest videos are the clips of the committed methods (``vapbench leaderboard redraw --results results``) or of other
runs, compared with every ground truth and reference of the mini suite, and with those of their case alone; with
--gallery also released outputs with every reference of the project page. Copies are
ground truths and references under known edits, as video files. With --seeds the videos of a run of several seeds are
compared with the other seeds of their case.

    python benchmarks/likeness.py leaderboard/clips
    python benchmarks/likeness.py --seeds runs/mini/vap
    python benchmarks/likeness.py leaderboard/clips --gallery GALLERY --cases 20
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vapbench.core.case import Case, Media
from vapbench.core.clip import Clip
from vapbench.core.video import read_video, write_video
from vapbench.leaderboard.edits import Footage, nearest
from vapbench.leaderboard.likeness import ALIKE, COPY, COVERED_COPY, COVERED_NEAR, NEAR, difference, small
from vapbench.leaderboard.roster import Rosters
from vapbench.report.read.columns import REFERENCE_KINDS
from vapbench.results.run import RunFolder, runs_below
from vapbench.suites import find_suite

Frames = npt.NDArray[np.uint8]


def moved(zoom: float = 1.0, right: float = 0.0, down: float = 0.0, turn: float = 0.0, wide: float = 1.0) -> Any:
    """An affine edit; what comes from outside repeats the border."""

    def edit(frames: Frames) -> Frames:
        height, width = frames.shape[1:3]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
        matrix[0] *= wide
        matrix[:, 2] += right * width - (wide - 1) * width / 2, down * height
        return each(frames, lambda f: cv2.warpAffine(f, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))

    return edit


def each(frames: Frames, change: Callable[[Frames], Any]) -> Frames:
    """Every frame changed."""
    return np.stack([change(frame) for frame in frames])


def levels(change: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Callable[[Frames], Frames]:
    """An edit of colours in 0..1."""
    return lambda frames: np.clip(change(frames / 255) * 255, 0, 255).astype(np.uint8)


def hue(degrees: int) -> Callable[[Frames], Frames]:
    """Turn the hue."""

    def edit(frame: Frames) -> Any:
        turned = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV).astype(int) + np.array((degrees // 2, 0, 0))
        return cv2.cvtColor((turned % (180, 256, 256)).astype(np.uint8), cv2.COLOR_HSV2RGB)

    return lambda frames: each(frames, edit)


def timed(first: float, last: float, bend: float = 1.0) -> Callable[[Frames], Frames]:
    """Take the frames from one share of the duration to another, evenly or not."""

    def edit(frames: Frames) -> Frames:
        share = first + (last - first) * np.linspace(0, 1, len(frames)) ** bend
        return frames[(share * (len(frames) - 1)).round().astype(int)]

    return edit


def letterboxed(frames: Frames) -> Frames:
    """Three quarters of the height, between black bars."""
    high, height = frames.shape[1] * 3 // 4, frames.shape[1]
    above = (height - high) // 2
    small_ones = each(frames, lambda f: cv2.resize(f, (f.shape[1], high), interpolation=cv2.INTER_AREA))
    return np.pad(small_ones, ((0, 0), (above, height - high - above), (0, 0), (0, 0)))


def drifting(frames: Frames) -> Frames:
    """Slowly zoomed into, by a quarter: another edit in each frame."""
    zooms = np.linspace(1, 1.25, len(frames))
    return np.stack([moved(zoom)(frame[None])[0] for zoom, frame in zip(zooms, frames, strict=True)])


def stamped(frames: Frames) -> Frames:
    """A white square over a tenth of the frame."""
    side = round((frames.shape[1] * frames.shape[2] / 10) ** 0.5)
    changed = frames.copy()
    changed[:, :side, -side:] = 255
    return changed


def logo(frames: Frames) -> Frames:
    """A picture over a twelfth of the frame, in the lower left corner."""
    height, width = frames.shape[1:3]
    side = round((height * width / 12) ** 0.5)
    picture = np.random.default_rng(1).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    changed = frames.copy()
    changed[:, height - side :, :side] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_NEAREST)
    return changed


def captioned(frames: Frames) -> Frames:
    """A dark strip over the lowest 15 % of the frame, with a bright line of text in it."""
    height, width = frames.shape[1:3]
    changed = frames.copy()
    changed[:, int(0.85 * height) :] = 20
    changed[:, int(0.88 * height) : int(0.95 * height), width // 12 : width * 5 // 8] = 240
    return changed


def crossed(frames: Frames) -> Frames:
    """A red bar across the middle."""
    height, width = frames.shape[1:3]
    changed = frames.copy()
    changed[:, height * 27 // 64 : height * 37 // 64, width // 4 : width * 3 // 4] = (200, 30, 30)
    return changed


def halved(frames: Frames) -> Frames:
    """Half the size, and larger again."""
    size = frames.shape[2], frames.shape[1]
    return each(frames, lambda f: cv2.resize(cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), size))


EDITS: Mapping[str, Callable[[Frames], Frames]] = {
    "encoded again": lambda f: f,
    "half the size and back": halved,
    "noise of 10 levels": lambda f: np.clip(f + np.random.default_rng(0).normal(0, 10, f.shape), 0, 255).astype("u1"),
    "mirrored": lambda f: f[:, :, ::-1],
    "backwards": lambda f: f[::-1],
    "moved by 5 %": moved(right=0.05, down=-0.05),
    "moved by 15 %": moved(right=0.15),
    "zoomed 1.1": moved(1.1),
    "zoomed 1.4": moved(1.4),
    "zoomed 1.4, off the middle": moved(1.4, right=0.15, down=0.1),
    "turned by 5 degrees": moved(1.1, turn=5),
    "stretched 1.15": moved(wide=1.15),
    "letterboxed": letterboxed,
    "gain 0.7, offset 20": levels(lambda v: v * 0.7 + 20 / 255),
    "gamma 1.5": levels(lambda v: v**1.5),
    "hue by 40 degrees": hue(40),
    "grey": levels(lambda v: v.mean(-1, keepdims=True).repeat(3, -1)),
    "negative": levels(lambda v: 1 - v),
    "a tenth later": timed(0.1, 1),
    "a fifth faster": timed(0, 0.8),
    "stamped": stamped,
    "a logo": logo,
    "a caption": captioned,
    "a bar across": crossed,
    "mirrored, zoomed 1.15, hue by 30, a tenth faster": lambda f: hue(30)(moved(1.15)(timed(0, 0.9)(f[:, :, ::-1]))),
    "zoomed in over time": drifting,
    "slow, then fast": timed(0, 1, 2.0),
}


class Known:
    """Videos that others are compared with."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        clips = [read_video(path).frames for path in paths]
        self._footage = [Footage.of(frames) for frames in clips]
        self._small = [small(frames) for frames in clips]

    def left(self, path: Path) -> tuple[float, float]:
        """The least that an edit of any of them leaves of a video, and of what no stamp covers."""
        found = [left for _, left in nearest(Footage.of(read_video(path).frames), self._footage)]
        return min((left.share for left in found), default=9.9), min((left.uncovered for left in found), default=9.9)

    def apart(self, path: Path) -> float:
        """Levels between a video and the closest of them, as they are, mirrored, backwards, brighter."""
        mine = small(read_video(path).frames)
        return min(difference(mine, other) for other in self._small)


def line(name: str, found: list[tuple[float, float]], apart: list[float]) -> None:
    """Print a distribution."""
    left, uncovered = np.array(found).T
    lowest, tenth, middle, ninth, highest = np.quantile(left, [0, 0.1, 0.5, 0.9, 1])
    pixels = np.array(apart) <= ALIKE
    copies, noted = (
        np.mean(pixels | (left <= limit) | (uncovered <= covered))
        for limit, covered in ((COPY, COVERED_COPY), (NEAR, COVERED_NEAR))
    )
    print(
        f"{name:50} {len(left):4}  {lowest:5.3f} {tenth:5.3f} {middle:5.3f} {ninth:5.3f} {highest:5.3f}  "
        f"{uncovered.min():5.3f} {np.median(uncovered):5.3f}  "
        f"{pixels.mean():6.0%} {copies:6.0%} {noted:6.0%}",
        flush=True,
    )


def given_by(case: Case) -> list[Media]:
    """The ground truth and the references of a case."""
    return [*([case.target] if case.target else []), *(item.video for item in case.references)]


def compare(groups: Iterator[tuple[str, list[Path]]], known: Known) -> None:
    """Print a line per group of videos."""
    for name, paths in groups:
        line(name, [known.left(path) for path in paths], [known.apart(path) for path in paths])


def honest(clips: Path) -> Iterator[tuple[str, list[Path]]]:
    """Clips of the committed methods that compete."""
    for run in runs_below([clips]):
        if run.manifest().card.kind not in REFERENCE_KINDS:
            yield run.path.name, [path for row in run.current() if (path := run.video_of(row))]


def beside_own(clips: Path, own: Mapping[str, Known]) -> None:
    """The same clips, each beside what its case gives."""
    for run in runs_below([clips]):
        made = [(path, own[row.case]) for row in run.current() if (path := run.video_of(row))]
        if made and run.manifest().card.kind not in REFERENCE_KINDS:
            name = f"{run.path.name}, beside its own case"
            line(name, [case.left(path) for path, case in made], [case.apart(path) for path, case in made])


def seeds(run: RunFolder) -> Iterator[tuple[Path, Known]]:
    """Each video beside each other seed of its case."""
    made = [(row.case, path) for row in run.current() if (path := run.video_of(row))]
    for (case, path), (other_case, other) in permutations(made, 2):
        if case == other_case:
            yield path, Known([other])


def edited(paths: list[Path], out: Path, edits: Sequence[str]) -> Iterator[tuple[str, list[Path]]]:
    """Videos under each edit, as files of at most 360 pixels a side."""
    clips = []
    for path in paths:
        clip = read_video(path)
        factor = min(1.0, 360 / max(clip.frames.shape[1:3]))
        size = [int(factor * pixels / 2) * 2 for pixels in (clip.frames.shape[2], clip.frames.shape[1])]
        clips.append(Clip(each(clip.frames, partial(cv2.resize, dsize=size, interpolation=cv2.INTER_AREA)), clip.fps))
    for name in edits:
        made = [out / f"{number}.mp4" for number in range(len(clips))]
        for path, clip in zip(made, clips, strict=True):
            write_video(path, Clip(np.ascontiguousarray(EDITS[name](clip.frames)), clip.fps))
        yield name, made


def honest_ones(name: str, clips: Path, references: list[Path], known: Known, cases: list[Case]) -> None:
    """Compare the honest videos of a suite with what it gives."""
    if name == "mini":
        compare(honest(clips), known)
        beside_own(clips, {case.id: Known([media.path for media in given_by(case)]) for case in cases})
    else:
        outputs = sorted(path.parents[1] / "ours" / path.name for path in references)
        compare(iter([("released outputs", outputs)]), known)


def main() -> None:
    """Print the distributions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="?", help="without it, only what else is named is looked at")
    parser.add_argument("--gallery", type=Path)
    parser.add_argument("--seeds", type=Path, help="a run of several seeds")
    parser.add_argument("--edit", action="append", choices=EDITS, help="of these copies alone, and no honest videos")
    parser.add_argument("--cases", type=int, default=10, help="videos that are edited, of each suite")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    cases = list(Rosters().of("mini").media.values())
    suites: dict[str, tuple[list[Path], list[Path]]] = {}
    if asked.clips:
        suites["mini"] = [case.target.path for case in cases if case.target], [c.reference.video.path for c in cases]
    if asked.gallery:
        references = [case.reference.video.path for case in find_suite("gallery").cases(asked.gallery)]
        suites["gallery"] = ([], references)
    print(f"{'':56}share left, quantiles of       uncovered    caught by pixels, as copy ({COPY}), noted ({NEAR})")
    print(f"{'':58}0    10    50    90   100 %   0    50 %")
    if asked.seeds:
        pairs = list(seeds(RunFolder(asked.seeds)))
        line("seeds", [other.left(path) for path, other in pairs], [other.apart(path) for path, other in pairs])
    with tempfile.TemporaryDirectory() as place:
        for name, (targets, references) in suites.items():
            known, given = Known([*targets, *references]), [*targets, *references]
            if not asked.edit:
                print(f"{name}, honest, beside {len(given)} videos")
                honest_ones(name, asked.clips, references, known, cases)
            print(f"{name}, copies")
            chosen = given[:: max(1, len(given) // asked.cases)][: asked.cases]
            compare(edited(chosen, Path(place), asked.edit or list(EDITS)), known)


if __name__ == "__main__":
    main()

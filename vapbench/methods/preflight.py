"""What is wrong with a folder of videos, said before any of it is scored: seconds, however large the folder is.

Every header is read; frames are decoded until a time is spent. What is not found here fails later, as a row.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vapbench.core.clip_files import VIDEO_SUFFIXES
from vapbench.core.containers import IMAGES, kind_of
from vapbench.core.streams import VideoInfo, header_info
from vapbench.core.video import IMAGE_SUFFIXES, probe
from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import counted
from vapbench.methods.finding import Cases
from vapbench.methods.folder import MANIFEST, PANELS, Folder, check_panels

if TYPE_CHECKING:
    from vapbench.core.case import Case, ClipSpec

Kind = Literal["damaged", "ambiguous", "manifest", "no case", "differs", "not read"]
KINDS: Mapping[Kind, str] = {
    "damaged": "cannot be read, and become failed rows",
    "ambiguous": "with other files for the same case and seed, which become failed rows: keep one, or list it",
    "manifest": "in manifest.csv without a video or a case",
    "no case": "named after no case of the suite, and not scored",
    "differs": "of another size, length or rate than the suite asks for, scored as they are with a note",
    "not read": "not looked at, for they are no videos that are read",
}
"""Kinds of problems, and how a list of them begins."""

SECONDS = 10.0
"""How long frames are decoded."""
_MOST_DECODED = 300_000_000
"""Pixels of one video, all frames together, beyond which only its header is read here: a few seconds of decoding."""
_FRAMES = {
    False: "a folder of frames is read where it is called after a case",
    True: "a folder of frames is read where it has no video of its name beside it, and its images differ in a number",
}
_NEAREST = 200
"""Files for which the nearest case is looked for; each costs milliseconds."""


@dataclass(frozen=True)
class Problem:
    """One file, or row of the manifest, and what is wrong with it."""

    kind: Kind
    file: str
    """Relative to the folder."""
    text: str
    case: str = ""
    """The case it belongs to, if it does."""
    seed: int | None = None
    nearest: str = ""
    """The case whose id is most like the file's name, where it belongs to none."""
    clip: VideoInfo | None = None
    """What the file holds, where that differs from what the suite asks for."""


@dataclass
class Preflight:
    """What a folder holds for the cases of a task."""

    folder: Path
    cases: int
    seeds: Sequence[int]
    """Seeds that are scored."""
    missing: Sequence[str]
    """Cases without a video of any of these seeds."""
    lacking: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Seeds without a video, of cases that have one of another seed: they count only with all."""
    problems: list[Problem] = field(default_factory=list)
    hidden: Sequence[str] = ()
    """Files and folders not looked at, because they are hidden."""
    outside: int = 0
    """Videos of cases of the suite that were not asked for."""
    other_seeds: int = 0
    """Videos of seeds that were not asked for."""
    not_decoded: int = 0
    """Videos of which only the header was read here."""

    @property
    def found(self) -> int:
        """Cases with a video."""
        return self.cases - len(self.missing)

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        problems = [
            {name: value for name, value in asdict(one).items() if value not in ("", None)} for one in self.problems
        ]
        return {
            "folder": str(self.folder),
            "cases": self.cases,
            "found": self.found,
            "missing": list(self.missing),
            "seeds": list(self.seeds),
            "lacking": {case: list(seeds) for case, seeds in self.lacking.items()},
            "problems": problems,
            "hidden": list(self.hidden),
            "outside": self.outside,
            "other_seeds": self.other_seeds,
            "not_decoded": self.not_decoded,
        }


def look(
    method: Folder,
    cases: Sequence[Case],
    seeds: Sequence[int],
    step: Callable[[str], None] = lambda label: None,
    seconds: float = SECONDS,
) -> Preflight:
    """Look at everything in a folder, cheapest first.

    Args:
        method: the folder, which has been told of every case of the suite.
        cases: the cases that are asked for.
        seeds: the seeds that are asked for.
        step: called after each video that is asked for, with its name.
        seconds: how long frames are decoded.

    Raises:
        DataError: the folder is none, its manifest is malformed, or it holds the outputs of several methods.
    """
    wanted = {case.id: case.clip for case in cases}
    lacking = {case.id: [seed for seed in seeds if seed not in method.seeds_of(case.id)] for case in cases}
    missing = [case for case, without in lacking.items() if len(without) == len(seeds)]
    partial = {case: without for case, without in lacking.items() if 0 < len(without) < len(seeds)}
    found = Preflight(method.path, len(cases), seeds, missing, partial)
    found.hidden = [_relative(method, path) for path in method.clips.walked.hidden]
    ours = {key for key in {*method.named, *method.listed} if key[0] in wanted}
    found.outside = sum(len(paths) for key, paths in method.named.items() if key[0] not in wanted)
    found.other_seeds = sum(len(paths) for key, paths in method.named.items() if key in ours and key[1] not in seeds)
    _refuse_several_methods(method, ours)
    videos: list[tuple[str, int, Path]] = []
    for case, seed in sorted(key for key in ours if key[1] in seeds):
        try:
            if video := method.video(case, seed):
                videos.append((case, seed, video))
        except DataError:
            found.problems.append(_undecided(method, case, seed))
            step(case)
    found.problems += _rows_of_no_case(method)
    found.problems += _strays(method)
    found.problems += _not_read(method)
    found.not_decoded = _check(method, videos, wanted, found.problems, step, seconds)
    order = list(KINDS)
    found.problems.sort(key=lambda one: order.index(one.kind))
    return found


def refuse_none(method: Folder, found: Preflight, cases: Sequence[Case], suite: str) -> None:
    """Refuse a folder without a video of any case.

    Raises:
        DataError: the suite or the folder is the wrong one; the message says what the folder holds instead.
    """
    if found.found:
        return
    clips = method.clips
    named = {key for key in method.named if key[0] in {case.id for case in cases}}
    if named:
        seeds = ", ".join(str(seed) for seed in sorted({seed for _, seed in named}))
        asked = ", ".join(map(str, found.seeds))
        raise DataError(
            f"{method.path}: no video with seed {asked}; there are seeds {seeds}.", ErrorKind.MISSING, "seeds"
        )
    example = f"{cases[0].id}.mp4"
    if clips.videos:
        raise DataError(
            f"{method.path}: of its {counted(len(clips.videos), 'video')}, none is named after a case of the task, "
            f"such as {example}; check --suite {suite}, --task and --data, or list them in {MANIFEST} (case,video).",
            ErrorKind.UNKNOWN,
            "case",
        )
    suffixes = Counter(path.suffix.lower() or "no suffix" for path in clips.walked.files)
    if not suffixes:
        hidden = f" ({counted(len(clips.walked.hidden), 'hidden file')} aside)" if clips.walked.hidden else ""
        raise DataError(
            f"{method.path} is empty{hidden}; put videos there, such as {example}.", ErrorKind.MISSING, "path"
        )
    held = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(5))
    images = sum(count for suffix, count in suffixes.items() if suffix in IMAGE_SUFFIXES)
    hint = "name a folder of frames after its case" if images else "convert them"
    read = " ".join(sorted(VIDEO_SUFFIXES))
    raise DataError(
        f"{method.path} holds no video ({held}); {hint}, such as {example}. Read are {read}.", ErrorKind.MISSING, "path"
    )


def _refuse_several_methods(method: Folder, ours: set[tuple[str, int]]) -> None:
    """Tell a folder of several methods' outputs from one in which a file is there twice."""
    several = [method.named[key] for key in ours if len(method.named.get(key, ())) > 1 and key not in method.listed]
    if not several or 2 * len(several) < len(ours):
        return
    parents = [path.parent for paths in several for path in paths]
    root = parents[0]
    while not all(parent.is_relative_to(root) for parent in parents):
        root = root.parent
    heads = [[_head(path, root) for path in paths] for paths in several]
    if not all(all(names) and len(set(names)) == len(names) for names in heads):
        return
    cases: dict[str, set[str]] = {}
    for (case, _), paths in method.named.items():
        for path in paths:
            if path.is_relative_to(root) and (head := _head(path, root)):
                cases.setdefault(head, set()).add(case)
    held = ", ".join(f"{name} ({counted(len(ids), 'case')})" for name, ids in sorted(cases.items()))
    raise DataError(
        f"{method.path} holds the videos of several methods, in {held}; "
        f"score one of them at a time: vapbench score {root / min(cases)}",
        ErrorKind.CONFLICT,
        "path",
    )


def _head(path: Path, root: Path) -> str:
    """The folder below ``root`` that a file lies in, or nothing if it lies in ``root`` itself."""
    return path.relative_to(root).parts[0] if path.parent != root else ""


def _relative(method: Folder, path: Path) -> str:
    return path.relative_to(method.path).as_posix()


def _undecided(method: Folder, case: str, seed: int) -> Problem:
    row = method.listed.get((case, seed))
    if row and row.problem:
        return Problem("manifest", f"{MANIFEST}:{row.line}", row.problem, case, seed)
    first, *others = (_relative(method, path) for path in method.named[case, seed])
    return Problem("ambiguous", first, f"or {' or '.join(others)}, for {case} seed {seed}", case, seed)


def _rows_of_no_case(method: Folder) -> Iterator[Problem]:
    cases = Cases(method.ids)
    for row in method.rows:
        if cases.find(row.case) is None:
            nearest = cases.nearest(row.case)
            yield Problem("manifest", f"{MANIFEST}:{row.line}", f"no case is called {row.case!r}", nearest=nearest)


def _strays(method: Folder) -> Iterator[Problem]:
    cases = Cases(method.ids)
    for number, path in enumerate(method.strays):
        nearest = cases.nearest(path.stem) if number < _NEAREST else ""
        yield Problem("no case", _relative(method, path), "", nearest=nearest)


def _not_read(method: Folder) -> Iterator[Problem]:
    cases = Cases(method.ids)
    images: Counter[Path] = Counter()
    copies = set(method.clips.unnamed)
    told = {path for paths in method.named.values() for path in paths}
    told |= {row.video for row in method.listed.values() if row.video} | {*method.clips.videos, *method.strays}
    for path in method.clips.walked.files:
        if path in told or path.parent in told or _relative(method, path).lower() == MANIFEST:
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images[path.parent] += 1
        else:
            place = cases.place_of_any(path.relative_to(method.path))
            do = "its video is another file" if path in copies else "convert it to MP4"
            text = f"named after {place.case}; {do}" if place else ""
            yield Problem("not read", _relative(method, path), text, place.case if place else "")
    for folder, count in images.items():
        where = f"{_relative(method, folder)}/" if folder != method.path else "./"
        yield Problem("not read", where, f"{counted(count, 'image')}; {_FRAMES[method.assigned]}")
    for path in method.clips.walked.closed:
        yield Problem("damaged", f"{_relative(method, path)}/", "the folder may not be read; check its permissions.")


def _check(
    method: Folder,
    videos: Sequence[tuple[str, int, Path]],
    wanted: Mapping[str, ClipSpec],
    problems: list[Problem],
    step: Callable[[str], None],
    seconds: float,
) -> int:
    """Look into every video, at its frames while there is time; how many were not decoded."""
    ends, left = time.monotonic() + seconds, 0
    for case, seed, path in videos:
        try:
            info, decoded = _look_into(path, time.monotonic() < ends)
            if info and method.panel == "last":
                check_panels(info.width, path)
        except (DataError, OSError) as error:
            text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            problems.append(Problem("damaged", _relative(method, path), text.removeprefix(f"{path}: "), case, seed))
        else:
            left += not decoded
            problems += _differing(method, case, seed, path, info, wanted[case]) if info else ()
        step(path.name)
    return left


def _look_into(path: Path, decode: bool) -> tuple[VideoInfo | None, bool]:
    """Size, length and rate as far as they are known, and whether they are those of decoded frames."""
    if path.is_symlink() and not path.exists():
        raise DataError(
            f"{path}: a link to {path.readlink()}, which is not there; correct the link.", ErrorKind.MISSING, "path"
        )
    if path.is_dir():
        # It is read at the suite's rate, whatever that is.
        return (replace(probe(path), fps=0.0), True) if decode else (None, False)
    if not path.is_file():
        raise DataError(f"{path}: no file but a device or pipe; replace it.", ErrorKind.INVALID, "path")
    if kind_of(path) in IMAGES:
        return (probe(path), True) if decode else (None, False)
    header = header_info(path)
    if not decode or header.frames * header.width * header.height > _MOST_DECODED:
        return header, False
    return probe(path), True


def _differing(method: Folder, case: str, seed: int, path: Path, info: VideoInfo, spec: ClipSpec) -> Iterator[Problem]:
    width = info.width // PANELS if method.panel == "last" else info.width
    found, asked = [], []
    # A header may leave out the number of frames, or the rate, which is compared as it is printed.
    if info.frames not in (0, spec.frames):
        found.append(counted(info.frames, "frame"))
        asked.append(counted(spec.frames, "frame"))
    if (width, info.height) != (spec.width, spec.height):
        found.append(f"{info.height}x{width}")
        asked.append(f"{spec.height}x{spec.width}")
    if info.fps and f"{info.fps:g}" != f"{spec.fps:g}":
        found.append(f"{info.fps:g} fps")
        asked.append(f"{spec.fps:g} fps")
    if found:
        panels = "; three panels? see --panel last" if width == PANELS * spec.width else ""
        text = f"{', '.join(found)} instead of {', '.join(asked)}{panels}"
        yield Problem("differs", _relative(method, path), text, case, seed, clip=replace(info, width=width))

"""The mini suite as cases: rendered once into the cache, then read like any copy of VAP-Data."""

from __future__ import annotations

from pathlib import Path

from vapbench.core.case import Case, ClipSpec, NoMedia
from vapbench.files.atomic import cache_folder
from vapbench.suites import vap_data
from vapbench.suites.mini.grammar.codes import GRAMMAR_VERSION
from vapbench.suites.mini.writer import DATA_VERSION, write_vap_data

VIDEOS = Path(__file__).with_name("videos.sha256")
"""SHA-256 of every benchmark clip of this version and the next, as PyAV 18 wrote it: lines of ``sha256sum``.

PyAV 19 writes the same frames with another duration in some headers. A row is keyed by what its case is, and must not
ask to be made again because an encoder was renewed.
"""


def load(clip: ClipSpec) -> list[Case]:
    """Read the benchmark and zero-shot cases, rendering their videos first where they are not in the cache."""
    return _read(cache_folder() / f"mini-{DATA_VERSION}", clip)


def load_grammar(clip: ClipSpec) -> list[Case]:
    """Read the cases of the suite's next version, on conditions of the grammar, in the same way."""
    return _read(cache_folder() / f"mini-{DATA_VERSION}-{GRAMMAR_VERSION}", clip, grammar=True)


def _read(folder: Path, clip: ClipSpec, grammar: bool = False) -> list[Case]:
    write_vap_data(folder, grammar=grammar)
    cases = vap_data.load(folder, clip)
    known = known_videos()
    for case in cases:
        for media in (*(reference.video for reference in case.references), case.image, case.target):
            if media is not None and not isinstance(media, NoMedia):
                media.identify(known[media.path.relative_to(folder).as_posix()])
    return cases


def known_videos() -> dict[str, str]:
    """The SHA-256 that stands for each benchmark clip, by its path in the data folder."""
    lines = VIDEOS.read_text(encoding="utf-8").splitlines()
    return {path: sha256 for sha256, path in (line.split(maxsplit=1) for line in lines)}

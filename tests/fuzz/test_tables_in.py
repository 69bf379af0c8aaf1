"""Tables from outside (CSV): values, or one sentence; never a file outside the folder."""

from __future__ import annotations

import csv
import io
import tempfile
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.hostile import MEGABYTE, fuzzed, held, mutated, texts
from vapbench.core.case import ClipSpec
from vapbench.files.parsing import read_csv
from vapbench.methods.folder import Folder
from vapbench.report.tables import agreement as human
from vapbench.report.tables import votes as judged
from vapbench.study.design.sources import from_table
from vapbench.suites import own_cases, vap_data

SPEC = ClipSpec(frames=5, fps=8, height=32, width=48)
COLUMNS: dict[str, Sequence[str]] = {
    "benchmark.csv": ("video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption"),
    "vap_data.csv": (
        *("video_paths", "ref_video_paths", "tar_video_caption", "kind", "split", "reference_alignment_score"),
    ),
    "cases.csv": ("reference", "image", "caption", "condition", "target", "id", "reference_caption"),
    "manifest.csv": ("case", "video"),
    "table.csv": ("case", "condition", "prompt", "reference", "image", "target", "one", "two"),
    "votes.csv": ("question_id", "model_a", "model_b", "winner"),
    "human.csv": ("case", "rater", "question", "shown", "chosen", "role"),
}
GOOD = (
    "a/1.mp4",
    "a/2.mp4",
    "A dog.",
    '["a/2.mp4"]',
    "test",
    "train",
    "1",
    "main",
    "model_a",
    "x | y",
    "0.5",
    "case-1",
)


def cells(row: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(row)
    return buffer.getvalue()


def readers(path: Path) -> Sequence[Callable[[], Any]]:
    """Whatever reads a file of that name."""
    folder = path.parent
    return {
        "benchmark.csv": (lambda: vap_data.load(folder, SPEC),),
        "vap_data.csv": (lambda: vap_data.load(folder, SPEC), lambda: vap_data.training_rows(folder)),
        "cases.csv": (lambda: own_cases.load(None, SPEC, path),),
        "manifest.csv": (lambda: Folder(folder).video("case-1"),),
        "table.csv": (lambda: from_table(path),),
        "votes.csv": (lambda: judged.read_votes(path),),
        "human.csv": (lambda: human.read_votes(path),),
    }[path.name]


def check(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "secret.mp4").write_bytes(b"outside")
        folder = Path(root) / "data"
        (folder / "a").mkdir(parents=True)
        for video in ("1.mp4", "2.mp4", "1.png"):
            (folder / "a" / video).write_bytes(b"here")
        path = folder / name
        path.write_bytes(data)
        held(lambda: read_csv(path))
        for read in readers(path):
            for used in _paths(held(read)):
                assert used.resolve().is_relative_to(folder.resolve()), used


def _paths(value: Any) -> list[Path]:
    """Every path a reader took from the table."""
    if isinstance(value, Path):
        return [value]
    if isinstance(value, list | tuple):
        return [path for item in value for path in _paths(item)]
    if isinstance(value, dict):
        return [path for item in value.values() for path in _paths(item)]
    if hasattr(value, "media") and callable(value.media):
        return [media.path for media in value.media()]
    return _paths(list(vars(value).values())) if hasattr(value, "__dict__") else []


names = st.sampled_from(sorted(COLUMNS))


@fuzzed(40, 4000)
@given(names, st.lists(st.lists(texts | st.sampled_from(GOOD), min_size=4, max_size=8), max_size=4))
@example("benchmark.csv", [["../secret.mp4", "a/2.mp4", "x", "y"]])
@example("benchmark.csv", [["/etc/passwd", "a/2.mp4", "x", "y"]])
@example("benchmark.csv", [["a/" + "1" * 300 + ".mp4", "a/2.mp4", "x", "y"]])
@example("benchmark.csv", [["a/\x00.mp4", "a/2.mp4", "x", "y"]])
@example("benchmark.csv", [["a/1.mp4", "a/2.mp4", MEGABYTE, "y"]])
@example("vap_data.csv", [["a/1.mp4", "[" * 100_000, "x", "k", "test", "1"]])
@example("vap_data.csv", [["a/1.mp4", '["\\ud800"]', "x", "k", "test", "1"]])
@example("vap_data.csv", [["a/1.mp4", '["a/2.mp4"]', "x", "../k", "test", "NaN"]])
@example("cases.csv", [["../secret.mp4", "a/1.png", "x", "c", "", "", ""]])
@example("cases.csv", [["a/1.mp4|/etc/passwd", "a/1.png", "x", "c", "", "", ""]])
@example("cases.csv", [["a/1.mp4", "a/1.png", "x", "c", "a/2.mp4", "x", "y"]])
@example("manifest.csv", [["case-1", "../secret.mp4"]])
@example("table.csv", [["nul", "c", "p", "a/1.mp4", "", "", "a/1.mp4", "a/2.mp4"]])
def test_rows_of_anything(name: str, rows: list[list[str]]) -> None:
    width = len(COLUMNS[name])
    lines = [COLUMNS[name], *((row * width)[:width] for row in rows)]
    check(name, "".join(map(cells, lines)).encode("utf-8", "replace"))


@fuzzed(30, 3000)
@given(names.flatmap(lambda name: st.tuples(st.just(name), mutated((cells(COLUMNS[name]) + cells(GOOD[:8])).encode()))))
@example(("manifest.csv", b"case,video,case\na,a/1.mp4,b\n"))
@example(("manifest.csv", b'case,video\ncase-0,"a/1.mp4\ncase-1,a/2.mp4\n'))
@example(("manifest.csv", b"case,video\ncase-1,a/1.mp4,a/2.mp4\n"))
@example(("human.csv", b"case\x00,rater\n"))
@example(("human.csv", b'"' + b"x" * 200_000))
@example(("votes.csv", b"\xff\xfec\x00a\x00s\x00e\x00"))
def test_tampered_tables(table: tuple[str, bytes]) -> None:
    check(*table)


def test_short_rows_below_many_columns_take_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(",".join(f"m{number}" for number in range(3000)) + "\na,b\n" * 3000)
    assert path.stat().st_size < 32_000
    tracemalloc.start()
    try:
        header, rows = read_csv(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(header), len(rows)) == (3000, 3000)
    assert (rows[7][1]["m1"], rows[7][1]["m2"], rows[7][1].get("m2999")) == ("b", None, None)
    assert peak < 32 << 20, "nine million cells that are not there"


def test_what_would_be_misread_in_silence_is_refused(tmp_path: Path) -> None:
    for text, by in {
        "case,video,case\na,x,b\n": "'case' is there twice",
        'case,video\na,"x\nb,y\n': "a quotation mark is never closed",
        "case,video\na,x,y\n": "more cells than the header",
    }.items():
        (tmp_path / "manifest.csv").write_text(text)
        (tmp_path / "x").touch()
        method = Folder(tmp_path)
        message = ""
        try:
            method.video("a")
        except Exception as error:
            message = str(error)
        assert by in message, (text, message)

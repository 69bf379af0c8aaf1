"""Videos that people have, scored as they are: the same frames, whatever they are called and packed in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.refusals import refuses
from tests.running.test_generate import run
from tests.videos import HERE, encode
from vapbench.cli import app
from vapbench.core.case import Case, ClipSpec, Media
from vapbench.core.clip import Clip
from vapbench.core.containers import SUFFIXES, suffix_of
from vapbench.core.video import read_first_frame, read_video, write_lossless
from vapbench.errors import DataError, ErrorKind
from vapbench.leaderboard.media import MediaFiles
from vapbench.methods.folder import Folder
from vapbench.metrics import resolve
from vapbench.report.page.media import output_panel
from vapbench.results.rows import GenerationRow, Note
from vapbench.study.design.blinding import common_spec, native_formats

GOOD = HERE / "good.mp4"


def scored(tmp_path: Path, case: Case, video: Path) -> tuple[GenerationRow, dict[str, float | None]]:
    """The row and scores of a video that a manifest names."""
    outputs = tmp_path / "outputs"
    shutil.rmtree(outputs, ignore_errors=True)
    outputs.mkdir()
    (shutil.copytree if video.is_dir() else shutil.copyfile)(video, outputs / video.name)
    (outputs / "manifest.csv").write_text(f"case,video\n{case.id},{video.name}\n")
    metrics = [resolve(name)[0] for name in ("first_frame_psnr", "temporal_flickering")]
    outcome = run(Folder(outputs), [case], tmp_path / f"results-{video.name}", metrics=metrics)
    folder = outcome.plan.folder
    (row,) = folder.current()
    values = {name: next(iter(folder.scores(name).values())).value for name in folder.columns()}
    if row.video:
        assert suffix_of(folder.videos / row.video) == Path(row.video).suffix
    return row, values


@pytest.fixture
def case(make_case: Callable[..., Case]) -> Case:
    return make_case(image=Media(path=GOOD), clip=ClipSpec(frames=13, fps=8, height=64, width=64))


def test_equal_bytes_and_streams_score_alike(tmp_path: Path, case: Case) -> None:
    row, expected = scored(tmp_path, case, GOOD)
    assert row.sha256 == Media(path=GOOD).sha256
    assert expected["first_frame_psnr"] == 60
    for name in ("a.MP4", "a.m4v", "a.mkv", "a.bin"):
        row, values = scored(tmp_path, case, Path(shutil.copyfile(GOOD, tmp_path / name)))
        assert (row.status, row.note, row.notes, values) == ("ok", "", (), expected), name
        assert str(row.video).endswith(".mp4")
    for name in ("same.mkv", "same.mov", "two.mp4"):
        row, values = scored(tmp_path, case, HERE / name)
        assert (row.status, values) == ("ok", expected), name
        assert row.sha256 == Media(path=HERE / name).sha256


def test_frames_in_a_folder_score_like_the_video(tmp_path: Path, case: Case) -> None:
    _, expected = scored(tmp_path, case, GOOD)
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(read_video(GOOD).frames):
        Image.fromarray(frame).save(frames / f"{number}.png")
    row, values = scored(tmp_path, case, frames)
    assert (row.status, values) == ("ok", expected)
    assert row.notes == (Note("frames without a rate, read at 8 fps"),)


def test_a_missing_number_among_frames_is_noted(tmp_path: Path, case: Case) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(read_video(GOOD).frames):
        Image.fromarray(frame).save(frames / f"v2_{2 * number}.png")
    assert len(scored(tmp_path, case, frames)[0].notes) == 1, "every second number is no gap"
    (frames / "v2_10.png").unlink()
    row, _ = scored(tmp_path, case, frames)
    assert row.notes[1:] == (Note("numbers of frames are missing, and the others are joined", "the first is 10"),)


def test_a_folder_without_frames_is_a_failed_row(tmp_path: Path, case: Case) -> None:
    (tmp_path / "empty").mkdir()
    row, _ = scored(tmp_path, case, tmp_path / "empty")
    assert row.status == "failed"
    assert "a folder without frames" in row.attempts[-1].message


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_odd_sizes_are_kept_in_every_container(tmp_path: Path, case: Case, suffix: str) -> None:
    import av

    path = tmp_path / f"odd{suffix}"
    with av.open(str(HERE / "odd.mp4")) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    _, expected = scored(tmp_path, case, HERE / "odd.mp4")
    row, values = scored(tmp_path, case, path)
    assert row.note == "the clip is 13x61x63 at 8 fps; the suite asks for 13x64x64 at 8 fps"
    assert values == expected


def test_rows_say_what_was_done_and_what_was_decoded(tmp_path: Path, case: Case) -> None:
    row, values = scored(tmp_path, case, HERE / "rot270.mp4")
    assert row.notes == (Note("turned or mirrored as its header says"),)
    assert (values["first_frame_psnr"] or 0) > 50
    two = scored(tmp_path, case, HERE / "two.mp4")[0]
    assert two.notes == (Note("2 video streams, of which stream 1 is used"),)
    assert scored(tmp_path, case, HERE / "trim.mp4")[0].note.startswith("the clip is 9x64x64 at 8 fps;")
    assert scored(tmp_path, case, HERE / "frag_whole.mp4")[0].notes == ()
    assert scored(tmp_path, case, HERE / "anim.webp")[0].notes == ()


@pytest.mark.parametrize("name", ["whole.webm", "frag_whole.mp4", "whole.gif", "anim.webp", "good.mp4"])
def test_a_cut_file_is_a_failed_row(tmp_path: Path, case: Case, name: str) -> None:
    data = (HERE / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: len(data) * 11 // 20])
    row, _ = scored(tmp_path, case, path)
    assert row.status == "failed"
    assert "truncated or damaged" in row.attempts[-1].message


def test_a_study_takes_counts_as_decoded_and_refuses_cut_files(tmp_path: Path) -> None:
    whole = [HERE / "frag_whole.mp4", HERE / "trim.mp4", GOOD]
    assert common_spec(whole).frames == 9
    assert native_formats({"a": whole[:1]}) == {"a": "64x64, 8 fps, 13 frames"}
    cut = tmp_path / "cut.webm"
    cut.write_bytes((HERE / "whole.webm").read_bytes()[:5364])
    with refuses(DataError, ErrorKind.DAMAGED, "", "cut.webm"):
        common_spec([*whole, cut])


def test_a_study_shows_folders_of_frames(tmp_path: Path) -> None:
    from vapbench.study.design.sources import from_table

    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(read_video(GOOD).frames):
        Image.fromarray(frame).save(frames / f"{number}.png")
    shutil.copy(GOOD, tmp_path / "good.mp4")
    table = tmp_path / "t.csv"
    table.write_text("case,condition,reference,A,B\none,x,frames,good.mp4,frames\n")
    sources = from_table(table)
    videos = [method.videos["one"] for method in sources.methods]
    assert sources.cases[0].reference == videos[1] == frames
    assert native_formats({"b": videos[1:]}) == {"b": "64x64, 8 fps, 13 frames"}
    (tmp_path / "empty").mkdir()
    table.write_text("case,condition,reference,A,B\none,x,frames,good.mp4,empty\n")
    with refuses(DataError, ErrorKind.INVALID, "path", "empty"):
        from_table(table)


def test_verify_lists_damaged_files_and_reads_stills(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert CliRunner().invoke(app, ["data", "prepare", "mini", "--out", str(data)]).exit_code == 0
    verify = ["data", "verify", "--suite", "vap-data", "--data", str(data)]
    assert " 0 unreadable videos" in CliRunner().invoke(app, verify).output
    damaged = bytearray(GOOD.read_bytes())
    damaged[1703] ^= 0xFF
    victims = sorted(data.rglob("scene-*.mp4"))
    import csv

    with (data / "benchmark.csv").open() as table:
        used = [data / row["video_paths"] for row in csv.DictReader(table)]
    assert set(used) <= set(victims)
    used[0].write_bytes(damaged)
    used[1].write_bytes((HERE / "whole.webm").read_bytes()[:5364])
    done = CliRunner().invoke(app, verify)
    assert done.exit_code == 3
    assert f"{used[0]}: truncated or damaged" in done.output.replace("\n", "")
    assert " 2 unreadable videos" in done.output


@pytest.mark.parametrize("name", ["same.mkv", "whole.gif", "anim.webp", "rot270.mp4"])
def test_pages_show_what_browsers_play(tmp_path: Path, name: str) -> None:
    panel = output_panel(HERE / name, "Output")
    assert (panel.kind, panel.width, panel.height, panel.frames) == ("video", 64, 64, 13)
    assert panel.source.startswith("data:video/mp4;base64,")
    assert panel.note == ("" if name.endswith(".mp4") else "encoded anew, for showing only")


def test_the_site_copies_what_browsers_play(tmp_path: Path) -> None:
    videos = tmp_path / "run" / "videos"
    videos.mkdir(parents=True)
    path = Path(shutil.copyfile(HERE / "same.mkv", videos / "a.mkv"))
    media = MediaFiles(wanted=True)
    folder = SimpleNamespace(path=videos.parent, videos=videos, video_of=lambda row: path)
    entry = SimpleNamespace(run=SimpleNamespace(folder=folder), submission=None)
    row = SimpleNamespace(status="ok", key="k", video="a.mkv", sha256=Media(path=path).sha256)
    clip = media.output(entry, row, "Output")  # type: ignore[arg-type]
    media.copy_to(tmp_path / "site")
    shown = tmp_path / "site" / clip.source
    assert suffix_of(shown) == ".mp4"
    assert np.abs(read_video(shown).frames.astype(int) - read_video(path).frames).mean() < 12


def test_a_videos_suffix_is_that_of_its_bytes(tmp_path: Path) -> None:
    for name, suffix in {
        "good.mp4": ".mp4",
        "same.mov": ".mov",
        "same.mkv": ".mkv",
        "whole.webm": ".webm",
        "whole.gif": ".gif",
        "anim.webp": ".webp",
    }.items():
        assert suffix_of(Path(shutil.copyfile(HERE / name, tmp_path / "a.bin"))) == suffix
    assert suffix_of(encode(tmp_path / "a.avi")) == ".avi"
    assert {".mp4", ".avi"} < SUFFIXES


def test_study_pictures_are_upright(tmp_path: Path) -> None:
    from vapbench.study.design.blinding import BlindSpec, MediaStore, Take

    store = MediaStore(tmp_path / "media", BlindSpec(64, 64, 8.0, 9), tmp_path / "encoded")
    for folder in (store.folder, store.encoded):
        folder.mkdir()
    (name,) = store.candidates([Take(HERE / "rot270.mp4")])
    upright = read_video(GOOD).frames[0].astype(int)
    assert np.abs(read_video(tmp_path / "media" / f"{name}.mp4").frames[0].astype(int) - upright).mean() < 4
    picture = read_first_frame(tmp_path / "media" / f"{store.image(HERE / 'exif6.jpg')}.png").astype(int)
    assert picture[:, 40:, 0].mean() > 150 > picture[:, 40:, 2].mean()


def test_two_folders_of_frames_for_one_case_are_ambiguous(tmp_path: Path, case: Case) -> None:
    for place in ("a", "b", "ref"):
        folder = tmp_path / place / case.id
        folder.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / f"{number}.png")
    method = Folder(tmp_path)
    method.prepare_cases([case])
    with refuses(DataError, ErrorKind.CONFLICT, "video"):
        method.video(case.id)
    shutil.rmtree(tmp_path / "b")
    method = Folder(tmp_path)
    method.prepare_cases([case])
    assert method.video(case.id) == tmp_path / "a" / case.id, "those below ref/ are references"


def test_frames_are_kept_in_a_results_folder_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "run:1" / "x.mkv"
    path.parent.mkdir()
    write_lossless(path, Clip(np.zeros((2, 16, 16, 3), np.uint8), 8))
    assert len(read_video(path)) == 2

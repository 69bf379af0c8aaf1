from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind, IdentityError
from vapbench.files.atomic import canonical_json, content_sha256, digest, file_sha256, write_json
from vapbench.files.journal import seal
from vapbench.files.lock import holder
from vapbench.results.keys import ScoreKeys, column_slug, generation_keys, score_keys
from vapbench.results.rows import Failure, GenerationRow, ScoreRow, read_rows, row_pieces, uncollected
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter, video_name

IDENTITY = {"suite": "gallery", "name": "vap", "version": 1, "parameters": {"steps": 50}, "weights": {}}


def row(key: str = "k1", case: str = "c1", **changes: object) -> GenerationRow:
    fields = {"condition": "vidu_orbit", "category": "camera", "seed": 0, "status": "failed"}
    return GenerationRow(key, case, **(fields | changes))  # type: ignore[arg-type]


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    failure = Failure("ValueError", "一 sentence", "Traceback …")
    generation = row(attempts=(failure,), seconds=1.5)
    score = ScoreRow(
        "s1", "dynamic_degree[raft]", 1, {}, "c1", "vidu_orbit", "camera", 0, "ab", "cd", "ok", 0.5, {"m": [1, 2]}
    )
    with RunWriter(folder) as writer:
        writer.append(generation)
        writer.append(score)
    assert folder.generations() == {"k1": generation}
    assert folder.scores("dynamic_degree-raft") == {"s1": score}
    assert folder.columns() == ["dynamic_degree-raft"]


def test_the_last_row_of_a_key_wins_and_the_last_of_a_case_is_current(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as writer:
        for item in (row("k1"), row("k2", seed=1), row("k1", status="ok"), row("k3", status="unscored")):
            writer.append(item)
    assert folder.generations()["k1"].status == "ok"
    assert {(r.seed, r.key) for r in folder.current()} == {(0, "k3"), (1, "k2")}


def test_a_long_file_reads_the_same_in_pieces_and_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scores = [
        ScoreRow(f"s{n}", "m", 1, {}, "c1", "orbit", "camera", n, "ab", "cd", "ok", n / 7, note="x" * 400)
        for n in range(1500)
    ]
    lines = [seal(asdict(score)) for score in scores]
    lines[1200] = lines[1200].replace(b'"value"', b'"valve"')
    path = RunFolder(tmp_path).scores_path("m")
    path.parent.mkdir()
    path.write_bytes(b"".join(lines) + lines[0][:50])

    pieces = list(row_pieces(path, ScoreRow))
    told = [record.getMessage() for record in caplog.records]
    caplog.clear()
    assert len(pieces) > 2
    assert [each for piece in pieces for each in piece] == read_rows(path, ScoreRow) == scores[:1200] + scores[1201:]
    assert told == [record.getMessage() for record in caplog.records]
    assert f"{path}:1201 is not a readable row" in told[0]
    assert len(told) == 1


def test_a_copy_kept_beside_a_file_of_scores_changes_no_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path)
    score = ScoreRow("s1", "m", 1, {"n": 2}, "c1", "vidu_orbit", "camera", 0, "ab", "cd", "ok", 0.5)
    with RunWriter(folder) as writer:
        writer.append(score)
    for copy in ("a-copy", "m", "z-copy"):
        folder.scores_path(copy).write_bytes(seal(asdict(replace(score, value=9.5))))
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        found = [row for name in folder.columns() for row in folder.scores(name).values()]
    assert found == [score]
    assert "z-copy.jsonl: 1 row of another column left out" in caplog.text


def test_a_folder_that_cannot_be_cleared_or_closed_is_not_left_locked(tmp_path: Path) -> None:
    (tmp_path / ".partial-of-what").mkdir()
    with pytest.raises(OSError, match="partial-of-what"), RunWriter(RunFolder(tmp_path)):
        pass
    (tmp_path / ".partial-of-what").rmdir()
    writer = RunWriter(RunFolder(tmp_path))
    with pytest.raises(OSError, match="Bad file descriptor"), writer:
        writer.append(row("k1"))
        # What a file server answers that went away.
        (journal,) = writer._open.values()
        os.close(journal._handle.fileno())
    assert holder(tmp_path) is None
    with RunWriter(RunFolder(tmp_path)) as again:
        again.append(row("k2"))


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_line_is_dropped_and_the_next_row_starts_clean(tmp_path: Path, cut: int) -> None:
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as writer:
        writer.append(row("k1"))
        writer.append(row("k2"))
    whole = folder.generations_path.read_bytes()
    folder.generations_path.write_bytes(whole[:-cut])
    assert list(folder.generations()) == ["k1"]
    with RunWriter(folder) as writer:
        writer.append(row("k2"))
        writer.append(row("k3"))
    assert list(folder.generations()) == ["k1", "k2", "k3"]
    assert folder.generations_path.read_bytes().count(b"\n") == 3


def test_a_damaged_row_in_the_middle_is_reported_and_its_work_is_open_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as writer:
        for key in ("k1", "k2", "k3"):
            writer.append(row(key))
    lines = folder.generations_path.read_bytes().splitlines(keepends=True)
    folder.generations_path.write_bytes(lines[0] + b'{"schema":1, gar\xff bage}\n' + lines[2])
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert list(folder.generations()) == ["k1", "k3"]
    assert "generations.jsonl:2 is not a readable row" in caplog.text


@pytest.mark.parametrize("line", [b'{"schema":1,"key":7}', b"[]", b"null", b'"text"', b""])
def test_a_row_of_another_form_is_no_row(tmp_path: Path, line: bytes) -> None:
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as writer:
        writer.append(row("k1"))
    with folder.generations_path.open("ab") as handle:
        handle.write(line + b"\n")
    with RunWriter(folder) as writer:
        writer.append(row("k2"))
    assert list(folder.generations()) == ["k1", "k2"]


def test_another_schema_is_refused_rather_than_misread(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.generations_path.write_text(json.dumps({"schema": 99}) + "\n")
    with refuses(DataError, ErrorKind.CONFLICT, "schema"):
        folder.generations()


def test_another_identity_is_refused_with_what_differs(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with RunWriter(folder) as writer:
        writer.begin(IDENTITY, {"c1": {"condition": "a"}}, {"argv": ["vapbench"]})
        writer.end({"generated": 1}, "cpu")
        before = folder.manifest_path.read_bytes()
        with refuses(IdentityError, ErrorKind.CONFLICT, "parameters") as caught:
            writer.begin({**IDENTITY, "parameters": {"steps": 30}}, {}, {})
        there, now = str(caught.value).split(" there, ")
        assert "50" in there and "30" in now.partition(" now")[0]
        assert caught.value.exit_code == 3
    assert folder.manifest_path.read_bytes() == before


def test_planned_cases_and_sessions_accumulate(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for case in ("c1", "c2"):
        with RunWriter(folder) as writer:
            writer.begin(IDENTITY, {case: {"condition": "a"}}, {"argv": ["vapbench"]})
            writer.end({"generated": 1}, "cpu")
    manifest = folder.manifest()
    assert list(manifest.cases) == ["c1", "c2"]
    assert len(manifest.sessions) == 2
    assert manifest.sessions[0].counts == {"generated": 1}


def _hold(path: str, ready: object, done: object) -> None:
    with RunWriter(RunFolder(Path(path))) as writer:
        writer.begin(IDENTITY, {}, {})
        ready.set()  # type: ignore[attr-defined]
        done.wait(300)  # type: ignore[attr-defined]


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path), ready, done))
    process.start()
    assert ready.wait(300)
    with (
        refuses(DataError, ErrorKind.BUSY, "run") as caught,
        RunWriter(RunFolder(tmp_path)),
    ):
        pass
    assert f"process {process.pid}" in str(caught.value)
    process.kill()
    process.join()
    with RunWriter(RunFolder(tmp_path)):
        pass


def test_half_written_files_of_a_killed_run_are_cleared(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.videos.mkdir()
    leftover = folder.videos / ".partial-123-case.mp4"
    leftover.write_bytes(b"half")
    with RunWriter(folder):
        assert not leftover.exists()


def test_a_video_counts_only_with_the_hash_of_its_row(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.videos.mkdir()
    video = folder.videos / video_name("c1", 0, "0123456789abcdef")
    write_video(video, moving_clip())
    ok = row(status="ok", video=video.name, sha256=file_sha256(video))
    assert folder.video_of(ok) == video
    assert folder.video_of(replace(ok, video=f"../videos/{video.name}")) is None
    write_video(video, moving_clip(1))
    assert folder.video_of(ok) is None


def test_a_video_is_hashed_again_only_where_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    folder.videos.mkdir()
    video, hashed = folder.videos / "a.mp4", list[Path]()
    video.write_bytes(b"one")
    ok = row(status="ok", video=video.name, sha256=file_sha256(video))

    def count(path: Path) -> str:
        hashed.append(path)
        return file_sha256(path)

    monkeypatch.setattr("vapbench.results.run.file_sha256", count)
    assert folder.has_video(ok) and folder.has_video(ok)
    assert len(hashed) == 2, "a file of this moment may be written again without another time"
    os.utime(video, (1, 1))
    assert folder.has_video(ok) and folder.video_of(ok) == video
    assert len(hashed) == 3
    video.write_bytes(b"two")
    assert not folder.has_video(ok)


def score_key(metric: Mapping[str, Any], case: Mapping[str, Any], seed: int, video: str) -> str:
    return score_keys([ScoreKeys(metric).begin(canonical_json(case))], seed, video)[0]


@pytest.mark.parametrize("text", ["a0f1", "", 'x"y', "é", "\ud800", "a b"])
@pytest.mark.parametrize("seed", [0, -1, 2**63 - 1])
def test_keys_are_the_digest_of_one_json(text: str, seed: int) -> None:
    metric, case = {"name": text, "params": {"b": 1, "a": [text]}}, {"id": text, "fields": "f" + text}
    whole = {"schema": 1, "metric": metric, "case": case, "seed": seed, "video": text}
    assert score_key(metric, case, seed, text) == digest(whole)
    method = {"name": text, "weights": {"sha256": None}}
    made = {"schema": 1, "method": method, "case": case, "inputs": [text], "seed": seed}
    assert generation_keys(method, case, [text], [seed])[0] == digest(made)


def test_keys_follow_everything_that_decides_the_result_and_nothing_else() -> None:
    method = {"name": "vap", "version": 1, "parameters": {"steps": 50}, "weights": {"sha256": "a"}}
    case = {"id": "c1", "caption": "A cat."}
    base = generation_keys(method, case, [], [0])[0]
    assert base == generation_keys(dict(reversed(method.items())), case, [], [0])[0]
    changed = [
        generation_keys({**method, "version": 2}, case, [], [0])[0],
        generation_keys({**method, "weights": {"sha256": "b"}}, case, [], [0])[0],
        generation_keys(method, {**case, "caption": "A dog."}, [], [0])[0],
        generation_keys(method, case, ["lora"], [0])[0],
        generation_keys(method, case, [], [1])[0],
    ]
    assert len({base, *changed}) == 6
    scores = [score_key({"name": "a"}, {"id": case}, seed, video) for case in "cd" for seed in (0, 1) for video in "vw"]
    assert len(set(scores)) == 8


def test_columns_have_file_names_of_their_own() -> None:
    names = {
        column_slug("dynamic_degree[raft]", {}),
        column_slug("dynamic_degree[dis]", {}),
        column_slug("dynamic_degree[raft]", {"vbench_quirks": True}),
        column_slug("torchmetrics:image.X", {}),
    }
    assert len(names) == 4
    assert all("/" not in name and "[" not in name for name in names)


def test_content_hash_of_a_folder_follows_names_and_bytes_not_the_place(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "sub").mkdir(parents=True)
        (tmp_path / place / "sub" / "w.bin").write_bytes(b"weights")
    assert content_sha256(tmp_path / "a") == content_sha256(tmp_path / "b")
    (tmp_path / "b" / "sub" / "w.bin").write_bytes(b"other")
    assert content_sha256(tmp_path / "a") != content_sha256(tmp_path / "b")


def test_the_hash_of_a_large_file_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(17 << 20))
    first = content_sha256(large)
    assert first == file_sha256(large) == content_sha256(large)
    with large.open("r+b") as handle:
        handle.write(b"changed")
    assert content_sha256(large) == file_sha256(large) != first


def test_what_a_manifest_holds_beside_is_kept_byte_for_byte(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as writer:
        writer.begin(
            IDENTITY, {"c1": {"condition": "a"}}, {"argv": ["vapbench"]}, {"m": {"scale": 100}}, {"title": "M"}
        )
        writer.end({"generated": {"ok": 1}}, "cpu")
    later: dict[str, Any] = json.loads(folder.manifest_path.read_text())
    later = {"of a later version": [1, 1.0, None, "\u00e9"], **later}
    later["cases"]["c1"] |= {"mood": {"b": 1, "a": 2}, "clip": {"fps": 8, "frames": 9, "width": 2, "height": 4, "x": 0}}
    later["sessions"][0]["weather"] = "fair"
    later["card"]["colour"] = "red"
    write_json(folder.manifest_path, later)
    with RunWriter(folder) as writer:
        writer.begin(IDENTITY, {}, {})
        writer.end({}, "cpu")
    text = folder.manifest_path.read_text()
    written = json.loads(text)
    assert (written["sessions"].pop()["device"], len(written["sessions"])) == ("cpu", 1)
    assert json.dumps(written) == json.dumps(later), "order, numbers and unknown fields are as they were"
    assert folder.manifest().document == json.loads(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("identity", None),
        ("identity", {"suite": "s"}),
        ("cases", []),
        ("cases", {"c": {"seeds": ["0"]}}),
        ("cases", {"c": {"clip": {"frames": 9}}}),
        ("metrics", {"m": {"scale": "100"}}),
        ("sessions", [7]),
        ("sessions", [{"counts": [1]}]),
        ("card", {"notes": "one"}),
    ],
)
def test_a_manifest_of_other_types_is_refused_in_a_sentence_that_names_the_field(
    tmp_path: Path, field: str, value: object
) -> None:
    folder = RunFolder(tmp_path)
    write_json(folder.manifest_path, {"schema": 1, "identity": IDENTITY, "cases": {}, field: value})
    with pytest.raises(DataError) as refused:
        folder.manifest()
    assert refused.value.kind in (ErrorKind.INVALID, ErrorKind.MISSING)
    assert refused.value.field.partition(".")[0] == field
    assert str(refused.value).startswith(f"{folder.manifest_path}: {field}") and "\n" not in str(refused.value)


def test_null_stands_for_nothing_in_old_manifests(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_json(folder.manifest_path, {"identity": {**IDENTITY, "parameters": None}, "card": None})
    manifest = folder.manifest()
    assert (manifest.identity.parameters, manifest.card.kind, manifest.cases) == ({}, None, {})


def test_a_reader_that_asks_again_is_told_what_was_written_since(tmp_path: Path) -> None:
    reader, folder = RunFolder(tmp_path), RunFolder(tmp_path)
    assert reader.current() == []
    with RunWriter(folder) as writer:
        writer.begin(IDENTITY, {"c1": {}}, {})
        assert list(reader.manifest().cases) == ["c1"]
        assert reader.manifest() is reader.manifest(), "parsed once"
        for key in ("k1", "k2"):
            writer.append(row(key))
            assert [made.key for made in reader.current()] == [key]
            assert list(reader.generations())[-1] == key
        writer.end({}, "cpu")
        assert reader.manifest().sessions[-1].device == "cpu"
    reader.current().clear()
    assert len(reader.current()) == 1, "what a reader is given is its own"
    folder.generations_path.unlink()
    assert reader.current() == []


@pytest.fixture
def never_collected() -> Iterator[None]:
    """Nothing is frozen, as where people use the package, and nothing is looked through unasked."""
    threshold = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(0)
    yield
    gc.set_threshold(*threshold)
    gc.freeze()


@pytest.mark.parametrize("frozen", [False, True])
def test_much_that_was_read_is_old_at_once_and_what_is_frozen_stays_so(never_collected: None, frozen: bool) -> None:
    if frozen:
        gc.freeze()
    with uncollected():
        read: list[list[int]] = [[] for _ in range(200_000)]
    is_young = any(one is read[0] for one in gc.get_objects(generation=0))
    assert (is_young, bool(gc.get_freeze_count())) == (frozen, frozen)
    assert gc.isenabled()

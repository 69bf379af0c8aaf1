"""What a submission must be before it stands on the board. Submissions are data: nothing is run, unpacked or followed.

The rules about rows (:func:`row_problems`) are those that the project's own ``results/`` are checked by.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vapbench.core.case import check_name
from vapbench.core.containers import SUFFIXES, suffix_of
from vapbench.errors import DataError, UsageError
from vapbench.files.atomic import check_inside, file_sha256
from vapbench.files.parsing import parse_json, read_text
from vapbench.leaderboard.submission import MANIFEST, Submission, read_submission
from vapbench.results.manifest import LARGEST_SCORE, is_seed, is_video_name

LIMITS = {".json": 16 << 20, ".jsonl": 64 << 20, ".md": 1 << 20, **dict.fromkeys(SUFFIXES, 256 << 20)}
"""Suffixes a submission may hold, with the most bytes of one file."""
MOST_BYTES = 16 << 30
MOST_FILES = 20_000
_DEEPEST = 2

_ARCHIVES = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf",
    b"Rar!",
)
_MARKUP = re.compile(r"<\s*[!/?a-zA-Z]|javascript\s*:|data\s*:\s*text", re.IGNORECASE)
# Control characters, and those that turn the reading direction around or cannot be seen.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)
_PATHS = ("media", "reference", "image", "target")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_submissions(folder: Path) -> dict[Path, list[str]]:
    """Check one submission, or every one in a folder.

    Returns:
        Folder -> what is wrong with it, each a sentence with its reason; empty if nothing is.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; make a submission: vapbench leaderboard pack --help")
    single = os.path.lexists(folder / MANIFEST) or (folder / "manifest.json").exists()
    folders = [folder] if single else [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return {path: check_submission(path) for path in folders if path.name != "README.md"}


def check_submission(folder: Path) -> list[str]:
    """What is wrong with one submission; files are looked at only once their names, kinds and sizes are harmless."""
    if folder.is_symlink() or not folder.is_dir():
        return ["it is no folder of its own; submit a folder with submission.json"]
    if not os.path.lexists(folder / MANIFEST):
        return [f"it has no {MANIFEST}; make a submission of a run: vapbench leaderboard pack --help"]
    problems = list(_file_problems(folder))
    if problems:
        return problems
    try:
        said = read_submission(folder)
        manifest = _load(folder / "manifest.json")
    except DataError as error:
        return [str(error)]
    problems = [*_text_problems(said.model_dump(), MANIFEST), *_submission_problems(folder, said)]
    problems += manifest_problems(manifest, submitted=True)
    if not problems:
        problems += row_problems(folder)
    if not problems:
        problems += _output_problems(folder, said, manifest)
    return problems


def manifest_problems(manifest: Any, submitted: bool = False) -> list[str]:
    """What is wrong with a run's manifest: names, texts and paths that a page or a disk could mistake for more.

    Args:
        manifest: ``manifest.json``, parsed.
        submitted: whether it comes from outside: then it may name no folder of anybody's machine.
    """
    if not isinstance(manifest, dict) or not isinstance(manifest.get("identity"), dict):
        return ["manifest.json has no identity; it must be the one that vapbench run wrote"]
    cases = manifest.get("cases")
    if not isinstance(cases, dict) or not cases:
        return ["manifest.json plans no case"]
    problems = []
    for name in ("suite", "name"):
        problems += _name_problems(manifest["identity"].get(name), f"manifest.json identity.{name}")
    problems += _text_problems(manifest.get("card") or {}, "manifest.json card")
    problems += _text_problems(manifest.get("metrics") or {}, "manifest.json metrics")
    for case, planned in cases.items():
        where = f"manifest.json case {case[:80]!r}"
        problems += _name_problems(case, where)
        if not isinstance(planned, dict):
            problems.append(f"{where} is no object")
            continue
        problems += _name_problems(planned.get("condition"), f"{where}: condition")
        problems += _text_problems({k: v for k, v in planned.items() if "caption" in k or k == "provenance"}, where)
        if submitted:
            problems += _path_problems(planned, where)
    return problems


def row_problems(folder: Path) -> list[str]:
    """What is wrong with the rows of a run, or of a submission."""
    problems: list[str] = []
    videos: dict[tuple[str, int], str | None] = {}
    for path in _jsonl(folder, "generations*.jsonl"):
        for where, row in _rows(path, problems):
            problems += _row_problems(row, where)
            if problems:
                continue
            video = row.get("video")
            if row["status"] == "ok" and not is_video_name(video):
                problems.append(f"{where} names the video {video!r}: it must be a file name in videos/, without a path")
            if row["status"] == "ok" and not _SHA256.fullmatch(str(row.get("sha256"))):
                problems.append(f"{where} has no SHA-256 of its video")
            videos[row["case"], row["seed"]] = row.get("sha256") if row["status"] == "ok" else None
    if not videos and not problems:
        problems.append("there is no generation: generations.jsonl is absent or empty")
    for path in _jsonl(folder / "scores", "*.jsonl"):
        for where, row in _rows(path, problems):
            problems += _row_problems(row, where) or _score_problems(row, where, videos)
    return problems


def _file_problems(folder: Path) -> Iterator[str]:
    """Names, kinds and sizes, without opening more than the first bytes of a file."""
    total = count = 0
    for root, folders, files in os.walk(folder, followlinks=False):
        here = Path(root)
        depth = len(here.relative_to(folder).parts)
        for name in sorted([*folders, *files]):
            path = here / name
            shown = repr(path.relative_to(folder).as_posix())
            try:
                # A video's name holds its case's, which may be as long as a name can be.
                check_name(name[:160] if Path(name).suffix in SUFFIXES and is_video_name(name) else name)
            except ValueError as error:
                yield f"{shown}: {error}; a name must not be able to mean anything else on another machine"
                continue
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield f"{shown} is a symbolic link, which may lead outside the submission; put the file itself there"
            elif stat.S_ISDIR(mode):
                if depth + 1 >= _DEEPEST or name not in ("videos", "scores"):
                    yield f"{shown}: only the folders videos/ and scores/ belong to a submission"
            elif not stat.S_ISREG(mode):
                yield f"{shown} is no regular file"
            else:
                count, total = count + 1, total + path.lstat().st_size
                yield from _content_problems(path, shown)
        folders[:] = [name for name in folders if not (here / name).is_symlink() and depth + 1 < _DEEPEST]
        if count > MOST_FILES or total > MOST_BYTES:
            yield f"more than {MOST_FILES:,} files or {MOST_BYTES >> 30} GiB; submit fewer seeds or smaller videos"
            return


def _content_problems(path: Path, shown: str) -> Iterator[str]:
    most, size = LIMITS.get(path.suffix), path.lstat().st_size
    with path.open("rb") as handle:
        head = handle.read(16)
    if head.startswith(_ARCHIVES):
        yield f"{shown} is an archive: archives are never unpacked (they may expand without end); put the files there"
    elif most is None:
        yield f"{shown}: a submission holds {', '.join(sorted(LIMITS))} alone"
    elif size > most:
        yield f"{shown} has {size >> 20:,} MiB, more than the {most >> 20} MiB of its kind"
    elif path.suffix in SUFFIXES and suffix_of(path) != path.suffix:
        yield f"{shown} is no {path.suffix[1:].upper()} file, whatever its name says"


def _submission_problems(folder: Path, said: Submission) -> Iterator[str]:
    if said.id != folder.name:
        yield f"submission.json has the id {said.id!r}, its folder is {folder.name!r}; they must be equal"
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+", said.contact):
        yield f"submission.json: contact {said.contact!r} is neither an e-mail address nor an http(s) link"
    seen: set[tuple[str, int]] = set()
    for output in said.outputs:
        key = (output.case, output.seed)
        if key in seen:
            yield f"submission.json has two outputs of {output.case} with seed {output.seed}; one per case and seed"
        seen.add(key)
        if output.seed not in said.seeds:
            yield f"submission.json: {output.case} has seed {output.seed}, which is not among its seeds"


def _output_problems(folder: Path, said: Submission, manifest: Mapping[str, Any]) -> Iterator[str]:
    ignored: list[str] = []
    rows = [row for path in _jsonl(folder, "generations*.jsonl") for _, row in _rows(path, ignored)]
    made: dict[tuple[str, int], str] = {}
    for row in rows:
        key = (row["case"], row["seed"])
        if row["status"] == "ok" and made.setdefault(key, row["sha256"]) != row["sha256"]:
            yield f"generations.jsonl has two videos of {key[0]} with seed {key[1]}; one is allowed"
        if row["case"] not in manifest["cases"]:
            yield f"generations.jsonl has case {row['case']}, which the manifest does not plan"
    attempted = {(row["case"], row["seed"]) for row in rows}
    lacking = [(case, seed) for case in manifest["cases"] for seed in said.seeds if (case, seed) not in attempted]
    if lacking:
        yield (
            f"{len(lacking)} of the planned cases and seeds have no row, first {lacking[0]}; "
            "every case takes part with every seed, failures as failed rows"
        )
    listed = {(output.case, output.seed): output.sha256 for output in said.outputs}
    for case, seed in sorted(made.keys() ^ listed.keys()):
        where = "generations.jsonl" if (case, seed) in listed else MANIFEST
        yield f"{case} with seed {seed} is not in {where}; both must list the same outputs"
    for key in sorted(made.keys() & listed.keys()):
        if made[key] != listed[key]:
            yield f"{key[0]} with seed {key[1]}: the hashes in submission.json and generations.jsonl differ"
    if (folder / "videos").is_dir():
        yield from _video_problems(folder / "videos", rows)


def _video_problems(videos: Path, rows: list[dict[str, Any]]) -> Iterator[str]:
    from vapbench.core.video import probe

    named = {row["video"]: row["sha256"] for row in rows if row["status"] == "ok"}
    for path in sorted(videos.iterdir()):
        if path.name not in named:
            yield f"videos/{path.name} belongs to no row; one output per case and seed, nothing else"
    for name, sha256 in sorted(named.items()):
        path = videos / name
        if not path.is_file():
            yield f"videos/{name} is not there; submit all videos, or none (--no-videos)"
        elif file_sha256(path) != sha256:
            yield f"videos/{name} is not the file that was scored: its SHA-256 is another"
        else:
            try:
                # Bounded by vapbench.core.limits, whatever the file claims.
                probe(path)
            except DataError as error:
                yield f"videos/{name} cannot be read ({error})"


def _row_problems(row: dict[str, Any], where: str) -> list[str]:
    problems = [*_name_problems(row.get("case"), f"{where}: case")]
    problems += _name_problems(row.get("condition"), f"{where}: condition")
    if not is_seed(row.get("seed")):
        problems.append(f"{where}: the seed is no whole number")
    if row.get("status") not in ("ok", "failed", "unscored"):
        problems.append(f"{where}: the status is {row.get('status')!r}, not ok, failed or unscored")
    return problems


def _score_problems(row: dict[str, Any], where: str, videos: Mapping[tuple[str, int], str | None]) -> Iterator[str]:
    value, key = row.get("value"), (row["case"], row["seed"])
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_SCORE
    if row["status"] == "ok" and not number:
        yield f"{where}: an ok score is a finite number below {LARGEST_SCORE:g}, not {value!r}"
    if row["status"] != "ok" and value is not None:
        yield f"{where}: a {row['status']} score has the value {value!r}; a missing score is null, never a number"
    if key not in videos:
        yield f"{where} scores {key[0]} with seed {key[1]}, which nothing was generated for"


def _text_problems(value: Any, where: str) -> list[str]:
    """Strings that hold markup, or what cannot be seen."""
    if isinstance(value, str):
        if _MARKUP.search(value):
            return [f"{where} holds markup or a script ({_MARKUP.search(value)[0]!r} …); write plain text"]  # type: ignore[index]
        if unseen := _UNSEEN.search(value):
            return [f"{where} holds the invisible character U+{ord(unseen[0]):04X}; write plain text"]
        return []
    if isinstance(value, dict):
        return [
            *(problem for name in value for problem in _text_problems(str(name), where)),
            *(problem for name, item in value.items() for problem in _text_problems(item, f"{where}.{name!s:.60}")),
        ]
    if isinstance(value, list | tuple):
        return [problem for item in value for problem in _text_problems(item, where)]
    return []


def _path_problems(planned: Mapping[str, Any], where: str) -> Iterator[str]:
    for name in _PATHS:
        path = planned.get(name)
        if path is None:
            continue
        try:
            if name == "media" or not isinstance(path, str) or str(path).startswith("~"):
                raise ValueError(f"{path!r} is a folder of one machine")
            check_inside(path)
        except ValueError as error:
            yield f"{where}: {name}: {error}; leave it out (vapbench leaderboard pack does)"


def _name_problems(name: Any, where: str) -> list[str]:
    try:
        check_name(name if isinstance(name, str) else "")
    except ValueError as error:
        return [f"{where}: {error}"]
    return []


def _jsonl(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) if folder.is_dir() else []


def _load(path: Path) -> Any:
    try:
        return parse_json(read_text(path))
    except OSError as error:
        raise DataError(f"{path.name}: {error.strerror or error}; a submission is a whole run folder") from error
    except ValueError as error:
        raise DataError(f"{path.name} is not valid JSON ({error})") from error


def _rows(path: Path, problems: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            where = f"{path.name}:{number}"
            try:
                row = parse_json(line)
            except ValueError as error:
                problems.append(f"{where} is not a readable row ({error}); run it again, or remove the line")
                continue
            if isinstance(row, dict):
                yield where, row
            else:
                problems.append(f"{where} is no row")

"""What a submission must be before it stands on the board. Submissions are data: nothing is run, unpacked or followed.

Files are looked at first (:mod:`~vapbench.leaderboard.contents`), then what they say of themselves, then every row
against the suite's roster (:mod:`~vapbench.leaderboard.rows`). :func:`manifest_problems` and :func:`row_problems` are
the rules that the project's own ``results/`` are held to as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.core.case import check_name
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import canonical_json, check_inside, file_sha256
from vapbench.files.faults import unusable
from vapbench.files.parsing import parse_json, read_text
from vapbench.files.text import counted
from vapbench.leaderboard.contents import file_problems
from vapbench.leaderboard.roster import Roster, Rosters
from vapbench.leaderboard.rows import SubmittedRows, date_problem, read_rows
from vapbench.leaderboard.submission import MANIFEST, Submission, read_submission
from vapbench.leaderboard.texts import claims, problems, problems_of_ours, unfit_title
from vapbench.results.manifest import LARGEST_SCORE, is_seed, is_video_name
from vapbench.results.rows import GenerationRow
from vapbench.results.run import RunFolder
from vapbench.suites import check_suite_name

if TYPE_CHECKING:
    from vapbench.core.streams import VideoInfo

KINDS = ("unified", "per-condition", "structure", "text", "outputs")
"""What a submitted method may call itself: floors and ceilings are the board's own."""
MOST_PROBLEMS = 50
"""So many sentences about one submission are enough."""
LONGEST_IDENTITY = 8000
"""Characters of a method's parameters and weights, which its page shows."""
MOST_SESSIONS = 1_000
"""Commands that wrote one run."""
MOST_VERSION = 10**9
_PATHS = ("media", "reference", "image", "target")
_SHOWN = ("title", "higher_is_better", "unit", "scale", "digits", "range")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_submissions(folder: Path, rosters: Rosters | None = None) -> dict[Path, list[str]]:
    """Check one submission, or every one in a folder.

    Args:
        folder: a submission, or a folder of them.
        rosters: what suites say of themselves; by default those that need no data.

    Returns:
        Folder -> what is wrong with it, each a sentence with its reason; empty if nothing is.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: no such folder; make a submission: vapbench leaderboard pack --help",
            ErrorKind.MISSING,
            "folder",
        )
    known = rosters or Rosters()
    single = os.path.lexists(folder / MANIFEST) or (folder / "manifest.json").exists()
    folders = [folder] if single else [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return {path: check_submission(path, known) for path in folders if path.name != "README.md"}


def check_submission(folder: Path, rosters: Rosters | None = None) -> list[str]:
    """What is wrong with one submission; files are looked at only once their names, kinds and sizes are harmless."""
    if folder.is_symlink() or not folder.is_dir():
        return ["it is no folder of its own; submit a folder with submission.json"]
    if not os.path.lexists(folder / MANIFEST):
        return [f"it has no {MANIFEST}; make a submission of a run: vapbench leaderboard pack --help"]
    return list(islice(_problems(folder, rosters or Rosters()), MOST_PROBLEMS))


def _problems(folder: Path, rosters: Rosters) -> Iterator[str]:
    """Stage by stage: what is wrong at one keeps the next from being looked at."""
    if found := list(islice(file_problems(folder), MOST_PROBLEMS)):
        yield from found
        return
    try:
        said = read_submission(folder)
        manifest = _load(folder / "manifest.json")
        RunFolder(folder).manifest()
    except DataError as error:
        yield str(error)
        return
    found = [*_submission_problems(folder, said), *manifest_problems(manifest, submitted=True)]
    if found:
        yield from found
        return
    try:
        roster = rosters.of(manifest["identity"]["suite"])
    except DataError as error:
        yield f"manifest.json identity.suite: {error}"
        return
    found = [*_suite_problems(said, manifest, roster)]
    rows = read_rows(folder, roster, found) if not found else None
    yield from found
    if rows is not None and not found:
        yield from _output_problems(folder, said, rows, roster)


def manifest_problems(manifest: Any, submitted: bool = False) -> list[str]:
    """What is wrong with a run's manifest: names, texts and paths that a page or a disk could mistake for more.

    Args:
        manifest: ``manifest.json``, parsed.
        submitted: whether it comes from outside: then every text in it is a stranger's, and it may name no folder of
            anybody's machine.
    """
    if submitted and (unfit := _form_problems(manifest)):
        return unfit
    if not isinstance(manifest, dict) or not isinstance(manifest.get("identity"), dict):
        return ["manifest.json has no identity; it must be the one that vapbench run wrote"]
    cases = manifest.get("cases")
    if not isinstance(cases, dict) or not cases:
        return ["manifest.json plans no case"]
    found: list[str] = []
    found += _name_problems(manifest["identity"].get("suite"), "manifest.json identity.suite", check_suite_name)
    found += _name_problems(manifest["identity"].get("name"), "manifest.json identity.name")
    if submitted:
        found += islice(problems(manifest, "manifest.json"), MOST_PROBLEMS)
    else:
        found += problems_of_ours(manifest.get("card") or {}, "manifest.json card")
        found += problems_of_ours(manifest.get("metrics") or {}, "manifest.json metrics")
    for case, planned in cases.items():
        where = f"manifest.json case {case[:80]!r}"
        found += _name_problems(case, where)
        if not isinstance(planned, dict):
            found.append(f"{where} is no object")
            continue
        found += _name_problems(planned.get("condition"), f"{where}: condition")
        if submitted:
            found += _path_problems(planned, where)
        else:
            texts = {k: v for k, v in planned.items() if "caption" in k or k == "provenance"}
            found += problems_of_ours(texts, where)
    return found


def _form_problems(manifest: Any) -> list[str]:
    """What keeps a stranger's manifest from being read at all."""
    if not isinstance(manifest, dict):
        return []
    found, version = [], (manifest.get("identity") or {}).get("version")
    if not (schema := manifest.get("schema")) == 1 or type(schema) is not int:
        found.append(f"manifest.json has schema {schema!r:.40}; it is 1")
    if len(manifest.get("sessions") or ()) > MOST_SESSIONS:
        found.append(f"manifest.json has more than {MOST_SESSIONS:,} sessions; keep the last")
    if type(version) is int and not 0 <= version <= MOST_VERSION:
        found.append(f"manifest.json identity.version is {version!r:.40}; 0 to {MOST_VERSION:,} are versions")
    elif isinstance(version, str) and (reason := unfit_title(version.replace("#", ""))):
        found.append(f"manifest.json identity.version {reason}")
    return found


def row_problems(folder: Path) -> list[str]:
    """What is wrong with the rows of a run of ours."""
    found: list[str] = []
    videos: dict[tuple[str, int], str | None] = {}
    for path in _jsonl(folder, "generations*.jsonl"):
        for where, row in _rows(path, found):
            found += _row_problems(row, where)
            if found:
                continue
            video = row.get("video")
            if row["status"] == "ok" and not is_video_name(video):
                found.append(f"{where} names the video {video!r}: it must be a file name in videos/, without a path")
            if row["status"] == "ok" and not _SHA256.fullmatch(str(row.get("sha256"))):
                found.append(f"{where} has no SHA-256 of its video")
            videos[row["case"], row["seed"]] = row.get("sha256") if row["status"] == "ok" else None
    if not videos and not found:
        found.append("there is no generation: generations.jsonl is absent or empty")
    for path in _jsonl(folder / "scores", "*.jsonl"):
        for where, row in _rows(path, found):
            found += _row_problems(row, where) or _score_problems(row, where, videos)
    return found


def _submission_problems(folder: Path, said: Submission) -> Iterator[str]:
    if said.id != folder.name:
        yield f"submission.json has the id {said.id!r}, its folder is {folder.name!r}; they must be equal"
    seen: set[tuple[str, int]] = set()
    for output in said.outputs:
        key = (output.case, output.seed)
        if key in seen:
            yield f"submission.json has two outputs of {output.case} with seed {output.seed}; one per case and seed"
        seen.add(key)
        if output.seed not in said.seeds:
            yield f"submission.json: {output.case} has seed {output.seed}, which is not among its seeds"


def _suite_problems(said: Submission, manifest: Mapping[str, Any], roster: Roster) -> Iterator[str]:
    """What the suite says otherwise than the manifest."""
    suite, cases = roster.suite.name, manifest["cases"]
    if sorted(said.seeds) != sorted(roster.seeds):
        yield (
            f"submission.json has the seeds {_few(said.seeds)}; every method on the board of {suite} is run with "
            f"{_few(roster.seeds)}"
        )
    for case, planned in cases.items():
        if case not in roster.cases:
            yield f"manifest.json case {case!r} is none of the {len(roster.cases)} of {suite}"
            continue
        for name in ("condition", "category"):
            ours = getattr(roster.cases[case], name)
            if planned.get(name) != ours:
                yield f"manifest.json case {case!r} has the {name} {planned.get(name)!r:.80}, in {suite} it is {ours!r}"
    touched = {task: names for task, names in roster.tasks.items() if names & cases.keys()}
    whole = {case for names in touched.values() if names <= cases.keys() for case in names}
    if partial := sorted(cases.keys() & roster.cases.keys() - whole):
        yield (
            f"manifest.json plans {partial[0]} and not all cases of a task it is in; a submission has every case of "
            "its tasks, failures as failed rows"
        )
    if (size := len(canonical_json(manifest["identity"]))) > LONGEST_IDENTITY:
        yield f"manifest.json identity has {counted(size, 'character')}; {LONGEST_IDENTITY:,} are the most"
    yield from claims(manifest["identity"], "manifest.json identity")
    kind = (manifest.get("card") or {}).get("kind")
    if kind not in (None, *KINDS):
        yield f"manifest.json card.kind is {kind!r:.80}; a submitted method is one of: {', '.join(KINDS)}"
    for number, session in enumerate(manifest.get("sessions") or ()):
        for name in ("started", "ended"):
            if problem := date_problem(session.get(name) or ""):
                yield f"manifest.json session {number}: {name} {problem}"
    yield from _display_problems(manifest.get("metrics") or {}, roster)


def _display_problems(metrics: Mapping[str, Any], roster: Roster) -> Iterator[str]:
    known = {key.metric: column.shown for key, column in roster.columns.items()}
    for name, shown in metrics.items():
        if name not in known:
            yield f"manifest.json metrics: {name!r:.80} is no column of the board of {roster.suite.name}"
            continue
        ours = known[name].model_dump()
        for field in _SHOWN:
            if field in shown and field in known[name].model_fields_set and shown[field] != ours[field]:
                yield (
                    f"manifest.json metrics: {name} has the {field} {shown[field]!r:.80}, the registry's is "
                    f"{ours[field]!r}; only the registry says how a column reads"
                )


def _output_problems(folder: Path, said: Submission, rows: SubmittedRows, roster: Roster) -> Iterator[str]:
    cases = _load(folder / "manifest.json")["cases"]
    for case, _ in rows.generations:
        if case not in cases:
            yield f"generations.jsonl has case {case}, which the manifest does not plan"
    lacking = [(case, seed) for case in cases for seed in roster.seeds if (case, seed) not in rows.generations]
    if lacking:
        yield (
            f"{len(lacking)} of the planned cases and seeds have no row, first {lacking[0]}; "
            "every case takes part with every seed, failures as failed rows"
        )
    made, listed = rows.made(), {(output.case, output.seed): output.sha256 for output in said.outputs}
    for case, seed in sorted(made.keys() ^ listed.keys()):
        where = "generations.jsonl" if (case, seed) in listed else MANIFEST
        yield f"{case} with seed {seed} is not in {where}; both must list the same outputs"
    for key in sorted(made.keys() & listed.keys()):
        if made[key].sha256 != listed[key]:
            yield f"{key[0]} with seed {key[1]}: the hashes in submission.json and generations.jsonl differ"
    if (folder / "videos").is_dir():
        yield from _video_problems(folder / "videos", rows)


def _video_problems(videos: Path, rows: SubmittedRows) -> Iterator[str]:
    from vapbench.core.video import probe

    named = {str(row.video): row.sha256 for row in rows.made().values()}
    sizes = {str(row.video): row for row in rows.made().values()}
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
                yield from _size_problems(sizes[name], probe(path), name)
            except DataError as error:
                yield f"videos/{name} cannot be read ({error})"


def _size_problems(row: GenerationRow, found: VideoInfo, name: str) -> Iterator[str]:
    """What a row says of its clip, against the clip: tables say whose clips are not of the suite's size."""
    for what, said, is_ in (
        ("frames", row.frames, found.frames),
        ("rows of pixels", row.height, found.height),
        ("columns of pixels", row.width, found.width),
    ):
        if said is not None and said != is_:
            yield f"videos/{name} has {is_} {what}, its row says {said}"


def _row_problems(row: dict[str, Any], where: str) -> list[str]:
    found = [*_name_problems(row.get("case"), f"{where}: case")]
    found += _name_problems(row.get("condition"), f"{where}: condition")
    if not is_seed(row.get("seed")):
        found.append(f"{where}: the seed is no whole number")
    if row.get("status") not in ("ok", "failed", "unscored"):
        found.append(f"{where}: the status is {row.get('status')!r}, not ok, failed or unscored")
    return found


def _score_problems(row: dict[str, Any], where: str, videos: Mapping[tuple[str, int], str | None]) -> Iterator[str]:
    value, key = row.get("value"), (row["case"], row["seed"])
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_SCORE
    if row["status"] == "ok" and not number:
        yield f"{where}: an ok score is a finite number below {LARGEST_SCORE:g}, not {value!r}"
    if row["status"] != "ok" and value is not None:
        yield f"{where}: a {row['status']} score has the value {value!r}; a missing score is null, never a number"
    if key not in videos:
        yield f"{where} scores {key[0]} with seed {key[1]}, which nothing was generated for"


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


def _name_problems(name: Any, where: str, check: Callable[[str], str] = check_name) -> list[str]:
    try:
        check(name if isinstance(name, str) else "")
    except ValueError as error:
        return [f"{where}: {error}"]
    return []


def _few(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds[:4])) + (", …" if len(seeds) > 4 else "")


def _jsonl(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) if folder.is_dir() else []


def _load(path: Path) -> Any:
    try:
        return parse_json(read_text(path), unique=True)
    except OSError as error:
        raise unusable(Path(path.name), error, "; a submission is a whole run folder") from error
    except ValueError as error:
        raise DataError(f"{path.name} is not valid JSON ({error})", ErrorKind.DAMAGED, path.name) from error


def _rows(path: Path, found: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            where = f"{path.name}:{number}"
            try:
                row = parse_json(line)
            except ValueError as error:
                found.append(f"{where} is not a readable row ({error}); run it again, or remove the line")
                continue
            if isinstance(row, dict):
                yield where, row
            else:
                found.append(f"{where} is no row")

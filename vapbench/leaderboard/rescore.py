"""Scoring a submission's videos anew: what its badge rests on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import fsum, isclose, isfinite
from pathlib import Path

from vapbench.core.clip import Clip
from vapbench.core.video import read_video
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import quoted, write_json
from vapbench.files.text import counted
from vapbench.leaderboard.boards import Attested, Leaderboard
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.likeness import Gallery, Known, Likeness
from vapbench.leaderboard.roster import Roster, RosterColumn, Rosters
from vapbench.leaderboard.rows import FEWEST_ALIKE, SubmittedRows, read_rows
from vapbench.leaderboard.submission import MANIFEST, read_submission, submission_digest
from vapbench.leaderboard.submitted_videos import SubmittedVideos
from vapbench.metrics.view import ClipView
from vapbench.report.read.columns import REFERENCE_KINDS
from vapbench.report.read.run_summary import ColumnKey, explain
from vapbench.results.rows import GenerationRow, ScoreRow
from vapbench.results.run import RunFolder, runs_below
from vapbench.running.device import torch_device
from vapbench.running.pending import ScoreJob
from vapbench.running.plan import columns
from vapbench.running.score import media_scored_against
from vapbench.running.scorer import Scorer

TOLERANCE = 1e-3
"""Of a metric's range: so far two machines may be apart."""
FLIPS = 0.02
"""Share of a yes-or-no column's rows that may differ: a value near its threshold falls to either side."""
SHADE = 1e-4
"""The same of a column's mean: machines round to both sides."""

_SHOWN = 10
"""Sentences of a kind that are printed."""

Key = tuple[str, int]


@dataclass(frozen=True)
class Difference:
    """A value of a row that is another where we compute it."""

    what: str
    """The score's metric, or what a row says of its clip's size."""
    case: str
    seed: int
    theirs: str
    ours: str

    def __str__(self) -> str:
        """In words."""
        return f"{self.what} of {self.case}, seed {self.seed}: submitted {self.theirs}, computed {self.ours}"


@dataclass
class Rescored:
    """What came of it."""

    suite: str
    name: str
    digest: str
    """Hash of the submission; the draw is seeded with it."""
    videos: int
    """Videos drawn."""
    of: int
    """Videos submitted."""
    rows: int = 0
    """Scores compared."""
    differences: list[Difference] = field(default_factory=list)
    copies: list[Likeness] = field(default_factory=list)
    """Outputs that are no method's own."""
    shaded: list[str] = field(default_factory=list)
    """Columns whose scores are each within the tolerance, and all to one side."""
    noted: list[Likeness] = field(default_factory=list)
    """Outputs that one of our own runs made as well, or that may be an edit of a given video: to be looked at."""
    equal: dict[str, list[str]] = field(default_factory=dict)
    """Run of ours, of the very method that the submission names -> outputs that are its files."""
    shifts: dict[str, list[float]] = field(default_factory=dict)
    """Column -> how far each submitted score is above ours, as a share of its range."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Column -> why it was not computed here."""

    @property
    def verified(self) -> bool:
        """Whether the rows may be ranked."""
        return self.rows > 0 and not (self.differences or self.copies or self.shaded or self.not_computed)

    def lines(self) -> Iterator[str]:
        """What was found, for people."""
        scored = f"{self.videos} of {counted(self.of, 'video')} scored anew"
        yield f"{self.suite}/{self.name}: {scored}, {counted(self.rows, 'score')} compared"
        for column, why in self.not_computed.items():
            yield f"bad  {column} was not computed: {why}"
        bad = (self.copies, self.differences, self.shaded)
        for mark, found in (*(("bad ", each) for each in bad), ("note", self.noted)):
            yield from (f"{mark} {each}" for each in found[:_SHOWN])
            if len(found) > _SHOWN:
                yield f"     … and {len(found) - _SHOWN} more"
        for name, videos in self.equal.items():
            yield (
                f"same {counted(len(videos), 'video is a file', 'videos are files')} of our own run {name}, whose "
                "method, parameters and weights it names"
            )
        if self.verified:
            agree = "the score agrees" if self.rows == 1 else f"all {self.rows} scores agree"
            yield f"ok   {agree}: recomputed, until a row changes"
        else:
            yield "bad  self-reported: it stands below and is not ranked"


def rescore(
    folder: Path,
    rosters: Rosters,
    home: Leaderboard,
    *,
    sample: int | None = None,
    videos: Path | None = None,
    device: str = "auto",
    local_links: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rescored:
    """Score the videos of a submission with the suite's own data, and compare row by row.

    Args:
        folder: the submission.
        rosters: what suites say of themselves, and our own runs.
        home: the leaderboard's folder, for other submissions.
        sample: how many videos to draw, seeded with the submission's hash; None: all. Fewer than
            :data:`FEWEST_ALIKE` do not tell scores that are all to one side, so that as many are drawn.
        videos: where the videos lie, if not in the submission; by default they are fetched from its link.
        device: what metrics run on.
        local_links: whether a link may lead to this machine or a private network.
        progress: called with the videos done and all.

    Raises:
        DataError: the check refuses it, the suite's data is not here, or a video is absent, another, or
            cannot be read.
    """
    if problems := check_submission(folder, rosters):
        raise DataError(
            f"{folder}: {problems[0]}; see: vapbench leaderboard check {quoted(folder)}",
            ErrorKind.INVALID,
            "submission",
        )
    said, suite = read_submission(folder), RunFolder(folder).manifest().identity.suite
    roster = rosters.of(suite)
    if not roster.media:
        raise DataError(
            f"{suite} cannot be scored without its data: name it with --data DIR.", ErrorKind.MISSING, "data"
        )
    rows, digest = read_rows(folder, roster, []), submission_digest(folder)
    made = rows.made()
    drawn = (
        sorted(made)
        if sample is None
        else sorted(random.Random(digest).sample(sorted(made), min(max(sample, FEWEST_ALIKE), len(made))))
    )
    found = Rescored(suite, folder.name, digest, len(drawn), len(made))
    place = SubmittedVideos(folder, videos, said, local_links)
    ours, others = _ours(roster, rosters), _others(home, folder)
    same = _of_one_method(ours, folder)
    packed = _named_by_file(same)
    gallery = Gallery([*_given(roster), *others, *_bounds(ours)])
    own = Gallery([known for run in ours if run not in same for known in _competing(run)])
    scorers = dict(_scorers(roster, rows, found, torch_device(device)))
    for number, key in enumerate(drawn):
        path, row = place.of(made[key]), made[key]
        clip, named = read_video(path), (str(row.video), row.case, str(row.sha256))
        found.differences += _sizes(row, clip)
        for alike in gallery.likenesses(*named, clip.frames):
            (found.copies if alike.certain else found.noted).append(alike)
        found.noted += own.likenesses(*named, clip.frames)
        for name in packed.get(str(row.sha256), ()):
            found.equal.setdefault(name, []).append(str(row.video))
        gallery.add(Known(f"that of {row.case}, seed {row.seed}", str(row.sha256), path))
        job = ScoreJob(row, path, roster.media[row.case], tuple(scorer.column for scorer in scorers.values()))
        for column, fresh in _scored(job, clip, scorers, device):
            _compare(found, roster.columns[column], rows.scores[column].get(key), fresh)
        progress(number + 1, len(drawn))
    _forgive_flips(found, rows)
    found.shaded += _shaded(found)
    return found


def write_badge(home: Leaderboard, found: Rescored) -> None:
    """Attest what was found, in place of what was attested of the same submission before.

    Raises:
        DataError: ``badges.json`` is not of its form, or attests a run of ours under that name.
    """
    runs, name = home.attested(), f"{found.suite}/{found.name}"
    if name in runs and runs[name].submission is None:
        raise DataError(
            f"{home.path / 'badges.json'} attests {name} of a run that is no submission; rename the submission.",
            ErrorKind.CONFLICT,
            "badges.json",
        )
    badge = Attested(
        badge="recomputed" if found.verified else "self-reported",
        submission=found.digest,
        videos=found.videos,
        of=found.of,
        copies=len({alike.video for alike in found.copies}),
        differences=len(found.differences),
        noted=len({alike.video for alike in found.noted}),
        equal=len({video for videos in found.equal.values() for video in videos}),
    )
    runs[name] = badge
    document = {name: said.model_dump(exclude_defaults=True) for name, said in sorted(runs.items())}
    write_json(home.path / "badges.json", {"runs": document})


def _given(roster: Roster) -> Iterator[Known]:
    for case in roster.media.values():
        named = [("ground truth", case.target), *(("reference", item.video) for item in case.references)]
        for what, media in named:
            if media is not None and media.path.is_file():
                yield Known(f"the {what} of {case.id}", media.sha256, media.path, case.id)


def _ours(roster: Roster, rosters: Rosters) -> list[RunFolder]:
    return [run for run in runs_below(rosters.results) if run.path.parent.name == roster.suite.name]


def _bounds(runs: Sequence[RunFolder]) -> Iterator[Known]:
    yield from (known for run in runs if run.manifest().card.kind in REFERENCE_KINDS for known in _outputs(run))


def _of_one_method(runs: Sequence[RunFolder], folder: Path) -> list[RunFolder]:
    """Of the very method, parameters and weights: one may be the run that was packed."""
    packed = RunFolder(folder).manifest().document["identity"]
    return [run for run in runs if run.manifest().document["identity"] == packed]


def _named_by_file(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """Hash of a video -> the runs that have it."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for row in run.current():
            found.setdefault(str(row.sha256), []).append(run.path.name)
    return found


def _competing(run: RunFolder) -> Iterator[Known]:
    if run.manifest().card.kind not in REFERENCE_KINDS:
        yield from _outputs(run)


def _others(home: Leaderboard, folder: Path) -> Iterator[Known]:
    """Of other submissions that were verified: a stranger's copy of this one takes nothing from it."""
    verified = {said.submission for said in home.attested().values() if said.badge != "self-reported"}
    for manifest in sorted(home.submissions.glob(f"*/{MANIFEST}")):
        if manifest.parent.resolve() != folder.resolve() and submission_digest(manifest.parent) in verified:
            yield from _outputs(RunFolder(manifest.parent))


def _outputs(run: RunFolder) -> Iterator[Known]:
    for row in run.current():
        if row.status == "ok" and row.sha256:
            path = run.videos / str(row.video)
            there = path.is_file() and not path.is_symlink()
            yield Known(f"that of {run.path.name} for {row.case}", row.sha256, path if there else None)


def _scorers(
    roster: Roster, rows: SubmittedRows, found: Rescored, device: object
) -> Iterator[tuple[ColumnKey, Scorer]]:
    suite = {(column.metric.name, column.metric.version): column for column in columns(roster.suite.metrics)}
    for key in rows.scores:
        column = suite.get((key.metric, key.version))
        if column is None or key.params != "{}":
            newest = max((version for metric, version in suite if metric == key.metric), default=0)
            found.not_computed[key.metric] = (
                f"it is of version {key.version}, and {newest} is scored here: score the run anew, and submit that"
                if newest > key.version
                else f"it is no column of {roster.suite.name} that is scored by default"
            )
            continue
        scorer = Scorer.set_up(column, device)
        if scorer.unusable or scorer.failure:
            found.not_computed[key.metric] = scorer.unusable or explain(scorer.failure)
        else:
            yield key, scorer


def _scored(
    job: ScoreJob, clip: Clip, scorers: dict[ColumnKey, Scorer], device: str
) -> Iterator[tuple[ColumnKey, ScoreRow]]:
    view, others = ClipView(clip, job.case, torch_device(device)), media_scored_against(job)
    for media in others:
        media.prefetch()
    for key, scorer in scorers.items():
        yield key, scorer.row(job, scorer.begin(job, view))
    for media in others:
        media.release()


def _compare(found: Rescored, column: RosterColumn, theirs: ScoreRow | None, ours: ScoreRow) -> None:
    if theirs is None:
        return
    found.rows += 1
    low, high = column.bounds
    span = high - low if isfinite(high - low) else max(1.0, abs(ours.value or 0.0))
    if theirs.status == ours.status == "ok" and theirs.value is not None and ours.value is not None:
        found.shifts.setdefault(theirs.metric, []).append((theirs.value - ours.value) / span)
        if abs(theirs.value - ours.value) <= TOLERANCE * span and theirs.kind == ours.kind:
            return
    elif theirs.status == ours.status and theirs.kind == ours.kind:
        return
    found.differences.append(Difference(theirs.metric, theirs.case, theirs.seed, _value_of(theirs), _value_of(ours)))


def _sizes(row: GenerationRow, clip: Clip) -> Iterator[Difference]:
    """What the row says of its clip, against the clip: tables say by it whose clips are not of the suite's size."""
    frames, height, width, _ = clip.frames.shape
    for what, said, is_ in (
        ("frames", row.frames, frames),
        ("height", row.height, height),
        ("width", row.width, width),
        ("fps", row.fps, clip.fps),
    ):
        # Files keep their frames a second as a fraction, or rounded.
        if said is not None and not isclose(said, is_, rel_tol=1e-2 if what == "fps" else 0.0):
            yield Difference(what, row.case, row.seed, f"{said:g}", f"{is_:g}")


def _forgive_flips(found: Rescored, rows: SubmittedRows) -> None:
    for key, scores in rows.scores.items():
        own = [difference for difference in found.differences if difference.what == key.metric]
        yes_or_no = all(row.value in (None, 0, 1) for row in scores.values())
        if own and yes_or_no and len(own) <= FLIPS * found.videos:
            found.differences = [difference for difference in found.differences if difference.what != key.metric]


def _shaded(found: Rescored) -> Iterator[str]:
    for metric, shifts in found.shifts.items():
        mean = fsum(shifts) / len(shifts)
        # Flips of a yes-or-no column are judged one by one.
        if len(shifts) >= FEWEST_ALIKE and SHADE < abs(mean) <= TOLERANCE:
            side = "above" if mean > 0 else "below"
            yield f"{metric}: submitted scores are on average {abs(mean):.1e} of its range {side} ours"


def _value_of(row: ScoreRow) -> str:
    return row.status if row.value is None else f"{row.value:.6g}"

"""The runner on real files, with methods and metrics that misbehave on purpose."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import ErrorKind, IdentityError, NotApplicable, TooManyFailures, UsageError
from vapbench.methods import ResolvedMethod
from vapbench.methods.base import Method
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.view import ClipView
from vapbench.report.tables.summary import summarise
from vapbench.results.rows import Failure, Note, Status
from vapbench.results.run import RunFolder
from vapbench.running.context import FailureLimit, Settings
from vapbench.running.plan import MetricSpec, RunPlan, plan_run
from vapbench.running.run import RunOutcome, execute

Make = Callable[..., Case]


class Watcher:
    def __init__(self) -> None:
        self.failures: list[str] = []

    def begin(self, what: str, total: int, done: int = 0) -> None: ...

    def step(self, label: str, status: Status = "ok", note: str = "") -> None: ...

    def failed(self, label: str, failure: Failure, hint: str) -> None:
        self.failures.append(f"{label}: {failure.message} {hint}")

    def tell(self, message: str) -> None: ...

    def end(self) -> None: ...


class Mover(Method):
    """Slides the first frame; ``tricks`` maps a case id to what to do instead."""

    name = "mover"
    version = 1

    def __init__(self, tricks: dict[str, Callable[[], Any]] | None = None) -> None:
        self.tricks = tricks or {}
        self.calls: list[tuple[str, int]] = []
        self.set_up = 0

    def setup(self, device: object) -> None:
        self.set_up += 1

    def generate(self, case: Case, seed: int) -> Any:
        self.calls.append((case.id, seed))
        if case.id in self.tricks:
            return self.tricks[case.id]()
        frame = case.image.first_frame()
        return Clip(np.stack([np.roll(frame, seed + 2 * t, axis=1) for t in range(case.clip.frames)]), case.clip.fps)


class Brightness(Metric):
    name = "brightness"
    version = 1
    higher_is_better = True
    unit = ""
    needs = frozenset({"prompt"})

    def __init__(self) -> None:
        self.scored: list[str] = []

    def setup(self, device: object) -> None: ...

    def score(self, clip: ClipView, case: Case) -> Score:
        self.scored.append(case.id)
        if not case.caption:
            raise NotApplicable("the case has no caption")
        return Score(float(clip.frames.mean()))


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def plan(method: Any, cases: Sequence[Case], results: Path, seeds: Sequence[int] = (0,), **parameters: Any) -> RunPlan:
    return plan_run("suite", "all", ResolvedMethod(method, None, parameters, parameters), cases, seeds, results)


def run(
    method: Any,
    cases: Sequence[Case],
    results: Path,
    seeds: Sequence[int] = (0,),
    metrics: Sequence[Any] = (),
    **changes: Any,
) -> RunOutcome:
    settings = replace(Settings(device="cpu", max_failures=FailureLimit(100)), **changes)
    columns = [MetricSpec(metric, {}, ()) for metric in metrics]
    return execute(plan(method, cases, results, seeds), columns, settings, Watcher())


def rows(outcome: RunOutcome) -> dict[str, Any]:
    return {row.case: row for row in outcome.plan.folder.current()}


def test_a_finished_run_is_kept_and_loads_nothing(tmp_path: Path, make_case: Make) -> None:
    cases, metric = [make_case(n) for n in range(3)], Brightness()
    first = run(Mover(), cases, tmp_path / "r", (0, 1), [metric])
    assert (first.generated.ok, first.scored.ok) == (6, 6)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*") if p.is_file()}
    again, metric = Mover(), Brightness()
    second = run(again, cases, tmp_path / "r", (0, 1), [metric])
    assert (second.generated.kept, again.calls, again.set_up, metric.scored) == (6, [], 0, [])
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*") if p.is_file()} == files


def test_equal_videos_of_different_cases_and_seeds_are_scored_each(tmp_path: Path, make_case: Make) -> None:
    class Unconcerned(Brightness):
        needs = frozenset()

    cases, still = [make_case(n) for n in range(2)], moving_clip()
    method = Mover({case.id: lambda: still for case in cases})
    outcome = run(method, cases, tmp_path / "r", (0, 1), [Unconcerned()])
    scores = outcome.plan.folder.scores("brightness").values()
    assert {(row.case, row.seed) for row in scores} == {(case.id, seed) for case in cases for seed in (0, 1)}


def test_only_what_changed_is_done_again(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(n) for n in range(2)]
    run(Mover(), cases, tmp_path / "r", metrics=[Brightness()])
    edited = [cases[0], cases[1].model_copy(update={"caption": "Another caption."})]
    method, metric = Mover(), Brightness()
    run(method, edited, tmp_path / "r", metrics=[metric])
    assert method.calls == [(cases[1].id, 0)]
    assert metric.scored == [cases[1].id]
    back, metric = Mover(), Brightness()
    outcome = run(back, cases, tmp_path / "r", metrics=[metric])
    assert (back.calls, metric.scored) == ([], [])
    assert rows(outcome)[cases[1].id].key == plan(Mover(), cases, tmp_path / "r").jobs[1].key


@pytest.mark.parametrize("harm", ["delete", "replace"])
def test_a_video_that_is_gone_or_changed_is_made_again(tmp_path: Path, make_case: Make, harm: str) -> None:
    cases = [make_case(n) for n in range(2)]
    outcome = run(Mover(), cases, tmp_path / "r")
    video = outcome.plan.folder.videos / rows(outcome)[cases[0].id].video
    before = video.read_bytes()
    video.unlink() if harm == "delete" else write_video(video, moving_clip(9))
    method = Mover()
    run(method, cases, tmp_path / "r")
    assert method.calls == [(cases[0].id, 0)]
    assert video.read_bytes() == before


@pytest.mark.parametrize(
    ("trick", "word"),
    [
        (raising(ValueError("no good")), "no good"),
        (lambda: None, "must return a Clip or a Path, not NoneType"),
        (lambda: Clip(np.zeros((3, 33, 48, 3), np.uint8), 8), "odd side"),
        (lambda: Clip(np.zeros((3, 32, 48), np.uint8), 8), "T, H, W, 3"),
        (lambda: Clip.from_float(np.full((3, 32, 48, 3), np.nan), 8), "NaN"),
    ],
)
def test_a_failure_is_a_row_and_the_run_goes_on(
    tmp_path: Path, make_case: Make, trick: Callable[[], Any], word: str
) -> None:
    cases, metric = [make_case(n) for n in range(3)], Brightness()
    outcome = run(Mover({cases[1].id: trick}), cases, tmp_path / "r", metrics=[metric])
    failed = rows(outcome)[cases[1].id]
    assert (failed.status, failed.video, failed.sha256) == ("failed", None, None)
    assert word in failed.attempts[-1].message
    assert "Traceback" in failed.attempts[-1].traceback
    assert metric.scored == [cases[0].id, cases[2].id]
    assert not list(outcome.plan.folder.videos.glob(".partial*"))


def test_failed_rows_stand_until_refresh_says_otherwise(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(0)]
    run(Mover({cases[0].id: raising(ValueError("x"))}), cases, tmp_path / "r")
    method = Mover()
    run(method, cases, tmp_path / "r")
    assert method.calls == []
    outcome = run(method, cases, tmp_path / "r", refresh="failed")
    assert len(method.calls) == 1
    assert rows(outcome)[cases[0].id].status == "ok"
    run(method, cases, tmp_path / "r", refresh="all")
    assert len(method.calls) == 2


def test_what_does_not_apply_is_unscored_not_failed(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(0), make_case(1, caption=None)]
    method = Mover({cases[0].id: raising(NotApplicable("no LoRA for vidu_orbit"))})
    outcome = run(method, cases, tmp_path / "r", metrics=[Brightness()])
    row = rows(outcome)[cases[0].id]
    assert (row.status, row.note) == ("unscored", "no LoRA for vidu_orbit")
    (score,) = outcome.plan.folder.scores("brightness").values()
    assert (score.status, score.value, score.note) == ("unscored", None, "the case has no caption")


def test_transient_failures_are_retried_with_the_same_seed(tmp_path: Path, make_case: Make) -> None:
    case = make_case(0)
    answers = iter([raising(TimeoutError("slow")), lambda: moving_clip()])
    method = Mover({case.id: lambda: next(answers)()})
    outcome = run(method, [case], tmp_path / "r", retries=1)
    row = rows(outcome)[case.id]
    assert method.calls == [(case.id, 0), (case.id, 0)]
    assert (row.status, [failure.type for failure in row.attempts]) == ("ok", ["TimeoutError"])
    stubborn = make_case(1)
    method = Mover({stubborn.id: raising(ValueError("always"))})
    run(method, [stubborn], tmp_path / "r", retries=5)
    assert len(method.calls) == 1


def test_too_many_failures_stop_the_run_and_keep_what_is_done(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(n) for n in range(6)]
    method = Mover({case.id: raising(ValueError("x")) for case in cases[1:]})
    with refuses(TooManyFailures, ErrorKind.LIMIT, "max_failures") as caught:
        run(method, cases, tmp_path / "r", max_failures=FailureLimit(1))
    assert caught.value.exit_code == 1
    current = RunFolder(tmp_path / "r" / "suite" / "mover").current()
    assert current[0].status == "ok"
    assert 2 <= sum(row.status == "failed" for row in current) < 5


@pytest.mark.parametrize(
    ("text", "failures", "exceeded"), [("0.1", 1, False), ("0.1", 2, True), ("3", 3, False), ("0", 1, True)]
)
def test_tolerance_is_a_count_or_a_fraction(text: str, failures: int, exceeded: bool) -> None:
    assert FailureLimit.parse(text).exceeded(failures, 10) is exceeded


@pytest.mark.parametrize("text", ["-1", "many", "1.5"])
def test_an_unusable_tolerance_is_refused(text: str) -> None:
    with refuses(UsageError, ErrorKind.INVALID, "max_failures"):
        FailureLimit.parse(text)


def test_a_full_disk_ends_the_run_and_the_same_command_resumes(
    tmp_path: Path, make_case: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [make_case(n) for n in range(3)]
    real, written = write_video, []

    def full(path: Path, clip: Clip) -> None:
        if len(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        real(path, clip)

    monkeypatch.setattr("vapbench.running.generate.write_video", full)
    with pytest.raises(OSError, match="No space left"):
        run(Mover(), cases, tmp_path / "r")
    monkeypatch.undo()
    folder = RunFolder(tmp_path / "r" / "suite" / "mover")
    assert [row.status for row in folder.current()] == ["ok"]
    method = Mover()
    run(method, cases, tmp_path / "r")
    assert method.calls == [(case.id, 0) for case in cases[1:]]


def test_results_of_other_parameters_are_refused(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(0)]
    run(Mover(), cases, tmp_path / "r")
    newer = Mover()
    newer.version = 2
    with refuses(IdentityError, ErrorKind.CONFLICT, "version"):
        run(newer, cases, tmp_path / "r")
    outcome = run(newer, cases, tmp_path / "r", refresh="all")
    assert rows(outcome)[cases[0].id].status == "ok"
    assert RunFolder(tmp_path / "r" / "suite" / "mover.before-1").manifest().identity.version == 1
    other = plan(Mover(), cases, tmp_path / "r", steps=30)
    assert other.folder.path.name.startswith("mover~")


def test_a_metric_that_breaks_or_answers_nonsense_fails_its_own_rows_only(tmp_path: Path, make_case: Make) -> None:
    class Nan(Brightness):
        name = "nan"

        def score(self, clip: ClipView, case: Case) -> Score:
            return Score(float("nan"))

    outcome = run(Mover(), [make_case(0)], tmp_path / "r", metrics=[Brightness(), Nan()])
    (row,) = outcome.plan.folder.scores("nan").values()
    assert (row.status, row.value) == ("failed", None)
    assert row.failure is not None
    assert "answered nan" in row.failure.message
    (good,) = outcome.plan.folder.scores("brightness").values()
    assert good.status == "ok"


def test_a_method_without_seeds_runs_once_per_case(tmp_path: Path, make_case: Make) -> None:
    method = Mover()
    method.uses_seed = False  # type: ignore[attr-defined]
    run(method, [make_case(0)], tmp_path / "r", (0, 1, 2))
    assert len(method.calls) == 1


def test_the_same_command_ends_with_the_same_failure(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(0)]
    method = Mover({cases[0].id: raising(ValueError("x"))})
    for _ in range(2):
        with refuses(TooManyFailures, ErrorKind.LIMIT, "max_failures"):
            run(method, cases, tmp_path / "r", max_failures=FailureLimit(0.1))
    assert len(method.calls) == 1


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("0.5", "must return a Score or a number, not str"),
        (Score(1.0, {"x": float("nan")}), "JSON"),
        (Score("high"), "high"),  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_no_row_can_hold_is_a_failed_row(
    tmp_path: Path, make_case: Make, answer: Any, word: str
) -> None:
    class Odd(Brightness):
        name = "odd"

        def score(self, clip: ClipView, case: Case) -> Any:
            return answer

    outcome = run(Mover(), [make_case(0)], tmp_path / "r", metrics=[Odd(), Brightness()])
    (row,) = outcome.plan.folder.scores("odd").values()
    assert row.status == "failed"
    assert word in row.failure.message  # type: ignore[union-attr]
    assert [row.status for row in outcome.plan.folder.scores("brightness").values()] == ["ok"]


def test_numpy_numbers_are_scores(tmp_path: Path, make_case: Make) -> None:
    class Narrow(Brightness):
        def score(self, clip: ClipView, case: Case) -> Score:
            return Score(np.float32(0.5))  # type: ignore[arg-type]

    outcome = run(Mover(), [make_case(0)], tmp_path / "r", metrics=[Narrow()])
    assert [row.value for row in outcome.plan.folder.scores("brightness").values()] == [0.5]


def test_a_metric_that_cannot_be_set_up_fails_alone(tmp_path: Path, make_case: Make) -> None:
    class Broken(Brightness):
        name = "broken"

        def setup(self, device: object) -> None:
            raise RuntimeError("no such checkpoint")

    outcome = run(Mover(), [make_case(0)], tmp_path / "r", metrics=[Broken(), Brightness()])
    (row,) = outcome.plan.folder.scores("broken").values()
    assert (row.status, row.failure.message) == ("failed", "no such checkpoint")  # type: ignore[union-attr]
    assert [row.status for row in outcome.plan.folder.scores("brightness").values()] == ["ok"]


@pytest.mark.parametrize("made", ["absent.mp4", "text.mp4"])
def test_a_path_that_is_no_video_is_a_failed_row(tmp_path: Path, make_case: Make, made: str) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    case = make_case(0)
    outcome = run(Mover({case.id: lambda: tmp_path / made}), [case], tmp_path / "r")
    assert rows(outcome)[case.id].status == "failed"


def test_a_clip_of_another_size_is_noted(tmp_path: Path, make_case: Make) -> None:
    case = make_case(0)
    outcome = run(Mover({case.id: lambda: moving_clip(frames=3)}), [case], tmp_path / "r")
    row = rows(outcome)[case.id]
    assert row.note == "the clip is 3x32x48 at 8 fps; the suite asks for 5x32x48 at 8 fps"
    assert (row.frames, row.height, row.width, row.fps) == (3, 32, 48, 8.0)
    assert outcome.plan.folder.manifest().document["cases"][case.id]["clip"] == case.clip.model_dump()


def test_what_a_method_says_of_a_clip_is_kept_in_its_row(tmp_path: Path, make_case: Make) -> None:
    class Telling(Mover):
        def notes(self, case: Case) -> list[Any]:
            return [Note("turned by 90 degrees", case.id)] if case.id == one.id else ["prose"]

    one, other = make_case(0), make_case(1)
    found = rows(run(Telling(), [one, other], tmp_path / "r"))
    assert found[one.id].notes == (Note("turned by 90 degrees", one.id),)
    assert (found[other.id].status, found[other.id].notes) == ("failed", ()), "prose has no kind to be counted by"


def test_what_setup_loads_is_gone_when_the_stage_is_over(tmp_path: Path, make_case: Make) -> None:
    class Heavy(Mover):
        def setup(self, device: object) -> None:
            self.pipeline = moving_clip()

    method = Heavy()
    run(method, [make_case(0)], tmp_path / "r")
    assert not hasattr(method, "pipeline")


def test_scores_of_an_edited_caption_no_longer_count(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(0), make_case(1)]
    run(Mover(), cases, tmp_path / "r", metrics=[Brightness()])
    edited = [case.model_copy(update={"caption": "Another."}) for case in cases]
    outcome = run(Mover(), edited, tmp_path / "r")
    (table,) = summarise([outcome.plan.folder], None)
    assert table.columns == ()


def test_rows_of_other_code_no_longer_count(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(0), make_case(1)]
    outcomes = []
    for code, chosen in (("a", cases), ("b", cases[:1])):
        method = ResolvedMethod(Mover(), None, {}, {}, code=code)
        planned = plan_run("suite", "all", method, chosen, [0], tmp_path / "r")
        settings = Settings(device="cpu", max_failures=FailureLimit(100))
        outcomes.append(execute(planned, [MetricSpec(Brightness(), {}, ())], settings, Watcher()))
    (table,) = summarise([outcomes[-1].plan.folder], None)
    assert (table.cells[0][0].n, table.cells[0][0].total) == (1, 2)


def test_intervals_end_where_the_metric_does(tmp_path: Path, make_case: Make) -> None:
    class Share(Brightness):
        range = (0.0, 1.0)

        def score(self, clip: ClipView, case: Case) -> Score:
            return Score(float(case.condition == "vidu_orbit"))

    cases = [make_case(0), make_case(1, condition="move_left")]
    outcome = run(Mover(), cases, tmp_path / "r", metrics=[Share()])
    (table,) = summarise([outcome.plan.folder], "camera")
    cell = table.cells[0][0]
    assert cell.mean == 0.5
    assert 0 <= cell.low < 0.01
    assert 0.99 < cell.high <= 1

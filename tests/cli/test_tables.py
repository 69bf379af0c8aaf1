"""``report``, ``compare``, ``table`` and ``leaderboard`` as a user meets them: by exit code, output and files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.leaderboard.conftest import held_out
from tests.report.conftest import Case, Runs
from vapbench.cli import main
from vapbench.results.rows import Failure

STYLES = ("paper", "wide", "ablation")
BEGINS = {"latex": "% Needs", "markdown": "**mini", "html": "<figure", "csv": "suite,task", "json": "["}


class Done(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def vapbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, in this process."""
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["vapbench", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code or 0
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return call


def spread(level: float, conditions: int = 8, **changes: Case) -> dict[str, Case]:
    tasks = [("all", "camera") if i < 8 else ("all", "style") for i in range(2 * conditions)]
    made = {
        f"case-{i}": Case(f"condition-{i // 2}", (level + 0.01 * (i % 3),), tasks=tasks[i])
        for i in range(2 * conditions)
    }
    return made | changes


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three methods of the mini suite, one with a failure, and a floor; one run of another suite."""
    root = tmp_path_factory.mktemp("results")
    runs = Runs(root)
    for name, level in (("vap", 0.8), ("i2v", 0.5), ("frozen", 0.1)):
        runs.write(name, spread(level))
        moves = {case: Case(c.condition, (float(level > 0.3),), tasks=c.tasks) for case, c in spread(0).items()}
        runs.write(name, moves, metric="dynamic_degree[raft]")
    runs.write("lora", {**spread(0.9), "case-1": Case("condition-0", generation=Failure("OSError", "disk is full"))})
    runs.write("vap", spread(0.5), suite="other")
    (root / "source.mp4").unlink()
    return root


@pytest.fixture
def results(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them."""
    monkeypatch.setenv("VAPBENCH_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(written, tmp_path / "results"))


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_votes(path: Path) -> Path:
    rows = ["role,case,rater,question,shown,chosen"]
    rows += [f"main,case-{c},r{r},semantic,vap | i2v | frozen,vap" for r in range(6) for c in range(16)]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_report_has_a_table_per_task_and_suite(vapbench: Command, results: Path) -> None:
    done = vapbench("report", "--results", results)
    titles = [line for line in done.out.splitlines() if " cases x 1 seed" in line]
    assert [title.partition(" · 1")[0].partition(" · 8")[0] for title in titles][:3] == [
        "mini · all",
        "mini · camera",
        "mini · style",
    ]
    assert done.code == 0 and done.err == "" and "15/16" in done.out and "disk is full" in done.out
    only = vapbench("report", "--results", results, "--suite", "mini", "--task", "style").out
    assert only.count(" cases x 1 seed") == 1 and "mini · style" in only
    named = vapbench("report", results / "mini" / "vap", results / "mini" / "i2v", "-t", "all").out
    assert "vap" in named and "i2v" in named and "lora" not in named


def test_report_by_condition_as_json_and_with_votes(vapbench: Command, results: Path, tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "votes.csv")
    options = ("--results", results, "-s", "mini", "-t", "all", "--by-condition", "--votes", votes)
    text = vapbench("report", *options).out
    assert "by condition" in text and "condition-7" in text
    assert (
        "Agreement with people" in text and "semantic, of 192 preferences" in text and "Spearman over 3 methods" in text
    )
    for form in (["--json"], ["--format", "json"]):
        (table,) = json.loads(vapbench("report", *options, *form).out)
        assert [row["label"] for row in table["rows"]] == ["i2v", "vap", "lora", "frozen"]
        assert table["by_condition"] and table["human_agreement"]


@pytest.mark.parametrize("name", ["forest.pdf", "conditions.svg", "matrix.png", "human.svg", "forest:b c.pdf"])
def test_report_draws_figures(vapbench: Command, results: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "figures" / name
    votes = ["--votes", write_votes(tmp_path / "votes.csv")] if name.startswith("human") else []
    done = vapbench("report", "--results", results, "-s", "mini", "-t", "all", "--figure", path, *votes)
    assert done.code == 0 and path.stat().st_size > 1000 and done.err.strip() == str(path)


def test_report_in_vbenchs_form(vapbench: Command, results: Path) -> None:
    done = vapbench("report", results / "mini" / "vap", "--format", "vbench")
    path = results / "mini" / "vap" / "vap_eval_results.json"
    assert done.out.strip() == str(path)
    content = json.loads(path.read_text())
    assert list(content) == ["dynamic_degree"] and content["dynamic_degree"][0] == 1.0
    assert "temporal_flickering is not defined as in VBench" in done.err


def test_compare_says_which_is_better_and_in_what(vapbench: Command, results: Path) -> None:
    done = vapbench("compare", "vap", "i2v", "--suite", "mini", "--results", results, "--task", "all")
    assert done.code == 0 and done.err == ""
    assert "vap minus i2v" in done.out and "step-down max-t" in done.out and "16/16" in done.out.replace(" of ", "/")
    (table,) = json.loads(
        vapbench("compare", results / "mini" / "vap", results / "mini" / "i2v", "-t", "all", "--json").out
    )
    verdicts = {column["column"]["metric"]: column["verdict"] for column in table["columns"]}
    assert verdicts["temporal_flickering"] == "A" and verdicts["dynamic_degree[raft]"] == ""
    assert [column["yes_or_no"] for column in table["columns"]] == [True, False]


def test_notes_that_all_tables_share_are_printed_once(vapbench: Command, results: Path) -> None:
    for command in (("report",), ("compare", "vap", "i2v")):
        done = vapbench(*command, "--suite", "mini", "--results", results)
        assert done.out.count("Columns: ") == 1 and done.out.rstrip().splitlines()[-1].startswith(
            ("Columns", "Versions", "Made")
        )


def test_runs_are_named_as_tables_label_them(vapbench: Command, results: Path) -> None:
    manifest = json.loads((results / "mini" / "vap" / "manifest.json").read_text())
    manifest["identity"]["parameters"] = {"reference": "shuffled"}
    other = results / "mini" / "vap~0123abcd"
    shutil.copytree(results / "mini" / "vap", other)
    (other / "manifest.json").write_text(json.dumps(manifest))
    options = ("-s", "mini", "-t", "all", "--results", results)
    done = vapbench("compare", "vap reference=shuffled", "vap", *options)
    assert done.code == 0 and "A = " in done.out, done.err
    done = vapbench("report", "vap", "vap reference=shuffled", *options)
    assert done.code == 0 and "vap reference=shuffled" in done.out and "lora" not in done.out
    done = vapbench("table", "vap", "i2v", *options)
    assert done.code == 0 and "| i2v |" in done.out and "lora" not in done.out
    assert "Did you mean vap reference=shuffled" in vapbench("report", "vap reference=shufled", *options).err


@pytest.mark.parametrize("format_", BEGINS)
@pytest.mark.parametrize("style", STYLES)
def test_a_table_of_every_style_in_every_format(vapbench: Command, results: Path, style: str, format_: str) -> None:
    done = vapbench("table", "--results", results, "-s", "mini", "--style", style, "--format", format_)
    assert done.code == 0 and done.err == "" and done.out.startswith(BEGINS[format_])
    for name in ("vap", "i2v", "lora", "frozen"):
        assert name in done.out
    # Three tasks make three tables, and still one well-formed text.
    if format_ == "json":
        assert [table["task"] for table in json.loads(done.out)] == ["all", "camera", "style"]
    elif format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(done.out)))
        assert len(rows) == 3 * 4 * 2 and {row["task"] for row in rows} == {"camera", "style", "all"}
    else:
        assert done.out.count({"latex": r"\toprule", "html": "</table>", "markdown": "**mini"}[format_]) == 3
        assert "\N{DAGGER}" in done.out or "dagger" in done.out or style != "ablation"
        # The paper has no column of the metric that lora has; the others say what became of its case.
        assert ("disk is full" in done.out) == (style != "paper") and "not ranked" in done.out


def test_a_table_goes_into_a_file(vapbench: Command, results: Path, tmp_path: Path) -> None:
    path = tmp_path / "paper" / "table.tex"
    options = (
        "--results",
        results,
        "-s",
        "mini",
        "--published",
        "--format",
        "latex",
        "--standalone",
        "--width",
        "page",
    )
    done = vapbench("table", *options, "--mark", "significant", "--reference", "i2v", "--out", path)
    assert (done.code, done.out.strip(), done.err) == (0, str(path), "")
    text = path.read_text()
    assert text.startswith(r"\documentclass") and text.count(r"\begin{document}") == text.count(r"\end{document}") == 1
    # Three tasks, and the paper's table by itself: its numbers are of another suite.
    assert text.count(r"\toprule") == 4 and "not significantly worse" in text
    assert text.count("arXiv:2510.20888)") == 1 and "& 24.13" in text.split(r"\toprule")[-1]
    assert r"\dagger" in text


def test_a_table_has_what_people_preferred(vapbench: Command, results: Path, tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "votes.csv")
    options = ("--results", results, "-s", "mini", "-t", "all", "--votes", votes)
    text = vapbench("table", *options, "--style", "wide").out
    assert "Preference rate ↑" in text and "192 votes of 12 raters on 16 cases" not in text
    assert "96 votes of 6 raters on 16 cases" in text
    (table,) = json.loads(vapbench("table", *options, "--format", "json").out)
    shares = {row["label"]: row["cells"][-1] for row in table["rows"]}
    assert (shares["vap"]["mean"], shares["i2v"]["mean"], shares["lora"]["mean"]) == (1.0, 0.0, None)
    assert shares["frozen"]["ranks"] is None and shares["vap"]["votes"] == 96
    (tmp_path / "exclusions.jsonl").write_text('{"rater":"r0","excluded":"failed the checks","flags":[]}\n')
    assert "80 votes of 5 raters on 16 cases" in vapbench("table", *options).out


def test_published_rows_alone_need_no_runs(vapbench: Command, tmp_path: Path) -> None:
    done = vapbench("table", "--published", "--results", tmp_path / "none")
    assert done.code == 0 and "Video-As-Prompt (VAP)" in done.out and "38.7" in done.out


def test_leaderboard_pack_check_and_build(
    vapbench: Command, results: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAPBENCH_CACHE", str(cache))
    (tmp_path / "runs").mkdir()
    home = tmp_path / "leaderboard"
    out = home / "submissions" / "mine"
    said = ("--submitter", "A Lab", "--contact", "bench@example.org", "--licence", "CC-BY-4.0")
    code = ("--repository", "https://example.org/code", "--commit", "0123abc")
    run = Runs(tmp_path / "runs").write("mine", held_out(0.6)).path
    packed = vapbench("leaderboard", "pack", run, out, *said, *code)
    assert packed.code == 0 and f"vapbench leaderboard check {out}" in packed.out
    for folder in (out, out.parent):
        checked = vapbench("leaderboard", "check", folder)
        assert (checked.code, checked.out.split()) == (0, ["ok", str(out)])
    (tmp_path / "none").mkdir()
    assert vapbench("leaderboard", "check", tmp_path / "none").out == f"no submissions in {tmp_path / 'none'}\n"
    built = vapbench("leaderboard", "build", "--results", results, "--leaderboard", home)
    assert built.code == 0 and built.out.startswith(str(home / "site" / "index.html"))
    assert (home / "site" / "method" / "mini" / "mine-submitted.html").is_file()
    assert list((home / "site" / "media").glob("*.mp4"))
    bare = vapbench(
        "leaderboard", "build", "--results", results, "--leaderboard", home, "--no-videos", "--out", home / "b"
    )
    assert bare.code == 0 and not (home / "b" / "media").exists()
    (out / "evil.py").write_text("import os")
    bad = vapbench("leaderboard", "check", out)
    assert bad.code == 3 and "evil.py" in bad.out and "alone" in bad.out
    again = ("leaderboard", "build", "--results", results, "--leaderboard", home, "--no-videos")
    without = vapbench(*again)
    assert without.code == 0 and "evil.py" in without.err
    assert not (home / "site" / "method" / "mini" / "mine-submitted.html").exists()
    assert vapbench(*again, "--strict").code == 3


MISTAKES = [
    ("report --results R -t camra", 2, "Did you mean camera?"),
    ("report --results R -s mino", 2, "of suite mino; make one: vapbench run --help"),
    ("show R/mini", 3, "is no run folder"),
    ("report vpa -s mini --results R", 2, "Did you mean vap?"),
    ("report --results R -s mini --votes R/none.csv", 3, "none.csv: No such file"),
    ("report --results R -s mini --votes R/mini/vap/manifest.json", 3, "is no votes.csv of a study"),
    ("report --results R -s mini --votes V", 3, "no vote is on cases and methods of these runs"),
    ("report --results R -s mini --figure R/pie.pdf", 2, "pie.pdf"),
    ("report --results R -s mini --figure R/forest.gif", 2, "forest.gif"),
    ("report --results R --format xml", 2, "'xml' is not one of"),
    ("report R/mini/lora --format vbench", 3, "No run has a complete column of VBench's definition"),
    ("compare vap i2w -s mini --results R", 2, "Did you mean i2v?"),
    ("compare vap i2v --results R", 2, "name one of these folders"),
    ("compare R/mini/vap R/other/vap", 3, "they share no case"),
    ("compare vap i2v -s mini --results R -t camra", 2, "Did you mean camera?"),
    ("compare vap vap -s mini --results R", 2, "with itself"),
    ("table --results R --style fancy", 2, "'fancy' is not one of"),
    ("table --results R --format pdf", 2, "'pdf' is not one of"),
    ("table --results R --mark best", 2, "'best' is not one of"),
    ("table --results R -s mini --reference vpa --out R/t.md", 2, "Did you mean vap?"),
    ("table --results R -s mini --standalone --out R/t.md", 2, "write --format latex"),
    ("table --results R/none --out R/t.md", 2, "make one: vapbench run --help"),
    ("table R/none --out R/t.md", 3, "is no run folder"),
    ("table --results R -s mini --votes V --out R/t.md", 3, "no vote is on cases and methods of these runs"),
    ("table --results R -s mini --votes R/none.csv --out R/t.md", 3, "none.csv: No such file"),
    ("leaderboard check R/none", 2, "no such folder"),
    ("leaderboard check R/mini/vap", 3, "it has no submission.json; make a submission of a run"),
    ("leaderboard build --results R --leaderboard R --out R/mini", 2, "holds something else than a site"),
    ("leaderboard pack R/none R/s --submitter a --contact a@b.c --licence x", 3, "is no run folder"),
    ("leaderboard pack R/mini/vap R/mini/i2v --submitter a --contact a@b.c --licence x", 2, "is there already"),
    ("leaderboard pack R/mini/vap R/s --submitter a --contact a@b.c --licence x --commit 0123abc", 2, "go together"),
    (
        "leaderboard pack R/mini/vap R/s --submitter a --contact a@b.c --licence x --repository x --commit 0123abc",
        2,
        "--repository x is not an http(s) link",
    ),
]


@pytest.mark.parametrize(("command", "code", "sentence"), MISTAKES, ids=[command for command, _, _ in MISTAKES])
def test_a_mistake_gets_one_sentence_and_writes_nothing(
    vapbench: Command, results: Path, tmp_path: Path, command: str, code: int, sentence: str
) -> None:
    stray = tmp_path / "stray.csv"
    stray.write_text("role,case,rater,question,shown,chosen\nmain,elsewhere,r,q,a | b,a\n")
    before = files(results)
    arguments = [{"V": str(stray)}.get(word, word.replace("R", str(results), 1) if word[0] == "R" else word)
                 for word in command.split()]  # fmt: skip
    done = vapbench(*arguments)
    said = done.err if "leaderboard check R/mini" not in command else done.out
    assert done.code == code
    assert sentence in " ".join(said.split()), said
    assert "Traceback" not in said and len(said.strip().splitlines()) <= (6 if "is not one of" in sentence else 2)
    assert files(results) == before


def test_a_column_can_be_left_out(vapbench: Command, results: Path) -> None:
    for command in (("report",), ("table", "--style", "wide")):
        done = vapbench(*command, "--metric", "dynamic_degree", "--suite", "mini", "--results", results)
        assert "Dynamic degree" in done.out and "flickering" not in done.out
    unknown = vapbench("table", "--metric", "dynamic_degre", "--results", results)
    assert (unknown.code, "Did you mean dynamic_degree[raft]?" in unknown.err) == (2, True)


def test_one_run_by_two_paths_is_one_row(vapbench: Command, results: Path) -> None:
    (results / "mini" / "alias").symlink_to(results / "mini" / "vap", target_is_directory=True)
    done = vapbench("report", "--suite", "mini", "--task", "all", "--results", results)
    assert sum(line.startswith(("vap", "alias")) for line in done.out.splitlines()) == 1
    twice = vapbench(
        "report", "vap", results / "mini" / "vap", "--suite", "mini", "--task", "all", "--results", results
    )
    assert sum(line.startswith("vap") for line in twice.out.splitlines()) == 1 and not twice.err


def test_equal_runs_of_two_places_are_one_row_and_different_ones_are_reported(
    vapbench: Command, results: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy" / "mini" / "vap"
    shutil.copytree(results / "mini" / "vap", copy)
    # What was made again on another day: equal results, other times.
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["sessions"][0]["started"] = "2026-01-01T00:00:00+00:00"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    command = ("report", results / "mini" / "vap", copy, "--task", "all")
    done = vapbench(*command)
    assert sum(line.startswith("vap") for line in done.out.splitlines()) == 1 and not done.err
    rows = copy / "scores" / "temporal_flickering.jsonl"
    rows.write_text("".join(line + "\n" for line in rows.read_text().splitlines()[:-1]))
    done = vapbench(*command)
    assert sum(line.startswith("vap [") for line in done.out.splitlines()) == 2
    assert "vap of suite mini is there 2 times with different rows" in done.err


def test_a_run_is_found_by_its_label_as_typed_and_by_its_methods_name(vapbench: Command, tmp_path: Path) -> None:
    runs = Runs(tmp_path / "r")
    run = runs.write("ken-burns", spread(0.5), folder="ken-burns~0", parameters={"zoom": 2.0})
    manifest = json.loads(run.manifest_path.read_text())
    manifest["card"]["changed"] = {"zoom": 2.0}
    run.manifest_path.write_text(json.dumps(manifest))
    for name in ("ken-burns", "ken-burns zoom=2.0", "ken-burns:zoom=2.0", "ken-burns~0"):
        done = vapbench("report", name, "--task", "all", "--results", tmp_path / "r")
        assert "ken-burns zoom=2.0  " in done.out, done.err


def test_show_takes_several_runs_and_says_what_a_case_is(vapbench: Command, results: Path) -> None:
    done = vapbench("show", "vap", "i2v", "--results", results / "mini" / "..", "--case", "case-3")
    assert done.code == 2 and "name one of these folders" in done.err
    folders = (results / "mini" / "vap", results / "mini" / "i2v")
    done = vapbench("show", *folders, "--case", "case-3")
    assert done.code == 0 and done.out.strip() == str(results / "mini" / "show-vap-i2v.html")
    slip = vapbench("show", folders[0], "case-3")
    assert slip.code == 2 and f"case-3 is a case, not a run; try: vapbench show {folders[0]} --case case-3" in slip.err


def test_a_figure_that_cannot_be_drawn_stops_no_other(vapbench: Command, results: Path, tmp_path: Path) -> None:
    alone = ("report", results / "mini" / "vap", "-t", "all")
    done = vapbench(*alone, "--figure", tmp_path / "matrix.pdf", "--figure", tmp_path / "forest.pdf")
    assert done.code == 2 and "matrix.pdf: A matrix needs two methods" in " ".join(done.err.split())
    assert (tmp_path / "forest.pdf").stat().st_size > 1000 and not (tmp_path / "matrix.pdf").exists()

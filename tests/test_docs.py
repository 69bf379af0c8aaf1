"""The examples in docs/ are executed as they stand."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.main import get_command

import vapbench
from tests.command import vapbench as run_command
from tests.conftest import moving_clip
from tests.test_layers import imports
from vapbench.core.video import write_video

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMITS = {"guides/add-a-metric.md": ("sharpness.py", 13), "guides/add-a-method.md": ("my_method/method.py", 18)}


def blocks(page: str) -> list[tuple[str, str, str]]:
    return [match.groups("") for match in BLOCK.finditer((DOCS / page).read_text(encoding="utf-8"))]  # type: ignore[misc]


def files_of_own_cases(folder: Path) -> None:
    """The files that the example's table names."""
    folder.mkdir()
    for number, name in enumerate(("orbit", "hop", "truth")):
        write_video(folder / f"{name}.mp4", moving_clip(number))
    Image.fromarray(moving_clip(3).frames[0]).save(folder / "start.png")


@pytest.mark.parametrize(
    "page",
    [
        "guides/add-a-metric.md",
        "guides/add-a-method.md",
        "guides/add-a-task.md",
        "reference/suites.md",
        "guides/own-cases.md",
    ],
)
def test_the_examples_of_a_page_work(page: str, tmp_path: Path) -> None:
    if page == "guides/own-cases.md":
        files_of_own_cases(tmp_path / "my_cases")
    ran = 0
    for language, title, text in blocks(page):
        if title:
            (tmp_path / title).parent.mkdir(exist_ok=True)
            (tmp_path / title).write_text(text, encoding="utf-8")
        elif language == "console":
            for line in text.splitlines():
                arguments = shlex.split(line.removeprefix("$ "))
                assert arguments[0] == "vapbench"
                done = run_command(*arguments[1:], cwd=tmp_path, columns=120)
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                ran += 1
    assert ran


def test_the_page_of_the_python_api_runs_as_a_notebook_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = [text for language, _, text in blocks("start/python.md") if language == "python"]
    (tmp_path / "page.py").write_text("\n".join(code), encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("VAPBENCH_") and name != "VAPBENCH_CACHE"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")
        runpy.run_path("page.py", run_name="__main__")
    assert "frozen minus noise" in capsys.readouterr().out


def test_the_page_of_the_python_api_lists_the_columns_of_the_frame() -> None:
    from vapbench.report.read.frame import SCHEMA

    page = (DOCS / "start" / "python.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (\w+ \| .+) \|$", page, re.MULTILINE)) == {
        name: f"{kind} | {meaning}" for name, (kind, meaning) in SCHEMA.items()
    }


@pytest.mark.parametrize("path", sorted((DOCS / "reference" / "metrics").glob("*.md")), ids=lambda path: path.stem)
def test_a_metrics_page_is_complete_and_its_example_holds(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for part in ("Formula.", "Range, direction.", "Needs.", "Weights, licence.", "## Caveats", "## Example"):
        assert part in text, f"{path.name} lacks {part}"
    examples = [code for language, _, code in blocks(f"reference/metrics/{path.name}") if language == "python"]
    assert examples
    for code in examples:
        exec(compile(code, str(path), "exec"), {})
    for link in re.findall(r"\]\(([\w.-]+\.md)\)", text):
        assert (path.parent / link).is_file(), f"{path.name} links to {link}"


def test_every_built_in_metric_has_a_page_of_its_own() -> None:
    from vapbench.metrics import REGISTRY, sets

    for name in [entry.name for registry in (REGISTRY, sets.REGISTRY) for entry in registry if entry.point is None]:
        page = DOCS / "reference" / "metrics" / f"{name.replace('[', '-').rstrip(']')}.md"
        assert page.is_file(), f"{name} has no {page.name}"
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# `{name}`\n"), f"{page.name} is not headed by {name}"
        # Every page has its parts in one order, so that a reader finds the same thing in the same place.
        parts = ("**Formula.**", "**Range, direction.**", "**Needs.**", "**Weights, licence.**", "**Parameters.**")
        places = [text.find(part) for part in (*parts, "**Parts.**", "## Caveats", "## Example")]
        assert -1 not in places, f"{page.name} lacks a part"
        assert places == sorted(places), f"{page.name} has its parts in another order"


def test_every_metric_of_vbenchs_has_a_page_in_the_index() -> None:
    index = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    for path in (DOCS / "reference" / "metrics").glob("*.md"):
        assert f"(metrics/{path.name})" in index, f"docs/reference/metrics.md does not link to {path.name}"


@pytest.mark.parametrize("page", LIMITS)
def test_an_extension_stays_short(page: str) -> None:
    title, limit = LIMITS[page]
    (text,) = [text for _, name, text in blocks(page) if name == title]
    assert sum(1 for line in text.splitlines() if line.strip()) <= limit


def pages() -> list[Path]:
    """Every page of the repository."""
    folders = [ROOT / name for name in ("docs", "baselines", "benchmarks", "examples", "leaderboard")]
    return sorted([*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))])


FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def typed_commands(text: str) -> Iterator[str]:
    """What a page shows as typed into a terminal: in a sentence, or on lines of their own."""
    joined = text.replace("\\\n", " ")
    for block in FENCED.findall(joined):
        yield from re.findall(r"^(?:\$ )?vapbench ([^#\n]+)", block, re.MULTILINE)
    yield from re.findall(r"`vapbench ([^`]+)`", FENCED.sub("", joined))


def test_every_command_the_docs_name_exists() -> None:

    from vapbench.cli import app

    for path in pages():
        if path == DOCS / "reference" / "cli.md":
            continue
        for typed in typed_commands(path.read_text(encoding="utf-8")):
            command: Any = get_command(app)
            for part in re.split(r"\|\||&&|;", typed)[0].split():
                word = part.split("|")[0]
                inner = getattr(command, "commands", {})
                if word in inner:
                    command = inner[word]
                elif "targets" in inner:  # check TARGET…
                    command = inner["targets"]
                elif word.startswith("--"):
                    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
                    assert word.partition("=")[0] in {*known, "--help"}, f"{path.name}: vapbench {typed}"
                else:
                    assert not inner or word in "…", f"{path.name}: vapbench {typed}"


def anchors(text: str) -> set[str]:
    """What headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_of_the_project_that_a_page_names_exist(path: Path) -> None:
    """A name with a folder is a file of the project; those of other people's code are listed here."""
    elsewhere = ("infer/", "inference/", "my_method/")
    for name in re.findall(r"`([\w.-]+/[\w./-]+\.(?:py|sh|yaml))`", path.read_text(encoding="utf-8")):
        if not name.startswith(elsewhere):
            assert any((root / name).exists() for root in (ROOT, ROOT / "vapbench", path.parent)), (
                f"{path.name} names {name}"
            )


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists() and target.is_relative_to(ROOT), f"{path.name} links to {link}"
        if path.is_relative_to(DOCS):
            assert target.is_relative_to(DOCS), f"{path.name} links to {link}, which is no part of the site"
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{path.name} links to {link}"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in (["docs/scripts/write_cli.py"], ["-m", "zensical", "build", "--strict"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "build" / "docs"
    made = {path.parent.relative_to(site).as_posix() for path in site.rglob("index.html")}
    assert {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")} - made <= {"index"}
    text = (site / "reference" / "api" / "index.html").read_text(encoding="utf-8")
    assert not re.search(r":\w+:(<code>|`)", text), "a docstring's role is shown as it is written"
    for name in set(vapbench.__all__) - {"__version__"}:
        assert f'id="{getattr(vapbench, name).__module__}.{name}"' in text, f"docs/reference/api.md lacks {name}"


def test_the_citation_and_the_changelog_are_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == vapbench.__version__
    assert {"cff-version", "message", "title", "authors", "license"} <= citation.keys()
    assert f"\n## {vapbench.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_walk_through_a_run_only_goes_down() -> None:
    page = (DOCS / "design" / "architecture.md").read_text(encoding="utf-8")
    walk = re.findall(r"^\| `([\w/]+)\.py` \|", page.partition("## A plan, followed through a run")[2], re.MULTILINE)
    assert 3 <= len(walk) <= 5
    for place, module in enumerate(walk):
        assert not imports()[module] & set(walk[:place]), f"{module} imports what stands above it"
    for path in re.findall(r"`((?:cli|running|results|report|core|metrics|stats|files)/[\w/]+\.py)`", page):
        assert (ROOT / "vapbench" / path).is_file(), f"the page names {path}"


def test_the_committed_tables_are_those_of_the_committed_rows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "scripts" / "write_tables.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made, kept = ({path.name: path.read_text() for path in folder.iterdir()} for folder in (tmp_path, DOCS / "tables"))
    assert sorted(made) == sorted(kept), "run: make tables"
    for name, text in made.items():
        assert text == kept[name], f"docs/tables/{name} is not of these rows; run: make tables"


def test_the_mini_suites_page_shows_the_committed_rows() -> None:
    command = [sys.executable, str(DOCS / "scripts" / "mini_tables.py"), str(DOCS.parent / "results" / "mini")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    page = (DOCS / "start" / "mini.md").read_text(encoding="utf-8")
    for table in printed.strip().split("\n\n"):
        assert table in page, (
            "docs/start/mini.md is not of these rows; run: python docs/scripts/mini_tables.py results/mini"
        )


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_the_committed_tables_compile(tmp_path: Path) -> None:
    inputs = "".join(f"\\input{{{path.as_posix()}}}\n" for path in sorted((DOCS / "tables").glob("*.tex")))
    head = "\\documentclass{article}\\usepackage[landscape,margin=1cm]{geometry}\\usepackage{booktabs}"
    (tmp_path / "tables.tex").write_text(f"{head}\\begin{{document}}\n{inputs}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Overfull" not in done.stdout and "undefined" not in done.stdout

"""The examples in docs/ are executed as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command

from tests.conftest import moving_clip
from vapbench import cli
from vapbench.core.video import write_video

DOCS = Path(__file__).parents[1] / "docs"
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
                done = subprocess.run(
                    [sys.executable, "-m", *arguments],
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    env={**os.environ, "COLUMNS": "120"},
                    check=False,
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                ran += 1
    assert ran


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


def commands_of_the_docs() -> Iterator[tuple[str, str]]:
    """Page and what follows ``vapbench``, in running text and in blocks of code."""
    for path in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        code = "\n".join(re.findall(r"^ *```.*?^ *```", text, re.MULTILINE | re.DOTALL))
        lines = re.findall(r"^ *(?:\$ )?vapbench (.+)", code, re.MULTILINE)
        for line in [*lines, *re.findall(r"`vapbench ([^`\n]+)`", text)]:
            yield path.name, re.split(r"[|#;&]", line)[0].strip()


def test_every_command_and_option_the_docs_name_exists() -> None:
    app: Any = get_command(cli.app)
    named = list(commands_of_the_docs())
    assert len(named) > 100
    for page, line in named:
        words, command = line.split(), app
        while words and words[0] in getattr(command, "commands", ()):
            command = command.commands[words.pop(0)]
        inner = getattr(command, "commands", {})
        assert "targets" in inner or not (inner and words and re.match("[a-z]", words[0])), f"{page}: vapbench {line}"
        known = {name for each in inner.get("targets", command).params for name in (*each.opts, *each.secondary_opts)}
        unknown = [word for word in words if re.match("--?[a-z]", word) and word.split("=")[0] not in known]
        assert not set(unknown) - {"--help", "-h"}, f"{page}: vapbench {line}"


def test_the_committed_tables_are_those_of_the_committed_rows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "scripts" / "write_tables.py", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made, kept = ({path.name: path.read_text() for path in folder.iterdir()} for folder in (tmp_path, DOCS / "tables"))
    assert sorted(made) == sorted(kept), "run: make tables"
    for name, text in made.items():
        assert text == kept[name], f"docs/tables/{name} is not of these rows; run: make tables"


def test_the_mini_suites_page_shows_the_committed_rows() -> None:
    command = [sys.executable, DOCS / "scripts" / "mini_tables.py", DOCS.parent / "results" / "mini"]
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

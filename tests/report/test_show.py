"""Specification of the page of a run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from tests.refusals import refuses
from vapbench.core.video import probe, write_video
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.page.page import write_page
from vapbench.results.rows import Failure
from vapbench.results.run import RunFolder

from .conftest import Case, Runs, clip

pytestmark = pytest.mark.usefixtures("metric_data")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & {{ 7 * 7 }} \ud800 \x00"


class Page(HTMLParser):
    """Tags and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._raw = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if not self._raw:
            self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """Attributes of every ``tag`` whose attributes include ``wanted``."""
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]


def page(run: RunFolder, case: str | None = None) -> Page:
    return Page(write_page([run], run.path / "show.html", case).read_text(encoding="utf-8"))


def decode(uri: str | None) -> bytes:
    assert uri is not None and uri.startswith("data:")
    return base64.b64decode(uri.partition(",")[2])


@pytest.fixture
def files(runs: Runs) -> dict[str, str]:
    """A reference larger than the output, a ground truth as large as it, and a first frame."""
    write_video(runs.root / "large.mp4", clip(1, height=64, width=96))
    write_video(runs.root / "target.mp4", clip(2))
    Image.fromarray(clip(3).frames[0]).save(runs.root / "image.png")
    names = {"reference": "large.mp4", "target": "target.mp4", "image": "image.png"}
    return {name: str(runs.root / file) for name, file in names.items()}


def test_reference_first_frame_output_and_ground_truth_stand_side_by_side(runs: Runs, files: dict[str, str]) -> None:
    run = runs.write("vap", {"a": Case("zoom", (0.5,), extra=files)})
    shown = page(run)
    labels = [attrs["aria-label"] for attrs in shown.all("video")]
    assert labels == ["Reference", "Output", "Ground truth"]
    reference, output, target = (decode(attrs["src"]) for attrs in shown.all("video"))
    assert output == next(run.videos.iterdir()).read_bytes(), "outputs are embedded byte for byte"
    assert target == Path(files["target"]).read_bytes(), "so is what is no larger"
    preview = runs.root / "preview.mp4"
    preview.write_bytes(reference)
    assert (probe(preview).width, probe(preview).height, probe(preview).frames) == (48, 32, 8)
    assert "64x96, 8 frames at 8 fps, shown as a 32x48 preview" in shown.text
    assert [attrs["alt"] for attrs in shown.all("img")] == ["First frame"]


def test_it_works_without_scripts(runs: Runs, files: dict[str, str]) -> None:
    shown = page(runs.write("vap", {"a": Case("zoom", (0.5,), extra=files)}))
    for attrs in shown.all("video"):
        assert {"controls", "muted", "playsinline", "src", "poster"} <= attrs.keys()
        assert attrs["preload"] == "none" and "autoplay" not in attrs
    for name in ("filters", "transport"):
        assert any("hidden" in attrs for _, attrs in shown.tags if attrs.get("id") == name)


def test_nothing_comes_from_elsewhere(runs: Runs, files: dict[str, str]) -> None:
    shown = page(runs.write("vap", {"a": Case("zoom", (0.5,), extra=files)}))
    for tag, attrs in shown.tags:
        for name in ("src", "href", "poster", "srcset", "action", "data"):
            if (value := attrs.get(name)) and tag not in ("a", "use"):
                assert value.startswith("data:"), (tag, name, value[:60])
        if tag in ("a", "use"):
            assert (attrs.get("href") or "").startswith("#")
        assert "style" not in attrs and not any(name.startswith("on") for name in attrs)
    assert "http://" not in shown.html and "https://" not in shown.html


def test_the_policy_admits_the_page_s_own_style_and_script_alone(runs: Runs) -> None:
    shown = page(runs.write("vap", {"a": Case("zoom")}))
    (policy,) = (attrs["content"] for attrs in shown.all("meta") if "http-equiv" in attrs)
    assert policy is not None and policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", shown.html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_text_from_files_stays_text(runs: Runs) -> None:
    valid = HOSTILE.replace("\ud800", "")
    run = runs.write("vap", {"a": Case("a", generation=valid), "b": Case("b", (valid,))})
    manifest = json.loads(run.manifest_path.read_text(encoding="utf-8"))
    names = ("condition", "category", "caption", "reference_caption")
    manifest["cases"]["a"] |= {**dict.fromkeys(names, HOSTILE), "tasks": [HOSTILE]}
    manifest["identity"] |= {"name": HOSTILE, "parameters": {HOSTILE: HOSTILE}}
    manifest["sessions"][-1] |= {"argv": [HOSTILE], "device": HOSTILE}
    run.manifest_path.write_text(json.dumps(manifest), encoding="utf-8")
    shown = page(run)
    assert len(shown.all("script")) == 1 and not shown.all("img")
    assert "{{ 7 * 7 }}" in shown.text and "<script>alert(1)</script>" in shown.text
    assert "\x00" not in shown.html and "\N{REPLACEMENT CHARACTER}" in shown.text


def test_every_score_says_why(runs: Runs) -> None:
    shown = page(
        runs.write(
            "vap",
            {
                "scored": Case("a", (0.25, 0.75)),
                "unscored": Case("b", ("the case has no caption",)),
                "score-failed": Case("c", (Failure("JudgeError", "no JSON", "line 1\nline 2"),)),
                "crashed": Case("d", generation=Failure("OutOfMemoryError", "no room", "in generate")),
                "missing": Case("e", generation=""),
            },
        )
    )
    for text in (
        "50.0 mean of 2 seeds",
        "Seed 0: 25.0",
        "per pair",
        "4 values, 1 to 5",
        "temporal_flickering v1",
        "the case has no caption",
        "JudgeError: no JSON",
        "line 1\nline 2",
        "Failed. OutOfMemoryError: no room",
        "in generate",
        "Not generated yet.",
        "n = 1/5",
        "2 failed, 1 unscored, 1 missing",
    ):
        assert text in re.sub(r"[ \t]+", " ", shown.text), text


def test_what_is_not_there_is_named(runs: Runs, files: dict[str, str]) -> None:
    gone = {**files, "reference": "/data/moved/reference.mp4"}
    run = runs.write("vap", {"a": Case("zoom", (0.5,), extra=gone), "b": Case("zoom", (0.5,), extra=files)})
    first, second = sorted(run.videos.iterdir())
    first.unlink()
    second.write_bytes(b"something else")
    Path(files["target"]).write_bytes(b"not a video")
    text = page(run).text
    assert "/data/moved/reference.mp4 is not there" in text
    assert f"{first} is not there" in text
    assert f"{second} is not the file that was generated" in text
    assert "target.mp4: not a readable video" in text


def test_the_head_says_how_the_run_was_made(runs: Runs) -> None:
    run = runs.write(
        "vap", {"a": Case("a")}, parameters={"steps": 50}, weights={"transformer": "f" * 64}, folder="vap~1"
    )
    manifest = json.loads(run.manifest_path.read_text(encoding="utf-8"))
    manifest["sessions"][-1] |= {
        "git": {"commit": "0123456789abcdef", "dirty": True},
        "device": "cpu",
        "packages": {"torch": "2.8.0"},
        "argv": ["vapbench", "run"],
    }
    run.manifest_path.write_text(json.dumps(manifest), encoding="utf-8")
    shown = page(run)
    for text in (
        "vap v1",
        "steps 50",
        "transformer ffffffffffff",
        "0123456789ab with uncommitted changes",
        "cpu",
    ):
        assert text in shown.text
    assert "torch 2.8.0" in shown.text and "vapbench run" in shown.text
    assert shown.all("dd", title="transformer " + "f" * 64)


def test_one_case_alone(runs: Runs) -> None:
    run = runs.write("vap", {name: Case(name) for name in ("first", "second")})
    assert len(page(run, "second").all("article")) == 1
    with refuses(UsageError, ErrorKind.UNKNOWN, "case", "Did you mean second"):
        page(run, "secnd")


def test_equal_runs_give_equal_pages(runs: Runs, files: dict[str, str]) -> None:
    run = runs.write("vap", {"a": Case("zoom", (0.5,), extra=files)})
    assert page(run).html == page(run).html


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "manifest.json", "no run folder"):
        write_page([RunFolder(tmp_path)], tmp_path / "page.html")


def test_files_are_found_below_the_media_root_of_their_case(runs: Runs, files: dict[str, str]) -> None:
    relative = {name: Path(path).name for name, path in files.items()}
    run = runs.write("vap", {"a": Case("zoom", (0.5,), extra={**relative, "media": str(runs.root)})})
    assert len(page(run).all("video")) == 3


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_browser_runs_it(runs: Runs, files: dict[str, str], tmp_path: Path) -> None:
    run = runs.write("vap", {"a": Case("zoom", (0.5,), extra=files), "b": Case("pan", (0.7,), extra=files)})
    output = write_page([run], tmp_path / "page.html")
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    dump = subprocess.run(
        [str(CHROMIUM), *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900",
         "--enable-logging=stderr", "--virtual-time-budget=1500", "--dump-dom", output.as_uri()],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert "Content Security Policy" not in dump.stderr and "Uncaught" not in dump.stderr
    shown = Page(dump.stdout)
    assert "2 cases" in shown.text
    assert not any("hidden" in attrs for _, attrs in shown.tags if attrs.get("id") in ("filters", "transport"))
    assert not any("controls" in attrs for attrs in shown.all("video")), "one transport replaces the players' own"


def together(*runs: RunFolder, case: str | None = None) -> Page:
    return Page(write_page(runs, runs[0].path / "together.html", case).read_text(encoding="utf-8"))


def test_several_runs_show_each_case_side_by_side(runs: Runs, files: dict[str, str]) -> None:
    lost = Failure("OSError", "no room", "trace")
    left = runs.write("vap", {"a": Case("zoom", (0.5,), extra=files), "b": Case("pan", (0.9,), extra=files)})
    right = runs.write(
        "i2v", {"a": Case("zoom", (0.4,), extra=files), "b": Case("pan", generation=lost), "c": Case("pan", (0.1,))}
    )
    shown = together(left, right)
    labels = [attrs["aria-label"] for attrs in shown.all("video")]
    assert labels == [
        *("Reference", "Output of vap", "Output of i2v", "Ground truth"),
        *("Reference", "Output of vap", "Ground truth", "Output of i2v"),
    ]
    assert "OSError: no room" in shown.text and "50.0" in shown.text and "40.0" in shown.text
    cases = shown.all("article")
    # Disagreement, condition, and the score of each run; empty where there is none.
    values = [str(attrs["data-values"]).split(" ") for attrs in cases]
    assert [float(value) for value in values[0]] == pytest.approx([0.1, 1.0, 0.5, 0.4])
    assert values[1] == ["", "0.0", "0.9", ""] and values[2] == ["", "0.0", "", "0.1"]
    options = re.findall(r'<option value="([^"]+)">([^<]+)</option>', shown.html)
    assert ("0 -1", "disagreement in flicker") in options and ("3 1", "i2v: flicker, worst first") in options
    assert len(together(left, right, case="a").all("article")) == 1


def test_a_page_of_several_runs_is_self_contained_and_escapes(runs: Runs) -> None:
    hostile = {"a": Case("zoom", (0.5,), extra={"caption": HOSTILE}, noted={"note": HOSTILE})}
    shown = together(runs.write("vap", hostile), runs.write("i2v", hostile))
    assert len(shown.all("script")) == 1 and not shown.all("img", src="x")
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", shown.html)


def test_runs_of_two_suites_have_no_page_together(runs: Runs) -> None:
    one, other = runs.write("vap", {"a": Case("a")}), runs.write("vap", {"a": Case("a")}, suite="other")
    with refuses(DataError, ErrorKind.CONFLICT, "suite"):
        together(one, other)

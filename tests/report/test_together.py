"""Several runs on one page, in a real browser."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vapbench.core.video import write_video
from vapbench.report.page.page import write_page

from .conftest import Case, Runs, clip

if TYPE_CHECKING:
    from playwright.sync_api import Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("VAPBENCH_BROWSER") == "required"
pytestmark = [
    pytest.mark.usefixtures("metric_data"),
    pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason="no chromium here: apt-get install chromium"),
]
FRAME = 1 / clip().fps
TIMES = "[...document.querySelectorAll('video[src]')].map((video) => video.currentTime)"


@pytest.fixture(scope="module")
def open_browser() -> Iterator[Callable[..., Any]]:
    assert CHROMIUM is not None, "continuous integration needs a browser: apt-get install chromium"
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM)
        yield chromium.new_context
        chromium.close()


@pytest.fixture
def together(runs: Runs) -> Path:
    """Three runs of two cases; they differ most in the second, whose condition is the first by name."""
    write_video(runs.root / "reference.mp4", clip(1))
    given = {"reference": str(runs.root / "reference.mp4"), "caption": "A target."}
    scores = {"vap": (0.5, 0.9), "lora": (0.45, 0.5), "i2v": (0.4, 0.1)}
    made = [
        runs.write(method, {"a": Case("zoom", (one,), extra=given), "b": Case("pan", (other,), extra=given)})
        for method, (one, other) in scores.items()
    ]
    return write_page(made, runs.root / "together.html")


@pytest.fixture
def open_page(open_browser: Callable[..., Any], together: Path) -> Iterator[Callable[..., Page]]:
    complaints: list[str] = []
    contexts = []

    def go(**options: Any) -> Page:
        context = open_browser(**{"viewport": {"width": 1440, "height": 900}} | options)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        contexts.append(context)
        page: Page = context.new_page()
        page.goto(together.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def until(page: Page, expression: str, seconds: float = 120.0) -> None:
    """Wait until an expression holds; the page's policy forbids the eval that Playwright's own wait polls with."""
    last = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < last, f"never held: {expression}"
        time.sleep(0.02)


def test_the_outputs_of_all_runs_play_in_step(open_page: Callable[..., Page]) -> None:
    page = open_page()
    until(page, f"{TIMES}.length >= 4 && {TIMES}.every((time) => time > 0.1)")
    page.locator("#play").click()
    until(page, "[...document.querySelectorAll('video[src]')].every((video) => video.paused && !video.seeking)")
    shown = page.evaluate(TIMES)
    assert max(shown) - min(shown) < FRAME / 2
    page.locator("#scrub").fill("0.5")
    until(page, f"{TIMES}.every((time) => Math.abs(time - 0.5) < 0.02)")
    page.locator("#scrub").blur()
    page.keyboard.press("ArrowRight")
    until(page, f"{TIMES}.every((time) => Math.abs(time - {0.5 + 1.5 * FRAME}) < 0.02)")
    assert "frame 6 of 8" in page.locator("#time").inner_text()


def test_cases_sort_by_disagreement_by_a_run_s_score_and_by_condition(open_page: Callable[..., Page]) -> None:
    page = open_page()
    order = page.locator("article h2")
    # Between those that turn the order, one that turns it back: each must do its part.
    for label, expected in (
        ("run order", ["a", "b"]),
        ("disagreement in flicker", ["b", "a"]),
        ("vap: flicker, worst first", ["a", "b"]),
        ("condition", ["b", "a"]),
        ("run order", ["a", "b"]),
        ("i2v: flicker, worst first", ["b", "a"]),
    ):
        page.locator("#sort").select_option(label=label)
        # Of the text as it stands: of a case that was moved and is not drawn yet (content-visibility) none is visible.
        assert order.all_text_contents() == expected, label
    page.locator("[data-filter=condition]").select_option("zoom")
    assert page.locator("article:visible h2").all_text_contents() == ["a"]
    assert page.locator("#count").inner_text() == "1 of 2 cases"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read_in_the_dark(scheme: str, open_page: Callable[..., Page]) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    across = [box["x"] + box["width"] for it in page.locator("figure.panel").all() if (box := it.bounding_box())]
    assert max(across) <= 390, "every picture is in sight"
    back = page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(back) < 3 * 60) == (scheme == "dark")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa"]}}).response
    assert [f"{it['id']}: {it['nodes'][0]['html'][:160]}" for it in found["violations"]] == []

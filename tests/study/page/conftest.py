"""A study with real videos, served, and a browser that opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.study.page.acts import CHROMIUM, PATIENCE_MS, SCREEN
from tests.study.served import Served, make_study, serving
from vapbench.study.folder import StudyFolder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for all tests of the page that a worker runs."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e '.[dev]'")
    assert CHROMIUM is not None, "continuous integration needs a browser: apt-get install chromium"
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "study", min_play_fraction=1.0)


@pytest.fixture
def served(folder: StudyFolder) -> Iterator[Served]:
    with serving(folder) as running:
        yield running


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"viewport": SCREEN} | options)
        context.set_default_timeout(PATIENCE_MS)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], served: Served) -> Page:
    """A rater who has opened the first link."""
    page = open_context().new_page()
    page.goto(served.links.raters[0])
    return page

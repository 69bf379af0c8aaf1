"""What raters do on the page, and whether there is a browser to do it in."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("VAPBENCH_BROWSER") == "required"
"""Continuous integration sets this: there, a missing browser is a failure."""
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="browser tests skipped, no chromium here: apt-get install chromium"
)

SCREEN = {"width": 1280, "height": 800}
PATIENCE_MS = 120_000


def consent(page: Page) -> None:
    page.locator("#consent-tick").check()
    page.locator("#consent-form button.primary").click()
    page.locator("#instructions-go").click()


def watched(page: Page) -> None:
    """Wait until every video has been played through."""
    page.locator("#hint", has_text="Choose").or_(page.locator("#hint", has_text="change")).wait_for()


def where(page: Page) -> str:
    """The screen that is shown, once a trial has been loaded."""
    page.locator("#answer, #done, #break, #notice, #broken, #consent, #survey").filter(visible=True).first.wait_for()
    shown: str = page.evaluate("[...document.querySelectorAll('main > section')].find((s) => !s.hidden).id")
    return shown


def trial_number(page: Page) -> str:
    return page.locator("#place").inner_text()


def answer(page: Page, key: str = "1") -> None:
    """Answer the trial on the screen by keyboard, and its feedback if it is practice; wait for what follows."""
    watched(page)
    practice, question = trial_number(page) == "Practice", shown(page)
    page.keyboard.press(key)
    page.keyboard.press("Enter")
    if practice:
        page.locator("#feedback").wait_for()
        page.keyboard.press("Enter")
    follows(page, question)


def shown(page: Page) -> str | None:
    """Which trial is on the screen: the address of its first video."""
    return page.locator("#stage video").first.get_attribute("src")


def follows(page: Page, question: str | None) -> None:
    """Wait until another trial, or another screen, has followed."""
    soon(page, lambda: where(page) != "trial" or shown(page) != question)


def soon(page: Page, true: Callable[[], object]) -> None:
    """Wait until something holds, here or on the page."""
    last = time.monotonic() + PATIENCE_MS / 1000
    while not true():
        assert time.monotonic() < last, "it never came"
        page.wait_for_timeout(25)


def loaded_ahead(page: Page) -> None:
    """Wait until nothing more has been fetched for half a second: what follows is here by then."""
    fetched = -1
    while (now := page.evaluate("performance.getEntriesByType('resource').length")) != fetched:
        fetched = now
        page.wait_for_timeout(500)


def choices(folder: StudyFolder) -> list[Any]:
    return [vote.choice for vote in load_ballots(folder).votes]


def serious(page: Page) -> list[str]:
    """What axe-core finds of serious or critical issues."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
    bad = [item for item in found if item["impact"] in ("serious", "critical")]
    return [f"{item['id']}: {[node['html'][:120] for node in item['nodes']]}" for item in bad]

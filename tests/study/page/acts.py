"""What raters do on the page, and whether there is a browser to do it in."""

from __future__ import annotations

import os
import shutil
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
PATIENCE_MS = 30_000


def consent(page: Page) -> None:
    page.locator("#consent-tick").check()
    page.locator("#consent-form button.primary").click()
    page.locator("#instructions-go").click()


def watched(page: Page) -> None:
    """Wait until every video has been played through."""
    page.locator("#hint", has_text="Choose").or_(page.locator("#hint", has_text="change")).wait_for()


def where(page: Page) -> str:
    """The screen that is shown, once a trial has been loaded."""
    page.locator("#answer, #done, #break, #notice, #broken, #consent").filter(visible=True).first.wait_for()
    shown: str = page.evaluate("[...document.querySelectorAll('main > section')].find((s) => !s.hidden).id")
    return shown


def trial_number(page: Page) -> str:
    return page.locator("#place").inner_text()


def answer(page: Page, key: str = "1") -> None:
    """Answer the trial on the screen by keyboard, and its feedback if it is practice; wait for what follows."""
    watched(page)
    practice, question = trial_number(page) == "Practice", page.locator("#stage video").first.get_attribute("src")
    page.keyboard.press(key)
    page.keyboard.press("Enter")
    if practice:
        page.locator("#feedback").wait_for()
        page.keyboard.press("Enter")
    page.wait_for_timeout(50)
    for _ in range(400):
        if where(page) != "trial" or page.locator("#stage video").first.get_attribute("src") != question:
            return
        page.wait_for_timeout(25)
    raise AssertionError("nothing followed the answer")


def choices(folder: StudyFolder) -> list[Any]:
    return [vote.choice for vote in load_ballots(folder).votes]


def serious(page: Page) -> list[str]:
    """What axe-core finds of serious or critical issues."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
    bad = [item for item in found if item["impact"] in ("serious", "critical")]
    return [f"{item['id']}: {[node['html'][:120] for node in item['nodes']]}" for item in bad]

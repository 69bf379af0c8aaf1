"""A study from the first page to the last, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.study.page.acts import (
    answer,
    choices,
    consent,
    follows,
    needs_browser,
    serious,
    shown,
    trial_number,
    watched,
    where,
)
from tests.study.served import Served, make_study, serving
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


pytestmark = needs_browser


def test_a_rater_finishes_by_keyboard_alone(folder: StudyFolder, served: Served, page: Page) -> None:
    page.locator("#consent").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#instructions").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for key in ("1", "2", "0", "2"):
        watched(page)
        page.keyboard.press("Space")
        assert page.locator("#play-word").inner_text() == "Play"
        page.keyboard.press("r")
        page.locator("#play-word", has_text="Pause").wait_for()
        answer(page, key)
    page.locator("#done-code").wait_for()
    code = page.locator("#code").inner_text()
    assert code == served.rater(0, consented=False).http.get("/api/state").json()["completion"]["code"]
    votes = load_ballots(folder).votes
    assert [vote.choice for vote in votes] == [0, 1, "tie", 1]
    assert {vote.client.browser for vote in votes} == {"chromium"}
    assert {vote.client.viewport for vote in votes} == {(1280, 800)}


def test_a_rater_finishes_by_mouse_and_comments(folder: StudyFolder, page: Page) -> None:
    consent(page)
    for number in range(4):
        watched(page)
        question = shown(page)
        # The video itself can be clicked.
        page.locator(".choice video").nth(number % 2).click()
        if number == 1:
            page.locator(".comment summary").click()
            page.locator("#comment").fill("The <b>left</b> one flickers. R 1 2 0")
        page.locator("#confirm").click()
        if number == 0:
            page.locator("#feedback-go").click()
        follows(page, question)
    page.locator("#done-code").wait_for()
    page.locator("#closing-text").fill("Fine.")
    page.locator("#closing button").click()
    page.locator("#closing-said", has_text="saved").wait_for()
    votes = load_ballots(folder).votes
    assert [vote.choice for vote in votes] == [0, 1, 0, 1]
    assert [vote.comment for vote in votes] == ["", "The <b>left</b> one flickers. R 1 2 0", "", ""]


def test_nothing_is_answered_before_everything_was_watched(
    folder: StudyFolder, served: Served, open_context: Callable[..., BrowserContext]
) -> None:
    # Nothing plays by itself here, so nothing has been watched.
    page = open_context(reduced_motion="reduce").new_page()
    page.goto(served.links.raters[0])
    consent(page)
    page.locator("#answer").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.locator("#confirm").click(force=True)
    page.wait_for_timeout(300)
    assert page.locator("#confirm").get_attribute("aria-disabled") == "true"
    assert page.locator("#hint").inner_text() == "Watch all videos to the end once."
    assert choices(folder) == []
    # Going through them by the slider is not watching either.
    page.locator("#scrub").fill("1000")
    page.wait_for_timeout(300)
    page.locator("#confirm").click(force=True)
    assert page.locator("#confirm").get_attribute("aria-disabled") == "true"
    page.keyboard.press("r")
    watched(page)
    page.locator("#confirm").click()
    page.locator("#feedback").wait_for()
    assert choices(folder) == [0]


def test_the_first_trial_that_is_left_out_counts_and_brings_no_break(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    with serving(make_study(tmp_path / "study", training=0)) as served:
        page = open_context().new_page()
        page.route("**/m/**", lambda route: route.fulfill(status=404))
        page.goto(served.links.raters[0])
        consent(page)
        page.locator("#broken").wait_for()
        page.unroute("**/m/**")
        page.locator("#broken-skip").click()
        page.locator("#answer").wait_for()
        assert trial_number(page) == "2 of 3"


def test_a_rater_withdraws(folder: StudyFolder, page: Page) -> None:
    consent(page)
    page.locator("#answer").wait_for()
    page.locator("#open-leave").click()
    page.locator("#withdraw").click()
    page.locator("#notice-title", has_text="You have left").wait_for()
    page.reload()
    page.locator("#notice-title", has_text="You have left").wait_for()
    assert load_ballots(folder).raters[0].status == "withdrawn"


def test_whoever_has_finished_can_still_withdraw(folder: StudyFolder, page: Page) -> None:
    consent(page)
    while where(page) == "trial":
        answer(page)
    page.locator("#done-code").wait_for()
    page.locator("#open-leave").click()
    page.locator("#withdraw").click()
    page.locator("#notice-title", has_text="You have left").wait_for()
    assert load_ballots(folder).raters[0].status == "withdrawn"


def test_a_paused_study_says_so_and_goes_on(served: Served, page: Page) -> None:
    consent(page)
    admin = served.admin()
    assert admin.post("/admin/api/status", json={"status": "paused"}).status_code == 200
    page.reload()
    page.locator("#notice-title", has_text="paused").wait_for()
    admin.post("/admin/api/status", json={"status": "open"})
    page.locator("#notice-action").click()
    page.locator("#instructions").wait_for()


def test_breaks_come_between_blocks(tmp_path: Path, open_context: Callable[..., BrowserContext]) -> None:
    with serving(make_study(tmp_path / "study", training=0, block=2)) as served:
        page = open_context().new_page()
        page.goto(served.links.raters[0])
        consent(page)
        answer(page)
        answer(page)
        assert where(page) == "break"
        assert serious(page) == []
        page.keyboard.press("Enter")
        page.locator("#answer").wait_for()
        answer(page)
        assert where(page) == "done"


def test_whoever_declines_is_thanked_and_asked_nothing_more(served: Served, page: Page) -> None:
    page.locator("#decline").click()
    page.locator("#notice-title", has_text="You have not taken part").wait_for()
    page.reload()
    page.locator("#notice-title", has_text="You have not taken part").wait_for()


def test_a_study_that_closes_in_mid_trial_gives_the_code(folder: StudyFolder, served: Served, page: Page) -> None:
    consent(page)
    answer(page)
    watched(page)
    served.admin().post("/admin/api/status", json={"status": "closed"})
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.locator("#done-text", has_text="The study closed while you were taking part. Answers saved: 1").wait_for()
    assert len(page.locator("#code").inner_text()) == 8
    assert choices(folder) == [0]

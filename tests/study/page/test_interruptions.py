"""Reloads, second tabs, dead networks and missing videos, in a real browser: no answer is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.study.page.acts import (
    answer,
    choices,
    consent,
    loaded_ahead,
    needs_browser,
    soon,
    trial_number,
    watched,
    where,
)
from tests.study.served import Served
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


pytestmark = needs_browser


def served_open(folder: StudyFolder) -> list[str]:
    with closing(sqlite3.connect(folder.votes_path)) as database:
        rows = database.execute("SELECT id FROM assignment WHERE state = 'open' ORDER BY number LIMIT 1")
        return [row[0] for row in rows]


def test_reload_and_back_return_to_the_same_trial(folder: StudyFolder, page: Page) -> None:
    consent(page)
    answer(page)
    place = trial_number(page)
    open_before = served_open(folder)
    # What is chosen and written stays, though nothing of it has been sent.
    page.locator("#answer").wait_for()
    page.keyboard.press("2")
    page.locator(".comment summary").click()
    page.locator("#comment").fill("flickers")
    page.reload()
    assert where(page) == "trial"
    assert trial_number(page) == place
    assert page.locator("input[name=choice]:checked").get_attribute("value") == "1"
    assert page.locator("#comment").is_visible() and page.locator("#comment").input_value() == "flickers"
    page.locator("h1#question").click()
    page.goto("about:blank")
    page.go_back()
    assert where(page) == "trial"
    assert trial_number(page) == place
    assert served_open(folder) == open_before
    while where(page) == "trial":
        answer(page, "2")
    page.locator("#done-code").wait_for()
    assert choices(folder) == [0, 1, 1, 1]
    assert [vote.comment for vote in load_ballots(folder).votes] == ["", "flickers", "", ""]
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('draft'))") == []


def test_two_tabs_are_one_rater(folder: StudyFolder, page: Page) -> None:
    consent(page)
    answer(page)
    other = page.context.new_page()
    other.goto(page.url)
    assert where(other) == "trial"
    assert trial_number(other) == trial_number(page)
    other.bring_to_front()
    answer(other, "1")
    page.bring_to_front()
    # The first tab still shows what the second has answered: its own answer comes second, and the first one stands.
    answer(page, "2")
    while where(page) == "trial":
        answer(page, "2")
    other.close()
    page.locator("#done-code").wait_for()
    votes = load_ballots(folder).votes
    assert len(votes) == len({vote.assignment for vote in votes}) == 4
    assert votes[1].choice == 0


def test_a_dead_network_loses_no_answer(folder: StudyFolder, page: Page) -> None:
    consent(page)
    answer(page)
    watched(page)
    loaded_ahead(page)
    page.context.set_offline(True)
    answer(page, "2")
    page.locator("#sending", has_text="Nothing is lost").wait_for()
    assert len(choices(folder)) == 1
    # What waits survives the page.
    waiting = page.context.new_page()
    page.close(run_before_unload=False)
    page.context.set_offline(False)
    waiting.goto(str(page.url))
    assert where(waiting) == "trial"
    soon(waiting, lambda: choices(folder) == [0, 1])
    while where(waiting) == "trial":
        answer(waiting)
    waiting.locator("#done-code").wait_for()
    assert len(choices(folder)) == 4


def test_the_network_comes_back_while_the_page_waits(folder: StudyFolder, page: Page) -> None:
    consent(page)
    answer(page)
    watched(page)
    loaded_ahead(page)
    page.context.set_offline(True)
    answer(page, "2")
    watched(page)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    page.context.set_offline(False)
    page.locator("#hint", has_text="Choose").wait_for()
    page.locator("#sending", has_not_text="answer").wait_for(state="attached")
    while where(page) == "trial":
        answer(page)
    page.locator("#done-code").wait_for()
    assert choices(folder) == [0, 1, 1, 0]


def test_a_busy_server_is_asked_again(folder: StudyFolder, page: Page) -> None:
    refusals = []

    def refuse_twice(route: Route) -> None:
        if len(refusals) < 2:
            refusals.append(route.request.url)
            route.fulfill(status=503, headers={"Retry-After": "0"}, json={"error": "storage", "message": ""})
        else:
            route.continue_()

    page.route("**/api/votes/*?*", refuse_twice)
    consent(page)
    answer(page)
    assert len(refusals) == 2
    assert choices(folder) == [0]


def test_an_answer_is_kept_until_the_server_itself_says_what_became_of_it(folder: StudyFolder, page: Page) -> None:
    strangers = [(200, "<h1>Sign in to this network</h1>"), (404, "<h1>Not found</h1>"), (403, '{"detail": "blocked"}')]

    def intercept(route: Route) -> None:
        if not strangers:
            return route.continue_()
        status, body = strangers.pop()
        return route.fulfill(status=status, body=body)

    page.route("**/api/votes/*?*", intercept)
    consent(page)
    answer(page)
    page.locator("#sending", has_not_text="answer").wait_for(state="attached")
    assert strangers == [] and choices(folder) == [0]


def test_a_network_that_dies_before_a_trial_is_waited_for(folder: StudyFolder, page: Page) -> None:
    page.locator("#consent-tick").check()
    page.locator("#consent-form button.primary").click()
    page.locator("#instructions-go").wait_for()
    page.context.set_offline(True)
    page.locator("#instructions-go").click()
    page.locator("#sending", has_text="No connection").wait_for()
    page.context.set_offline(False)
    answer(page)
    assert choices(folder) == [0]


def test_a_missing_video_is_said_and_can_be_left_out(folder: StudyFolder, page: Page) -> None:
    page.route("**/m/*/2", lambda route: route.fulfill(status=404))
    consent(page)
    page.locator("#broken").wait_for()
    page.unroute("**/m/*/2")
    page.locator("#broken-retry").click()
    page.locator("#answer").wait_for()
    page.route("**/m/*/2", lambda route: route.fulfill(status=200, content_type="video/mp4", body=b"no video"))
    answer(page)
    while where(page) == "trial":
        if page.locator("#broken").is_visible():
            page.unroute("**/m/*/2")
            page.locator("#broken-skip").click()
            page.locator("#broken").wait_for(state="hidden")
            continue
        answer(page)
    page.locator("#done").wait_for()
    assert 2 <= len(choices(folder)) <= 3


def test_a_slow_video_shows_how_far_it_is(page: Page) -> None:
    held: list[Route] = []
    arrived: list[bool] = []
    page.route("**/m/*/2", lambda route: route.continue_() if arrived else held.append(route))
    consent(page)
    page.locator("#fetching-bar").wait_for()
    while not held:
        page.wait_for_timeout(20)
    bar = page.locator("#fetching-bar")
    soon(page, lambda: bar.evaluate("(bar) => bar.value") > 0)
    assert bar.evaluate("(bar) => bar.value") < 1
    assert page.locator("#answer").is_hidden()
    arrived.append(True)
    held[0].continue_()
    page.locator("#answer").wait_for()
    watched(page)


def test_every_request_stays_at_home(served: Served, page: Page) -> None:
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    consent(page)
    answer(page)
    assert len(asked) > 4
    for url in asked:
        assert url.startswith((served.origin, "blob:"))

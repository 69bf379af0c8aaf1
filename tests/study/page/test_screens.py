"""What the pages look like and let anybody do, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.study.page.acts import (
    SCREEN,
    answer,
    choices,
    consent,
    follows,
    needs_browser,
    serious,
    shown,
    soon,
    watched,
    where,
)
from tests.study.served import Served, make_study, serving
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.settings import freeze_words, settings_path

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


pytestmark = needs_browser


def test_all_videos_play_in_step_and_start_again_together(page: Page) -> None:
    consent(page)
    page.locator("#answer").wait_for()
    together, deadline = 0, time.monotonic() + 60
    # A busy machine may hold one video up; then twelve looks in a row begin anew.
    while together < 12:
        assert time.monotonic() < deadline, "never in step for twelve looks in a row"
        page.wait_for_timeout(70)
        times = page.evaluate(
            "[...document.querySelectorAll('video')].map((v) => v.seeking ? null : Math.min(v.currentTime, v.duration))"
        )
        seen = [moment for moment in times if moment is not None]
        together = together + 1 if max(seen, default=0.0) - min(seen, default=0.0) < 0.15 else 0
    assert page.evaluate("[...document.querySelectorAll('video')].every((v) => v.muted)")


def test_small_screens_are_refused_politely(served: Served, open_context: Callable[..., BrowserContext]) -> None:
    context = open_context(viewport={"width": 390, "height": 844}, screen={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(served.links.raters[0])
    assert where(page) == "notice"
    assert page.locator("h1:visible").inner_text() == "A larger screen is needed"


def test_nothing_moves_by_itself_for_whoever_prefers_that(
    served: Served, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(reduced_motion="reduce").new_page()
    page.goto(served.links.raters[0])
    consent(page)
    page.locator("#answer").wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate("[...document.querySelectorAll('video')].every((v) => v.paused && v.currentTime === 0)")
    page.keyboard.press("Space")
    watched(page)


def test_single_keys_can_be_switched_off(page: Page) -> None:
    consent(page)
    page.locator("#answer").wait_for()
    page.locator("#open-help").click()
    page.locator("#shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    assert page.locator("input[name=choice]:checked").count() == 0


def test_without_a_link_there_is_nothing(served: Served, open_context: Callable[..., BrowserContext]) -> None:
    page = open_context().new_page()
    page.goto(served.origin)
    page.locator("#notice-title", has_text="personal link").wait_for()
    page.goto(f"{served.origin}/join?t=forged")
    page.locator("h1", has_text="does not work").wait_for()


def test_best_of_n_shows_all_results(tmp_path: Path, open_context: Callable[..., BrowserContext]) -> None:
    folder = make_study(tmp_path / "study", methods=7, kind="best_of_n", ties=False, training=0, cases=2, trials=2)
    with serving(folder) as served:
        page = open_context().new_page()
        page.goto(served.links.raters[0])
        consent(page)
        page.locator("#answer").wait_for()
        assert page.locator("video").count() == 8
        assert page.locator(".extra").count() == 0
        bottom = page.locator("#confirm").bounding_box()
        assert bottom is not None and bottom["y"] + bottom["height"] <= SCREEN["height"]
        answer(page, "7")
        answer(page, "3")
        page.locator("#done").wait_for()
    assert choices(folder) == [6, 2]


def test_four_results_stand_in_one_row_or_two_whichever_shows_them_larger(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", methods=4, kind="best_of_n", ties=False, training=0, cases=2, trials=2)
    with serving(folder) as served:
        page = open_context(reduced_motion="reduce").new_page()
        page.goto(served.links.raters[0])
        consent(page)
        page.locator("#answer").wait_for()
        rows = "new Set([...document.querySelectorAll('.choice')].map((c) => c.getBoundingClientRect().top)).size"
        for width, height, expected in ((1280, 800, 2), (1920, 700, 1)):
            page.set_viewport_size({"width": width, "height": height})
            soon(page, lambda expected=expected: page.evaluate(rows) == expected)
            bottom = page.locator("#confirm").bounding_box()
            assert bottom is not None and bottom["y"] + bottom["height"] <= height


def test_axe_finds_no_serious_issue_on_any_screen(served: Served, page: Page) -> None:
    page.locator("#consent").wait_for()
    found = {"consent": serious(page)}
    page.locator("#consent-tick").check()
    page.locator("#consent-form button.primary").click()
    page.locator("#instructions").wait_for()
    found["instructions"] = serious(page)
    page.locator("#instructions-go").click()
    watched(page)
    found["trial"], question = serious(page), shown(page)
    page.keyboard.press("?")
    found["help"] = serious(page)
    page.keyboard.press("Escape")
    page.locator("#open-leave").click()
    found["leave"] = serious(page)
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.locator("#feedback").wait_for()
    found["feedback"] = serious(page)
    page.keyboard.press("Enter")
    follows(page, question)
    while where(page) == "trial":
        answer(page)
    found["done"] = serious(page)
    page.goto(f"{served.origin}/join?t=forged")
    found["refused"] = serious(page)
    lost = page.context.new_page()
    lost.route("**/m/*/2", lambda route: route.fulfill(status=404))
    lost.goto(served.links.raters[1])
    consent(lost)
    lost.locator("#broken").wait_for()
    found["broken"] = serious(lost)
    lost.locator("#open-leave").click()
    lost.locator("#withdraw").click()
    lost.locator("#notice").wait_for()
    found["notice"] = serious(lost)
    admin = page.context.new_page()
    admin.goto(served.links.admin)
    admin.locator("#raters tr").first.wait_for()
    found["admin"] = serious(admin)
    assert {screen: issues for screen, issues in found.items() if issues} == {}


def test_the_admin_page_excludes_pauses_and_shows_text_as_text(
    folder: StudyFolder, served: Served, open_context: Callable[..., BrowserContext]
) -> None:
    served.rater().finish()
    page = open_context().new_page()
    page.goto(served.links.admin)
    assert "t=" not in page.url
    page.locator("#raters button", has_text="Exclude").click()
    page.locator("#reason").fill("<img src=x onerror=alert(1)>")
    page.locator("#exclusion button.primary").click()
    page.locator("#raters .reason", has_text="<img src=x").wait_for()
    assert page.locator("#raters img").count() == 0
    assert load_ballots(folder).raters[0].excluded == "<img src=x onerror=alert(1)>"
    page.locator("#pause").click()
    page.locator("#status", has_text="paused").wait_for()
    assert page.locator("#filled-of").inner_text() == "0 of 9 votes", "votes of the excluded hold no place"


@pytest.mark.parametrize("rows", [False, True])
def test_a_video_is_enlarged_by_key_button_or_click(
    rows: bool, tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", min_play_fraction=1.0, training=0)
    settings_path(folder).write_text('also: {motion: {wording: "Moves?"}}' if rows else "")
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context().new_page()
        page.goto(served.links.raters[0])
        consent(page)
        page.locator("#hint", has_text="Still to answer").or_(page.locator("#hint", has_text="Choose")).wait_for()
        page.mouse.move(1, 1)
        small = page.locator("#stage video").nth(1).bounding_box()
        large = page.locator(".film.large")
        page.keyboard.press("1")
        page.keyboard.press("f")
        assert large.locator(".name").inner_text() == "Result 1"
        box = large.locator("video").bounding_box()
        assert small is not None and box is not None and box["width"] > 2.5 * small["width"]
        assert box["y"] >= 0 and box["y"] + box["height"] <= SCREEN["height"]
        assert serious(page) == []
        # The arrows lead to the others and leave the choice alone; all play on in step.
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert large.locator(".name").inner_text() == "Reference"
        assert page.locator("#answer input:checked").evaluate_all("(all) => all.map((i) => i.value)") == ["0"]
        page.keyboard.press("Escape")
        assert large.count() == 0
        page.get_by_role("button", name="Enlarge: Result 2").click()
        assert large.locator(".name").inner_text() == "Result 2"
        page.get_by_role("button", name="Enlarge: Result 2").click()
        assert large.count() == 0
        page.locator("#stage video").first.click()
        assert large.locator(".name").inner_text() == "Reference"
        page.keyboard.press("F")
        page.keyboard.press("f")
        if rows:
            page.keyboard.press("2")
        page.keyboard.press("Enter")
        page.locator("#hint", has_text="Still to answer").or_(page.locator("#hint", has_text="Choose")).wait_for()
        assert large.count() == 0, "the next trial is seen whole"
    (vote,) = load_ballots(folder).votes
    assert vote.choice == 0


def test_no_trial_is_shown_in_a_window_that_is_too_small(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", min_play_fraction=1.0, window=(900, 500), small_window="refuse")
    with serving(folder) as served:
        page = open_context().new_page()
        page.goto(served.links.raters[0])
        consent(page)
        page.locator("#answer").wait_for()
        page.evaluate("Object.assign(window, { outerWidth: 700 }); dispatchEvent(new Event('resize'))")
        page.locator("#window h1", has_text="larger window").wait_for()
        assert page.locator("#trial").is_hidden()
        page.keyboard.press("1")
        page.evaluate("Object.assign(window, { outerWidth: 1280 }); dispatchEvent(new Event('resize'))")
        page.locator("#play-word", has_text="Pause").wait_for()
        assert page.locator("input[name=choice]:checked").count() == 0
        answer(page)
    (vote,) = load_ballots(folder).votes
    assert vote.client.window == (1280, page.evaluate("outerHeight")) and not vote.small_window


def test_what_the_server_refuses_is_said_in_the_second_language(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", languages=("en", "de"))
    with serving(folder) as served:
        page = open_context(locale="de-DE").new_page()
        page.goto(f"{served.origin}/join?t=forged")
        page.locator("h1", has_text="Dieser Link funktioniert nicht").wait_for()
        assert serious(page) == []
        page.goto(f"{served.origin}/studie")
        page.locator("h1", has_text="Diese Seite gibt es nicht").wait_for()
        assert httpx.get(f"{served.origin}/api/studie").json()["error"] == "unknown", "programs get no page"
        page.goto(served.links.raters[0])
        page.route(
            "**/api/next?*", lambda route: route.fulfill(status=404, json={"error": "unknown", "message": "No."})
        )
        consent(page)
        page.locator("#notice-text", has_text="Die Studie hat dies nicht angenommen").wait_for()

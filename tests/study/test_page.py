"""The page, in a real browser: what a rater lives through."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.study.served import Served, make_study, serving
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.settings import freeze_words, settings_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("VAPBENCH_BROWSER") == "required"
"""Continuous integration sets this: there, a missing browser is a failure."""
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="browser tests skipped, no chromium here: apt-get install chromium"
)

SCREEN = {"width": 1280, "height": 800}
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
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
        # The video itself can be clicked.
        page.locator(".choice video").nth(number % 2).click()
        if number == 1:
            page.locator(".comment summary").click()
            page.locator("#comment").fill("The <b>left</b> one flickers. R 1 2 0")
        page.locator("#confirm").click()
        if number == 0:
            page.locator("#feedback-go").click()
        page.wait_for_timeout(300)
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


def test_all_videos_play_in_step_and_start_again_together(page: Page) -> None:
    consent(page)
    page.locator("#answer").wait_for()
    for _ in range(12):
        page.wait_for_timeout(70)
        times = page.evaluate(
            "[...document.querySelectorAll('video')].map((v) => v.seeking ? null : Math.min(v.currentTime, v.duration))"
        )
        seen = [time for time in times if time is not None]
        assert not seen or max(seen) - min(seen) < 0.15, times
    assert page.evaluate("[...document.querySelectorAll('video')].every((v) => v.muted)")


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


def served_open(folder: StudyFolder) -> list[str]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder.votes_path)) as database:
        rows = database.execute("SELECT id FROM assignment WHERE state = 'open' ORDER BY number LIMIT 1")
        return [row[0] for row in rows]


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
    page.wait_for_timeout(500)
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
    waiting.wait_for_timeout(500)
    assert choices(folder) == [0, 1]
    while where(waiting) == "trial":
        answer(waiting)
    waiting.locator("#done-code").wait_for()
    assert len(choices(folder)) == 4


def test_the_network_comes_back_while_the_page_waits(folder: StudyFolder, page: Page) -> None:
    consent(page)
    answer(page)
    watched(page)
    page.wait_for_timeout(500)
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

    page.route("**/api/votes/*", refuse_twice)
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

    page.route("**/api/votes/*", intercept)
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


def test_a_slow_video_shows_how_far_it_is(page: Page) -> None:
    held: list[Route] = []
    arrived: list[bool] = []
    page.route("**/m/*/2", lambda route: route.continue_() if arrived else held.append(route))
    consent(page)
    page.locator("#fetching-bar").wait_for()
    while not held:
        page.wait_for_timeout(20)
    page.wait_for_timeout(200)
    assert 0 < page.locator("#fetching-bar").evaluate("(bar) => bar.value") < 1
    assert page.locator("#answer").is_hidden()
    arrived.append(True)
    held[0].continue_()
    page.locator("#answer").wait_for()
    watched(page)


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


def test_without_a_link_there_is_nothing(served: Served, open_context: Callable[..., BrowserContext]) -> None:
    page = open_context().new_page()
    page.goto(served.origin)
    page.locator("#notice-title", has_text="personal link").wait_for()
    page.goto(f"{served.origin}/join?t=forged")
    page.locator("h1", has_text="does not work").wait_for()


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


def test_every_request_stays_at_home(served: Served, page: Page) -> None:
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    consent(page)
    answer(page)
    assert len(asked) > 4
    for url in asked:
        assert url.startswith((served.origin, "blob:"))


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
            page.wait_for_timeout(100)
            assert page.evaluate(rows) == expected
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
    found["trial"] = serious(page)
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
    page.wait_for_timeout(100)
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


def test_a_rater_finishes_in_the_second_language_with_questions_before_and_after(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", min_play_fraction=1.0)
    settings_path(folder).write_text(
        "languages: [en, de]\ncontact: lab@university.example\nreview: Board no. 1\n"
        "before: [{key: age, ask: {en: Age, de: Alter}, kind: number}]\n"
        "after: [{key: screen, ask: {en: Screen, de: Schirm}, options: [{en: big, de: groß}, {en: small, de: klein}], "
        "required: true}]\n",
        encoding="utf-8",
    )
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context(locale="de-DE").new_page()
        page.goto(served.links.raters[0])
        page.locator("#consent").wait_for()
        assert page.locator("html").get_attribute("lang") == "de"
        assert page.locator("#consent-title").inner_text() == "Welches Video ist besser?"
        facts = page.locator("#consent-text").inner_text()
        assert "Ethikprüfung" in facts and "Kontakt" in facts and facts.count("lab@university.example") == 1
        page.locator("#consent-tick").check()
        page.locator("#consent-form button.primary").click()
        page.locator("#survey").wait_for()
        assert serious(page) == []
        page.locator("#survey-0").fill("41")
        page.locator("#survey-form button").click()
        page.locator("#instructions-go").click()
        for _ in range(4):
            page.locator("#hint", has_text="Wählen").wait_for()
            page.keyboard.press("1")
            page.keyboard.press("Enter")
            page.wait_for_timeout(100)
            if page.locator("#feedback").is_visible():
                page.keyboard.press("Enter")
        page.locator("#survey-0").select_option("1")
        page.locator("#survey-form button").click()
        page.locator("#done-text", has_text="Alle 4 Antworten sind gespeichert.").wait_for()
        page.locator("#done-code").wait_for()
    answers = {event.kind: event.detail for event in load_ballots(folder).events or () if "answers" in event.kind}
    assert answers == {"answers before": '{"age":41.0}', "answers after": '{"screen":"small"}'}


ALSO = """
languages: [en, de]
also:
  motion:
    wording: {en: "Which moves more naturally?", de: "Welches bewegt sich natürlicher?"}
    help: {en: "Flicker?", de: "Flimmern?"}
  overall:
    wording: {en: "Which is better overall?", de: "Welches ist insgesamt besser?"}
    required: false
"""


def test_several_questions_are_answered_on_one_viewing(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", min_play_fraction=1.0, training=0)
    settings_path(folder).write_text(ALSO, encoding="utf-8")
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context(locale="de-DE").new_page()
        page.goto(served.links.raters[0])
        page.locator("#consent-tick").check()
        page.locator("#consent-form button.primary").click()
        assert page.locator(".steps li").nth(2).inner_text().count("Unter den Videos") == 1
        page.locator("#instructions-go").click()
        page.locator("#hint", has_text="Noch zu beantworten: 2").wait_for()
        assert page.locator("#question").inner_text() == "Sehen Sie die Videos an und beantworten Sie dann 3 Fragen"
        marked = page.locator(".ask.current .name")
        # By keyboard: each digit answers the marked question and goes on; Space plays, whatever is marked.
        page.keyboard.press("2")
        assert marked.inner_text() == "Welches bewegt sich natürlicher?"
        playing = page.locator("#play-word").inner_text()
        page.keyboard.press("Space")
        assert page.locator("#play-word").inner_text() != playing
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)
        assert choices(folder) == [], "a question is open"
        page.keyboard.press("0")
        assert marked.inner_text() == "Welches ist insgesamt besser?"
        assert serious(page) == []
        # What was said is there after a reload, and may be left open where that is allowed.
        page.reload()
        page.locator("#instructions-go").click()
        page.locator("#hint", has_text="ändern").wait_for()
        assert page.locator("#asked input:checked").evaluate_all("(all) => all.map((i) => i.value)") == ["1", "tie"]
        page.keyboard.press("Enter")
        # By mouse: the videos are no answers, and what was said can be taken back.
        page.locator("#hint", has_text="Noch zu beantworten: 2").wait_for()
        page.locator("#stage video").nth(1).click()
        page.locator(".film.large video").click()
        assert page.locator("#answer input:checked").count() == 0
        for row, option in ((0, "Ergebnis 1"), (1, "Ergebnis 2"), (2, "Kein Unterschied"), (2, "Keine Angabe")):
            page.locator(".ask").nth(row).get_by_text(option, exact=True).click()
        page.locator("#confirm").click()
        page.locator("#hint", has_text="Noch zu beantworten: 2").wait_for()
        for digit in ("1", "1", "2"):
            page.keyboard.press(digit)
        page.keyboard.press("Enter")
        page.locator("#done-code").wait_for()
    votes = load_ballots(folder).votes
    said = [(vote.choice, {key: given.choice for key, given in vote.beside.items()}) for vote in votes]
    assert said == [(1, {"motion": "tie"}), (0, {"motion": 1}), (0, {"motion": 0, "overall": 1})]


def test_grades_and_both_bad_are_given_by_key_and_by_mouse(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", min_play_fraction=1.0, training=0)
    settings_path(folder).write_text(
        'questions: {semantic: {wording: "Which?", answer: graded7, both_bad: true}}\n'
        'also: {motion: {wording: "Moves?", both_bad: true}}\n'
    )
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context().new_page()
        page.goto(served.links.raters[0])
        page.locator("#help-keys [data-bad]:not([hidden])").wait_for(state="attached")
        consent(page)
        page.locator("#hint", has_text="Still to answer: 2").wait_for()
        words = page.locator(".ask").first.locator("label span").all_inner_texts()
        assert words[0] == "Result 1 much better" and words[3:5] == ["No difference", "Result 2 slightly better"]
        assert serious(page) == []
        for keys in ("7b", "01"):
            page.locator("#hint", has_text="Still to answer: 2").wait_for()
            for key in keys:
                page.keyboard.press(key)
            page.keyboard.press("Enter")
        page.locator("#hint", has_text="Still to answer: 2").wait_for()
        page.locator(".ask").nth(0).get_by_text("Result 1 slightly better").click()
        page.locator(".ask").nth(1).get_by_text("Both are bad").click()
        page.locator("#confirm").click()
        page.locator("#done-code").wait_for()
    votes = load_ballots(folder).votes
    assert [(vote.choice, vote.grade) for vote in votes] == [(1, 3), ("tie", 0), (0, -1)]
    motion = [vote.beside["motion"] for vote in votes]
    assert [(given.choice, given.both_bad) for given in motion] == [("tie", True), (0, False), ("tie", True)]


def test_both_bad_stands_beside_no_difference_under_the_videos(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", min_play_fraction=1.0, training=0)
    settings_path(folder).write_text('questions: {semantic: {wording: "Which?", both_bad: true}}\n')
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context().new_page()
        page.goto(served.links.raters[0])
        consent(page)
        watched(page)
        assert page.locator(".extra .name").all_inner_texts() == ["No difference", "Both are bad"]
        for key in ("b", "2", "0"):
            answer(page, key)
        page.locator("#done-code").wait_for()
    said = [(vote.choice, vote.both_bad) for vote in load_ballots(folder).votes]
    assert said == [("tie", True), (1, False), ("tie", False)]


def test_reasons_are_ticked_by_key_and_by_mouse_and_kept_over_a_reload(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", min_play_fraction=1.0, training=0, cases=2, trials=2)
    settings_path(folder).write_text(
        'questions: {semantic: {wording: "Which?", tags: [Motion, Style, Copied]}}\n'
        'also: {motion: {wording: "Moves?", tags: [Jumps, Melts]}}\n'
    )
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context().new_page()
        page.goto(served.links.raters[0])
        consent(page)
        page.locator("#hint", has_text="Still to answer: 2").wait_for()
        assert serious(page) == []
        # The mark stays where there are reasons to tick; Enter leads to what is still open.
        for key in ("1", "Shift+Digit3", "Shift+Digit1", "Enter", "2", "Shift+Digit2"):
            page.keyboard.press(key)
        page.reload()
        page.locator("#instructions-go").click()
        page.locator("#hint", has_text="change").wait_for()
        ticked = page.locator(".tag:has(:checked) span")
        assert ticked.all_inner_texts() == ["Motion", "Copied", "Melts"]
        page.keyboard.press("Enter")
        page.locator("#hint", has_text="Still to answer: 2").wait_for()
        assert ticked.count() == 0
        for row in (0, 1):
            page.locator(".ask").nth(row).get_by_text("No difference").click()
        page.locator(".tag", has_text="Style").click()
        page.locator("#confirm").click()
        page.locator("#done-code").wait_for()
    votes = load_ballots(folder).votes
    assert [(vote.tags, vote.beside["motion"].tags) for vote in votes] == [((0, 2), (1,)), ((1,), ())]


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
        page.route("**/api/next", lambda route: route.fulfill(status=404, json={"error": "unknown", "message": "No."}))
        consent(page)
        page.locator("#notice-text", has_text="Die Studie hat dies nicht angenommen").wait_for()


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

"""Several questions, grades, reasons and surveys, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.study.page.acts import answer, choices, consent, follows, needs_browser, serious, shown, watched
from tests.study.served import make_study, serving
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.settings import freeze_words, settings_path

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


pytestmark = needs_browser


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
        for number in range(4):
            page.locator("#hint", has_text="Wählen").wait_for()
            question = shown(page)
            page.keyboard.press("1")
            page.keyboard.press("Enter")
            if number == 0:
                page.locator("#feedback").wait_for()
                page.keyboard.press("Enter")
            follows(page, question)
        page.locator("#survey-0").select_option("1")
        page.locator("#survey-form button").click()
        page.locator("#done-text", has_text="Alle 4 Antworten sind gespeichert.").wait_for()
        page.locator("#done-code").wait_for()
    answers = {event.kind: event.detail for event in load_ballots(folder).events or () if "answers" in event.kind}
    assert answers == {"answers before": '{"age":41.0}', "answers after": '{"screen":"small"}'}


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


def test_three_questions_stand_above_the_desk_on_the_smallest_laptop_in_longer_words_too(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", training=0)
    settings_path(folder).write_text(ALSO, "utf-8")
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context(locale="de-DE", viewport={"width": 1024, "height": 768}).new_page()
        page.goto(served.links.raters[0])
        consent(page)
        page.locator(".ask").nth(2).wait_for()
        page.locator("#hint", has_text="Noch zu beantworten").wait_for()
        last, desk = (page.locator(place).last.bounding_box() for place in (".ask", ".desk"))
        assert last and desk and last["y"] + last["height"] <= desk["y"]


def test_the_longer_words_of_the_second_language_fit_a_small_laptop(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study", training=0)
    wording = "{en: 'Which shows it better?', de: 'Welches zeigt die Wirkung besser?'}"
    settings_path(folder).write_text(
        f"{ALSO}questions: {{semantic: {{wording: {wording}, answer: graded7}}}}\n", "utf-8"
    )
    freeze_words(folder)
    with serving(folder) as served:
        page = open_context(locale="de-DE").new_page()
        page.goto(served.links.raters[0])
        consent(page)
        page.locator("#answer").wait_for()
        for width in (1024, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.evaluate(
                "document.getElementById('hint').textContent = 'Sehen Sie alle Videos einmal bis zum Ende an.'"
            )
            wide, slow, hint, rows = page.evaluate(
                """() => {
                  const box = (id) => document.getElementById(id).getBoundingClientRect();
                  const one = box("play").top === box("confirm").top;
                  return [document.documentElement.scrollWidth, box("slow").right, box("hint").left, one];
                }"""
            )
            assert wide == width and slow < hint and rows, "nothing is cut off, overlapped or on a second line"


def test_each_page_of_one_browser_keeps_its_language(
    tmp_path: Path, open_context: Callable[..., BrowserContext]
) -> None:
    folder = make_study(tmp_path / "study")
    settings_path(folder).write_text(
        "languages: [en, de]\nbefore: [{key: age, ask: {en: Age, de: Alter}, kind: number}]\n", "utf-8"
    )
    freeze_words(folder)
    with serving(folder) as served:
        context = open_context()
        english, german = context.new_page(), context.new_page()
        english.goto(served.links.raters[0])
        english.locator("#consent").wait_for()
        german.goto(f"{served.origin}/study?lang=de")
        german.locator("#consent-title", has_text="Welches").wait_for()
        for page, asked in ((english, "Age"), (german, "Alter")):
            page.locator("#consent-tick").check()
            page.locator("#consent-form button.primary").click()
            page.locator("#survey-fields label", has_text=asked).wait_for()

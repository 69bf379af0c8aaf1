"""``study.yaml``: a researcher's own words, in every language, frozen when the study opens and not before."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.refusals import refuses
from tests.study.conftest import make_protocol
from tests.study.served import Process, Rater, make_study, serving
from vapbench.errors import DataError, ErrorKind
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.preregistration import preregistration
from vapbench.study.protocol import Survey
from vapbench.study.server import web
from vapbench.study.server.preview import preview_page
from vapbench.study.server.recruitment import Recruitment
from vapbench.study.server.refused import Refused
from vapbench.study.server.security import Bucket
from vapbench.study.server.survey import check_answers
from vapbench.study.settings import StudyFile, freeze_words, read_settings, settings_path, worded, write_template
from vapbench.study.texts import shipped

WORDS = """
title: {en: "Which one?", de: "Welches?"}
languages: [en, de]
contact: lab@university.example
consent: {version: "2", text: {en: "Stop: Whenever you like.", de: "Aufhören: Jederzeit."}}
questions:
  semantic: {wording: {en: "Which shows it better?", de: "Welches zeigt es besser?"}, help: {en: Look., de: Schau.}}
before:
  - {key: age, ask: {en: Age, de: Alter}, kind: number}
  - {key: sight, ask: {en: Colours, de: Farben}, options: [{en: all, de: alle}, {en: some, de: manche}], required: true}
exclusions: {time_floor: 0, gold_accuracy: 0.8}
window: [900, 500]
"""


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    study = make_study(tmp_path / "study", training=0)
    settings_path(study).write_text(WORDS, encoding="utf-8")
    return study


def test_a_study_of_before_keeps_its_hash() -> None:
    protocol = make_protocol(analysis_version=1)
    assert protocol.sha256 == "198eece64be2b37d139de6d501f34e6b3293f09dcf36831a1fad9141ffa554d3"
    assert "languages" not in protocol.model_dump() and "languages" in make_protocol(languages=("de",)).model_dump()


def test_both_languages_have_every_text_and_the_page_asks_for_no_other() -> None:
    english, german = shipped("en"), shipped("de")
    assert set(english) <= set(german)
    holes = re.compile(r"\{\w+\}")
    assert all(sorted(holes.findall(english[key])) == sorted(holes.findall(german[key])) for key in english)
    asked = set(re.findall(r"\{\{([a-z0-9_.]+)\}\}", (web._PAGE / "index.html").read_text()))
    for script in ("study.js", "questions.js"):
        asked |= set(re.findall(r'\bt\("([a-z0-9_.]+)"', (web._PAGE / script).read_text()))
    assert asked - set(english) == {"lang"}


def test_words_are_frozen_when_the_study_opens_and_not_before(folder: StudyFolder) -> None:
    planned = folder.protocol()
    frozen = freeze_words(folder)
    assert (frozen.title, frozen.consent.version, frozen.window) == ("Which one?", "2", (900, 500))
    assert frozen.question("semantic").wording == "Which shows it better?"
    assert frozen.texts["de"]["consent.text"] == "Aufhören: Jederzeit."
    assert (frozen.cases, frozen.media, frozen.key_sha256) == (planned.cases, planned.media, planned.key_sha256)
    settings_path(folder).write_text("title: Another")
    assert freeze_words(folder).title == "Another"
    opened = folder.open()
    settings_path(folder).write_text("title: Too late")
    assert freeze_words(folder) == opened


def test_nobodys_words_are_overwritten(folder: StudyFolder, tmp_path: Path) -> None:
    assert not write_template(folder)
    assert settings_path(folder).read_text() == WORDS
    other = make_study(tmp_path / "other")
    assert write_template(other)
    # Everything in the template is commented out; with the marks taken away it is valid.
    assert read_settings(other) == StudyFile()
    text = settings_path(other).read_text()
    lines = [re.sub(r"^# (?=\s*(\w+:|- |[A-Z][\w ]+: ))", "", line) for line in text.splitlines()[4:]]
    settings_path(other).write_text("\n".join(lines))
    assert read_settings(other).before[1].key == "colour_vision"


@pytest.mark.parametrize(
    ("text", "kind", "field", "named"),
    [
        ("questions: {motion: {wording: Hm}}", ErrorKind.UNKNOWN, "questions.motion", "--question motion"),
        ("languages: [en, de]\ntitle: {en: Which}", ErrorKind.MISSING, "title", "in de"),
        ("languages: [en, fr]", ErrorKind.MISSING, "texts.fr", "about"),
        ("before: [{key: age, ask: Age, kind: choice}]", ErrorKind.INVALID, "before.0", "age: a choice"),
        ("window: wide", ErrorKind.INVALID, "window", ""),
        ("questons: {}", ErrorKind.UNKNOWN, "questons", "did you mean questions?"),
        ("recruitment: {platfrom: prolific}", ErrorKind.UNKNOWN, "recruitment.platfrom", "did you mean platform?"),
        (
            "also: {motion: {wording: Hm, requird: false}}",
            ErrorKind.UNKNOWN,
            "also.motion.requird",
            "did you mean required?",
        ),
        ("before: [{key: a, ask: A, option: [x]}]", ErrorKind.UNKNOWN, "before.0.option", "did you mean options?"),
        ("window: [-5, true]", ErrorKind.INVALID, "window.0", "window.0: input should be greater"),
        ("window: [99999, 540]", ErrorKind.INVALID, "window.0", "less than or equal to 4000"),
        (
            "recruitment: {platform: sona, back: 'https://x.example/?c={particpant}'}",
            ErrorKind.INVALID,
            "recruitment",
            "back has {particpant}",
        ),
        ("texts: {en: {abuot: x}}", ErrorKind.UNKNOWN, "texts.en.abuot", "did you mean about?"),
        (
            "also: {motion: {wording: Hm, tags: [1, 2]}}\nlanguages: []",
            ErrorKind.INVALID,
            "languages",
            "also.motion.tags.0: a text is one string",
        ),
        ("languages: [en, de]\ntitle: {en: Which}", ErrorKind.MISSING, "title", "or texts.de.title"),
        ("also: {motion: {wording: Hm, tags: [a, b, a]}}", ErrorKind.INVALID, "also.motion.tags", "'a' is there twice"),
        ("also: {motion: {wording: Hm, tags: ['a; b']}}", ErrorKind.INVALID, "also.motion.tags", "no semicolon"),
        (
            "before: [{key: a, ask: A, options: [{en: x, de: j}, {en: y, de: j}]}]",
            ErrorKind.INVALID,
            "before.0.options",
            "'j' is there twice",
        ),
        ("title: Which: video?", ErrorKind.DAMAGED, "study.yaml", "in quotes"),
    ],
)
def test_faulty_words_are_named(tmp_path: Path, text: str, kind: ErrorKind, field: str, named: str) -> None:
    folder = make_study(tmp_path / "study")
    settings_path(folder).write_text(text)
    with refuses(DataError, kind, field, "study.yaml", named):
        freeze_words(folder)


def test_default_words_come_in_the_second_language(tmp_path: Path) -> None:
    protocol = make_protocol()
    german = worded(protocol, StudyFile(languages=("de",)), "x")
    assert german.title == "Welches Video ist besser?" and german.consent.text.startswith("Was festgehalten wird")
    both = worded(protocol, StudyFile(languages=("en", "de")), "x")
    assert both.title == protocol.title and both.texts["de"]["title"] == german.title


def test_texts_hold_for_what_was_planned_too_so_that_a_language_of_ones_own_is_complete() -> None:
    protocol = make_protocol()
    checks = tuple(check.model_copy(update={"feedback": "Left it is."}) for check in protocol.checks[:1])
    protocol = protocol.model_copy(update={"checks": checks})
    planned = ["title", "consent.text", f"feedback.{checks[0].question}"]
    planned += [f"question.{asked.key}.{part}" for asked in protocol.questions for part in ("wording", "help")]
    own = {key: f"<{key}>" for key in (*shipped("en"), *planned)}
    told = worded(protocol, StudyFile(languages=("en", "he"), texts={"he": own}), "x")
    assert {key: told.texts["he"][key] for key in planned} == {key: own[key] for key in planned}
    alone = worded(protocol, StudyFile(languages=("de",), texts={"de": {"title": "Mein Titel"}}), "x")
    assert alone.title == "Mein Titel" and alone.consent.text.startswith("Was festgehalten wird")


def test_every_rater_reads_their_own_language(folder: StudyFolder) -> None:
    freeze_words(folder)
    with serving(folder, raters=3) as served:

        def state(number: int, accept: str, **more: str) -> dict[str, Any]:
            http = httpx.Client(base_url=served.origin, headers={"accept-language": accept}, verify=False)
            http.get(served.links.raters[number])
            http.get("/study", params=more)
            found: dict[str, Any] = http.get("/api/state").json()["study"]
            found["page"] = http.get("/study").text
            found["trial"] = None
            if http.post("/api/consent", json={"version": "2"}).status_code == 201:
                found["trial"] = Rater(http).next()
            return found

        german, english, chosen = state(0, "de-AT,en;q=0.5"), state(1, "fr, en"), state(2, "en", lang="de")
    assert german["title"] == chosen["title"] == "Welches?" and english["title"] == "Which one?"
    assert german["consent"] == {"version": "2", "text": "Aufhören: Jederzeit."}
    assert german["before"][1]["options"] == ["alle", "manche"]
    assert '<html lang="de">' in german["page"] and "Ich möchte nicht teilnehmen" in german["page"]
    assert '<html lang="en">' in english["page"]
    assert german["trial"]["question"]["wording"] == "Welches zeigt es besser?"
    assert english["trial"]["question"]["help"] == "Look."


def test_whoever_does_not_get_in_is_told_so_in_their_language(folder: StudyFolder) -> None:
    freeze_words(folder)
    full = Bucket(burst=0, per_second=0)
    with serving(folder, recruitment=Recruitment(platform="prolific"), arrivals=full) as served:

        def said(accept: str, address: str) -> tuple[int, str]:
            answer = httpx.get(f"{served.origin}{address}", headers={"accept-language": accept})
            assert "{{" not in answer.text
            return answer.status_code, answer.text

        joined = re.sub(r"\{\{%\w+%\}\}", "a" * 24, served.links.platform.removeprefix(served.origin))
        for accept, lost, crowded in (
            ("de-DE", "Dieser Link funktioniert nicht", "Einen Moment, bitte"),
            ("en", "This link does not work", "One moment, please"),
        ):
            for address in ("/join?t=forged", "/admin/join?t=forged"):
                status, text = said(accept, address)
                assert status == 403 and f"<h1>{lost}</h1>" in text and f'<html lang="{accept[:2]}">' in text
            status, text = said(accept, joined)
            assert status == 429 and f"<h1>{crowded}</h1>" in text


def test_answers_to_the_questions_are_kept_once_and_in_the_first_language(folder: StudyFolder) -> None:
    freeze_words(folder)
    with serving(folder) as served:
        rater = served.rater()
        for wrong in ({}, {"sight": "2"}, {"sight": "0", "age": "old"}, {"sight": "0", "shoe": "1"}, {"sight": "-1"}):
            refused = rater.http.post("/api/answers", json={"when": "before", "answers": wrong})
            assert refused.status_code == 422, wrong
        assert rater.http.get("/api/state").json()["answered"] == []
        for sight in ("1", "0"):
            given = {"when": "before", "answers": {"sight": sight, "age": "31"}}
            assert rater.http.post("/api/answers", json=given).status_code == 201
        assert rater.http.get("/api/state").json()["answered"] == ["before"]
    events = [event for event in load_ballots(folder).events or () if event.kind == "answers before"]
    assert [json.loads(event.detail) for event in events] == [{"age": 31.0, "sight": "some"}]


def test_nobody_is_asked_before_consent_or_after_withdrawal(folder: StudyFolder) -> None:
    freeze_words(folder)
    given = {"when": "before", "answers": {"sight": "1"}}
    with serving(folder) as served:
        early, gone = served.rater(0, consented=False), served.rater(1)
        gone.http.post("/api/withdraw", json={})
        answers = [rater.http.post("/api/answers", json=given) for rater in (early, gone)]
    refused = [(answer.status_code, answer.json()["error"]) for answer in answers]
    assert refused == [(403, "consent"), (403, "withdrawn")]
    assert not any(event.kind == "answers before" for event in load_ballots(folder).events or ())


def test_a_required_answer_is_not_blank() -> None:
    with pytest.raises(Refused, match="name needs an answer"):
        check_answers((Survey(key="name", ask="Name", kind="text", required=True),), {"name": " "})


def test_what_is_frozen_is_said(folder: StudyFolder) -> None:
    text = preregistration(freeze_words(folder))
    assert "Which one?" in text and "Which shows it better?" in text
    assert "20 raters are recruited: 3 usable votes on each of 3 cells, 9 in all." in text
    assert "Excluded below 80% right of at least 5 known answers." in text
    assert "method-" not in text and "{" not in text
    process = Process(folder)
    process.stop()
    assert len(process.raters) == 20, "a link for each planned rater"
    assert (folder.path / "preregistration.md").read_text() == text
    assert process.process.returncode == 0, "Ctrl-C is how it is meant to end"


def test_a_preview_shows_every_page_and_freezes_nothing(folder: StudyFolder) -> None:
    before = sorted((path.name, path.read_bytes()) for path in folder.path.iterdir() if path.is_file())
    command = [sys.executable, "-m", "vapbench", "study", "preview", str(folder.path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    link = process.stdout.readline().split()[-1]
    with httpx.Client(follow_redirects=True, verify=False) as http:
        shown = http.get(link)
        assert shown.url.path == "/preview" and "frame-ancestors 'self'" in shown.headers["content-security-policy"]
        assert "lang=de&amp;screen=consent" in shown.text and "screen=phone" in shown.text
        assert b"screen=instructions" in bytes(preview_page(make_protocol(), frozen=False).body), (
            "also those that are shipped"
        )
        frame = http.get(shown.url.copy_with(path="/study", query=b"lang=de&screen=consent"))
        assert "Ich möchte nicht teilnehmen" in frame.text
        assert http.get(shown.url.copy_with(path="/api/state")).json()["preview"] is True
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert before == sorted((path.name, path.read_bytes()) for path in folder.path.iterdir() if path.is_file())
    with serving(folder) as served:
        assert httpx.get(f"{served.origin}/preview").status_code == 404


def test_a_preview_of_an_open_study_says_that_its_words_are_final(folder: StudyFolder) -> None:
    freeze_words(folder)
    folder.open()
    settings_path(folder).write_text("title: Another\n", encoding="utf-8")
    command = [sys.executable, "-m", "vapbench", "study", "preview", str(folder.path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    link = process.stdout.readline().split()[-1]
    with httpx.Client(follow_redirects=True, verify=False) as http:
        shown = http.get(link).text
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    for place in (shown, said):
        assert "a change of study.yaml no longer counts" in place and "Nothing is frozen" not in place
    assert "Which one?" in shown and "Another" not in shown

"""Specification of the board against strangers: forms of JSON, rows and words that read otherwise than they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.leaderboard.forger import PSNR, Forger
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.contents import LIMITS
from vapbench.leaderboard.roster import Rosters


def keyed(name: str, key: str) -> Callable[[Forger], object]:
    return lambda it: it.rows(name, lambda rows: [row.update(key=key) for row in rows])


def codes(it: Forger) -> None:
    it.rows("generations.jsonl", lambda rows: [row.update(code=str(i % 2)) for i, row in enumerate(rows)])


def spelled(name: str, encoding: str) -> Callable[[Forger], object]:
    return lambda it: (it.path / name).write_bytes((it.path / name).read_text().encode(encoding))


def with_case(change: Callable[[str], str]) -> Callable[[Forger], object]:
    return lambda it: it.rows(PSNR, lambda rows: rows[0].update(case=change(rows[0]["case"])))


def version(value: object) -> Callable[[Forger], object]:
    return lambda it: it.manifest(lambda m: m["identity"].update(version=value))


def note(content: bytes) -> Callable[[Forger], object]:
    return lambda it: (it.path / "README.md").write_bytes(content)


FORMS: dict[str, tuple[Callable[[Forger], object], str]] = {
    # readers take the last row of a key, and the rows of the last code
    "no keys": (keyed("generations.jsonl", ""), "has the key '', which is none"),
    "no keys of scores": (keyed(PSNR, ""), "has the key '', which is none"),
    "key of two lines": (keyed(PSNR, "a\nb"), "which is none"),
    "code of half the rows": (codes, "its rows are of different code"),
    # numbers and hashes that are nearly right
    "hash in capitals": (
        lambda it: it.rows("generations.jsonl", lambda rows: [r.update(sha256=r["sha256"].upper()) for r in rows]),
        "has no SHA-256",
    ),
    "hash with a line break": (
        lambda it: it.rows("generations.jsonl", lambda rows: rows[0].update(sha256=rows[0]["sha256"] + "\n")),
        "has no SHA-256",
    ),
    "seed as 0.0": (lambda it: it.first(PSNR, seed=0.0), "is no row"),
    "seed of 25 digits": (lambda it: it.first(PSNR, seed=10**25), "first_frame_psnr.jsonl:1"),
    "version as 1.0": (lambda it: it.first(PSNR, version=1.0), "is no row"),
    "case in capitals": (with_case(str.upper), "is none of the 66"),
    "case with a space": (with_case(lambda name: name + " "), "is none of the 66"),
    "digits of another script": (lambda it: it.first(PSNR, ended="\u0662\u0660\u0662\u0666-01-31"), "no ISO 8601"),
    "method's version without end": (version(10**290), "identity.version is 1000"),
    "method's version below none": (version(-1), "identity.version is -1"),
    "method's version as praise": (version("1st place"), "what place a method has"),
    "manifest's schema as a fraction": (lambda it: it.manifest(lambda m: m.update(schema=1.0)), "has schema 1.0"),
    "manifest's schema as a boolean": (lambda it: it.manifest(lambda m: m.update(schema=True)), "has schema True"),
    "manifest without a schema": (lambda it: it.manifest(lambda m: m.pop("schema")), "has schema None"),
    "sessions without end": (
        lambda it: it.manifest(lambda m: m.update(sessions=[{"started": "2026-01-01T00:00:00+00:00"}] * 1001)),
        "more than 1,000 sessions",
    ),
    # bytes
    "rows in UTF-16": (spelled("generations.jsonl", "utf-16"), "is no text"),
    "manifest in UTF-16": (spelled("manifest.json", "utf-16"), "is no text"),
    "archive as a note": (note(b"a" * 257 + b"ustar\0" + b"\0" * 249), "is no text"),
    "enormous manifest": (
        lambda it: it.manifest(lambda m: m["card"].update(notes=["x" * 1999] * 2200)),
        f"more than the {LIMITS['.json'] >> 20} MiB",
    ),
    "pipe for the form": (
        lambda it: ((it.path / "submission.json").unlink(), os.mkfifo(it.path / "submission.json")),
        "is no regular file",
    ),
    # words
    "badge in two words": (lambda it: it.said(title="VAP (re computed)"), "the board's own to say"),
    "badge in pieces": (lambda it: it.said(title="VAP re pro duced"), "the board's own to say"),
    "badge letter by letter": (lambda it: it.said(title="VAP v e r i f i e d"), "the board's own to say"),
    "badge with accents": (lambda it: it.said(title="VAP v\u00e9rifi\u00e9d"), "the board's own to say"),
    "badge in digits": (lambda it: it.said(title="VAP verif1ed"), "the board's own to say"),
    "badge in letters that look alike": (lambda it: it.said(submitter="recornputed Lab"), "the board's own to say"),
    "badge as a part": (lambda it: it.said(title="Official-VAP"), "the board's own to say"),
    "badge as the row's name": (lambda it: it.said(id="vap-verified"), "id: says 'verified', which is the board's own"),
    "place as the row's name": (lambda it: it.said(id="1st_place"), "what place a method has"),
    "place": (lambda it: it.said(title="#1 VAP"), "what place a method has"),
    "state of the art": (lambda it: it.said(title="State-of-the-art VAP"), "what place a method has"),
    "sign of a test": (lambda it: it.said(title="VAP\u2020"), "the symbol U+2020"),
    "arrows": (lambda it: it.said(title="VAP \u2191\u2191"), "the symbol U+2191"),
    "the page's own note": (lambda it: it.said(title="VAP [in Greek letters]"), "the board's own to say"),
    "this project": (lambda it: it.said(submitter="The VapBench team"), "names this project"),
    "this project in two words": (lambda it: it.said(submitter="Vap Bench"), "names this project"),
    "this project behind a sign": (lambda it: it.said(submitter="Lab ~ VapBench"), "names this project"),
    "host that is a user": (
        lambda it: it.said(code={"repository": "https://github.com@x.example/", "commit": "abcdef1"}),
        "code.repository",
    ),
    "user in a contact": (lambda it: it.said(contact="https://github.com@x.example/"), "neither an e-mail"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_check_refuses(name: str, forger: Forger, rosters: Rosters) -> None:
    forge, reason = FORMS[name]
    forge(forger)
    problems = check_submission(forger.path, rosters)
    assert any(reason in problem for problem in problems), problems


@pytest.mark.parametrize(
    "title", ["LoRA, rank 1", "Unofficial VAP", "Best of 4 seeds", "VAP with ground-truth depth", "X+Y (v2.1)", "VAP*"]
)
def test_honest_titles_pass(title: str, forger: Forger, rosters: Rosters) -> None:
    forger.said(title=title)
    assert check_submission(forger.path, rosters) == []


def test_megabytes_of_plain_text_are_looked_through_at_once(forger: Forger, rosters: Rosters) -> None:
    """A text without a link was read once for each of its letters: 10 MB took a minute."""
    forger.manifest(lambda m: m["card"].update(notes=["x" * 1999] * 1900))
    began = time.process_time()
    assert check_submission(forger.path, rosters) == []
    assert time.process_time() - began < 5

"""Forgeries by name: what each does to an honest submission, and what the check says of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

from tests.leaderboard.forger import PSNR, Forger, Rows
from vapbench.files.atomic import file_sha256
from vapbench.leaderboard.roster import Rosters

SEMANTIC = "scores/semantic_alignment-embedding.jsonl"
FLICKER = "temporal_flickering"


def metrics(name: str, **fields: Any) -> Callable[[Forger], object]:
    return lambda it: it.manifest(lambda m: m["metrics"][name].update(fields))


def set_all(name: str, **fields: Any) -> Callable[[Forger], object]:
    return lambda it: it.rows(name, lambda rows: [row.update(fields) for row in rows])


def relabel(it: Forger, condition: str) -> None:
    """Every case a condition of its own, in manifest and rows alike: twice the clusters, half the interval."""
    it.manifest(lambda m: [c.update(condition=f"{condition}_{i}") for i, c in enumerate(m["cases"].values())])
    it.all_rows(lambda rows: [row.update(condition=f"{condition}_{i}") for i, row in enumerate(rows)])


def made_up_case(it: Forger) -> None:
    it.manifest(lambda m: m["cases"].update({"zz-hard": {**next(iter(m["cases"].values()))}}))
    it.rows(
        "generations.jsonl",
        lambda rows: rows.append(
            {**rows[0], "case": "zz-hard", "key": "zz", "status": "failed", "video": None, "sha256": None}
        ),
    )


def other_seed(it: Forger) -> None:
    it.json("submission.json", lambda s: s.update(seeds=[7], outputs=[{**o, "seed": 7} for o in s["outputs"]]))
    it.manifest(lambda m: [c.update(seeds=[7]) for c in m["cases"].values()])
    it.all_rows(lambda rows: [row.update(seed=7) for row in rows])


def one_video(it: Forger) -> None:
    it.json("submission.json", lambda s: [o.update(sha256="a" * 64) for o in s["outputs"]])
    it.rows("generations.jsonl", lambda rows: [row.update(sha256="a" * 64) for row in rows])
    for path in sorted((it.path / "scores").iterdir()):
        it.rows(f"scores/{path.name}", lambda rows: [row.update(video_sha256="a" * 64) for row in rows])


def copied(role: str) -> Callable[[Forger], None]:
    def forge(it: Forger) -> None:
        case = next(iter(Rosters().of("mini").media.values()))
        video = case.target if role == "target" else case.reference.video
        assert video is not None
        sha = file_sha256(video.path)

        def change(rows: Rows) -> None:
            for row in rows:
                if row["case"] == case.id:
                    row.update({name: sha for name in ("sha256", "video_sha256") if name in row})

        it.json("submission.json", lambda s: change(s["outputs"]))
        it.all_rows(change)

    return forge


def easy_cases(it: Forger) -> None:
    """Only the cases it is best at, as if no others were planned."""
    kept = set(list(json.loads((it.path / "manifest.json").read_text())["cases"])[:20:3])
    it.manifest(lambda m: m.update(cases={name: case for name, case in m["cases"].items() if name in kept}))
    it.json("submission.json", lambda s: s.update(outputs=[o for o in s["outputs"] if o["case"] in kept]))
    it.all_rows(lambda rows: rows.__setitem__(slice(None), [row for row in rows if row["case"] in kept]))


def invented_column(it: Forger) -> None:
    it.rows(PSNR, lambda rows: [row.update(metric="our_metric") for row in rows])
    (it.path / PSNR).rename(it.path / "scores" / "our_metric.jsonl")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ZALGO = "a" + "\u0301" * 4000
FORGED: dict[str, tuple[Callable[[Forger], object], str]] = {
    # what a column says
    "turned direction": (metrics(FLICKER, higher_is_better=False), "only the registry says how a column reads"),
    "title": (metrics(FLICKER, title="Overall (official)"), "only the registry says"),
    "scale": (metrics(FLICKER, scale=749.3), "only the registry says"),
    "unit": (metrics(FLICKER, unit="% of humans"), "only the registry says"),
    "digits": (metrics(FLICKER, digits=0), "only the registry says"),
    "range": (metrics(FLICKER, range=[0.0, 1000.0]), "only the registry says"),
    "scale that is no number": (metrics(FLICKER, scale="100"), "manifest.json"),
    "column shown that no suite has": (
        lambda it: it.manifest(lambda m: m["metrics"].update(overall={"title": "Overall"})),
        "'overall' is no column of the board of mini",
    ),
    "invented column": (invented_column, "the metric 'our_metric', which is no column of the board of mini"),
    "metric of another suite": (set_all(PSNR, metric="text_alignment[clip]"), "no column of the board of mini"),
    "version nobody released": (set_all(PSNR, version=99), "version 99 of first_frame_psnr"),
    "version of none": (set_all(PSNR, version=0), "version 0 of first_frame_psnr"),
    "parameters": (set_all(PSNR, params={"border": 9}), "no column of the board"),
    "column in another's file": (
        lambda it: (it.path / PSNR).rename(it.path / "scores" / "psnr.jsonl"),
        "whose file is first_frame_psnr.jsonl",
    ),
    "other weights": (set_all(SEMANTIC, weights="b" * 64), "scored with other weights"),
    "no weights": (set_all(SEMANTIC, weights=""), "scored with other weights"),
    "weights where there are none": (set_all(PSNR, weights="b" * 64), "scored with other weights"),
    # what the suite says
    "invented suite": (lambda it: it.manifest(lambda m: m["identity"].update(suite="aaa")), "has no suite 'aaa'"),
    "suite of any videos": (lambda it: it.manifest(lambda m: m["identity"].update(suite="custom")), "has no suite"),
    "mini rows on the full-size board": (
        lambda it: it.manifest(lambda m: m["identity"].update(suite="vap-data")),
        "the cases of vap-data are not known here",
    ),
    "suite as a path": (lambda it: it.manifest(lambda m: m["identity"].update(suite="../mini")), "1 to 160 letters"),
    "suite as a list": (
        lambda it: it.manifest(lambda m: m["identity"].update(suite=["mini"])),
        "manifest.json: identity.suite",
    ),
    "made-up case with a failed row": (made_up_case, "'zz-hard' is none of the 66 of mini"),
    "made-up case in the rows alone": (
        lambda it: it.rows("generations.jsonl", lambda rows: rows[0].update(case="zz-hard")),
        "generations.jsonl:1: the case 'zz-hard' is none of the 66",
    ),
    "relabelled conditions": (lambda it: relabel(it, "cond"), "has the condition 'cond_0', in mini it is"),
    "relabelled conditions of rows": (
        lambda it: it.all_rows(lambda rows: [row.update(condition="mini_a") for row in rows]),
        "generations.jsonl:1: mini_bolumo--scene-1000--scene-2000 has the condition",
    ),
    "other category": (
        lambda it: it.manifest(lambda m: [c.update(category="camera") for c in m["cases"].values()]),
        "has the category 'camera'",
    ),
    "seed of its choice": (other_seed, "every method on the board of mini is run with 0"),
    "partial seeds": (
        lambda it: it.json("submission.json", lambda s: s.update(seeds=[0, 1])),
        "is run with 0",
    ),
    "easy cases alone": (easy_cases, "not all cases of a task it is in"),
    "a case left out": (
        lambda it: it.all_rows(lambda rows: rows.pop(0)),
        "first ('mini_bolumo--scene-1000--scene-2000', 0)",
    ),
    "floor": (lambda it: it.manifest(lambda m: m["card"].update(kind="ceiling")), "card.kind is 'ceiling'"),
    "kind": (lambda it: it.manifest(lambda m: m["card"].update(kind="winner")), "card.kind is 'winner'"),
    # what a row says
    "value of a million": (lambda it: it.first(SEMANTIC, value=1e6), "semantic_alignment-embedding.jsonl:1: 1e+06 is"),
    "value below the range": (lambda it: it.first(PSNR, value=-0.5), "outside the range of first_frame_psnr"),
    "a flat 99": (set_all(SEMANTIC, value=99.0), "all 66 scores are 99"),
    "nan": (lambda it: it.raw(PSNR, lambda t: t.replace('"value":', '"value":NaN,"x":', 1)), "no finite number"),
    "infinite": (lambda it: it.raw(PSNR, lambda t: t.replace('"value":', '"value":1e999,"x":', 1)), "infinite"),
    "value as text": (lambda it: it.first(PSNR, value="42"), "an ok score is a finite number"),
    "value as a boolean": (lambda it: it.first(PSNR, value=True), "an ok score is a finite number"),
    "value as a list": (lambda it: it.first(PSNR, value=[42]), "an ok score is a finite number"),
    "no value": (lambda it: it.first(PSNR, value=None), "an ok score is a finite number"),
    "enormous whole number": (lambda it: it.first(PSNR, value=10**250), "first_frame_psnr.jsonl:1"),
    "value of a failure": (lambda it: it.first(PSNR, status="failed"), "a missing score is null"),
    "status of nobody": (lambda it: it.first(PSNR, status="excellent"), "is no row"),
    "score of a failed generation": (
        lambda it: it.first("generations.jsonl", status="failed", video=None, sha256=None),
        "which nothing was generated for",
    ),
    "failed generation with a video": (lambda it: it.first("generations.jsonl", status="failed"), "and has a video"),
    "other video_sha256": (lambda it: it.first(PSNR, video_sha256="c" * 64), "video_sha256 is not that of the video"),
    "other caption": (lambda it: it.first(SEMANTIC, case_sha256="c" * 64), "another caption, reference or first frame"),
    "doubled rows": (lambda it: it.rows(PSNR, lambda rows: rows.append({**rows[0], "key": "k2"})), "more rows than"),
    "best of two scores": (
        lambda it: it.rows(PSNR, lambda rows: rows.__setitem__(-1, {**rows[0], "value": 60.0, "key": "k2"})),
        "first_frame_psnr.jsonl:66 is a second score of",
    ),
    "best of two videos": (
        lambda it: it.rows("generations.jsonl", lambda rows: rows.__setitem__(-1, {**rows[0], "sha256": "d" * 64})),
        "generations.jsonl:66 is a second row of",
    ),
    "huge row count": (lambda it: it.rows(PSNR, lambda rows: rows.extend(rows * 50)), "more rows than the 66 cases"),
    "huge row": (lambda it: it.first(PSNR, parts={"per_frame": [0.5] * 100_000}), "more than the 256 KiB of a row"),
    "deep row": (lambda it: it.first(PSNR, parts={"a": deep(90)}), "nested deeper"),
    "key listed twice": (
        lambda it: it.raw(PSNR, lambda t: t.replace('"value":', '"value":0.1,"value":', 1)),
        "the key value is there twice",
    ),
    "field of its own": (lambda it: it.first(PSNR, rank=1), "has the field 'rank', which no row has"),
    "row that is a list": (lambda it: it.raw(PSNR, lambda t: "[1]\n" + t), "no object"),
    "wrong checksum": (lambda it: it.first(PSNR, crc="00000000"), "its checksum is another"),
    "torn file": (lambda it: it.raw(PSNR, lambda t: t[:-9]), "the file was cut off"),
    "seed as a boolean": (lambda it: it.first(PSNR, seed=False), "is no row"),
    "seed as a fraction": (lambda it: it.first(PSNR, seed=0.5), "is no row"),
    "negative seconds": (lambda it: it.first("generations.jsonl", seconds=-1e9), "seconds is -1000000000.0"),
    "negative frames": (lambda it: it.first("generations.jsonl", frames=-13), "frames is -13"),
    "row of the future": (lambda it: it.first(PSNR, ended="2999-01-01T00:00:00+00:00"), "is in the future"),
    "time that no figure can show": (lambda it: it.first("generations.jsonl", seconds=5e-324), "seconds is 5e-324"),
    "time without end": (lambda it: it.first("generations.jsonl", seconds=1e200), "seconds is 1e+200"),
    "row of no time": (lambda it: it.first(PSNR, ended="yesterday"), "no ISO 8601 time"),
    "session of the future": (
        lambda it: it.manifest(lambda m: m["sessions"][-1].update(ended="9999-12-31T00:00:00+00:00")),
        "is in the future",
    ),
    "session of no time": (
        lambda it: it.manifest(lambda m: m["sessions"][-1].update(ended="now")),
        "no ISO 8601 time",
    ),
    "more files of rows": (
        lambda it: shutil.copy(it.path / "generations.jsonl", it.path / "generations-2.jsonl"),
        "hold all rows",
    ),
    # whose videos
    "one video for all cases": (one_video, "generations.jsonl:2 has the video of mini_bolumo--scene-1000"),
    "ground truth": (copied("target"), "the video is the ground truth of"),
    "reference": (copied("reference"), "the video is the reference of"),
    "video as a path": (lambda it: it.first("generations.jsonl", video="../../x.mp4"), "without a path"),
    "video as a hidden file": (lambda it: it.first("generations.jsonl", video=".x.mp4"), "without a path"),
    # texts
    "homoglyphs": (lambda it: it.said(title="V\u0430p"), "mixes scripts"),
    "greek in latin": (lambda it: it.said(title="V\u0391P"), "mixes scripts"),
    "phonetic letters": (lambda it: it.said(title="v\u0251p"), "mixes scripts"),
    "mathematical letters": (lambda it: it.said(title="\U0001d415\U0001d400\U0001d40f"), "stand for plain ones"),
    "wide letters": (lambda it: it.said(title="\uff36\uff21\uff30"), "stand for plain ones"),
    "other digits": (lambda it: it.said(title="VAP \u0662"), "mixes scripts"),
    "4,000 combining marks": (lambda it: it.said(title=ZALGO), "submission.json: title"),
    "40 combining marks": (lambda it: it.said(title="Va" + "\u0316" * 40 + "p"), "combining marks"),
    "100,000-character title": (lambda it: it.said(title="a" * 100_000), "has 100,000 characters; 120 are the most"),
    "long submitter": (lambda it: it.said(submitter="a" * 121), "120 are the most"),
    "long note": (lambda it: it.said(note="a " * 1001), "2,000 are the most"),
    "another normal form": (lambda it: it.said(title="Cafe\u0301"), "normal form NFC"),
    "turned text": (lambda it: it.said(title="VAP\u202egpj"), "U+202E"),
    "isolated text": (lambda it: it.said(submitter="A\u2066Lab"), "U+2066"),
    "zero width": (lambda it: it.said(title="V\u200bAP"), "U+200B"),
    "zero-width joiner": (lambda it: it.said(title="V\u200dAP"), "U+200D"),
    "soft hyphen": (lambda it: it.said(title="V\u00adAP"), "U+00AD"),
    "filler": (lambda it: it.said(title="\u3164"), "submission.json: title"),
    "braille blank": (lambda it: it.said(title="VAP \u2800"), "U+2800"),
    "tag characters": (lambda it: it.said(title="VAP\U000e0041"), "U+E0041"),
    "variation selector": (lambda it: it.said(title="VAP\ufe0f"), "U+FE0F"),
    "private use": (lambda it: it.said(title="VAP\ue000"), "U+E000"),
    "half a character": (lambda it: it.raw("submission.json", lambda t: t.replace("A Lab", "A\\ud800")), "submission"),
    "spaces": (lambda it: it.said(title="VAP   "), "spaces at its ends"),
    "no-break space": (lambda it: it.said(title="VA\u00a0P"), "stand for plain ones"),
    "two lines": (lambda it: it.said(title="VAP\nrank 1"), "more than one line"),
    "medal": (lambda it: it.said(title="VAP \U0001f947"), "the symbol U+1F947"),
    "badge in words": (lambda it: it.said(title="VAP (Verified)"), "the board's own to say"),
    "empty title": (lambda it: it.said(title=""), "title"),
    "title of no letter": (lambda it: it.said(title="***"), "no letter"),
    "formula": (lambda it: it.said(title="=HYPERLINK(1)"), "begins as a formula"),
    "html": (lambda it: it.said(submitter="<b>Lab</b>"), "holds markup"),
    "entity": (lambda it: it.said(submitter="&lt;b&gt;"), "holds markup"),
    "template": (lambda it: it.said(note="{{ 7 * 7 }}"), "holds markup"),
    "markdown link": (lambda it: it.said(note="[best](//x.example)"), "holds markup"),
    "markdown image": (lambda it: it.said(title="![x](y)"), "holds markup"),
    "link": (lambda it: it.said(title="see https://x.example"), "holds a link"),
    "link without a scheme": (lambda it: it.said(note="www.x.example"), "holds a link"),
    "markup as licence": (lambda it: it.said(licence="<a href=x>MIT</a>"), "holds markup"),
    "script as contact": (lambda it: it.said(contact="javascript:alert(1)"), "neither an e-mail"),
    "markup in a contact": (lambda it: it.said(contact='https://x.example/"><b>'), "neither an e-mail"),
    "homoglyph in an address": (lambda it: it.said(contact="a@ex\u0430mple.org"), "neither an e-mail"),
    "repository": (
        lambda it: it.said(code={"repository": "file:///etc/passwd", "commit": "abcdef1"}),
        "code.repository",
    ),
    "commit": (lambda it: it.said(code={"repository": "https://x.example/", "commit": "<b>"}), "code.commit"),
    "note of a row as markup": (lambda it: it.first(PSNR, note="<img src=x onerror=alert(1)>"), "holds markup"),
    "failure as markup": (
        lambda it: it.first("generations.jsonl", attempts=[{"type": "E", "message": "<script>"}]),
        "holds markup",
    ),
    "long failure": (
        lambda it: it.first("generations.jsonl", attempts=[{"type": "E", "message": "a" * 3000}]),
        "2,000 are the most",
    ),
    "markup in parameters": (
        lambda it: it.manifest(lambda m: m["identity"]["parameters"].update({"<script>": 1})),
        "holds markup",
    ),
    "parameters without end": (
        lambda it: it.manifest(lambda m: m["identity"]["parameters"].update(x=["abc"] * 4000)),
        "8,000 are the most",
    ),
    "markup in a card": (lambda it: it.manifest(lambda m: m["card"].update(notes=["<b>"])), "holds markup"),
    # names, files and forms
    "folder's name": (lambda it: it.said(id="other"), "they must be equal"),
    "id as a path": (lambda it: it.said(id="../mine"), "submission.json: id"),
    "case as a path": (lambda it: it.first(PSNR, case="../../etc/passwd"), "is none of the 66"),
    "seed as text": (lambda it: it.said(seeds=["0"]), "submission.json: seeds"),
    "negative seed": (lambda it: it.said(seeds=[-1]), "submission.json: seeds"),
    "enormous seed": (lambda it: it.said(seeds=[10**200]), "submission.json: seeds"),
    "schema as a boolean": (lambda it: it.said(schema=True), "submission.json: schema"),
    "schema of the future": (lambda it: it.said(schema=2), "submission.json: schema"),
    "field of a submission": (lambda it: it.said(badge="recomputed"), "submission.json: badge"),
    "key twice in submission.json": (
        lambda it: it.raw("submission.json", lambda t: t.replace('"title"', '"title": "x", "title"', 1)),
        "is there twice",
    ),
    "key twice in manifest.json": (
        lambda it: it.raw("manifest.json", lambda t: t.replace('"identity"', '"identity": {}, "identity"', 1)),
        "is there twice",
    ),
    "outputs of another": (
        lambda it: it.json("submission.json", lambda s: s["outputs"][0].update(sha256="e" * 64)),
        "the hashes in submission.json and generations.jsonl differ",
    ),
    "manifest of the future": (lambda it: it.manifest(lambda m: m.update(schema=2)), "has schema 2"),
    "cases as a list": (lambda it: it.manifest(lambda m: m.update(cases=["a"])), "manifest.json"),
    "no rows": (lambda it: it.raw("generations.jsonl", lambda _: ""), "no generation"),
}  # fmt: skip

"""Specification of the static site."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from tests.refusals import refuses
from tests.report.conftest import Case
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.leaderboard.changelog import _append, read_changelog
from vapbench.leaderboard.charts import human
from vapbench.leaderboard.media import MediaFiles
from vapbench.leaderboard.site import _write, build

from .conftest import HOSTILE, Board, cases

ROOT = Path(__file__).parents[2]


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def line_of(page: str, label: str) -> str:
    (found,) = [line for line in page.split("<tr") if f">{label}</a>" in line]
    return found


def test_a_rebuild_is_byte_identical(board: Board) -> None:
    board.fill()
    first = contents(board.build())
    assert contents(board.build()) == first
    assert contents(board.build(out=board.runs.root / "elsewhere" / "site")) == first
    assert read_changelog(board.home / "changelog.jsonl")


def test_every_link_and_file_is_there_and_nothing_comes_from_elsewhere(board: Board) -> None:
    board.fill()
    site = board.build()
    pages = [path for path in site.rglob("*.html")]
    assert len(pages) > 15
    assert not (site / "card").exists() and "og:image" not in board.page("index.html"), "nobody knows its address"
    for page in pages:
        for tag, attrs in Tags(page.read_text(encoding="utf-8")).found:
            assert "style" not in attrs and not any(name.startswith("on") for name in attrs)
            for name in ("src", "href", "poster"):
                if value := attrs.get(name):
                    if tag == "a" and value.startswith("https://arxiv.org/"):
                        continue  # followed by whoever wants to read the paper, and by nobody else
                    assert not re.match(r"[a-z]+:|//", value), (page, tag, value)
                    target = page.parent / unquote(value.partition("#")[0])
                    assert target.resolve().is_relative_to(site.resolve()) and target.is_file(), (page, value)


def test_a_link_to_the_site_has_a_picture_where_its_address_is_known(board: Board) -> None:
    board.runs.write("vap", cases(0.6))

    def pictures() -> dict[str, bytes]:
        build(board.results, board.home, board.site, videos=False, url="https://example.org/board")
        return {path.name: path.read_bytes() for path in sorted((board.site / "card").iterdir())}

    first = pictures()
    assert pictures() == first, "equal rows, equal pictures"
    assert [Image.open(board.site / "card" / name).size for name in first] == [(1200, 630), (1200, 630)]
    for page in board.site.rglob("*.html"):
        tags = Tags(page.read_text(encoding="utf-8")).found
        metas = {attrs["property"]: attrs["content"] for tag, attrs in tags if tag == "meta" and "property" in attrs}
        picture = str(metas["og:image"])
        assert picture.startswith("https://example.org/board/card/")
        assert (board.site / picture.removeprefix("https://example.org/board/")).is_file()
    assert "https://example.org/board/embed/mini.html" in board.page("index.html")


@pytest.mark.parametrize("url", ["example.org", "javascript:alert(1)", "https://example.org/?a=b", "https://"])
def test_what_is_no_address_is_refused(board: Board, url: str) -> None:
    with refuses(UsageError, ErrorKind.INVALID, "url", "--url"):
        build(board.results, board.home, board.site, url=url)


def test_mini_and_full_size_stand_on_separate_boards(board: Board) -> None:
    board.fill()
    board.runs.write("vap", cases(0.5), suite="vap-data")
    board.build()
    full, mini = board.page("index.html"), board.page("board/mini/index.html")
    assert "Full-size board" in full and "As published (arXiv:2510.20888)" in full
    assert "53.90" in full and "Alignment score" in full, "a paper's numbers, to its digits, under its own columns"
    assert "70.44" not in full[full.index('id="board"') : full.index("As published")]
    assert "Mini board: toy clips" in mini and "arXiv" not in mini
    assert "method/mini/" not in full and "method/vap-data/" not in mini


def test_without_full_size_runs_the_published_rows_stand_alone_and_are_not_ranked(board: Board) -> None:
    board.fill()
    board.build()
    page = board.page("board/vap-data/index.html")
    assert "Nothing has been measured at full size yet" in page and "70.44" in page
    assert 'class="rank"' not in page and 'class="best"' not in page


def test_ranks_are_ranges_and_what_is_incomplete_is_not_ranked(board: Board) -> None:
    board.fill()
    board.build()
    page = board.page("index.html")
    assert '<span class="rank">#1</span>' in line_of(page, "vap")
    incomplete = line_of(page, "i2v")
    assert "11/12" in incomplete and "incomplete" in incomplete and "OutOfMemory: the GPU is full" in incomplete
    assert 'class="rank"' not in incomplete and "data-complete" not in incomplete
    assert 'class="rank"' not in line_of(page, "frozen"), "a floor does not compete"
    assert page.index(">vap<") < page.index(">i2v<") < page.index(">frozen<")


def test_a_method_s_page_tells_what_failed_and_why(board: Board) -> None:
    board.fill()
    board.build()
    page = board.page("method/mini/i2v.html")
    assert "generation failed" in page and "OutOfMemory: the GPU is full" in page
    assert "cond_1" in page and "recomputed" in page
    assert "Every planned case has a video and all its scores." in board.page("method/mini/vap.html")


def test_videos_are_copied_by_content_or_plainly_absent(board: Board) -> None:
    board.fill()
    site = board.build()
    copied = sorted((site / "media").glob("*.mp4"))
    assert copied and all(file_sha256(path).startswith(path.stem) for path in copied)
    assert list((site / "media").glob("*-first.png")), "a first frame is an image, not the answer"
    board.build(videos=False)
    assert not (site / "media").exists()
    assert "No videos of this case are kept here" in board.page("case/mini/case-0.html")
    assert "<video" not in board.page("case/mini/case-0.html")


@pytest.mark.parametrize("videos", [True, False])
def test_hostile_texts_are_texts(board: Board, videos: bool) -> None:
    written = {"case-0": Case("cond_0", extra={"caption": HOSTILE, "reference_caption": HOSTILE})}
    run = board.runs.write("vap", cases(0.5, **written))
    manifest = json.loads(run.manifest_path.read_text())
    manifest["card"] = {"title": HOSTILE, "kind": HOSTILE, "notes": [HOSTILE]}
    manifest["identity"]["parameters"] = {"prompt": HOSTILE}
    manifest["cases"][HOSTILE] = {"condition": HOSTILE, "category": HOSTILE, "tasks": ["all", HOSTILE]}
    run.manifest_path.write_text(json.dumps(manifest))
    site = board.build(videos)
    for path in site.rglob("*.html"):
        tags = Tags(path.read_text(encoding="utf-8")).found
        assert not [attrs for tag, attrs in tags if tag == "img" and attrs.get("src") == "x"]
        scripts = [attrs for tag, attrs in tags if tag == "script"]
        assert len(scripts) <= 2 and "unsafe" not in path.read_text(encoding="utf-8")
        assert "alert(1)</script>" not in path.read_text(encoding="utf-8")
        assert path.resolve().is_relative_to(site.resolve())


def test_the_changelog_takes_names_with_a_line_separator(tmp_path: Path) -> None:
    (tmp_path / "changelog.jsonl").touch()
    assert read_changelog(tmp_path / "changelog.jsonl") == []
    path, item = tmp_path / "changelog.jsonl", {"suite": "s", "run": "r", "why": "", "columns": {"a\u2028b\u0085": 1.0}}
    changes = _append(path, [], [{"date": "2026-01-01", "event": "added", **item}])
    _append(path, changes, [{"date": "2026-01-02", "event": "withdrawn", **item}])
    assert [list(change.columns) for change in read_changelog(path)] == [["a\u2028b\u0085"]] * 2


def test_the_changelog_is_only_appended_to(board: Board) -> None:
    log = board.home / "changelog.jsonl"
    board.fill()
    board.build()
    first = log.read_text()
    assert {change.event for change in read_changelog(log)} == {"added"}
    board.runs.write("vap", cases(0.6), metric="other_metric")
    board.build()
    board.build()
    assert log.read_text().startswith(first)
    (rescored,) = read_changelog(log)[4:]
    assert (rescored.event, rescored.run) == ("rescored", "vap") and "new: other_metric v1" in rescored.why
    (board.results / "mini" / "lora" / "manifest.json").unlink()
    board.build()
    assert (read_changelog(log)[-1].event, read_changelog(log)[-1].run) == ("withdrawn", "lora")
    assert "lora" in board.page("changes.html")
    log.write_text(log.read_text().replace("OutOf", "").replace('"added"', '"rescored"', 1))
    with refuses(DataError, ErrorKind.DAMAGED, "changelog.jsonl"):
        board.build()
    log.write_text(f"{first}[]\n")
    with refuses(DataError, ErrorKind.DAMAGED, "changelog.jsonl", "no line of a changelog"):
        read_changelog(log)


def test_a_folder_of_something_else_is_not_replaced(board: Board) -> None:
    board.fill()
    (board.runs.root / "thesis").mkdir()
    (board.runs.root / "thesis" / "chapter.tex").write_text("years of work")
    with refuses(UsageError, ErrorKind.CONFLICT, "out", "--out"):
        board.build(out=board.runs.root / "thesis")
    assert (board.runs.root / "thesis" / "chapter.tex").exists()


def attest(board: Board, **said: object) -> None:
    board.home.mkdir(exist_ok=True)
    (board.home / "badges.json").write_text(json.dumps({"runs": {"mini/vap": said}}))


def test_badges_are_what_maintainers_attest(board: Board) -> None:
    board.fill()
    board.build()
    assert "recomputed" in line_of(board.page("index.html"), "vap"), "our own run, made once"
    attest(board, badge="self-reported")
    board.build()
    line = line_of(board.page("index.html"), "vap")
    assert "self-reported" in line and "recomputed" not in line
    attest(board, badge="best")
    with refuses(DataError, ErrorKind.INVALID, "badges.json"):
        board.build()


def test_what_was_said_of_a_submission_moves_no_badge_of_ours(board: Board) -> None:
    board.fill()
    attest(board, badge="self-reported", submission="a" * 64)
    board.build()
    assert "recomputed" in line_of(board.page("index.html"), "vap")


def test_copies_that_browsers_play_stay_while_they_are_wanted(board: Board) -> None:
    kept = board.site / "media" / "0-shown.mp4"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"encoded before")
    media = MediaFiles(wanted=True, copies={"media/0-shown.mp4": board.runs.root / "none.avi"})
    assert media.count == 1
    _write(board.site, {}, media)
    assert kept.read_bytes() == b"encoded before", "encoding hundreds of them again would take minutes"


def test_reproduced_needs_a_tenth_of_the_cases_made_again(board: Board) -> None:
    board.fill()
    board.build()
    attest(board, badge="reproduced", regenerated=1)
    with refuses(DataError, ErrorKind.CONFLICT, "badges.json", "10% of its 12 cases", '"regenerated": 1'):
        board.build()
    attest(board, badge="reproduced", regenerated=2)
    board.build()
    assert "reproduced" in line_of(board.page("index.html"), "vap")
    last = read_changelog(board.home / "changelog.jsonl")[-1]
    assert (last.event, last.run, last.why) == ("verified", "vap", "badge: reproduced, was recomputed")


def test_the_first_page_says_what_this_is_and_begins_with_full_size(board: Board) -> None:
    board.fill()
    board.build()
    home = board.page("index.html")
    for said in ("A benchmark of semantic-controlled video generation", "https://arxiv.org/abs/2510.20888", "@article"):
        assert said in home
    assert 'href="submit.html"' in home and "leaderboard rescore" in board.page("submit.html")
    assert home.index(">53.90<") < home.index("The playground") < home.index('id="board"')


def test_a_method_s_page_says_the_number_of_the_board(board: Board) -> None:
    """Also where it took part in more than the board of all cases."""
    every = {f"more-{i}": Case(f"cond_{i}", (0.9,), tasks=("zero-shot",)) for i in range(3)}
    board.runs.write("vap", cases(0.6) | every)
    board.runs.write("lora", cases(0.3))
    board.build()
    (number,) = re.findall(r"<b>([\d.]+)</b>", line_of(board.page("index.html"), "vap"))
    page = board.page("method/mini/vap.html")
    assert f"<b>{number}</b>" in page and "As on the board: mini · camera · 12 cases" in page
    assert re.search(r"zero-shot</th><td>90\.0", page), "the other task beside it"


def test_a_metric_has_a_page_that_says_what_it_measures_and_who_is_first_by_it(board: Board) -> None:
    board.fill()
    (board.home / "audits").mkdir(parents=True)
    rows = [
        "column,edit,verdict,original_better",
        "temporal_flickering,re-encoded,disturbed,0.75",
        "other,frozen,sees,1",
    ]
    (board.home / "audits" / "mini.csv").write_text("\n".join(rows) + "\n")
    board.build()
    name = "metric/mini/temporal_flickering-v1.html"
    page = board.page(name)
    assert "Similarity of neighbouring frames, pixel by pixel." in page and "``" not in page
    assert "temporal_flickering v1" in page and "<dd>higher</dd>" in page
    assert page.index(">vap<") < page.index(">lora<") < page.index(">i2v<") < page.index(">frozen<")
    assert '<span class="rank">#1</span>' in line_of(page, "vap") and "incomplete" in line_of(page, "i2v")
    assert "Re encoded" in page and "disturbed" in page and "75 %" in page and "Frozen" not in page
    for other in ("index.html", "methodology.html", "method/mini/vap.html", "case/mini/case-0.html"):
        assert name in board.page(other), other


def test_figures_hold_what_was_measured(board: Board) -> None:
    more = {f"style-{i}": Case(f"look_{i}", (0.5,), "style", ("all", "style")) for i in range(4)}
    for method, skill in (("vap", 0.6), ("lora", 0.3), ("frozen", 0.1)):
        board.runs.write(method, cases(skill) | more)
    board.build()
    page = board.page("index.html")
    assert "flicker by category" in page and "vap 65.5, lora 35.5" in page and "frozen 1" not in page
    assert "flicker against time" in page and "vap: 61.6 at 1.5 s" in page
    assert '<td class="h' in page[page.index("flicker by condition") :]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mini_bolumo", "The subject swells into a balloon and floats up"),
        ("vidu_covered_liquid_metal", "Covered liquid metal (Vidu)"),
        ("zoom_in", "Zoom in"),
        ("mini_unheard_of", "Unheard of"),
    ],
)
def test_conditions_have_names(name: str, shown: str) -> None:
    assert human(name) == shown


def test_a_clone_that_ran_nothing_has_pictures(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite draws its own references and ground truths, wherever the rows were made."""
    monkeypatch.setenv("VAPBENCH_CACHE", str(cache))
    shutil.copytree(ROOT / "results" / "mini" / "i2v", tmp_path / "results" / "mini" / "i2v")
    site = build(tmp_path / "results", tmp_path / "board", tmp_path / "site").index.parent
    case = sorted((site / "case" / "mini").iterdir())[0].read_text()
    assert case.count("<video") == 2 and case.count("poster=") == 2 and "No video kept here of i2v" in case
    assert len(list((site / "media").glob("*.mp4"))) == 132


def test_runs_scored_with_different_weights_share_no_column(board: Board) -> None:
    board.fill()
    for name, weights in (("vap", "a" * 64), ("lora", "b" * 64)):
        path = board.results / "mini" / name / "scores" / "temporal_flickering.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**row, "weights": weights, "crc": None}) + "\n" for row in rows))
    with refuses(DataError, ErrorKind.CONFLICT, "weights", "temporal_flickering", "vapbench score"):
        board.build()


def test_a_column_without_a_range_that_no_method_has_is_no_reason_to_stop(board: Board) -> None:
    board.runs.write("frozen", cases(0.1))
    board.build(videos=False)
    assert "frozen" in board.page("index.html")

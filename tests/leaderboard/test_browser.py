"""The site in a real browser, opened as a file."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.report.conftest import Case, Runs, clip
from vapbench.leaderboard.site import build
from vapbench.results.rows import Failure

from .conftest import HOSTILE, cases

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


def until(page: Page, expression: str, seconds: float = 120.0) -> None:
    """Wait until an expression holds; the pages' policy forbids the eval that Playwright's own wait polls with."""
    last = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < last, f"never held: {expression}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three methods, one of them incomplete, and a floor, with videos."""
    root = tmp_path_factory.mktemp("board")
    runs = Runs(root)
    given = {"reference": str(runs.video), "caption": HOSTILE}
    for method, skill, folder in (("vap", 0.6, "vap"), ("lora", 0.3, "lora"), ("frozen", 0.1, "frozen")):
        runs.write(method, cases(skill, **{"case-0": Case("cond_0", (0.45,), extra=given)}), folder=folder)
    broken = Case("cond_1", (0.0,), generation=Failure("OutOfMemory", "the GPU is full"))
    runs.write("i2v", cases(0.9, **{"case-3": broken}))
    return build(root, root / "board", root / "board" / "site").index.parent


@pytest.fixture
def open_page(browser: Browser, site: Path) -> Iterator[Callable[..., Page]]:
    complaints: list[str] = []
    contexts = []

    def go(name: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        context.on("dialog", lambda dialog: complaints.append(dialog.message))
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{site.as_uri()}/{name}")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def methods(page: Page) -> list[str]:
    shown: list[str] = page.locator("#board tbody tr:visible th[scope=row] a").all_inner_texts()
    return shown


def test_columns_sort_and_numbers_that_are_missing_come_last(open_page: Callable[..., Page]) -> None:
    page = open_page("index.html")
    assert methods(page) == ["vap", "lora", "i2v", "frozen"], "the incomplete one is not ranked"
    page.locator("thead button").nth(1).click()
    assert methods(page) == ["lora", "vap", "i2v", "frozen"], "ascending; a floor stays with the floors"
    page.locator("thead button").nth(1).click()
    assert methods(page) == ["vap", "lora", "i2v", "frozen"]
    page.locator("thead button").first.click()
    assert methods(page) == ["i2v", "lora", "vap", "frozen"]
    assert page.locator("th[aria-sort]").count() == 1


def test_the_board_is_a_table_to_whoever_cannot_see_it(open_page: Callable[..., Page]) -> None:
    page = open_page("index.html")
    table = page.locator("#board")
    assert table.get_by_role("columnheader").all_inner_texts()[:3] == ["Method", "Verified", "Cases"]
    row = table.get_by_role("row", name="lora").first
    assert row.get_by_role("rowheader").count() == 1 and row.get_by_role("cell").count() == 3
    edges = "[...document.querySelectorAll('#board tr')].map((r) => r.cells[3]?.getBoundingClientRect().left)"
    assert len({edge for edge in page.evaluate(edges) if edge is not None}) == 1, "columns stand below their heads"


def test_filters_narrow_are_remembered_and_can_be_reset(open_page: Callable[..., Page]) -> None:
    page = open_page("index.html")
    page.locator("#complete").check()
    assert methods(page) == ["vap", "lora", "frozen"]
    page.locator("[data-filter=kind]").select_option("per-condition")
    assert methods(page) == ["lora"] and page.locator("#count").inner_text() == "1 of 4 methods"
    page.reload()
    assert methods(page) == ["lora"]
    page.locator("#search").fill("LOR")
    assert methods(page) == ["lora"] and "search=LOR" in page.url
    page.locator("button[type=reset]").click()
    until(page, "document.querySelectorAll('#board tbody tr[hidden]').length === 0")
    assert len(methods(page)) == 4
    page.locator(".filters summary").click()
    page.locator("[data-column]").first.uncheck()
    assert page.locator("#board td b:visible").count() == 0
    with page.expect_download() as download:
        page.locator("#csv").click()
    assert Path(download.value.path()).read_text().splitlines()[0] == '"Method","Verified","Cases"'


@pytest.mark.parametrize(("shown", "kept"), [("-1+cmd|x", "'-1+cmd|x"), ("=1", "'=1"), ("-1.5", "-1.5")])
def test_a_download_holds_no_formula(shown: str, kept: str, open_page: Callable[..., Page]) -> None:
    page = open_page("index.html")
    page.evaluate("(text) => { document.querySelector('#board tbody th a').textContent = text; }", shown)
    with page.expect_download() as download:
        page.locator("#csv").click()
    assert Path(download.value.path()).read_text().splitlines()[1].startswith(f'"{kept}",')


def test_without_javascript_everything_is_there(open_page: Callable[..., Page]) -> None:
    page = open_page("index.html", java_script_enabled=False)
    assert methods(page) == ["vap", "lora", "i2v", "frozen"]
    assert not page.locator("#filters").is_visible()
    page.get_by_role("link", name="Cases, with every method's output").click()
    page.get_by_role("link", name="case-0").click()
    page.wait_for_load_state()
    assert page.locator("video[controls]").count() == 5
    page.goto(page.url.replace("case/mini/case-0", "compare/mini"))
    assert page.get_by_text("This page needs JavaScript").is_visible()


def test_another_site_shows_the_board_by_the_snippet(
    open_page: Callable[..., Page], site: Path, tmp_path: Path
) -> None:
    page = open_page("index.html")
    page.get_by_text("Embed this board").click()
    snippet = page.locator(".embed pre").inner_text()
    (tmp_path / "blog.html").write_text(snippet.replace("https://…", site.as_uri()), encoding="utf-8")
    page.goto((tmp_path / "blog.html").as_uri())
    shown = page.frame_locator("iframe")
    assert shown.locator("tbody a").all_inner_texts() == ["vap", "lora", "i2v", "frozen"]
    assert shown.locator("nav").count() == 0
    with page.context.expect_page() as opened:
        shown.get_by_role("link", name="lora").click()
    assert opened.value.url.endswith("method/mini/lora.html"), "a link leaves the frame"


def test_two_methods_are_compared_case_by_case(open_page: Callable[..., Page]) -> None:
    page = open_page("method/mini/vap.html")
    page.get_by_role("link", name="Compare it with another method").click()
    page.locator("#b").select_option("lora")
    wins = page.locator("#wins")
    assert "vap ahead in 11, lora ahead in 0, 1 tie, 0 without both scores; 12 cases." in wins.inner_text()
    page.locator("#b").select_option("i2v")
    assert "1 without both scores" in wins.inner_text()
    page.locator("#condition").select_option("cond_1")
    assert page.locator(".duel").count() == 2
    assert page.get_by_text("No video of it is kept here.").count() >= 1
    page.reload()
    assert page.locator("#b").input_value() == "i2v" and page.locator(".duel").count() == 2


def test_a_comparison_without_videos_is_short_and_begins_with_methods(browser: Browser, tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for method in ("copy-reference", "frozen", "i2v", "vap"):
        runs.write(method, cases(0.5))
    page = browser.new_page()
    site = build(tmp_path, tmp_path / "board", tmp_path / "board" / "site", False).index.parent
    page.goto(f"{site.as_uri()}/compare/mini.html")
    assert [page.locator(f"#{side}").input_value() for side in "ab"] == ["i2v", "vap"], (
        "floors are a choice, not the start"
    )
    assert page.locator(".duel").count() == 12 and page.locator(".duel .frame").count() == 0
    assert "ahead in" in page.locator("#wins").inner_text()
    page.close()


def test_players_run_in_step(open_page: Callable[..., Page]) -> None:
    page = open_page("case/mini/case-0.html")
    times = "[...document.querySelectorAll('video')].map((video) => video.currentTime)"
    until(page, f"{times}.length === 5 && {times}.every((time) => time > 0.1)")
    page.locator("#play").click()
    until(page, "[...document.querySelectorAll('video')].every((v) => v.paused && !v.seeking)")
    apart = f"Math.max(...{times}) - Math.min(...{times})"
    until(page, f"{apart} < {0.5 / clip().fps}")  # half a frame at most
    page.locator("#scrub").fill("0.5")
    until(page, f"{times}.every((time) => Math.abs(time - 0.5) < 0.02)")


def test_axe_finds_no_serious_issue(open_page: Callable[..., Page]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    page, found = open_page("index.html"), {}
    root = page.url.removesuffix("index.html").partition("#")[0]
    names = ["index", "board/vap-data/index", "method/mini/i2v", "case/mini/case-0", "compare/mini", "gallery/mini"]
    for name in [*names, "embed/mini", "methodology", "changes", "data", "submit"]:
        page.goto(f"{root}{name}.html")
        bad = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
        bad = [item for item in bad if item["impact"] in ("serious", "critical")]
        found[name] = [f"{item['id']}: {[node['html'][:160] for node in item['nodes']]}" for item in bad]
    assert {name: bad for name, bad in found.items() if bad} == {}


@pytest.mark.parametrize("rows", [100, 500])
def test_filtering_takes_less_than_fifty_milliseconds(open_page: Callable[..., Page], site: Path, rows: int) -> None:
    html = (site / "index.html").read_text(encoding="utf-8")
    cell = html[html.index("<td", html.index("<b>") - 80) : html.index("</td>", html.index("<b>")) + 5]
    start = html.index("<tr data-kind")
    row = html[start : html.index("</tr>", start)]
    wide = row + 9 * cell
    many = "".join(wide.replace("unified", "per-condition") + "</tr>" if i % 2 else wide + "</tr>" for i in range(rows))
    (site / "many.html").write_text(html.replace(row, many, 1), encoding="utf-8")
    page = open_page("many.html")
    (site / "many.html").unlink()
    assert page.locator("#board tbody tr[data-kind]").count() == rows + 3
    # Processor time of the page's thread: what the page costs, whatever else the machine does.
    driver = page.context.new_cdp_session(page)
    driver.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = driver.send("Performance.getMetrics")["metrics"]
        return next(1000 * float(item["value"]) for item in metrics if item["name"] == "TaskDuration")

    times = []
    for kind in ("per-condition", "", "unified", "", "per-condition"):
        before = spent()
        page.evaluate(
            """(kind) => {
              const filter = document.querySelector('[data-filter=kind]');
              filter.value = kind;
              filter.dispatchEvent(new Event('change', { bubbles: true }));
              document.body.offsetHeight;
            }""",
            kind,
        )
        times.append(spent() - before)
    sys.stdout.write(
        f"\nfiltering {rows} rows of 10 columns: {sorted(times)[2]:.1f} ms of the page's thread, median of 5\n"
    )
    assert sorted(times)[2] < 50, times


@pytest.mark.parametrize(("width", "media"), [(1440, None), (1280, None), (390, None), (816, "print")])
def test_no_page_is_wider_than_its_window(open_page: Callable[..., Page], width: int, media: Any) -> None:
    """What does not fit scrolls by itself; the board's columns fit a laptop, and paper."""
    page = open_page("index.html", viewport={"width": width, "height": 900})
    page.emulate_media(media=media)
    root = page.url.removesuffix("index.html").partition("#")[0]
    names = ["index", "board/vap-data/index", "method/mini/i2v", "case/mini/case-0", "compare/mini", "gallery/mini"]
    for name in [*names, "embed/mini", "methodology", "changes", "data", "submit"]:
        page.goto(f"{root}{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    page.goto(f"{root}board/vap-data/index.html")
    if width >= 816:
        board = "document.getElementById('board')"
        assert page.evaluate(f"{board}.scrollWidth <= {board}.parentNode.clientWidth"), "no column is cut off"

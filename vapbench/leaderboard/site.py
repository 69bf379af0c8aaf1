"""The static site: a pure function of the results, the submissions, the studies, and the videos that are there.

It works from ``file://``: every page holds its style and its script, and its content-security policy names their
hashes, so that whatever a caption or a method's name holds, nothing else runs or loads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.text import encodable
from vapbench.leaderboard.addresses import card_image
from vapbench.leaderboard.boards import Board, Leaderboard, LeftOut, slug
from vapbench.leaderboard.card import draw_card
from vapbench.leaderboard.changelog import update_changelog
from vapbench.leaderboard.collecting import collect
from vapbench.leaderboard.media import MediaFiles
from vapbench.leaderboard.pages import Site, board_pages, common_pages
from vapbench.leaderboard.redraw import clips_below
from vapbench.report.render.csv import to_csv
from vapbench.report.render.json import to_json

_MARK = ".vapbench-site"


@dataclass(frozen=True)
class Built:
    """What a build wrote."""

    index: Path
    pages: int
    videos: int
    left_out: tuple[LeftOut, ...] = ()
    """Submissions that are not shown, and why."""


def build(
    results: Path | Sequence[Path],
    leaderboard: Path,
    out: Path,
    videos: bool = True,
    data: Path | None = None,
    url: str | None = None,
) -> Built:
    """Build the site.

    Args:
        results: results folders; of runs with one name, that of the first is taken.
        leaderboard: folder of submissions, badges and the changelog, which is appended to.
        out: replaced as a whole; media files that are still wanted stay.
        videos: copy the videos that are there; False builds from rows alone.
        data: what suites that need data read, to hold submissions to their cases.
        url: where the site will stand. Pictures of links need the whole address: without it there are none, and the
            snippet that embeds a board leaves the place open.

    Raises:
        DataError: a run of ours or the changelog cannot be used as it is. A submission that does not pass the check is
            left out, and moves no number.
        UsageError: ``out`` holds something else than a site, or ``url`` is no address of one.
    """
    _check_out(out)
    address = _address(url)
    home = Leaderboard(leaderboard)
    found = collect([results] if isinstance(results, Path) else results, home, data)
    boards, kept_out = found.boards, {it.name for it in found.left_out}
    changes = update_changelog(home.changelog, boards, kept_out)
    site = Site(boards, MediaFiles(videos), found.left_out, address)
    files = dict(_data(boards))
    if videos:
        site.media.again = clips_below(home.clips)
    for board in boards:
        site.media.draw(board.suite)
        board_pages(site, board)
    common_pages(site, changes, files)
    cards = {card_image(board): board for board in boards if address}
    _write(out, {**site.pages, **files}, site.media, cards)
    for name, board in cards.items():
        draw_card(out / name, board)
    return Built(out / "index.html", len(site.pages), site.media.count, found.left_out)


def _data(boards: Sequence[Board]) -> Iterator[tuple[str, str]]:
    for board in boards:
        tables = [to_json(table) for table in (*board.tables, *board.papers)]
        yield f"data/{board.slug}.json", encodable(json.dumps(tables, indent=1, ensure_ascii=False) + "\n")
        for table in board.tables:
            yield f"data/{board.slug}-{slug(table.task or 'all')}.csv", encodable(to_csv(table))
        for study in board.studies:
            document = study.model_dump_json(by_alias=True, indent=1) + "\n"
            yield f"data/{board.slug}-study-{slug(study.study)}.json", encodable(document)


def _address(url: str | None) -> str:
    if url is None:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"--url is the address the site will have, such as https://example.org/board/, not {url}",
            ErrorKind.INVALID,
            "url",
        )
    return url.rstrip("/") + "/"


def _check_out(out: Path) -> None:
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / _MARK).is_file())):
        raise UsageError(
            f"{out} holds something else than a site; name another folder with --out, or empty it.",
            ErrorKind.CONFLICT,
            "out",
        )


def _write(out: Path, files: Mapping[str, str], media: MediaFiles, cards: Iterable[str] = ()) -> None:
    wanted = {*files, *cards, *media.files, *media.first_frames, *media.late_frames, *media.copies, _MARK}
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(out.rglob("*"), reverse=True):
        name = path.relative_to(out).as_posix()
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif name not in wanted:
            path.unlink()
    (out / _MARK).write_text("Built by vapbench leaderboard build; everything here is replaced.\n", encoding="utf-8")
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    media.copy_to(out)

"""The pages of the site, each a template and what it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vapbench import __version__
from vapbench.leaderboard.addresses import (
    board_page,
    card_image,
    case_page,
    embed_page,
    home_page,
    method_page,
    metric_page,
)
from vapbench.leaderboard.boards import BADGES, Board, Entry, LeftOut, headline
from vapbench.leaderboard.card import SIZE
from vapbench.leaderboard.changelog import Change
from vapbench.leaderboard.charts import by_category, by_condition, human, plot_of
from vapbench.leaderboard.media import ELSEWHERE, MediaFiles, SiteClip
from vapbench.leaderboard.metric_views import metric_view
from vapbench.leaderboard.rendering import asset, embedded, environment
from vapbench.leaderboard.samples import GIVEN, samples_of
from vapbench.leaderboard.studies import STATISTICS
from vapbench.leaderboard.views import (
    apart_of,
    card_of,
    case_lines,
    conditions_of,
    gone_of,
    groups_of,
    preferences_of,
    probes_of,
    summary_of,
)
from vapbench.report.model import TableModel
from vapbench.report.page.rendering import policy
from vapbench.report.tables.published import publications
from vapbench.results.manifest import PlannedCase

METHODOLOGY = 5
"""Raised whenever a rule on the methodology page changes."""

ABOUT = (
    "A benchmark of semantic-controlled video generation: a reference video shows a concept, a style, a motion or a "
    "camera move, and a method must carry it onto a target image. Methods run over held-out cases; their videos are "
    "scored by VBench's definitions and compared with intervals."
)


@dataclass
class Site:
    """Pages and files, by path below the site's root."""

    boards: Sequence[Board]
    media: MediaFiles
    left_out: Sequence[LeftOut] = ()
    address: str = ""
    """Where the site will stand, with a slash at its end; empty if unknown."""
    pages: dict[str, str] = field(default_factory=dict)
    environment: Any = field(default_factory=environment)

    def add(self, path: str, template: str, scripts: Sequence[str] = (), **context: Any) -> None:
        """Render one page."""
        board = context.get("board")
        style = asset("site.css").replace("/*ratio*/", board.ratio if board else "1")
        script = "\n".join(map(asset, scripts))
        links = [
            {"suite": each.suite, "small": each.small, "page": home_page(self.boards, each)} for each in self.boards
        ]
        self.pages[path] = self.environment.get_template(template).render(
            root="../" * path.count("/"),
            here=path,
            boards=links,
            board_page=home_page(self.boards, board) if board else "",
            style=style,
            script=script,
            policy=policy(style, script),
            about=ABOUT,
            address=self.address,
            card=card_image(board or self.boards[0]),
            card_size=SIZE,
            left_out=self.left_out if path in ("index.html", "changes.html") else (),
            **context,
        )


def board_pages(site: Site, board: Board) -> None:
    """Add a page per table of a board, and where it has measured runs one per case, method and metric."""
    for index, table in enumerate(board.tables):
        tasks = [
            (other.task or "all cases", board_page(site.boards, board, number), other is table)
            for number, other in enumerate(board.tables)
        ]
        tasks = [tasks[-1], *sorted(tasks[:-1])]
        groups = groups_of(board, table)
        lines = [line for group in groups for line in group.lines]
        choices = [
            ("kind", "Type", sorted({line.kind for line in lines})),
            ("badge", "Verified", sorted({badge for line in lines for badge in line.badges})),
        ]
        site.add(
            board_page(site.boards, board, index),
            "board.html",
            ["board.js"],
            title=board.title,
            board=board,
            table=table,
            lead=headline(table.columns),
            tasks=tasks,
            groups=groups,
            filters=choices,
            apart=apart_of(board, table),
            embed=embed_page(board),
            paper_url=publications()[0].url,
            release=__version__,
            # What people preferred, over all cases they saw: with the board of all cases.
            papers=[(paper, groups_of(board, paper)) for paper in _papers(site.boards, board, index)],
            samples=list(samples_of(site.media, board, table, groups)),
            plot=plot_of(board, table),
            bars_of=by_category(board, table),
            heat_of=by_condition(board, table),
            studies=[(study, STATISTICS[study.statistic], preferences_of(board, study)) for study in board.studies]
            if index == len(board.tables) - 1
            else [],
        )
    site.add(
        embed_page(board),
        "embed.html",
        title=board.title,
        board=board,
        table=board.tables[-1],
        groups=groups_of(board, board.tables[-1]),
    )
    if board.entries:
        _case_pages(site, board)
        _method_pages(site, board)
        _metric_pages(site, board)
        _compare_page(site, board)


def _papers(boards: Sequence[Board], board: Board, index: int) -> Sequence[TableModel]:
    """What papers printed: below the board of their suite, and on the first page whatever board that is."""
    if index != len(board.tables) - 1:
        return ()
    full = [table for other in boards if not other.small for table in other.papers or other.tables]
    return full if board is boards[0] and board.small else board.papers


def _method_pages(site: Site, board: Board) -> None:
    pages = {case: case_page(board, case) for case in board.cases}
    rows = {row.label: row for row in board.whole.rows}
    for entry in board.entries:
        clips = [
            site.media.output(entry, row, _seeded(case, row.seed, len(made)), human(row.condition), pages[case])
            for case, made in entry.run.generations.items()
            if case in pages
            for row in made
        ]
        site.add(
            method_page(board, entry),
            "method.html",
            ["players.js"],
            title=entry.label,
            board=board,
            entry=entry,
            row=rows[entry.label],
            columns=board.whole.columns,
            facts=card_of(entry),
            tables=[(it.task or "all cases", it.title, summary_of(it, entry.label)) for it in _with(board, entry)],
            conditions=conditions_of(board.whole, entry.label),
            probes=probes_of(board, entry),
            gone=gone_of(entry, pages),
            elsewhere=ELSEWHERE,
            clips=clips,
        )


def _with(board: Board, entry: Entry) -> list[TableModel]:
    """The tables an entry stands in, the one of most cases first, as on the board."""
    return [table for table in board.tables[::-1] if entry.label in [row.label for row in table.rows]]


def _metric_pages(site: Site, board: Board) -> None:
    for column in board.columns.values():
        site.add(
            metric_page(board, column),
            "metric.html",
            title=column.title,
            board=board,
            table=board.tables[-1],
            view=metric_view(board, column),
        )


def _case_pages(site: Site, board: Board) -> None:
    conditions: dict[str, list[tuple[str, str, str, SiteClip]]] = {}
    filmed: list[tuple[str, str, str]] = []
    for case, planner in board.cases.items():
        planned = planner.run.cases()[case]
        condition, page = planned.condition or "", case_page(board, case)
        first = site.media.given(planner, planned, "image", f"First frame of {case}")
        conditions.setdefault(condition, []).append((case, page, planned.caption or "", first))
        clips = list(_clips(site, board, case, planner, planned))
        if any(clip.page and clip.kind == "video" for clip in clips):
            filmed.append((case, page, condition or case))
        site.add(
            page,
            "case.html",
            ["players.js"],
            elsewhere=ELSEWHERE,
            title=case,
            board=board,
            case=case,
            condition=condition,
            caption=planned.caption or "",
            reference_caption=planned.reference_caption or "",
            clips=clips,
            columns=board.whole.columns,
            lines=list(case_lines(board, case)),
        )
    site.add(
        f"gallery/{board.slug}.html",
        "gallery.html",
        title=f"Cases of {board.suite}",
        board=board,
        conditions=sorted(conditions.items()),
        # Where every case has clips, nobody need be told which.
        filmed=filmed if len(filmed) < len(board.cases) else [],
    )


def _clips(site: Site, board: Board, case: str, planner: Entry, planned: PlannedCase) -> Iterator[SiteClip]:
    for role, label in GIVEN.items():
        if planned.file(role):
            yield site.media.given(planner, planned, role, label)
    # Floors and ceilings after the methods, as on the board.
    for entry in sorted(board.entries, key=lambda entry: entry.bounds):
        if case in entry.run.manifest.cases:
            rows = entry.run.generations.get(case, ())
            page = method_page(board, entry)
            for row in rows or (None,):
                label = _seeded(entry.label, row.seed if row else 0, len(rows))
                yield site.media.output(entry, row, label, page=page)


def _compare_page(site: Site, board: Board) -> None:
    table, prefix = board.whole, "../"
    cases = []
    for case, planner in board.cases.items():
        planned = planner.run.cases()[case]
        reference = site.media.given(planner, planned, "reference", "Reference").source
        named = {"id": case, "page": prefix + case_page(board, case), "condition": planned.condition or ""}
        cases.append({**named, "reference": prefix + reference if reference else ""})
    scores = {row.label: values for row, values in zip(table.rows, table.scores, strict=True)}
    methods: dict[str, Any] = {}
    for entry in board.entries:
        clips = []
        for case in board.cases:
            rows = entry.run.generations.get(case, ())
            source = site.media.output(entry, rows[0] if rows else None, "").source
            clips.append(prefix + source if source else "")
        numbers = [[_rounded(values.get(case)) for case in board.cases] for values in scores[entry.label]]
        methods[entry.slug] = {"scores": numbers, "videos": clips}
    columns = [
        {"title": column.title, "up": column.higher_is_better, "scale": column.scale, "digits": column.digits}
        for column in table.columns
    ]
    site.add(
        f"compare/{board.slug}.html",
        "compare.html",
        ["players.js", "compare.js"],
        title=f"Compare on {board.suite}",
        board=board,
        columns=table.columns,
        lead=headline(table.columns),
        conditions=sorted(set(table.conditions.values())),
        data=embedded({"columns": columns, "cases": cases, "methods": methods}),
    )


def common_pages(site: Site, changes: Sequence[Change], data: Mapping[str, str]) -> None:
    """Add the pages that all boards share; ``data`` are the texts of the files to download, by path."""
    files = [(name, len(text.encode()), hashlib.sha256(text.encode()).hexdigest()) for name, text in data.items()]
    definitions = [(board, board.tables[-1].columns) for board in site.boards]
    site.add(
        "methodology.html",
        "methodology.html",
        title="Methodology",
        version=METHODOLOGY,
        badges=BADGES,
        definitions=definitions,
        audits=[(board, board.audit) for board in site.boards if board.audit],
    )
    site.add("changes.html", "changes.html", title="Changes", changes=changes[::-1])
    site.add("data.html", "data.html", title="Data", files=files)
    site.add("submit.html", "submit.html", title="Submit a result")


def _seeded(label: str, seed: int, seeds: int) -> str:
    return f"{label}, seed {seed}" if seeds > 1 else label


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.9g}")

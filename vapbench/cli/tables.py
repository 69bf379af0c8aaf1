"""``compare`` and ``table``: is A better than B, and the table for the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vapbench.cli import options as opt
from vapbench.cli.help import LAYOUT, Command
from vapbench.cli.layout import TableLayout, runs_of
from vapbench.cli.records import flat


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(compare)
    app.command(cls=Command)(table)


def compare(
    a: Annotated[
        str,
        typer.Argument(
            help="A run: its folder, its name in the results folder, or its row's label.", show_default=False
        ),
    ],
    b: Annotated[str, typer.Argument(help="Another run of the same suite.", show_default=False)],
    task: opt.OnlyTask = None,
    suite: opt.OnlySuite = None,
    results: opt.ReadResults = None,
    json: opt.Json = False,
) -> None:
    """Is A better than B?

    Differences case by case, with intervals and p-values that know that cases of a condition go together; adjusted
    for the number of metrics. Cases that either lacks are left out, and counted.

    \b
    vapbench compare vap i2v
    vapbench compare runs/mini/vap results/mini/vap --task camera
    """
    from vapbench.core.console import configure_logging, output, print_json, terminal_width
    from vapbench.report.naming import find_run
    from vapbench.report.tables.comparison import compare as compare_folders
    from vapbench.report.tables.comparison import to_json
    from vapbench.report.tabulate import Comparison

    configure_logging(verbose=None, quiet=False)
    folders = find_run(a, results, suite), find_run(b, results, suite)
    found = Comparison(tuple(compare_folders(*folders, task)))
    if json:
        print_json([to_json(model) for model in found.models])
        return
    console = output()
    text = found.text(terminal_width(console))
    console.print(f"\n{text}", markup=False, highlight=False, emoji=False, soft_wrap=True)


@flat
def table(
    layout: TableLayout,
    runs: opt.Rows = None,
    style: Annotated[
        Literal["paper", "wide", "ablation"] | None,
        typer.Option(
            "--style",
            help="paper: the paper's six columns, and reference effect and leakage beside alignment; means. "
            "wide: every column, intervals, ranks, n. ablation: the --reference row, the others with their difference "
            "from it. [default: paper]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    format_: Annotated[
        Literal["latex", "markdown", "html", "csv", "json"], typer.Option("--format", help="What to write.")
    ] = "markdown",
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="Row that the others are tested against; a dagger marks p < 0.05. [ablation: the first]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    mark: Annotated[
        Literal["displayed", "significant"] | None,
        typer.Option(
            "--mark",
            help="Bold and underlined: by the digits shown, or whatever is not significantly worse than the best. "
            "[default: displayed]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    intervals: Annotated[
        Literal["none", "brackets", "plus-minus"] | None,
        typer.Option(
            "--intervals",
            help="Beside the means. [default: the style's]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            "--width",
            metavar="column|page|INCHES",
            help="LaTeX: room there is, 3.25 inches (a column of two), 5.5 (a page), or inches. [default: column]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    notes: Annotated[
        Literal["brief", "full"] | None,
        typer.Option(
            "--notes",
            help="LaTeX: brief notes are no longer than the table; the rest are comments of the file. [default: brief]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="Add the paper's rows: below runs on its data, else as a table of their own.",
            rich_help_panel=LAYOUT,
        ),
    ] = False,
    votes: Annotated[
        Path | None,
        typer.Option(
            "--votes",
            help="votes.csv of a study's export: add what people preferred.",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="LaTeX: a document that compiles by itself.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write. [default: the terminal]", show_default=False)
    ] = None,
    results: opt.ReadResults = None,
) -> None:
    """Write the table for the paper.

    Bold is best, underlined second best, by the digits shown or by significance; what is incomplete is never ranked;
    the notes say how many cases, which definitions, which tests, which commit. Rows are in the order they are named
    in, else by the first column.

    \b
    vapbench table vap i2v lora --task all --format latex --out table.tex
    vapbench table --label vap="VAP (ours)" --metric +first_frame_psnr
    vapbench table --published --suite vap-data
    vapbench table --config table.yaml --format latex --out table.tex

    \b
    All of it may stand in a small file beside the paper; options override it:
    \b
      # table.yaml
      runs: [vap, i2v, lora]
      suite: mini
      task: all
      labels: {vap: VAP (ours), i2v: CogVideoX-I2V}
      columns:
        - {metric: semantic_alignment, title: Align., decimals: 1}
        - dynamic_degree
      groups:
        - {title: One model for all, rows: [vap, i2v]}
        - {title: One model per condition, rows: [lora]}
      intervals: plus-minus
      caption: Semantic control on the mini suite.
    """
    from vapbench.core.console import configure_logging
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.atomic import write_text
    from vapbench.report.tabulate import table_of

    configure_logging(verbose=None, quiet=False)
    if standalone and format_ != "latex":
        raise UsageError(
            f"--standalone makes a LaTeX document; drop it, or write --format latex instead of {format_}.",
            ErrorKind.CONFLICT,
            "standalone",
        )
    wanted = layout.read(
        **{"runs": runs or None, "style": style, "reference": reference, "mark": mark, "intervals": intervals},
        **{"width": width, "notes": notes, "published": published or None, "votes": votes},
    )
    text = table_of(runs_of(wanted, results), wanted).render(format_, standalone)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(str(out))

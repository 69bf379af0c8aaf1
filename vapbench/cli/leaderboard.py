"""``leaderboard``: the static site, and the check and rescoring of what is submitted to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

_Home = Annotated[
    Path,
    typer.Option("--leaderboard", help="Folder of submissions, badges and the changelog.", show_default=True),
]
_HOME = Path("leaderboard")
_Data = Annotated[
    Path | None, typer.Option("--data", help="Data of suites that need it, to know their cases.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Build the public board; check submissions to it.", no_args_is_help=True)
    group.command()(build)
    group.command()(redraw)
    group.command()(check)
    group.command()(pack)
    group.command()(rescore)
    app.add_typer(group, name="leaderboard")


def build(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write. [default: leaderboard/site]", show_default=False)
    ] = None,
    videos: Annotated[
        bool,
        typer.Option("--videos/--no-videos", help="Copy the videos that are there; without, build from rows alone."),
    ] = True,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Address the site will have: for the picture that links to it are shown with, and for embedding.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 3 where a submission is left out; the site is built all the same."),
    ] = False,
    results: opt.ReadResults = None,
    leaderboard: _Home = _HOME,
    data: _Data = None,
) -> None:
    """Build the site from results and submissions.

    The same input gives the same bytes. The site needs no server and no network: open its index.html, or put the
    folder on any web host. New, rescored and withdrawn runs are noted in the changelog. A submission that does not
    pass the check is left out, and the site says which and why.

    \b
    vapbench leaderboard build
    vapbench leaderboard build --no-videos --out /tmp/site
    vapbench leaderboard build --url https://example.org/board/
    """
    from vapbench.core.console import configure_logging, say, tell
    from vapbench.files.text import in_a_row
    from vapbench.leaderboard.site import build as build_site
    from vapbench.results.places import places

    configure_logging(verbose=None, quiet=False)
    built = build_site(places(results), leaderboard, out or leaderboard / "site", videos, data, url)
    say(f"{built.index}: {counted(built.pages, 'page')}, {counted(built.videos, 'video')} and images")
    tell(*(in_a_row(f"Not shown: {it.name}, because {it.why}") for it in built.left_out))
    if any(it.namesake for it in built.left_out):
        tell("If that is the run it was packed from, build from other runs, as the maintainers do: --results results")
    if built.left_out:
        tell(f"All of it: vapbench leaderboard check {leaderboard / 'submissions'}")
    raise typer.Exit(3 if strict and built.left_out else 0)


def redraw(
    cases: Annotated[int, typer.Option("--cases", min=1, help="Cases of each task.", show_default=True)] = 2,
    every: Annotated[bool, typer.Option("--all", help="All cases, which takes longer.")] = False,
    results: opt.ReadResults = None,
    leaderboard: _Home = _HOME,
    device: Annotated[str, typer.Option("--device", help="What methods run on: auto, cpu, cuda.")] = "auto",
) -> None:
    """Make the clips of committed runs again, for the board to show.

    Git keeps rows and no videos. Of suites that need no data, the methods that come with their weights make a few
    cases of each task again, or all: the same key, so the same video but for the machine. They are kept in the
    leaderboard's folder clips/, which is not in git; the same command makes what is missing.

    \b
    vapbench leaderboard redraw
    vapbench leaderboard build
    vapbench leaderboard redraw --all
    """
    from vapbench.core.console import configure_logging, say, tell
    from vapbench.leaderboard.boards import Leaderboard
    from vapbench.leaderboard.redraw import redraw as draw
    from vapbench.results.places import places
    from vapbench.running.progress import progress

    configure_logging(verbose=None, quiet=False)
    clips = Leaderboard(leaderboard).clips
    found = draw(places(results), clips, None if every else cases, progress(False), device)
    say(
        f"{clips}: {counted(found.clips, 'clip')} of {counted(found.runs, 'run')}, {found.equal} of them byte for byte "
        "what was scored"
    )
    tell(*(f"Not made again: {name}, because {why}" for name, why in found.skipped.items()))


def check(
    folder: Annotated[Path, typer.Argument(help="A submission, or a folder of submissions.", show_default=False)],
    results: opt.ReadResults = None,
    data: _Data = None,
) -> None:
    """Check a submission before it is sent; continuous integration runs the same.

    Submissions are data: nothing in them is run, unpacked or followed. Everything that is wrong is listed by file and
    row, with the reason. Cases, conditions, seeds and columns are held to what the suite says; a suite that needs data
    says it of --data, or of our own runs.

    \b
    vapbench leaderboard check leaderboard/submissions/my-method
    """
    from rich.markup import escape

    from vapbench.core.console import output
    from vapbench.files.text import in_a_row
    from vapbench.leaderboard.check import check_submissions
    from vapbench.leaderboard.roster import Rosters
    from vapbench.results.places import places

    found = check_submissions(folder, Rosters(places(results), data))
    for path, problems in found.items():
        for problem in problems:
            # A stranger's names: they neither drive a terminal nor begin a line of a log.
            output().print(f"[red]bad[/red] {escape(in_a_row(f'{path}: {problem}'))}", soft_wrap=True)
        if not problems:
            output().print(f"[green]ok[/green]  {escape(in_a_row(str(path)))}", soft_wrap=True)
    if not found:
        output().print(f"no submissions in {escape(str(folder))}", soft_wrap=True)
    raise typer.Exit(3 if any(found.values()) else 0)


def pack(
    run: Annotated[str, typer.Argument(help="The run to submit: its folder, name or label.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Folder to write; its name is the submission's.", show_default=False)],
    submitter: Annotated[str, typer.Option("--submitter", help="Who submits.", show_default=False)],
    contact: Annotated[str, typer.Option("--contact", help="An e-mail address or a link.", show_default=False)],
    licence: Annotated[str, typer.Option("--licence", help="Of the videos, such as CC-BY-4.0.", show_default=False)],
    title: Annotated[
        str | None,
        typer.Option(
            "--title",
            help="Of the method. [default: its card's; of videos you had, the run's name]",
            show_default=False,
        ),
    ] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", help="Link to the code.", show_default=False)
    ] = None,
    commit: Annotated[str | None, typer.Option("--commit", help="Its commit.", show_default=False)] = None,
    videos: Annotated[bool, typer.Option("--videos/--no-videos", help="Include the videos.")] = True,
    link: Annotated[
        str | None,
        typer.Option("--link", help="Where the videos lie, instead of in the submission.", show_default=False),
    ] = None,
    data: _Data = None,
) -> None:
    """Make a submission of a run.

    Copies rows, manifest and videos, leaves out paths, host names, command lines, and seeds and columns that the
    suite's board does not have, and writes submission.json. Videos of full-size suites are large: put the run's
    folder videos/ on any web host, and name the place with --link; their hashes are in the rows.

    \b
    vapbench leaderboard pack runs/mini/mine leaderboard/submissions/mine \\
        --submitter "A Lab" --contact bench@example.org --licence CC-BY-4.0
    """
    from vapbench.core.console import say
    from vapbench.files.atomic import quoted
    from vapbench.leaderboard.pack import code_of
    from vapbench.leaderboard.pack import pack as pack_run
    from vapbench.leaderboard.roster import Rosters
    from vapbench.report.naming import find_run
    from vapbench.results.places import places

    code = code_of(repository, commit)
    folder = find_run(run, None, suite=None)
    roster = Rosters(places(), data).of(folder.manifest().identity.suite)
    said = {"submitter": submitter, "contact": contact, "licence": licence}
    shown = videos and not link
    pack_run(folder.path, out, **said, code=code, videos=shown, link=link, roster=roster, title=title)
    say(f"{out}; check it: vapbench leaderboard check {quoted(out)}")


def rescore(
    submission: Annotated[Path, typer.Argument(help="The submission.", show_default=False)],
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            min=1,
            help="Videos to draw, 8 at least or all there are, by the submission's hash, for a first look: its author "
            "can know it. Default: all.",
            show_default=False,
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option("--videos", help="Folder of the videos, if not in the submission.", show_default=False),
    ] = None,
    results: opt.ReadResults = None,
    leaderboard: _Home = _HOME,
    data: _Data = None,
    device: Annotated[str, typer.Option("--device", help="What metrics run on: auto, cpu, cuda.")] = "auto",
    local_links: Annotated[
        bool,
        typer.Option("--local-links", help="Follow links to this machine and private networks too: for trying it out."),
    ] = False,
) -> None:
    """Score a submission's videos anew, compare row by row, and write its badge.

    The suite's own cases and data are used, nothing of the submission's but its videos. Videos that are the ground
    truth, a reference, a floor, another verified submission's or one another are found by hash and by pixels; those
    that its own case gives under an edit of the frame, the colours or the time as well. What only comes near one, or
    is another run's of our own, is noted, to be looked at. What agrees is "recomputed" in badges.json, for as long as
    no row changes, and is ranked; what does not is "self-reported".

    \b
    vapbench leaderboard rescore leaderboard/submissions/mine
    vapbench leaderboard rescore leaderboard/submissions/mine --sample 24
    """
    from rich.progress import Progress

    from vapbench.core.console import errors, say
    from vapbench.leaderboard.boards import Leaderboard
    from vapbench.leaderboard.rescore import rescore as score_anew
    from vapbench.leaderboard.rescore import write_badge
    from vapbench.leaderboard.roster import Rosters
    from vapbench.results.places import places

    home, rosters = Leaderboard(leaderboard), Rosters(places(results), data)
    with Progress(console=errors(), transient=True) as bar:
        task = bar.add_task("videos", total=None)
        found = score_anew(
            submission,
            rosters,
            home,
            sample=sample,
            videos=videos,
            device=device,
            local_links=local_links,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    write_badge(home, found)
    say(*found.lines())
    raise typer.Exit(0 if found.verified else 3)

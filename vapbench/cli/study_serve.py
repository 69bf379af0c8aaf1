"""``study serve``, ``study invite`` and ``study close``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vapbench.study.server.serve import Links

Study = Annotated[
    Path | None,
    typer.Argument(
        help="Study folder, or its name under studies/. Default: the only one there is.", show_default=False
    ),
]


def add_to(study: typer.Typer) -> None:
    """Add the commands to the group."""
    study.command()(serve)
    study.command()(invite)
    study.command()(close)


def serve(
    study: Study = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")] = 8000,
    raters: Annotated[
        int | None,
        typer.Option(
            "--raters", min=0, help="Links to make and print. [default: 5 the first time]", show_default=False
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others than this need --base-url.")] = (
        "127.0.0.1"
    ),
    base_url: Annotated[
        str,
        typer.Option(
            "--base-url", help="What raters type, served by your HTTPS proxy: https://study.example.org.", metavar="URL"
        ),
    ] = "",
    prolific: Annotated[
        str,
        typer.Option("--prolific", help="Completion code of the study at Prolific; lets its participants in."),
    ] = "",
) -> None:
    """Collect votes: serve a planned study until Ctrl-C.

    Prints a link for each rater and one for the administrator. The first start makes the protocol final. Stop it, or
    let it be killed, at any time: every vote that was acknowledged is on disk, and the same command goes on.

    \b
    vapbench study serve
    vapbench study serve my-study --raters 40 \\
        --base-url https://study.example.org
    """
    _need_server()
    from vapbench.study.folder import find_study
    from vapbench.study.server.serve import serve as run

    run(
        find_study(study),
        _print,
        host=host,
        port=port,
        base_url=base_url,
        new_raters=raters,
        prolific_code=prolific,
    )


def invite(
    study: Study = None,
    raters: Annotated[int, typer.Option("--raters", "-n", min=1, help="Number of links.")] = 1,
    cohort: Annotated[str, typer.Option("--cohort", help="Name of the group they belong to, kept with them.")] = "",
) -> None:
    """Print links for more raters, also while the study is being served."""
    from vapbench.core.console import output
    from vapbench.study.folder import find_study
    from vapbench.study.server.serve import invite_raters

    for link in invite_raters(find_study(study), raters, cohort):
        output().print(link, markup=False, soft_wrap=True)


def close(study: Study = None) -> None:
    """Close a study for good, also while it is being served: nobody can vote any more, results may be reported."""
    from vapbench.core.console import output
    from vapbench.files.atomic import quoted
    from vapbench.study.folder import find_study
    from vapbench.study.server.closing import close_study

    folder = find_study(study)
    said = "is closed" if close_study(folder) else "had been closed before"
    text = f"{folder.path} {said}. Next:  vapbench study report {quoted(folder.path)}"
    output().print(text, markup=False, soft_wrap=True)


def _print(links: Links) -> None:
    from vapbench.core.console import output

    console = output()
    for number, link in enumerate(links.raters, start=1):
        console.print(f"rater {number:<3} {link}", markup=False, soft_wrap=True)
    if links.prolific:
        console.print(f"prolific  {links.prolific}", markup=False, soft_wrap=True)
    console.print(f"admin     {links.admin}", markup=False, soft_wrap=True)
    console.print("Links are secrets and are not shown again; more: vapbench study invite. Ctrl-C ends.")
    console.print("Enough votes?  vapbench study close && vapbench study report")


def _need_server() -> None:
    from importlib.util import find_spec

    from vapbench.errors import UsageError

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UsageError("Serving a study needs a web server: pip install 'vapbench[study]'")

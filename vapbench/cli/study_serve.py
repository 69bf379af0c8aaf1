"""``study serve`` and what goes with it: ``preview``, ``invite``, ``close``, ``backup``, ``allow``, ``payments``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.study.folder import StudyFolder
    from vapbench.study.server.serve import Links


def preview(
    study: opt.Study = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")] = 8001,
) -> None:
    """Look at every page as a rater and as a phone sees it, in every language; nothing is frozen.

    The words are those of STUDY/study.yaml, or of the frozen protocol once the study is open. Answers given here are
    thrown away.

    \b
    vapbench study preview my-study
    """
    _need_server()
    from vapbench.core.console import say
    from vapbench.study.folder import find_study
    from vapbench.study.server.preview import OPEN
    from vapbench.study.server.serve import preview as run

    folder = find_study(study)
    said = OPEN if folder.opened else "Nothing is frozen. Edit study.yaml and start this again."

    def ready(address: str) -> None:
        say(f"preview   {address}", f"{said} Ctrl-C ends.")

    run(folder, ready, port=port)


def serve(
    study: opt.Study = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")] = 8000,
    raters: Annotated[
        int | None,
        typer.Option(
            "--raters",
            min=0,
            help="Links to make and print. [default: the planned raters, once; none where a platform recruits]",
            show_default=False,
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
        typer.Option(
            "--prolific",
            help="Completion code of the study at Prolific; lets its participants in. For other platforms and codes: "
            "study.yaml.",
        ),
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
    from vapbench.study.server.recruitment import Recruitment
    from vapbench.study.server.serve import serve as run
    from vapbench.study.settings import read_settings

    folder = find_study(study)
    _freeze(folder)
    recruitment = read_settings(folder).recruitment
    if prolific:
        recruitment = Recruitment(platform="prolific", study=recruitment.study, codes={"finished": prolific})
    run(
        folder,
        _print,
        host=host,
        port=port,
        base_url=base_url,
        new_raters=raters,
        recruitment=recruitment,
    )


def invite(
    study: opt.Study = None,
    raters: Annotated[int, typer.Option("--raters", "-n", min=1, help="Number of links.")] = 1,
    cohort: Annotated[str, typer.Option("--cohort", help="Name of the group they belong to, kept with them.")] = "",
) -> None:
    """Print links for more raters, also while the study is being served."""
    from vapbench.core.console import say
    from vapbench.study.folder import find_study
    from vapbench.study.server.serve import invite_raters

    say(*invite_raters(find_study(study), raters, cohort))


def close(study: opt.Study = None) -> None:
    """Close a study for good, also while it is being served: nobody can vote any more, results may be reported."""
    from vapbench.core.console import say
    from vapbench.files.atomic import quoted
    from vapbench.study.folder import find_study
    from vapbench.study.server.closing import close_study

    folder = find_study(study)
    said = "is closed" if close_study(folder) else "had been closed before"
    text = f"{folder.path} {said}. Next:  vapbench study report {quoted(folder.path)}"
    say(text)


def backup(
    study: opt.Study = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write. [default: STUDY/backups/<time>.db]", show_default=False),
    ] = None,
) -> None:
    """Copy the votes, whole at one moment, also while the study is being served; the copy is checked.

    Every vote that was acknowledged is in it. To restore: stop the server, and put the copy in place of votes.db
    (away with votes.db-wal and votes.db-shm). It holds the platforms' ids of participants: keep it as safe.

    \b
    vapbench study backup my-study
    """
    from datetime import UTC, datetime

    from vapbench.core.console import say
    from vapbench.study.folder import find_study
    from vapbench.study.server.backup import backup_votes

    folder = find_study(study)
    target = out or folder.path / "backups" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"
    votes = backup_votes(folder, target)
    say(f"{target}: {counted(votes, 'vote')}, checked")


def allow(
    ids: Annotated[Path, typer.Argument(help="A file with one participant id of the platform a line.")],
    study: Annotated[Path | None, typer.Option("--study", help="Study folder or name.", show_default=False)] = None,
) -> None:
    """Let in these participants of a platform and no others, also while the study is being served."""
    from vapbench.core.console import output
    from vapbench.errors import DataError, ErrorKind
    from vapbench.files.parsing import read_text
    from vapbench.study.folder import find_study
    from vapbench.study.server.serve import allow_participants

    try:
        listed = [line.strip() for line in read_text(ids).splitlines() if line.strip()]
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"{ids}: {error}; write one participant id a line.", ErrorKind.INVALID, "ids") from None
    folder = find_study(study)
    output().print(
        f"{folder.path} lets in {counted(allow_participants(folder, listed), 'participant')}, and no others."
    )


def payments(
    study: opt.Study = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write. [default: STUDY/payments.csv]", show_default=False)
    ] = None,
    json: opt.Json = False,
) -> None:
    """List who took part and what is due: approve, pay in part, look at, or nothing.

    One row for each participant, with the platform's ids, how it ended, minutes, and why. A suggestion: a person
    decides, and nobody is refused pay by a rule alone. Also while the study is being served.

    \b
    vapbench study payments my-study
    """
    from collections import Counter

    from vapbench.core.console import print_json, say
    from vapbench.files.atomic import write_text
    from vapbench.study.analysis.documents import plain
    from vapbench.study.folder import find_study
    from vapbench.study.server.payments import pay_csv, payments_of
    from vapbench.study.settings import read_settings

    folder = find_study(study)
    table = payments_of(folder, read_settings(folder).recruitment)
    if json:
        print_json([plain(row) for row in table])
        return
    target = out or folder.path / "payments.csv"
    write_text(target, pay_csv(table))
    counts = Counter(row.decision for row in table)
    said = ", ".join(f"{count} {decision}" for decision, count in counts.most_common()) or "nobody yet"
    say(f"{target}: {counted(len(table), 'participant')}: {said}")


def _freeze(folder: StudyFolder) -> None:
    """Put the words of study.yaml into a study that opens now, and say what has been frozen."""
    from vapbench.core.console import say
    from vapbench.files.atomic import write_text
    from vapbench.study.preregistration import preregistration
    from vapbench.study.settings import freeze_words

    first = not folder.opened
    protocol = freeze_words(folder)
    if first:
        folder.open()
        text = preregistration(protocol)
        write_text(folder.path / "preregistration.md", text)
        say(text)
        say(f"Frozen; the same text is in {folder.path / 'preregistration.md'}")


def _print(links: Links) -> None:
    from vapbench.core.console import output

    console = output()
    for number, link in enumerate(links.raters, start=1):
        console.print(f"rater {number:<3} {link}", markup=False, soft_wrap=True)
    if links.platform:
        console.print(f"platform  {links.platform}", markup=False, soft_wrap=True)
    console.print(f"admin     {links.admin}", markup=False, soft_wrap=True)
    console.print("Links are secrets and are not shown again; more: vapbench study invite. Ctrl-C ends.")
    console.print("Enough votes?  vapbench study close && vapbench study report")


def _need_server() -> None:
    from importlib.util import find_spec

    from vapbench.errors import ErrorKind, UsageError

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UsageError(
            "Serving a study needs a web server: pip install 'vapbench[study]'", ErrorKind.MISSING, "study"
        )

"""``study export`` and ``study report``: what was voted, and what it supports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.study.folder import StudyFolder

Votes = Annotated[
    Path | None,
    typer.Option(
        "--votes",
        help="votes.db, or an exported votes.jsonl with raters.jsonl beside it. [default: the study's]",
        show_default=False,
    ),
]

Unblind = Annotated[
    bool,
    typer.Option("--unblind", help="Look before the study is closed; stored in its log, and every report says so."),
]


def export(
    study: opt.Study = None,
    votes: Votes = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write. [default: STUDY/export]", show_default=False)
    ] = None,
    included_only: Annotated[
        bool,
        typer.Option(
            "--included-only", help="Leave out of the tables who withdrew or is excluded, instead of marking."
        ),
    ] = False,
    unblind: Unblind = False,
) -> None:
    """Write votes as JSONL, CSV and Parquet.

    With raters' pseudonyms, exclusions, events, protocol, key and a manifest of hashes; for pairs also as FastChat
    battles. The export names the methods: keep it from raters. For a study that is closed; see vapbench study close.

    \b
    vapbench study export my-study
    vapbench study export --out shared/
    """
    from vapbench.core.console import configure_logging, say
    from vapbench.files.atomic import quoted
    from vapbench.study.analysis.exporting import export as write
    from vapbench.study.folder import find_study
    from vapbench.study.judging.log import load_models
    from vapbench.study.server.closing import results_of

    configure_logging(verbose=None, quiet=False)
    folder = find_study(study)
    ballots = results_of(folder, votes, unblind, "export")
    target = out or folder.path / "export"
    models = load_models(folder, ballots.protocol)
    written = write(ballots, target, included_only, models)
    say(*(f"{target / name}: {counted(records, 'record')}" for name, records in written.items()))
    seen = f"--votes {quoted(target / 'votes.csv')}"
    if all(method.run and not method.identity for method in ballots.key.methods.values()):
        # Videos of a table are no runs, which the commands below would look for.
        return
    say(
        f"Next:  vapbench table {seen}",
        "           what people preferred, beside the metrics",
        f"       vapbench report {seen}",
        "           which metric agrees with them",
    )


def report(
    study: opt.Study = None,
    votes: Votes = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write. [default: STUDY/report]", show_default=False)
    ] = None,
    battles: Annotated[
        Path | None,
        typer.Option(
            "--battles",
            "--fastchat",
            help="Instead of a study: votes between two from elsewhere (CSV, JSONL, JSON): an arena's battles, or "
            "model_a, model_b, winner, and if known judge, question_id, question.",
            show_default=False,
        ),
    ] = None,
    unblind: Unblind = False,
    mixed: Annotated[
        bool,
        typer.Option(
            "--mixed", help="Pairs: add a fit with random effects of raters and items; large studies take a minute."
        ),
    ] = False,
    json: opt.Json = False,
) -> None:
    """Analyse the votes: shares, strengths, ranks, agreement.

    For a study that is closed (vapbench study close, or the administration page); before that it prints how far the
    study is. Applies the protocol's exclusion rules, and prints what changes without them. Writes report.txt,
    report.json, leaderboard.json, methods.md (a methods section to begin from) and figures (forest plot, flow of
    raters, categories, win probabilities). Models that were asked as well (study judge) stand apart.
    docs/guides/study.md says what each number means.

    \b
    vapbench study report my-study
    vapbench study report --battles votes.csv
    """
    from vapbench.core.console import configure_logging, print_json, say
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.atomic import quoted, write_json, write_text
    from vapbench.study.analysis.documents import leaderboard_section, plain, to_json
    from vapbench.study.analysis.figures import write_figures
    from vapbench.study.analysis.fit import analyse
    from vapbench.study.analysis.model_text import model_lines
    from vapbench.study.analysis.models import analyse_model
    from vapbench.study.analysis.quality import included
    from vapbench.study.analysis.reviewers import methods_text
    from vapbench.study.analysis.sensitivity import mixed_lines, mixed_results
    from vapbench.study.analysis.text import report_lines
    from vapbench.study.folder import find_study
    from vapbench.study.judging.log import load_models
    from vapbench.study.server.closing import results_of

    configure_logging(verbose=None, quiet=False)
    if battles is not None:
        if study or votes or out or mixed:
            raise UsageError(
                "--battles stands for a study: leave out STUDY, --votes, --out and --mixed.",
                ErrorKind.CONFLICT,
                "battles",
            )
        _report_battles(battles, json)
        return
    folder = find_study(study)
    if not unblind:
        _print_pace(folder, votes)
    result = analyse(results_of(folder, votes, unblind, "report"))
    kept = included(result.ballots, result.people)
    models = [analyse_model(result.ballots, kept, model) for model in load_models(folder, result.protocol)]
    target = out or folder.path / "report"
    lines, document = report_lines(result), to_json(result, models)
    if mixed:
        again = mixed_results(result)
        lines, document = [*lines, *mixed_lines(again)], document | {"mixed_effects": [plain(each) for each in again]}
    lines += model_lines(models)
    write_text(target / "report.txt", "\n".join(lines) + "\n")
    write_json(target / "report.json", document)
    write_json(target / "leaderboard.json", leaderboard_section(result))
    write_text(target / "methods.md", methods_text(result))
    figures = write_figures(result, target) if result.questions else []
    if json:
        print_json(document)
        return
    say(*lines)
    written = ", ".join(
        ("report.txt", "report.json", "leaderboard.json", "methods.md", *(path.name for path in figures))
    )
    say(
        f"\n{target}: {written}",
        f"Next:  vapbench study export {quoted(folder.path)}",
        "           the votes as tables, and for vapbench report --votes",
    )


def _print_pace(folder: StudyFolder, votes: Path | None) -> None:
    """How far a study is that is not closed, on the error stream: whoever wants results gets none."""
    import time

    from vapbench.core.console import tell
    from vapbench.study.analysis.ballots import load_ballots
    from vapbench.study.analysis.pace import pace_lines

    ballots = load_ballots(folder, votes)
    if not ballots.closed:
        tell(*(*pace_lines(ballots, time.time_ns() // 1000), ""))


def _report_battles(path: Path, json: bool) -> None:

    from vapbench.core.console import print_json, say
    from vapbench.study.analysis.documents import plain
    from vapbench.study.analysis.fastchat import from_fastchat
    from vapbench.study.analysis.fit import analyse_votes
    from vapbench.study.analysis.text import question_lines

    terms, votes = from_fastchat(path)
    questions = analyse_votes(terms, votes)
    if json:
        print_json([plain(question) for question in questions])
        return
    for question in questions:
        say(*("", *question_lines(terms.kind, question, question)))

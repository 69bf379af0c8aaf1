"""``describe``: all there is to say of one method, metric, task or suite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

if TYPE_CHECKING:
    from rich.padding import Padding

    from vapbench.cli.parameters import ParameterDoc
    from vapbench.methods import MethodEntry


@dataclass(frozen=True)
class Description:
    """What is said of one thing."""

    kind: str
    name: str
    title: str
    text: str
    facts: Mapping[str, str]
    example: str
    parameters: Sequence[ParameterDoc] = ()
    protocol: Sequence[tuple[str, str, str]] = ()
    """Item, value and source of what the method is run with."""
    notes: Sequence[str] = field(default_factory=tuple)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(describe)


def describe(
    name: Annotated[
        str,
        typer.Argument(help="A method, metric, task or suite: its name, or its file or folder.", show_default=False),
    ],
    json: opt.Json = False,
) -> None:
    """Explain a method, metric, task or suite.

    Its parameters with type, range, default and meaning; its values and direction; its weights; how to use it.

    \b
    vapbench describe vap
    vapbench describe dynamic_degree
    vapbench describe ./my_method
    """
    from vapbench.core.console import configure_logging, print_json
    from vapbench.errors import ErrorKind, UsageError, did_you_mean

    configure_logging(verbose=None, quiet=False)
    found = [said for finder in (_method, _metric, _task, _suite) if (said := finder(name))]
    if not found:
        hint = did_you_mean(name, set(_names()))
        raise UsageError(
            f"No method, metric, task or suite is called {name!r}.{hint} See: vapbench list --help",
            ErrorKind.UNKNOWN,
            "name",
        )
    if json:
        print_json([asdict(said) for said in found])
        return
    for said in found:
        _print(said)


def _names() -> Iterator[str]:
    from vapbench.methods import methods
    from vapbench.metrics import REGISTRY
    from vapbench.metrics.sets import REGISTRY as SETS
    from vapbench.suites import load_suites
    from vapbench.suites.tasks import load_tasks

    for entries in (methods(), REGISTRY, SETS):
        yield from (entry.name for entry in entries)
    yield from (*load_tasks(), *load_suites())


def _method(name: str) -> Description | None:
    from vapbench.cli.parameters import parameter_docs, shown
    from vapbench.methods import find, methods

    by_path = "/" in name and not name.endswith((".yaml", ".yml", ".csv", ".tsv")) and ".py:" not in name
    if not by_path and name not in {entry.name for entry in methods()}:
        return None
    entry = find(name)
    card = entry.card
    fixed = dict(card.parameters) if card else {}
    parameters = parameter_docs(entry.load(), fixed)
    facts = {
        "kind": card.kind if card else "",
        "paper row": card.paper if card else "",
        "backbone": card.backbone if card else "",
        "weights": card.weights if card else "",
        "licence": card.licence if card else "",
        "needs": card.needs if card else "",
        "memory": card.memory if card else "",
        "from": entry.origin,
    }
    for suite, values in card.suites.items() if card else ():
        said = ", ".join(f"{key}={shown(value)}" for key, value in (values or {}).items())
        absent = card.to_give(suite) if card else ()
        facts[f"on {suite}"] = f"give it {' and '.join(absent)}" if absent else said or "as elsewhere"
    example = f"vapbench run --method {name}{_required(parameters)} --task camera"
    if card and card.suites.get("mini", {}) is None:
        example += " --suite vap-data --data DIR"
    return Description(
        *("method", entry.name, card.title if card else entry.name, card.summary if card else _doc(entry.load())),
        facts=_said(facts),
        example=example,
        parameters=parameters,
        protocol=_protocol(entry),
        notes=card.notes if card else (),
    )


def _protocol(entry: MethodEntry) -> list[tuple[str, str, str]]:
    """The card's protocol at full size: that of the suite the paper's models were made for."""
    from vapbench.core.registry import defaults, plain
    from vapbench.methods.protocol import protocol_table
    from vapbench.suites import find_suite

    card, clip = entry.card, find_suite("vap-data").clip
    if card is None or clip is None or not card.protocol:
        return []
    size: dict[str, float] = {**clip.model_dump(), **{str(key): value for key, value in card.clip.items()}}
    return protocol_table(card.protocol, plain(defaults(entry.load(), card.parameters, entry.name)), {}, size)


def _metric(name: str) -> Description | None:
    import inspect

    from vapbench.cli.list import weights_of
    from vapbench.cli.parameters import parameter_docs
    from vapbench.core.registry import load_attribute, load_module
    from vapbench.metrics import REGISTRY
    from vapbench.metrics.sets import REGISTRY as SETS

    entries = {entry.name: entry for entry in (*REGISTRY, *SETS)}
    known = name if name in entries else next((each for each in entries if each.startswith(f"{name}[")), name)
    file, _, attribute = name.rpartition(":")
    if file.endswith(".py"):
        cls: Any = load_attribute(load_module(Path(file)), attribute, file)
    elif known in entries:
        cls = entries[known].load()
    else:
        return None
    low, high = getattr(cls, "range", (None, None))
    ends = ["" if end is None else f"{end:g}" for end in (low, high)]
    facts = {
        "better": "higher" if cls.higher_is_better else "lower",
        "values": f"{ends[0] or 'any'} to {ends[1] or 'any'}" if any(ends) else "",
        "unit": cls.unit,
        "shown times": f"{cls.scale:g}" if getattr(cls, "scale", 1) != 1 else "",
        "version": str(cls.version),
        "of": "a whole run, against its targets" if known in {entry.name for entry in SETS} else "each video",
        "looks at": ", ".join(sorted(getattr(cls, "needs", ()))),
        "weights": ", ".join(weights_of(known)),
        "from": entries[known].origin if known in entries else file,
    }
    parameters = parameter_docs(cls, {})
    text = f"{known if known in entries else name}{_required(parameters)}"
    quoted = f'"{text}"' if "[" in text else text
    command = "vapbench score RUN" if facts["of"] != "each video" else "vapbench run --method vap --task camera"
    title = getattr(cls, "title", "") or cls.__name__
    doc = inspect.cleandoc(cls.__doc__ or "")
    example = f"{command} --metric {quoted}"
    return Description("metric", known if known in entries else name, title, doc, _said(facts), example, parameters)


def _required(parameters: Sequence[ParameterDoc]) -> str:
    """The parameters that have to be given, as a specification goes on with them."""
    must = ",".join(f"{each.name}=…" for each in parameters if not each.default)
    return f":{must}" if must else ""


def _task(name: str) -> Description | None:
    from vapbench.suites.tasks import conditions_of, find_task, load_tasks

    if name not in load_tasks() and not _is_task_file(name):
        return None
    task = find_task(name)
    conditions = sorted(conditions_of(task))
    facts = {
        "category": str(task.category or ""),
        "includes": ", ".join(task.includes),
        counted(len(conditions), "condition"): ", ".join(conditions),
    }
    example = f"vapbench run --method vap --task {name}"
    return Description("task", task.name, task.title, task.description, _said(facts), example)


def _is_task_file(name: str) -> bool:
    """Whether a YAML file is a task rather than a suite: a suite names its reader."""
    from vapbench.files.parsing import read_yaml

    if not name.endswith((".yaml", ".yml")):
        return False
    data = read_yaml(Path(name))
    return not (isinstance(data, Mapping) and "reader" in data)


def _suite(name: str) -> Description | None:
    from vapbench.cli.list import clip_text
    from vapbench.cli.parameters import parameter_docs
    from vapbench.methods import find
    from vapbench.suites import find_suite, load_suites

    a_file = name.endswith((".yaml", ".yml", ".csv", ".tsv")) and not _is_task_file(name)
    if name not in load_suites() and not a_file:
        return None
    suite = find_suite(name)
    protocol = suite.protocol
    facts = {
        "data": {
            "required": "--data DIR",
            "optional": "--data DIR, or none",
            "none": "none needed",
            "videos": f"the videos that are scored: vapbench score DIR --suite {name}",
        }[suite.data],
        "clip": clip_text(suite) or "as its cases say",
        "cases": f"{protocol.cases} of {counted(protocol.conditions, 'condition')}, as published" if protocol else "",
        "metrics": ", ".join(suite.metrics),
    }
    reader = suite.reader_function()
    options = [
        each
        for each in parameter_docs(reader, suite.options)
        if each.default and each.name not in ("clip", *suite.options)
    ]
    data = " --data DIR" if suite.data == "required" else ""
    vap = find("vap").card
    method = "frozen" if vap and vap.to_give(name) else "vap"
    command = "score DIR" if suite.data == "videos" else f"run --method {method}"
    example = f"vapbench {command} --suite {name}{data}"
    return Description("suite", suite.name, suite.title, suite.description, _said(facts), example, options)


def _doc(cls: Any) -> str:
    import inspect

    return inspect.cleandoc(cls.__doc__ or "")


def _said(facts: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in facts.items() if value}


def _print(said: Description) -> None:
    from rich.text import Text

    from vapbench.core.console import output
    from vapbench.files.text import visible

    console = output()
    console.print(Text.assemble((said.name, "bold cyan"), f"  {visible(said.title)} ({said.kind})"))
    for paragraph in said.text.split("\n\n"):
        console.print("\n" + visible(_joined(paragraph)), markup=False)
    console.print()
    console.print(_table(list(said.facts.items())))
    if said.parameters:
        defaults = [f"default {each.default}" if each.default else "required" for each in said.parameters]
        rows = [
            (each.name, f"{each.meaning}\n{each.type}; {default}")
            for each, default in zip(said.parameters, defaults, strict=True)
        ]
        console.print(Text("\nParameters", style="bold"))
        console.print(_table(rows))
    if said.protocol:
        console.print(Text("\nProtocol at full size", style="bold"))
        console.print(_table(said.protocol))
    for note in said.notes:
        console.print(f"\n{visible(note)}", markup=False)
    console.print(f"\n{visible(said.example)}", markup=False, soft_wrap=True)


def _joined(paragraph: str) -> str:
    """A docstring's paragraph without its line breaks, except before ``Range:`` and the like."""
    return re.sub(r"\n(?![A-Z][a-z]+: )", " ", paragraph).replace("``", "")


def _table(rows: Sequence[Sequence[str]]) -> Padding:
    """Rows as they are, the last column taking what room is left."""
    from rich.padding import Padding

    from vapbench.core.text_table import text_table
    from vapbench.files.text import visible

    return Padding(text_table([list(map(visible, row)) for row in rows], left=len(rows[0]), style="cyan"), (0, 0, 0, 2))

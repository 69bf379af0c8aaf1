"""How a run was made, as label and text: what the head of a page and the foot of a table say."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vapbench.report.read.run_summary import RunSummary
from vapbench.results.manifest import Session

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Fact:
    """One line about a run."""

    label: str
    text: str
    full: str = ""
    """The text uncut, where it had to be cut."""
    minor: bool = False
    """Whether it only matters to somebody who repeats the run."""


def facts_of(run: RunSummary) -> list[Fact]:
    """What decides the run's frames, then what they were made on; the last session speaks for all."""
    sessions = run.manifest.sessions
    last = sessions[-1] if sessions else Session()
    facts = [Fact("Method", f"{run.method} v{run.identity.version}")]
    facts += [Fact(_title(name), *_shorten(value)) for name, value in _rest_of(run.manifest.document["identity"])]
    seeds = sorted({row.seed for rows in run.generations.values() for row in rows})
    facts.append(Fact("Seeds", ", ".join(map(str, seeds)) or "none yet"))
    if commit := commit_of(last):
        facts.append(Fact("Commit", commit))
    if last.device:
        facts.append(Fact("Device", *_shorten(last.device)))
    if last.started:
        more = f", in {len(sessions)} sessions" if len(sessions) > 1 else ""
        facts.append(Fact("Last session", f"{last.started}{more}", minor=True))
    if last.argv:
        command = last.argv if isinstance(last.argv, str) else shlex.join(last.argv)
        facts.append(Fact("Command", command, minor=True))
    facts += [Fact(_title(name), _flat(value), minor=True) for name, value in _environment(last)]
    return facts


def commit_of(session: Session) -> str:
    """Commit of a session, twelve digits, and whether there were changes on top; empty if unknown."""
    git = session.git
    if isinstance(git, Mapping):
        commit = str(git.get("commit") or "")[:12]
        return f"{commit} with uncommitted changes" if commit and git.get("dirty") else commit
    return git[:12] if git else ""


def made_with(runs: Sequence[RunSummary]) -> str:
    """Version and commit of the code that made and scored the runs, every session of theirs; empty if unknown."""
    sessions = [session for run in runs for session in run.manifest.sessions]
    commits = list(dict.fromkeys(filter(None, map(commit_of, sessions))))
    packages = (session.packages for session in sessions)
    versions = list(dict.fromkeys(str(known["vapbench"]) for known in packages if "vapbench" in known))
    named = f"vapbench {', '.join(versions)}" if versions else "vapbench"
    return f"Made with {named} at commit {', '.join(commits)}." if commits else ""


def _rest_of(identity: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in identity.items():
        if name not in ("suite", "name", "version") and value not in (None, {}):
            yield name, value


def _environment(session: Session) -> Iterator[tuple[str, Any]]:
    for name in ("python", "platform", "packages"):
        if value := getattr(session, name):
            yield name, value


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _shorten(value: Any) -> tuple[str, str]:
    """Text with hashes cut to twelve digits, and the uncut text if that changed anything."""
    full, short = _flat(value), _flat(value, hash_digits=12)
    return short, full if full != short else ""


def _flat(value: Any, hash_digits: int = 64) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(item, hash_digits)}" for name, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item, hash_digits) for item in value) or "none"
    if isinstance(value, str):
        is_hash = len(value) >= 40 and set(value) <= _HEX
        return value[:hash_digits] if is_hash else value or "none"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)

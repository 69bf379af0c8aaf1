"""Tasks: slices of a suite by semantic category, declared in ``tasks/*.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vapbench.core.case import Case, Category, Name
from vapbench.errors import DataError, ErrorKind, UsageError, did_you_mean
from vapbench.files.faults import unusable
from vapbench.files.parsing import read_yaml
from vapbench.files.resources import resource


class Task(BaseModel):
    """A named list of conditions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: str
    description: str = ""
    category: Category | None = None
    """Category of every condition listed."""
    conditions: Mapping[Name, Category | None] = Field(default_factory=dict)
    """A list; or, where they differ, a mapping from condition to category."""
    includes: tuple[Name, ...] = ()
    """Tasks whose conditions belong to this one as well."""
    unlisted: bool = False
    """Whether cases whose condition no task lists belong to it, so that none is dropped in silence."""

    @field_validator("conditions", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, list):
            if not all(isinstance(item, str) for item in value):
                raise ValueError("must be names")
            return dict.fromkeys(value)
        return value


def load_tasks(folder: Path | None = None) -> dict[str, Task]:
    """Read every task file, name -> task.

    Raises:
        DataError: a file is not valid, two tasks share a name, or list the same condition.
    """
    return dict(_load(folder or resource("tasks")))


def find_task(name: str) -> Task:
    """Look a task up by name, or read it from a ``.yaml`` path.

    Raises:
        UsageError: there is no such task (with a suggestion).
    """
    if _is_file(name):
        return _read(Path(name))
    tasks = load_tasks()
    if name not in tasks:
        raise UsageError(f"Unknown task {name!r}.{did_you_mean(name, tasks)}", ErrorKind.UNKNOWN, "task")
    return tasks[name]


def task_called(text: str) -> str:
    """What a task is called that a user names as :func:`find_task` takes it; runs keep their cases under that name.

    The task of old runs may be gone: what is no file is taken as a name.

    Raises:
        UsageError: there is no such file.
        DataError: the file declares no task.
    """
    return find_task(text).name if _is_file(text) else text


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def conditions_of(task: Task, within: tuple[str, ...] = ()) -> frozenset[str]:
    """All conditions of a task, included tasks' too.

    Raises:
        UsageError: an included task does not exist.
        DataError: tasks include each other in a circle.
    """
    if task.name in within:
        raise DataError(
            f"Tasks include each other: {' -> '.join([*within, task.name])}; drop one of the includes.",
            ErrorKind.CONFLICT,
            "includes",
        )
    included = (conditions_of(find_task(name), (*within, task.name)) for name in task.includes)
    return frozenset(task.conditions).union(*included)


def categories() -> dict[str, Category]:
    """Condition -> category, as the tasks say."""
    return {
        condition: category
        for task in load_tasks().values()
        for condition, own in task.conditions.items()
        if (category := own or task.category)
    }


def select(cases: Iterable[Case], task: Task) -> list[Case]:
    """Cases of the task, in the suite's order.

    A case without a category takes the one the task gives its condition. A case whose condition no task lists belongs
    to ``all``, and to the task of its own category; :func:`unknown_conditions` names such conditions.
    """
    wanted = conditions_of(task)
    known = known_conditions()
    chosen = [
        case
        for case in cases
        if case.condition in wanted or (case.condition not in known and _takes(task, case.category))
    ]
    own = {name: category or task.category for name, category in task.conditions.items()}
    return [case if case.category else case.model_copy(update={"category": own.get(case.condition)}) for case in chosen]


def unknown_conditions(cases: Iterable[Case], task: Task | None = None) -> dict[str, int]:
    """Condition -> number of cases, for conditions that neither a declared task lists nor ``task``."""
    known = known_conditions() | (conditions_of(task) if task else frozenset())
    counts: dict[str, int] = {}
    for case in cases:
        if case.condition not in known:
            counts[case.condition] = counts.get(case.condition, 0) + 1
    return counts


def tasks_with(condition: str, category: Category | None = None) -> list[str]:
    """Names of the tasks that contain a condition of that category."""
    unknown = condition not in known_conditions()
    return [
        task.name
        for task in load_tasks().values()
        if condition in conditions_of(task) or (unknown and _takes(task, category))
    ]


def _takes(task: Task, category: Category | None) -> bool:
    """Whether a case of that category belongs to the task if no task lists its condition."""
    return task.unlisted or task.name == category


def known_conditions() -> frozenset[str]:
    """Every condition that a declared task lists."""
    return frozenset(condition for task in load_tasks().values() for condition in task.conditions)


@cache
def _load(folder: Path) -> Sequence[tuple[str, Task]]:
    tasks: dict[str, Task] = {}
    listed: dict[str, Task] = {}
    for path in sorted(folder.glob("*.yaml")):
        task = _read(path)
        if task.name in tasks:
            raise DataError(
                f"{path}: a task named {task.name!r} exists already; rename this one.", ErrorKind.CONFLICT, "name"
            )
        for condition in task.conditions:
            if condition in listed:
                raise DataError(
                    f"{path}: {condition} is listed under {listed[condition].name} already; keep one.",
                    ErrorKind.CONFLICT,
                    "conditions",
                )
            listed[condition] = task
        tasks[task.name] = task
    return tuple(tasks.items())


def _read(path: Path) -> Task:
    try:
        return Task.model_validate(read_yaml(path))
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such task file; write it, or see: vapbench list tasks", ErrorKind.MISSING, "task"
        ) from None
    except (yaml.YAMLError, ValidationError) as error:
        raise unusable(path, error) from error

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.suites import find_suite, load_suites
from vapbench.suites.tasks import (
    categories,
    conditions_of,
    find_task,
    load_tasks,
    select,
    tasks_with,
    unknown_conditions,
)


def test_the_declared_tasks_are_the_papers() -> None:
    assert set(load_tasks()) == {"all", "camera", "concept", "motion", "style", "zero-shot"}
    parts = [conditions_of(find_task(name)) for name in ("concept", "style", "motion", "camera")]
    assert conditions_of(find_task("all")) == frozenset().union(*parts)
    assert not conditions_of(find_task("all")) & conditions_of(find_task("zero-shot"))


def test_every_listed_condition_has_one_category() -> None:
    known = categories()
    assert known["vidu_ghibli"] == "style"
    assert known["mini_donelta"] == "camera"
    for task in load_tasks().values():
        for condition in task.conditions:
            assert condition in known


def test_unknown_conditions_are_reported_and_kept_in_all(make_case: Callable[..., Case]) -> None:
    cases = [make_case(0), make_case(1, condition="brand_new", category=None), make_case(2, condition="melt")]
    assert unknown_conditions(cases) == {"brand_new": 1}
    assert [case.condition for case in select(cases, find_task("all"))] == ["vidu_orbit", "brand_new"]
    assert [case.condition for case in select(cases, find_task("camera"))] == ["vidu_orbit"]
    assert [case.condition for case in select(cases, find_task("zero-shot"))] == ["melt"]
    assert tasks_with("brand_new") == ["all"]
    assert tasks_with("vidu_orbit") == ["all", "camera"]


def test_a_wrong_name_gets_a_suggestion() -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "task") as caught:
        find_task("camra")
    assert str(caught.value) == "Unknown task 'camra'. Did you mean camera?"
    with refuses(UsageError, ErrorKind.UNKNOWN, "suite") as caught:
        find_suite("vapdata")
    assert str(caught.value).startswith("Unknown suite 'vapdata'. Did you mean vap-data?")


@pytest.mark.parametrize(
    ("text", "kind", "field"),
    [
        ("name: x\ntitle: X\ncondition: [a]", ErrorKind.UNKNOWN, "condition"),
        ("name: x", ErrorKind.MISSING, "title"),
        ("name: x\ntitle: X\nconditions: [a/b]", ErrorKind.INVALID, "conditions.a/b.[key]"),
        ("name: x\ntitel: X", ErrorKind.UNKNOWN, "titel"),
        ("name: [", ErrorKind.DAMAGED, "mine.yaml"),
        ("!!python/object/apply:os.system [true]", ErrorKind.DAMAGED, "mine.yaml"),
    ],
)
def test_a_malformed_task_file_is_named(tmp_path: Path, text: str, kind: ErrorKind, field: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with refuses(DataError, kind, field) as caught:
        find_task(str(path))
    assert str(path) in str(caught.value)


def test_a_misspelt_field_gets_a_suggestion_and_yaml_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\ntitel: X")
    with refuses(DataError, ErrorKind.UNKNOWN, "titel", "did you mean title?"):
        find_task(str(path))
    path.write_text("name: [")
    with refuses(DataError, ErrorKind.DAMAGED, "mine.yaml", path, "line 1"):
        find_task(str(path))


def test_a_condition_listed_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ntitle: T\nconditions: [vidu_x]\n")
    with refuses(DataError, ErrorKind.CONFLICT, "conditions"):
        load_tasks(tmp_path)


def test_suites_say_what_they_need() -> None:
    assert {"gallery", "mini", "vap-data"} <= set(load_suites())
    with refuses(UsageError, ErrorKind.MISSING, "data"):
        find_suite("vap-data").cases(None)
    with refuses(DataError, ErrorKind.MISSING, "data"):
        find_suite("vap-data").cases(Path("/nowhere"))

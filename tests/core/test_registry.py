from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Literal

import pytest

from tests.refusals import refuses
from vapbench.core.registry import Registry, Spec, load_module, parameters, plain, spelled
from vapbench.errors import ErrorKind, PluginError, UsageError


class Example:
    def __init__(
        self,
        steps: int = 50,
        guidance: float = 6.0,
        dynamic: bool = True,
        mode: Literal["a", "b"] = "a",
        revision: str | None = None,
        path: Path = Path("x"),
    ) -> None: ...


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("vap", "vap", {}),
        ("vap:steps=50,guidance=6", "vap", {"steps": "50", "guidance": "6"}),
        ("./my_method/:steps=3", "./my_method/", {"steps": "3"}),
        ("my.py:MyMetric", "my.py:MyMetric", {}),
        ("my.py:MyMetric:scale=2", "my.py:MyMetric", {"scale": "2"}),
        ("torchmetrics:image.SSIM:against=target", "torchmetrics:image.SSIM", {"against": "target"}),
        ("j:base_url=http://h:1/v1", "j", {"base_url": "http://h:1/v1"}),
        ('e:text="a, b=c",n=1', "e", {"text": "a, b=c", "n": "1"}),
        ('e:items=[1,[2,3]],map={"a": [1,2]}', "e", {"items": "[1,[2,3]]", "map": '{"a": [1,2]}'}),
        ('e:inches=5",n=[ah', "e", {"inches": '5"', "n": "[ah"}),
    ],
)
def test_specs_are_names_with_parameters(text: str, name: str, values: dict[str, str]) -> None:
    spec = Spec.parse(text)
    assert (spec.name, dict(spec.parameters)) == (name, values)


def test_parameters_are_converted_by_their_annotations() -> None:
    values = parameters(Example, Spec.parse("e:steps=30,guidance=5,dynamic=false,mode=b,revision=none,path=/a"))
    assert values == {
        "steps": 30,
        "guidance": 5.0,
        "dynamic": False,
        "mode": "b",
        "revision": None,
        "path": Path("/a"),
    }
    assert plain(values)["path"] == "/a"


class Mode(Enum):
    FAST = "fast"


class Unannotated:
    def __init__(self, shift=2, on=True, rate=0.5, name="x", items: list[int] = [1], mode: Mode = Mode.FAST): ...  # type: ignore[no-untyped-def]  # noqa: B006


def test_without_annotations_defaults_say_the_type() -> None:
    values = parameters(Unannotated, Spec.parse("u:shift=3,on=false,rate=1e-3,name=7,items=[4,5],mode=fast"))
    assert values == {"shift": 3, "on": False, "rate": 0.001, "name": "7", "items": [4, 5], "mode": Mode.FAST}
    assert plain(values)["mode"] == "fast", "rows hold what JSON can"
    with refuses(UsageError, ErrorKind.INVALID, "shift"):
        parameters(Unannotated, Spec.parse("u:shift=many"))


class Listed:
    def __init__(self, some: list[int] | None = None, bare: list = [], plain=(1, 2)): ...  # type: ignore[no-untyped-def, type-arg]  # noqa: B006


def test_lists_are_read_however_they_are_declared() -> None:
    values = parameters(Listed, Spec.parse("l:some=[1,2],bare=[3],plain=[4,5]"))
    assert values == {"some": [1, 2], "bare": [3], "plain": (4, 5)}
    assert plain({"set": {"b", "a", "c"}}) == {"set": ["a", "b", "c"]}, "one key, whatever the order of hashes"


def test_what_no_row_can_hold_is_named() -> None:
    with refuses(UsageError, ErrorKind.INVALID, "model", "which no row can hold"):
        plain({"model": object()})


@pytest.mark.parametrize("value", ["a, b", [1, 2], "[x]", '"', 3, True, "plain"])
def test_what_is_spelled_is_read_again(value: object) -> None:
    read = Spec.parse(f"e:value={spelled(value)},n=1").parameters["value"]
    assert read == (value if isinstance(value, str) else spelled(value))


@pytest.mark.parametrize(
    ("text", "kind", "field"),
    [
        ("e:stps=3", ErrorKind.UNKNOWN, "stps"),
        ("e:steps=many", ErrorKind.INVALID, "steps"),
        ("e:mode=c", ErrorKind.INVALID, "mode"),
        ("e:mode=", ErrorKind.INVALID, "mode"),
        ("e:steps", ErrorKind.INVALID, ""),
        ("e:steps=1,steps=2", ErrorKind.CONFLICT, "steps"),
    ],
)
def test_a_wrong_parameter_is_named(text: str, kind: ErrorKind, field: str) -> None:
    with refuses(UsageError, kind, field):
        parameters(Example, Spec.parse(text))


def test_unknown_names_get_a_suggestion_and_broken_ones_fail_only_when_used() -> None:
    registry = Registry("metric", {"aesthetic_quality": "vapbench.core.clip:Clip", "broken": "vapbench.no_such:X"})
    with refuses(UsageError, ErrorKind.UNKNOWN, "metric") as caught:
        registry.find("aestetic")
    assert str(caught.value) == "Unknown metric 'aestetic'. Did you mean aesthetic_quality?"
    assert [entry.name for entry in registry][:2] == ["aesthetic_quality", "broken"]
    with refuses(PluginError, ErrorKind.FAILED) as failed:
        registry.find("broken").load()
    assert "broken (built in) cannot be imported: ModuleNotFoundError" in str(failed.value)


def test_a_file_that_raises_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1/0\n")
    with refuses(PluginError, ErrorKind.FAILED) as caught:
        load_module(tmp_path / "bad.py")
    assert "bad.py cannot be imported: ZeroDivisionError" in str(caught.value)
    with refuses(UsageError, ErrorKind.MISSING, "none.py"):
        load_module(tmp_path / "none.py")

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from vapbench.core.registry import Registry, Spec, load_module, parameters, plain
from vapbench.errors import UsageError, VapbenchError


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("e:stps=3", r"e has no parameter 'stps'\. Did you mean steps\?"),
        ("e:steps=many", r"e: steps=many: input should be a valid integer"),
        ("e:mode=c", r"e: mode=c: input should be 'a' or 'b'"),
        ("e:steps", r"'steps' has no '='"),
    ],
)
def test_a_wrong_parameter_gets_one_sentence(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parameters(Example, Spec.parse(text))


def test_unknown_names_get_a_suggestion_and_broken_ones_fail_only_when_used() -> None:
    registry = Registry("metric", {"aesthetic_quality": "vapbench.core.clip:Clip", "broken": "vapbench.no_such:X"})
    with pytest.raises(UsageError, match="Unknown metric 'aestetic'. Did you mean aesthetic_quality"):
        registry.find("aestetic")
    assert [entry.name for entry in registry][:2] == ["aesthetic_quality", "broken"]
    with pytest.raises(VapbenchError, match=r"broken \(built in\) cannot be imported: ModuleNotFoundError"):
        registry.find("broken").load()


def test_a_file_that_raises_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1/0\n")
    with pytest.raises(VapbenchError, match=r"bad\.py cannot be imported: ZeroDivisionError"):
        load_module(tmp_path / "bad.py")
    with pytest.raises(UsageError, match="no such file"):
        load_module(tmp_path / "none.py")

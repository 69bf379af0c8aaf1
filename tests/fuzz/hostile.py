"""What strangers may send, and the property that holds for all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from tests.fuzz.conftest import FORM
from vapbench.errors import VapbenchError

Value = TypeVar("Value")

TEXTS = (
    "",
    "\x00",
    "\x1b[31m\x1b]0;title\x07\x08\x7f",
    "line\nline\r\nline\u2028line\u2029line\x85line\x0b\x0c",
    "\u202eright to left\u202c \u2066isolate\u2069 \u200b\ufeff",
    "שלום مرحبا",
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>",
    "<!--<svg/onload=alert(3)>--> &lt;b&gt; ]]> <![CDATA[",
    "\" onmouseover=alert(1) x='",
    "javascript:alert(1) data:text/html,<b>",
    "\\input{/etc/passwd} \\write18{id} $x^2$ %comment & # _ { } ~ ^ \\\\[1ex] \\end{tabular}",
    '=HYPERLINK("http://evil.example","x")',
    " =1+1",
    "+cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "\t=1",
    "\n=1",
    "\uff1d1+1",
    "{{ 7 * 7 }} {% include 'x' %} {0.__class__} ${x} %(x)s %n%s",
    "a|b `c` [d](javascript:e) ![f](g) *h* _i_ # j ~~k~~ <l>",
    "[bold red]x[/bold red] [/nothing] :smile:",
    "../../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "nul",
    "a" * 300,
    "\ud800 half \udfff",
    "\ufffe\uffff\ufdd0",
    "🏳️‍🌈 e\u0301\u0301\u0301\u0301 ﷽",
    "NaN",
    "Infinity",
    "1e999",
    "null",
    '"',
    "'",
    ",",
)

texts = st.one_of(st.sampled_from(TEXTS), st.text(), st.lists(st.sampled_from(TEXTS), max_size=3).map(" ".join))
MEGABYTE = "A dog & a <cat>, " * (2**20 // 17)

numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([1e300, 5e-324, -0.0]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
DEEP: tuple[str, ...] = ("[" * 100_000, "[" * 100 + "]" * 100, '{"a":' * 500 + "1" + "}" * 500)
"""Nested documents, whole and torn."""


def dumps(value: Any) -> str:
    """JSON as anybody may write it: with NaN, infinities and half characters."""
    return json.dumps(value, ensure_ascii=True)


@st.composite
def mutated(draw: st.DrawFn, source: bytes) -> bytes:
    """Bytes of a real file with a few changes: numbers overwritten, pieces cut, moved or repeated."""
    data = bytearray(source)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(("byte", "number", "cut", "repeat", "insert", "end"))):
            case "byte":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "number":
                data[at : at + 4] = draw(st.sampled_from((0, 1, 2**31 - 1, 2**31, 2**32 - 1))).to_bytes(4, "big")
            case "cut":
                del data[at : at + draw(st.integers(1, 64))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "end":
                del data[at:]
    return bytes(data)


@st.composite
def changed(draw: st.DrawFn, source: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with a few of its fields, at any depth, replaced, dropped or added."""
    whole: dict[str, Any] = json.loads(json.dumps(source))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = whole
        while True:
            name = draw(st.sampled_from(sorted(place))) if place else ""
            inner = place.get(name)
            if not isinstance(inner, dict) or not inner or draw(st.booleans()):
                break
            place = inner
        match draw(st.sampled_from(("replace", "drop", "add"))):
            case "replace":
                place[name] = draw(values)
            case "drop":
                place.pop(name, None)
            case "add":
                place[draw(texts)] = draw(values)
    return whole


def fuzzed(few: int = 15, many: int = 2000) -> settings:
    """Settings of a property whose examples cost more, or less, than most."""
    return settings(settings.get_profile(FORM), max_examples=many if FORM == "long" else few)


def held(action: Callable[[], Value]) -> Value | None:
    """The property: a value, or an error of our own in one sentence; any other exception fails the test."""
    try:
        return action()
    except VapbenchError as error:
        message = str(error)
        assert message and "\n" not in message, repr(message)
        assert len(message) < 4000, f"{len(message)} characters"
        return None


def files_below(folder: Path) -> set[str]:
    """Every file and folder below one, by relative name."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}

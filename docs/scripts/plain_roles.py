"""Docstrings' cross-references as code, for the site: ``:class:`~pathlib.Path``` becomes ```Path```."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`(~?)([\w.]+)`")


class PlainRoles(griffe.Extension):
    """Rewrite every docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replace the roles of one object's docstring."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(_name, obj.docstring.value).replace("``", "`")


def _name(role: re.Match[str]) -> str:
    short, path = role.groups()
    return f"`{path.rpartition('.')[2] if short else path}`"

"""How any page is rendered: templates that escape every text, and a policy of what the page may run and load."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from vapbench.files.text import counted


def environment(templates: Path, clean: Callable[[Any], Any]) -> Any:
    """The templates of a folder; every text is cleaned and escaped, and a name that is not given is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["counted"] = counted
    return made


@cache
def asset(path: Path) -> str:
    """A style or script, as every page that needs it holds it."""
    return path.read_text(encoding="utf-8").strip()


def policy(style: str, script: str, media: str = "'self' file:") -> str:
    """The content-security policy of a page: its own style and script alone, pictures and videos from ``media``."""
    scripts = f"script-src '{_hash(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; {scripts}img-src {media}; media-src {media}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"

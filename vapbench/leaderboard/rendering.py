"""How a page is rendered: templates in which every text is escaped, and a policy of what the page may run and load."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from vapbench.files.text import counted, for_public_page
from vapbench.leaderboard.addresses import metric_page
from vapbench.leaderboard.charts import human

_TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Any:
    """The templates, compiled once; every text is escaped, and a name that is not given is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=for_public_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"counted": counted, "human": human}
    made.globals["metric_page"] = metric_page
    return made


@cache
def asset(name: str) -> str:
    """A style or script, as every page that needs it holds it."""
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def policy(style: str, script: str) -> str:
    """The content-security policy of a page: its own style and script alone, and pictures of the site."""
    scripts = f"script-src '{_hash(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; {scripts}img-src 'self' file:; media-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )


def embedded(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"

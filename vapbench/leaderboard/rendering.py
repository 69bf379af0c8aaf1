"""How a page of the board is rendered: its templates, with what they may ask for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from vapbench.files.text import for_public_page
from vapbench.leaderboard.addresses import metric_page
from vapbench.leaderboard.charts import human
from vapbench.report.page import rendering

_TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Any:
    """The templates, compiled once."""
    made = rendering.environment(_TEMPLATES, for_public_page)
    made.filters["human"] = human
    made.globals["metric_page"] = metric_page
    return made


def asset(name: str) -> str:
    """A style or script of the board."""
    return rendering.asset(_TEMPLATES / name)


def embedded(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

"""An honest submission of the mini suite, and ways to bend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OURS = ("i2v", "lora", "ground-truth", "vap~68690c13")
PSNR = "scores/first_frame_psnr.jsonl"

Rows = list[dict[str, Any]]


class Forger:
    """An honest submission of the mini suite, and ways to bend it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def json(self, name: str, change: Callable[[Any], object]) -> None:
        value = json.loads((self.path / name).read_text())
        change(value)
        (self.path / name).write_text(json.dumps(value))

    def said(self, **fields: Any) -> None:
        self.json("submission.json", lambda said: said.update(fields))

    def manifest(self, change: Callable[[Any], object]) -> None:
        self.json("manifest.json", change)

    def rows(self, name: str, change: Callable[[Rows], object]) -> None:
        rows = [json.loads(line) for line in (self.path / name).read_text().splitlines()]
        change(rows)
        (self.path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def all_rows(self, change: Callable[[Rows], object]) -> None:
        self.rows("generations.jsonl", change)
        for path in sorted((self.path / "scores").iterdir()):
            self.rows(f"scores/{path.name}", change)

    def first(self, name: str, **fields: Any) -> None:
        self.rows(name, lambda rows: rows[0].update(fields))

    def raw(self, name: str, change: Callable[[str], str]) -> None:
        (self.path / name).write_text(change((self.path / name).read_text()))

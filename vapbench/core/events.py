"""``--log-json``: what happens, one JSON object a line, for whoever collects logs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO


class JsonHandler(logging.Handler):
    """Writes every record as a line: time, level, event, message, and what the event says beyond it."""

    def __init__(self, path: Path) -> None:
        """Append to ``path``; ``-`` is standard error."""
        super().__init__(logging.DEBUG)
        self._stream: IO[str] = sys.stderr
        if str(path) != "-":
            path.parent.mkdir(parents=True, exist_ok=True)
            # A lone surrogate, as file names may hold, becomes its JSON escape.
            self._stream = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "message"),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        try:
            self._stream.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # A log that cannot be written is no reason to end a run.
            self.handleError(record)

"""What the server answers where it does not do what was asked."""

from __future__ import annotations


class Refused(Exception):
    """A request that cannot be granted, with the HTTP status that says why."""

    def __init__(self, status: int, code: str, message: str, retry_seconds: int | None = None) -> None:
        """Refuse with ``status``; ``code`` is for programs, ``message`` for people, who may try again later."""
        super().__init__(message)
        self.status, self.code, self.message, self.retry_seconds = status, code, message, retry_seconds

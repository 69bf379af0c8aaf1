"""Videos and pictures by opaque address: the whole file, or one byte range of it (RFC 9110, section 14).

An address is an assignment, which is random, and a place on the screen, which the rater sees. Headers say the type and
the length, and nothing of the file's name or age.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from starlette.responses import Response, StreamingResponse

_TYPES = {".mp4": "video/mp4", ".png": "image/png"}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_CHUNK = 256 * 1024


class Unsatisfiable(Exception):
    """The range begins beyond the end, or is empty."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte asked for.

    Args:
        header: the ``Range`` header.
        size: bytes of the file.

    Returns:
        ``(first, last)``, last included and cut at the end; None for the whole file, which also answers what is no
        single byte range, as the standard allows.

    Raises:
        Unsatisfiable: nothing of the file is in the range.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        if int(last) == 0:
            raise Unsatisfiable
        return max(0, size - int(last)), size - 1
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    return int(first), min(int(last), size - 1) if last else size - 1


async def respond(path: Path, address: str, header: str | None, head: bool) -> Response:
    """The response for a file.

    Args:
        path: the file; its suffix gives the type.
        address: what the rater asked for; the validator is made of it alone.
        header: the ``Range`` header.
        head: leave the body out.
    """
    size = (await anyio.Path(path).stat()).st_size
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{hashlib.sha256(address.encode()).hexdigest()[:32]}"',
        "Cache-Control": "private, max-age=3600, immutable",
    }
    try:
        part = parse_range(header, size)
    except Unsatisfiable:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    first, last = part or (0, size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if part:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status, kind = 206 if part else 200, _TYPES[path.suffix]
    if head:
        return Response(status_code=status, headers=headers, media_type=kind)
    return StreamingResponse(_bytes(path, first, last), status, headers, kind)


async def _bytes(path: Path, first: int, last: int) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(first)
        left = last - first + 1
        while left:
            chunk = await file.read(min(_CHUNK, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk

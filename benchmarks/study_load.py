"""Load on a served study: 200 raters at once, then a burst of 200 votes a second; prints p95 and errors.

The server is the real command on loopback, with SQLite on the disk of the temporary folder. The clients are coroutines
of this process, so client and server share the machine: the figures are upper bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.study.served import Process, make_study

TARGET_MS = 150


@dataclass
class Client:
    """One keep-alive connection of one rater, with no more HTTP than this needs."""

    host: str
    port: int
    cookie: str = ""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes, dict[str, str]]:
        """Status, body, headers."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        assert self.reader is not None
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Length: {len(data)}\r\n"
        head += f"Content-Type: application/json\r\nCookie: {self.cookie}\r\n\r\n"
        self.writer.write(head.encode() + data)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        size = int(headers.get("content-length", 0))
        return int(lines[0].split()[1]), await self.reader.readexactly(size) if size else b"", headers


@dataclass
class Measured:
    """Latencies in milliseconds by kind of request, and whatever was not as it should be."""

    times: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    async def timed(self, kind: str, client: Client, method: str, path: str, body: object) -> tuple[int, bytes]:
        """One request, measured."""
        began = time.perf_counter()
        status, content, _ = await client.request(method, path, body)
        self.times.setdefault(kind, []).append(1000 * (time.perf_counter() - began))
        if status not in (200, 201, 204):
            self.errors[f"{kind} {status}"] += 1
        return status, content

    def report(self, what: str, seconds: float) -> bool:
        """Print; whether the target is held."""
        good = not self.errors
        for kind, times in self.times.items():
            times.sort()
            p50, p95 = times[len(times) // 2], times[int(0.95 * len(times))]
            rate = len(times) / seconds
            print(f"{what:28} {kind:5} {len(times):6} requests {rate:6.0f}/s  p50 {p50:6.1f} ms  p95 {p95:6.1f} ms")
            good &= p95 < TARGET_MS
        print(f"{what:28} errors {sum(self.errors.values())} {dict(self.errors) or ''}")
        return good


async def enter(process: Process, number: int) -> Client:
    """A rater who has opened a link and consented."""
    client = Client("127.0.0.1", process.port)
    _, _, headers = await client.request("GET", process.raters[number].removeprefix(process.origin))
    client.cookie = headers["set-cookie"].partition(";")[0]
    status, _, _ = await client.request("POST", "/api/consent", {"version": "1"})
    assert status == 201
    return client


async def rate(client: Client, measured: Measured, start: float, trials: int, seconds_each: float) -> None:
    """Ask, think, vote, ``trials`` times, evenly spread from ``start`` on."""
    await asyncio.sleep(max(0.0, start - time.perf_counter()))
    for trial in range(trials):
        _, content = await measured.timed("next", client, "POST", "/api/next", {"after": None})
        await asyncio.sleep(max(0.0, start + (trial + 1) * seconds_each - time.perf_counter()))
        path = f"/api/votes/{json.loads(content)['assignment']}"
        await measured.timed(
            "vote", client, "PUT", path, {"choice": trial % 2, "comment": "", "client": {"plays": [2, 2]}}
        )


async def measure(process: Process, raters: int, sustained: int) -> bool:
    """Sustained load, then the burst."""
    clients = [await enter(process, number) for number in range(raters)]
    good = True
    for what, trials, each in (
        ("sustained, 20 votes/s", sustained, raters / 20),
        ("burst, 200 votes/s", 5, raters / 200),
    ):
        measured, began = Measured(), time.perf_counter()
        starts = [began + each * number / raters for number in range(raters)]
        work = [rate(client, measured, start, trials, each) for client, start in zip(clients, starts, strict=True)]
        await asyncio.gather(*work)
        good &= measured.report(what, time.perf_counter() - began)
    return good


def main() -> None:
    """Serve a study of 7 methods on 48 cases and load it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--sustained", type=int, default=2, help="trials of each rater before the burst")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = make_study(
            Path(name) / "study", methods=7, cases=48, trials=52, votes_per_cell=30, training=0, raters=arguments.raters
        )
        process = Process(folder, 0, arguments.raters)
        try:
            good = asyncio.run(measure(process, arguments.raters, arguments.sustained))
        finally:
            process.stop()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Independent of what else the machine does, unlike the times above.
    print(f"server, from start to end: {used.ru_utime + used.ru_stime:.1f} s of CPU")
    print(f"target: p95 below {TARGET_MS} ms, no error: {'held' if good else 'NOT held'}")


if __name__ == "__main__":
    main()

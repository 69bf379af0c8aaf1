"""Simulated raters for a planned study: they open their links, wait as long as the videos last, and vote over HTTP.

    vapbench study plan --suite mini --method vap --method lora …
    python examples/simulated_raters.py studies/NAME --strength vap=1.2 --strength lora=0.4

It serves the study, lets the raters vote, closes it, and prints the report's preference table beside the truth that the
votes were drawn from. The whole report afterwards: vapbench study report studies/NAME

Each method has a strength, each rater a taste of their own on top, one for all questions. Of two results the one with
strengths a and b is chosen with odds exp(a) : exp(b), a tie having NU * exp((a + b) / 2) (Davidson 1970); of several
results each is chosen with odds exp(strength) (Luce 1959). Grades are drawn at random on the side that was chosen. The
truth is how often all possible raters together would choose a method of all.

A real rater cannot do what this does: it recognises a video by its hash, with the study's key beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

NU = 0.5
TASTE = 0.3
"""Standard deviation of a rater's own strengths around the common ones."""
CARE = 0.95
"""Chance to answer a check as expected."""
MEMORY = 0.8
"""Chance to answer what is shown again, sides swapped, as the first time."""
WINDOW = (1280, 800)
"""Of the browser that a rater would have."""


@dataclass(frozen=True)
class Truth:
    """What the simulation knows and the page does not say."""

    method_of: Mapping[str, str]
    """SHA-256 of a video -> method."""
    expected: frozenset[str]
    """SHA-256 of the videos that a check expects to be chosen."""
    raters: int
    """As many as were planned."""
    strengths: Mapping[str, float]
    ties: bool
    seconds: float
    """Of the longest video: whoever votes sooner is excluded by the study's rules."""


def read_truth(study: Path, strengths: Mapping[str, float]) -> Truth:
    """Read a study's protocol and key."""
    protocol = json.loads((study / "protocol.json").read_text(encoding="utf-8"))
    key = json.loads((study / "key.json").read_text(encoding="utf-8"))["methods"]
    sha256 = {media: facts["sha256"] for media, facts in protocol["media"].items()}
    names = {code: method["name"] for code, method in key.items()}
    if unknown := set(strengths) - set(names.values()):
        sys.exit(f"{min(unknown)} is no method of the study. Methods: {', '.join(sorted(names.values()))}")
    # Evenly spread unless told otherwise.
    spread = {name: 0.5 * place for place, name in enumerate(sorted(names.values()))}
    shown = [(media, code) for case in protocol["cases"] for code, media in case["candidates"].items()]
    return Truth(
        {sha256[media]: names[code] for media, code in shown},
        frozenset(sha256[c["candidates"][c["expected"]]] for c in protocol["checks"] if c["expected"] is not None),
        int(protocol["raters"]),
        spread | dict(strengths),
        bool(protocol["ties"]),
        max(facts["frames"] / facts["fps"] for facts in protocol["media"].values() if facts["fps"]),
    )


class Rater:
    """One simulated person with a browser's cookies."""

    def __init__(self, link: str, truth: Truth, seed: str) -> None:
        """Open the link."""
        self._truth = truth
        self._random = random.Random(seed)
        self._taste = {name: value + self._random.gauss(0, TASTE) for name, value in truth.strengths.items()}
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._said: dict[tuple[str, frozenset[str]], str] = {}
        self._origin = link.partition("/join")[0]
        self._opener.open(link).close()

    def take_part(self) -> int:
        """Consent and answer to the end; the number of answers."""
        state = json.loads(self._send("GET", "/api/state") or b"{}")
        if state["stage"] in ("full", "busy"):
            return 0
        self._send("POST", "/api/consent", {"version": state["study"]["consent"]["version"]})
        answered = 0
        while body := self._next():
            trial = json.loads(body)
            self._send("POST", f"/api/shown/{trial['assignment']}", {})
            time.sleep(self._truth.seconds)
            self._send("PUT", f"/api/votes/{trial['assignment']}", self._ballot(trial))
            answered += 1
        return answered

    def _next(self) -> bytes:
        try:
            return self._send("POST", "/api/next", {"after": None})
        except urllib.error.HTTPError as error:
            # Screened out, as a real rater may be.
            if error.code == 403:
                return b""
            raise

    def _ballot(self, trial: Mapping[str, Any]) -> dict[str, object]:
        """Every question of a trial is answered by the same taste."""
        videos = [hashlib.sha256(self._send("GET", address)).hexdigest() for address in trial["results"]]
        beside = {question["key"]: self._answer(question, videos) for question in trial["also"]}
        return {**self._answer(trial["question"], videos), "beside": beside, "client": {"window": WINDOW}}

    def _answer(self, question: Mapping[str, Any], videos: Sequence[str]) -> dict[str, object]:
        choice = self._choose(question, videos)
        if not question["steps"]:
            return {"choice": choice}
        side = 0 if choice == "tie" else 1 if choice else -1
        return {"choice": choice, "grade": side * self._random.randint(1, question["steps"])}

    def _choose(self, question: Mapping[str, Any], videos: Sequence[str]) -> int | str:
        if len(set(videos)) == 1:
            return "tie" if self._random.random() < CARE else self._random.randrange(len(videos))
        right = [place for place, video in enumerate(videos) if video in self._truth.expected]
        if right:
            return right[0] if self._random.random() < CARE else self._random.randrange(len(videos))
        asked = (str(question["wording"]), frozenset(videos))
        before = self._said.get(asked)
        if before is not None and self._random.random() < MEMORY:
            return videos.index(before) if before else "tie"
        answer = self._prefer(videos)
        self._said[asked] = videos[answer] if isinstance(answer, int) else ""
        return answer

    def _prefer(self, videos: Sequence[str]) -> int | str:
        strengths = [self._taste[self._truth.method_of[video]] for video in videos]
        weights = [math.exp(strength) for strength in strengths]
        answers: list[int | str] = list(range(len(videos)))
        if self._truth.ties:
            answers.append("tie")
            weights.append(NU * math.exp(sum(strengths) / len(strengths)))
        return self._random.choices(answers, weights)[0]

    def _send(self, method: str, path: str, body: object = None) -> bytes:
        request = urllib.request.Request(
            self._origin + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        with self._opener.open(request) as response:
            content: bytes = response.read()
        return content


def serve(study: Path, raters: int) -> tuple[subprocess.Popen[str], list[str]]:
    """Start the server on a free port; its process, and the links it printed."""
    command = [sys.executable, "-m", "vapbench", "study", "serve", str(study), "--port", "0", "--raters", str(raters)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    links = []
    for line in process.stdout:
        if match := re.match(r"rater \d+ +(\S+)", line):
            links.append(match.group(1))
        if line.startswith("admin"):
            return process, links
    sys.exit(process.wait())


def crowd_shares(strengths: Mapping[str, float], draws: int = 20_000) -> dict[str, float]:
    """How often each method is chosen of all by raters with tastes of their own, on average."""
    tastes = random.Random("crowd")
    sums = dict.fromkeys(strengths, 0.0)
    for _ in range(draws):
        weights = {name: math.exp(value + tastes.gauss(0, TASTE)) for name, value in strengths.items()}
        total = sum(weights.values())
        for name, weight in weights.items():
            sums[name] += weight / total / draws
    return sums


def vapbench(*arguments: str) -> str:
    """What a command prints; ends the script if it fails."""
    command = [sys.executable, "-m", "vapbench", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def compare(report: Mapping[str, Any], truth: Mapping[str, float]) -> list[str]:
    """The report's preference table beside the truth, one line per question and method."""
    share = "share" if report["kind"] == "best_of_n" else "luce_share"
    lines = [f"{'question':10} {'method':24} {'truth %':>8} {'report %':>9} {'95 % interval':>15}  contains the truth"]
    within = []
    for question in report["questions"]:
        for method in question["methods"]:
            found, true = method[share], truth[method["name"]]
            low, high = found["low"], found["high"]
            told = "no interval: " + str(found["reason"])
            if low is not None and high is not None:
                within.append(low <= true <= high)
                told = f"[{100 * low:5.1f}, {100 * high:5.1f}]  {'yes' if within[-1] else 'NO'}"
            shown = f"{100 * true:8.1f} {100 * found['estimate']:9.1f}"
            lines.append(f"{question['question']:10} {method['name']:24} {shown}   {told}")
    count = f"{sum(within)} of {len(within)} intervals contain the truth"
    return [*lines, f"{count}; of 95 % intervals one in twenty does not."]


def main() -> None:
    """Serve, vote, close, and print the report beside the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("--raters", type=int, help="as many as were planned, unless told otherwise")
    parser.add_argument(
        "--strength", action="append", default=[], metavar="METHOD=VALUE", help="0, 0.5, 1, ... by name"
    )
    parser.add_argument("--seed", default="0")
    arguments = parser.parse_args()
    given = {name: float(value) for name, _, value in (text.partition("=") for text in arguments.strength)}
    truth = read_truth(arguments.study, given)
    process, links = serve(arguments.study, arguments.raters or truth.raters)
    try:
        raters = [Rater(link, truth, f"{arguments.seed}-{number}") for number, link in enumerate(links)]
        print(f"{len(raters)} raters are voting; each trial takes them {truth.seconds:.1f} s.", flush=True)
        with ThreadPoolExecutor(len(raters)) as pool:
            answered = list(pool.map(Rater.take_part, raters))
    finally:
        process.terminate()
        process.wait()
    print(f"{sum(answered)} answers of {len(answered)} raters.", flush=True)
    vapbench("study", "close", str(arguments.study))
    report = json.loads(vapbench("study", "report", str(arguments.study), "--json"))
    print("\n".join(["", *compare(report, crowd_shares(truth.strengths))]))


if __name__ == "__main__":
    main()

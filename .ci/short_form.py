"""Install vapbench afresh for an interpreter, and run the short form of ``make run`` and ``make test`` there.

``python .ci/short_form.py 3.12 3.13``: the newest of every dependency. ``--lowest``: the lowest that pyproject.toml
allows and that has a wheel; ``--only torch --lowest``: of that one alone; ``--with peft==0.18.0``: one release of it.
``--others``: every interpreter from 3.11 on that is found here, but the one that runs this.

Exit code 0: passed, or not run (no such interpreter, no network, ``--minutes`` are over), which is said; 1: failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
TEST_PACKAGES = ("pytest", "hypothesis", "choix", "evalica", "krippendorff")
# One clip of each family, made, scored and tabulated.
RUN = ("run", "--task", "camera", "--limit", "1", "-m", "vap", "-m", "lora", "-m", "vace-depth", "-m", "ground-truth")
# A few seconds each: what opens, reads and writes, and each library's own corner.
TESTS = (
    *(
        "tests/core/test_video.py",
        "tests/results/test_run.py",
        "tests/core/test_control.py",
        "tests/models/test_loading.py",
    ),
    *("tests/metrics/test_mini_metrics.py", "tests/metrics/test_torchmetrics.py", "tests/suites/test_vap_data.py"),
    *("tests/study/test_server.py", "tests/study/test_exporting.py", "tests/cli/test_tables.py", "tests/stats"),
)
_NO_ANSWER = ("error sending request", "Failed to fetch", "dns error", "Could not connect", "timed out")


class NotRunError(Exception):
    """Nothing was learned, and why."""


class FailedError(Exception):
    """A step failed; what it printed stands above."""


def interpreter(version: str) -> str | None:
    """The Python of a version that is installed here: pyenv's, or one on the path."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [*map(str, sorted(root.glob(f"{version}.*/bin/python3"))), shutil.which(f"python{version}")]
    for candidate in filter(None, candidates):
        # A shim may stand for a version that is not there.
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


@dataclass(frozen=True)
class Steps:
    """Commands one after another, until a time (of ``time.monotonic``) is over."""

    name: str
    until: float

    def run(self, step: str, *command: str | Path, env: dict[str, str] | None = None) -> None:
        """Run one step.

        Raises:
            FailedError: it failed.
            NotRunError: the index did not answer, or the time was over.
        """
        began = time.monotonic()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=ROOT,
                env=os.environ | (env or {}),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout=max(1.0, self.until - began))
            except subprocess.TimeoutExpired:
                raise NotRunError(f"{step} was not finished when the time was over") from None
            finally:
                # Tests start processes of their own.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output.seek(0)
            said = output.read().strip()
        if code:
            last = said.splitlines()[-40:] or ["no output"]
            if step in ("resolution", "install") and any(word in said for word in _NO_ANSWER):
                raise NotRunError(f"the package index did not answer ({last[-1].strip()})")
            print(*last, sep="\n")
            raise FailedError(step)
        if step == "tests":
            print(*re.findall(r"^(?:SKIPPED .*|\d+ passed.*)$", said, re.MULTILINE), sep="\n")
        print(f"short form, {self.name}: {step} passed, {time.monotonic() - began:.0f} s", flush=True)


def requirements(lowest: bool, only: str | None) -> list[str]:
    """What is installed: all there is for users; with ``only``, that dependency alone stands at its bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["study"], *extras["ray"]]
    if lowest and only is not None:
        names = {re.split(">=", requirement)[0] for requirement in wanted}
        if only not in names:
            raise SystemExit(f"short form: {only} is none of {', '.join(sorted(names))}.")
        return [text.replace(">=", "==") if text.startswith(f"{only}>=") else text for text in wanted]
    return wanted


def short_form(python: str, steps: Steps, wanted: list[str], lowest: bool) -> None:
    """Make the environment, install, run, test; the environment is removed.

    Raises:
        FailedError, NotRunError: as :meth:`Steps.run`.
    """
    uv = (sys.executable, "-m", "uv")
    with tempfile.TemporaryDirectory(prefix="vapbench-") as name:
        work = Path(name)
        there = work / "venv" / "bin" / "python"
        declared, pins = work / "requirements.in", work / "requirements.txt"
        declared.write_text("\n".join(wanted), "utf-8")
        chosen = "lowest-direct" if lowest else "highest"
        options = ("--no-build", "--resolution", chosen, "--python", there, "--quiet")
        steps.run("environment", *uv, "venv", "--quiet", "--python", python, work / "venv")
        steps.run("resolution", *uv, "pip", "compile", *options, declared, "--output-file", pins)
        install = ("pip", "install", "--quiet", "--python", there, "--requirement", pins, *TEST_PACKAGES)
        steps.run("install", *uv, *install)
        # Packages first on the path come from this checkout, as with an editable install.
        env = {"PYTHONPATH": str(ROOT), "VAPBENCH_CACHE": str(work / "cache"), "OMP_WAIT_POLICY": "passive"}
        steps.run("run", there, "-m", "vapbench", *RUN, "--results", work / "results", env=env)
        pytest = ("-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "-m", "not slow")
        steps.run("tests", there, *pytest, *TESTS, env=env)


def main() -> int:
    """Run the short form for each version that was named or found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="of Python, such as 3.13")
    parser.add_argument("--others", action="store_true", help="every interpreter found here, but this one")
    parser.add_argument("--lowest", action="store_true", help="the lowest releases that pyproject.toml allows")
    parser.add_argument("--only", metavar="NAME", help="with --lowest: of this dependency alone")
    parser.add_argument("--with", dest="extra", action="append", default=[], metavar="NAME==VERSION")
    parser.add_argument("--minutes", type=float, default=60.0, help="for all of it; the rest is left out, and named")
    arguments = parser.parse_args()
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = [v for v in VERSIONS if v != running] if arguments.others else arguments.versions
    wanted = [*requirements(arguments.lowest, arguments.only), *arguments.extra]
    until = time.monotonic() + 60 * arguments.minutes
    failed = False
    for version in versions:
        name = f"Python {version}, {'lowest' if arguments.lowest else 'newest'} dependencies"
        try:
            python = interpreter(version)
            if python is None:
                raise NotRunError("there is no such interpreter here")
            short_form(python, Steps(name, until), wanted, arguments.lowest and arguments.only is None)
        except NotRunError as error:
            print(f"short form, {name}: NOT RUN: {error}.", flush=True)
        except FailedError as error:
            print(f"short form, {name}: FAILED: {error}.", flush=True)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

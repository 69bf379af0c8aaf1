"""Check vapbench's types against the newest releases that another Python gets, without installing that Python.

``python .ci/newest_types.py 3.12 3.14``: for each version, what pip would install there is resolved, the wheels that
mypy follows are unpacked under ``build/newest-types/`` (kept for a day), and mypy reads those, not the installed ones.

Exit code 0: the types fit, or the package index did not answer, which is said; 1: they do not fit, or a dependency has
no wheel for that Python; 2: mypy failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "build" / "newest-types"
SECONDS_KEPT = 24 * 3600
# What mypy is told to skip (pyproject.toml); and torch, whose types are the same for every Python: the installed one.
UNFOLLOWED = {
    *("accelerate", "diffusers", "open-clip-torch", "opencv-python-headless", "peft", "torchmetrics", "torchvision"),
    *("transformers", "sentencepiece", "pyarrow", "ray", "torch"),
}
# Tests are checked with what they import, which users do not install: by mypy alone (make types).
PACKAGES = ("vapbench", "baselines/mini/mini_recipe")
STUBS = ("pandas-stubs", "scipy-stubs", "types-PyYAML")


class NoAnswerError(Exception):
    """The package index cannot be reached."""


def requirements() -> list[str]:
    """What a user may install: the dependencies and the extras that the package imports from."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras["study"], *extras["ray"]]


def followed(requirement: str) -> bool:
    """Whether mypy reads the sources or stubs of this one."""
    name = re.match(r"[\w.-]+", requirement)
    return name is not None and re.sub(r"[-_.]+", "-", name[0]).lower() not in UNFOLLOWED


def pip(*arguments: str | Path) -> None:
    """Run pip.

    Raises:
        NoAnswerError: the index did not answer.
        SystemExit: pip failed otherwise, as it does where a package has no wheel.
    """
    command = [sys.executable, "-m", "pip", *map(str, arguments), "--quiet", "--retries", "1", "--timeout", "15"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no output"]
        if "Retrying (" in done.stderr or "(from versions: none)" in done.stderr:
            raise NoAnswerError(errors[-1])
        print(*errors, sep="\n")
        raise SystemExit(1)


def fetch(version: str, folder: Path) -> None:
    """Unpack the newest wheels for a Python version into the virtual environment ``folder``.

    Raises:
        NoAnswerError, SystemExit: as :func:`pip`.
    """
    there = ("--only-binary=:all:", "--python-version", version)
    wanted = requirements()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        report = work / "report.json"
        # All of it is resolved, so that one dependency's bound on another counts as it would for a user.
        pip("install", "--dry-run", "--ignore-installed", *there, "--target", work, "--report", report, *wanted)
        chosen = [package["metadata"] for package in json.loads(report.read_text("utf-8"))["install"]]
        pins = work / "pins.txt"
        pins.write_text("".join(f"{package['name']}=={package['version']}\n" for package in chosen), "utf-8")
        pip("download", *there, "--dest", work, "--constraint", pins, *filter(followed, wanted), *STUBS)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, symlinks=True)
        packages = next(folder.glob("lib/python*/site-packages"))
        for wheel in work.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                typed = [file for file in archive.namelist() if file.endswith((".py", ".pyi", "py.typed"))]
                archive.extractall(packages, typed)
    torch = importlib.util.find_spec("torch")
    assert torch is not None and torch.origin is not None
    (packages / "torch").symlink_to(Path(torch.origin).parent)
    (folder / "wanted").write_text("\n".join(wanted), "utf-8")


def prepared(version: str) -> Path | None:
    """The virtual environment for a Python version, at most a day old if the index answers; None if there is none."""
    folder = CACHE / version
    mark = folder / "wanted"
    known = mark.is_file()
    if (
        known
        and mark.read_text("utf-8") == "\n".join(requirements())
        and time.time() - mark.stat().st_mtime < SECONDS_KEPT
    ):
        return folder
    try:
        fetch(version, folder)
    except NoAnswerError as error:
        kept = "checked against those of an earlier day" if known else "NOT CHECKED"
        print(f"newest types for Python {version}: {kept}: the package index did not answer ({error})")
        return folder if known else None
    return folder


def check(version: str, source: Path) -> int:
    """Run mypy on ``source`` as on that Python, and return its exit code."""
    folder = prepared(version)
    if folder is None:
        return 0
    options = ["--python-version", version, "--python-executable", str(folder / "bin" / "python")]
    command = [sys.executable, "-m", "mypy", *options, "--cache-dir", str(CACHE / "mypy"), *PACKAGES]
    print(f"newest types for Python {version}:", end=" ", flush=True)
    return subprocess.run(command, cwd=source, check=False).returncode


def main() -> int:
    """Check each version that was named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="+", metavar="VERSION", help="of Python, such as 3.14")
    parser.add_argument("--source", type=Path, default=ROOT, help="checkout to check, if not this one")
    arguments = parser.parse_args()
    return max(check(version, arguments.source) for version in arguments.versions)


if __name__ == "__main__":
    sys.exit(main())

"""The repository's own results and board: the rows pass the checks, and the board is the one they give."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from vapbench.leaderboard.site import build

ROOT = Path(__file__).parents[2]
REMEDY = "run: vapbench leaderboard build --no-videos"


def rounded(folder: Path) -> dict[str, str]:
    """Pages and tables, numbers to six digits: the last ones depend on the processor. Hashes of them are left out."""
    return {
        path.relative_to(folder).as_posix(): re.sub(
            r"\d+\.\d{6,}(e-?\d+)?", lambda number: f"{float(number[0]):.6g}", path.read_text(encoding="utf-8")
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "data.html"
    }


def test_the_committed_rows_pass_the_check() -> None:
    command = [sys.executable, "-m", "vapbench", "check", str(ROOT / "results")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok") > 100


def test_the_committed_board_is_what_the_committed_rows_give(tmp_path: Path) -> None:
    home = tmp_path / "leaderboard"
    shutil.copytree(ROOT / "leaderboard", home, ignore=shutil.ignore_patterns("site"))
    made = rounded(build(ROOT / "results", home, tmp_path / "site", videos=False).index.parent)
    kept = rounded(ROOT / "leaderboard" / "site")
    assert set(made) == set(kept), REMEDY
    assert [name for name in made if made[name] != kept[name]] == [], REMEDY
    assert (home / "changelog.jsonl").read_text() == (ROOT / "leaderboard" / "changelog.jsonl").read_text(), REMEDY

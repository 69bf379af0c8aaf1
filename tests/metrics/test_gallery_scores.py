"""Real clips of the project page through every column, from the command line, with random weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.metrics.conftest import TinyWeights
from vapbench.cli import app

GALLERY = Path(__file__).parents[3] / "shared" / "data" / "gallery"
COLUMNS = (
    *("text_alignment[clip]", "text_alignment[viclip]", "aesthetic_quality"),
    *("dynamic_degree[raft]", "motion_smoothness[amt]", "temporal_flickering"),
    *("subject_consistency", "background_consistency", "i2v_subject", "reference_leakage"),
)


@pytest.mark.slow
@pytest.mark.skipif(not GALLERY.is_dir(), reason="the gallery is not beside the checkout")
def test_gallery_clips_score_end_to_end(tiny: TinyWeights, tmp_path: Path) -> None:
    outputs = GALLERY / "benchmark_cog_vap" / "ours"
    metrics = [argument for name in COLUMNS for argument in ("--metric", tiny.spec(name))]
    where = ("--suite", "gallery", "--data", str(GALLERY), "--results", str(tmp_path), "--name", "page", "--limit", "1")
    done = CliRunner().invoke(app, ["score", str(outputs), *where, *metrics, "-q"])
    assert done.exit_code == 0, done.output
    files = sorted((tmp_path / "gallery" / "page" / "scores").glob("*.jsonl"))
    rows = {row["metric"]: row for path in files for row in map(json.loads, path.read_text().splitlines())}
    assert set(rows) == set(COLUMNS)
    for name, row in rows.items():
        if name.startswith("text_alignment"):
            # The page has no captions: no score, and no zero.
            assert (row["status"], row["value"]) == ("unscored", None)
            assert "caption" in row["note"]
        else:
            assert row["status"] == "ok", row
            assert math.isfinite(row["value"])

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import vapbench as vb
from vapbench.cli import app
from vapbench.report.read.frame import SCHEMA

RESULTS = Path(__file__).parents[2] / "results"


def exported(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["export", "vap", "lora", "--results", str(RESULTS), *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return vb.Runs(vb.load_run(RESULTS / "mini" / name) for name in ("vap", "lora")).to_dataframe()


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_format_holds_the_same_frame(kind: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / f"scores.{kind}"
    assert exported("--format", kind, "--out", str(out)).split() == [str(out)]
    read = {
        "csv": lambda: pd.read_csv(out),
        "parquet": lambda: pd.read_parquet(out),
        "jsonl": lambda: pd.DataFrame(map(json.loads, out.read_text(encoding="utf-8").splitlines())),
    }[kind]()
    assert list(read.columns) == list(SCHEMA)
    # To the last bit.
    pd.testing.assert_series_equal(read["value"].astype("Float64"), frame["value"], check_exact=True)
    assert read["case"].tolist() == frame["case"].tolist()


def test_a_data_set_folder_describes_itself(frame: pd.DataFrame, tmp_path: Path) -> None:
    exported("--format", "dataset", "--out", str(tmp_path / "scores"))
    described = json.loads((tmp_path / "scores" / "croissant.json").read_text())
    assert [field["name"] for field in described["recordSet"][0]["field"]] == list(SCHEMA)
    data = tmp_path / "scores" / described["distribution"][0]["contentUrl"]
    assert len(pd.read_parquet(data)) == len(frame)
    card = (tmp_path / "scores" / "README.md").read_text()
    assert all(f"| `{name}` |" in card for name in SCHEMA)


def test_a_folder_with_runs_stands_for_them(tmp_path: Path) -> None:
    suite = tmp_path / "runs" / "mini"
    suite.mkdir(parents=True)
    for name in ("vap", "lora"):
        (suite / name).symlink_to(RESULTS / "mini" / name)
    exported("--out", str(tmp_path / "named.csv"))
    for folder in (suite.parent, suite):
        out = tmp_path / f"{folder.name}.csv"
        done = CliRunner().invoke(app, ["export", str(folder), "--out", str(out)])
        assert done.exit_code == 0, done.output
        read = [pd.read_csv(path).sort_values(["method", "case", "metric"]) for path in (tmp_path / "named.csv", out)]
        assert read[0].to_csv(index=False) == read[1].to_csv(index=False)


def test_a_folder_that_happens_to_be_called_as_a_run_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app_of_others = tmp_path / "vap" / "app"
    app_of_others.mkdir(parents=True)
    (app_of_others / "manifest.json").write_text('{"name": "an app", "icons": []}')
    exported("--out", "scores.csv")
    assert {"vap", "lora"} == set(pd.read_csv("scores.csv")["method"])

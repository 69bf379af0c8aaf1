"""Specification of ``vapbench power``."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from vapbench.cli import app
from vapbench.stats.power import smallest_difference


def test_every_suite_says_what_each_task_can_show() -> None:
    done = CliRunner().invoke(app, ["power", "--methods", "7", "--json"])
    assert done.exit_code == 0, done.output
    rows = {(row["suite"], row["task"]): row for row in json.loads(done.stdout)["tasks"]}
    assert (rows["mini", "camera"]["conditions"], rows["mini", "camera"]["cases"]) == (7, 14)
    assert rows["mini", "all"]["smallest"] < rows["mini", "camera"]["smallest"]
    assert rows["vap-data", "all"]["smallest"] == smallest_difference(24, 2, methods=7)


def test_an_expected_difference_says_how_many_conditions_find_it() -> None:
    done = CliRunner().invoke(app, ["power", "--suite", "mini", "--difference", "13.5", "--sd", "27"])
    assert done.exit_code == 0, done.output
    assert "2 cases a condition: 24 conditions, 48 cases" in done.stdout
    assert "camera" in done.stdout and "vap-data" not in done.stdout


def test_a_suite_whose_data_is_elsewhere_says_what_it_needs() -> None:
    assert "vapbench power --suite vap-data --data DIR" in CliRunner().invoke(app, ["power"]).stdout
    done = CliRunner().invoke(app, ["power", "--suite", "gallery"])
    assert done.exit_code != 0 and "--data DIR" in str(done.exception)

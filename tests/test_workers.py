"""How many workers ``-n auto`` starts."""

from __future__ import annotations

import os

import pytest

from tests.conftest import pytest_xdist_auto_num_workers


def test_one_more_than_the_cores_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    assert pytest_xdist_auto_num_workers() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert pytest_xdist_auto_num_workers() == 65


def test_the_variable_of_pytest_xdist_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
    assert pytest_xdist_auto_num_workers() is None, "pytest-xdist reads the variable itself"

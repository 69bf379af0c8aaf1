"""What is shown of a run and of a training while they last."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from vapbench.core.console import errors, output, print_json, say, tell
from vapbench.running.progress import Bar, Lines, Silent, progress


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard error as a terminal shows it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    errors.cache_clear()
    yield
    errors.cache_clear()


def test_lines_go_on_where_an_earlier_training_stopped_and_show_the_loss(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.begin("base", 4, 2)
    lines.step("base", note="loss 0.5000")
    lines.step("base", note="loss 0.2500")
    lines.end()
    assert capsys.readouterr().err == "base: 2/4\nbase: 4/4, loss 0.2500, 0 s\n"


def test_codes_of_emoji_stay_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.cache_clear()
    tell("/data/:cat:/run")
    say("/data/:cat:/run")
    print_json({"path": "/data/:cat:/run"})
    output.cache_clear()
    said = capsys.readouterr()
    assert said.err == "/data/:cat:/run\n"
    assert said.out.splitlines()[0] == "/data/:cat:/run" and json.loads(said.out.partition("\n")[2]) == {
        "path": "/data/:cat:/run"
    }


def test_lines_count_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.begin("vap · generate", 2)
    lines.step("a", "failed")
    lines.step("b", "ok")
    assert capsys.readouterr().err.splitlines()[-1] == "vap · generate: 2/2, 1 failed, 0 s"


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_a_bar_with_count_and_loss_unless_several_processes_write(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert isinstance(progress(quiet=False, shared=True), Lines)
    assert type(progress(quiet=True)) is Silent
    bar = progress(quiet=False)
    assert isinstance(bar, Bar)
    bar.begin("base", 4, 2)
    bar.step("base", note="loss 0.2500")
    bar.end()
    shown = capsys.readouterr().err
    assert "base" in shown
    assert "3/4" in shown
    assert "loss 0.2500" in shown

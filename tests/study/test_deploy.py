"""A study on a server of one's own: its backup while people vote, and the files that put it behind HTTPS."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from tests.refusals import refuses
from tests.study.served import make_study, serving
from vapbench.cli import app
from vapbench.errors import ErrorKind, UsageError
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.server.backup import backup_votes

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_a_backup_holds_every_vote_so_far_and_is_served_again(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", cases=8, trials=8, votes_per_cell=4)
    with serving(study, raters=2) as served:
        first, second = served.rater(0), served.rater(1)
        first.finish()
        voting = threading.Thread(target=second.finish)
        voting.start()
        counts = [backup_votes(study, tmp_path / f"copy-{number}.db") for number in range(3)]
        voting.join()
        done = CliRunner().invoke(app, ["study", "backup", str(study.path), "--out", str(tmp_path / "last.db")])
        assert done.exit_code == 0 and f"{len(first.answered) + len(second.answered)} votes" in done.output
        with refuses(UsageError, ErrorKind.CONFLICT, "out"):
            backup_votes(study, tmp_path / "last.db")
    assert counts == sorted(counts) and counts[0] >= len(first.answered)
    assert not list(tmp_path.glob("*.db-*")), "one file each"
    assert stat.S_IMODE((tmp_path / "last.db").stat().st_mode) == 0o600
    for number, votes in enumerate(counts):
        assert len(load_ballots(study, tmp_path / f"copy-{number}.db").votes) == votes
    # The machine is lost; the study goes on elsewhere from the first copy.
    again = tmp_path / "again"
    shutil.copytree(study.path, again, ignore=shutil.ignore_patterns("votes.db*"))
    shutil.copyfile(tmp_path / "copy-0.db", again / "votes.db")
    moved = type(study)(again)
    with serving(moved, raters=1) as served:
        served.rater(0).finish()
    assert len(load_ballots(moved).votes) == counts[0] + 9


def test_a_damaged_database_is_not_copied(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study")
    with refuses(UsageError, ErrorKind.MISSING, "votes"):
        backup_votes(study, tmp_path / "copy.db")
    with serving(study, raters=1) as served:
        served.rater(0).finish()
    with contextlib.closing(sqlite3.connect(study.votes_path)) as database:
        database.executescript("DROP TRIGGER vote_is_final; UPDATE vote SET record = replace(record, 'tie', 'tie ');")
        database.executescript("UPDATE vote SET hash = '0' WHERE sequence = 2;")
    done = CliRunner().invoke(app, ["study", "backup", str(study.path), "--out", str(tmp_path / "copy.db")])
    assert "breaks at vote 2" in str(done.exception) and not (tmp_path / "copy.db").exists()


def test_the_containers_run_a_command_there_is() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    study, caddy = compose["services"]["study"], compose["services"]["caddy"]
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert (DEPLOY / study["build"]["context"] / study["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert 'ENTRYPOINT ["vapbench", "study"]' in lines and study["stop_signal"] == "SIGINT"
    command, *options = study["command"]
    shown = CliRunner().invoke(app, ["study", command, "--help"], env={"COLUMNS": "200"}).output
    assert all(option in shown for option in options if option.startswith("--"))
    assert (DEPLOY / caddy["volumes"][0].split(":")[0]).is_file()
    assert caddy["environment"]["UPSTREAM"] in (DEPLOY / "Caddyfile").read_text().replace(
        "127.0.0.1:8000", "study:8000"
    )


def test_the_health_check_of_the_container_asks_what_answers(tmp_path: Path) -> None:
    """Behind HTTPS the server answers to its public name, and to the machine's own, by which the container asks."""
    *command, script = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["study"]["healthcheck"]["test"]
    assert command == ["CMD", "python", "-c"]
    with serving(make_study(tmp_path / "study"), raters=1, outside=("https://study.example.org",)) as served:
        asked = script.replace("http://127.0.0.1:8000", served.origin)
        assert asked != script and subprocess.run([sys.executable, "-c", asked], timeout=60).returncode == 0


needs_caddy = pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")


@contextlib.contextmanager
def caddy(folder: Path, upstream: int, port: int) -> Iterator[Path]:
    """The example, with a certificate of its own; gives the file that vouches for it."""
    text = (DEPLOY / "Caddyfile").read_text().replace("{$DOMAIN:localhost} {", "{$DOMAIN:localhost} {\n\ttls internal")
    options = "\n{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n"
    (folder / "Caddyfile").write_text(text.replace("\n{\n", options, 1))
    environment = os.environ | {
        "DOMAIN": f"https://localhost:{port}", "UPSTREAM": f"127.0.0.1:{upstream}", "HOME": str(folder),
        "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder),
    }  # fmt: skip
    command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with (
        (folder / "caddy.log").open("w") as log,
        subprocess.Popen(command, env=environment, stderr=log, stdout=log) as process,
    ):
        try:
            root = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
            until = time.monotonic() + 300
            while not _greets(port, root):
                assert process.poll() is None and time.monotonic() < until, "caddy did not start"
                time.sleep(0.05)
            yield root
        finally:
            process.terminate()


def _greets(port: int, root: Path) -> bool:
    """Whether it has a certificate by now."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as plain:
        ssl.create_default_context(cafile=root).wrap_socket(plain, server_hostname="localhost").close()
        return True
    return False


@needs_caddy
def test_raters_come_by_https_through_caddy(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    study = make_study(tmp_path / "study")
    origin = f"https://localhost:{port}"
    with (
        serving(study, raters=1, outside=(origin,)) as served,
        caddy(tmp_path, int(served.origin.rpartition(":")[2]), port) as root,
    ):
        trusting = ssl.create_default_context(cafile=root)
        client = httpx.Client(base_url=origin, verify=trusting, trust_env=False)
        entered = client.get(served.links.raters[0])
        assert entered.status_code == 303
        assert "Secure" in entered.headers["set-cookie"] and "max-age" in entered.headers["strict-transport-security"]
        assert client.post("/api/consent", json={"version": "1"}, headers={"Origin": origin}).status_code == 201
        trial = client.post("/api/next", json={"after": None}, headers={"Origin": origin}).json()
        video = client.get(trial["results"][0], headers={"Range": "bytes=0-99"})
        assert (video.status_code, len(video.content)) == (206, 100)


@needs_caddy
def test_caddy_logs_neither_addresses_nor_links_while_the_study_is_down(tmp_path: Path) -> None:
    with (
        contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free,
        contextlib.closing(socket.create_server(("127.0.0.1", 0))) as down,
    ):
        port, upstream = free.getsockname()[1], down.getsockname()[1]
    with caddy(tmp_path, upstream, port) as root:
        client = httpx.Client(verify=ssl.create_default_context(cafile=root), trust_env=False)
        assert client.get(f"https://localhost:{port}/r/a-secret-link").status_code == 502
    log = (tmp_path / "caddy.log").read_text()
    assert "serving initial configuration" in log
    assert "a-secret-link" not in log and "remote_ip" not in log

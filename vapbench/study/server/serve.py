"""Serve a study: bind, print the links, answer until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import quoted
from vapbench.files.text import counted
from vapbench.study.folder import StudyFolder
from vapbench.study.server.database import transaction
from vapbench.study.server.raters import allow, consent, entry_key, invite, invite_administrator, rater_of
from vapbench.study.server.records import note, set_setting, setting
from vapbench.study.server.recruitment import BY_LINK, Recruitment
from vapbench.study.server.service import Service, open_database
from vapbench.study.settings import read_settings, settings_path, worded

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Links:
    """What the server prints when it is ready."""

    admin: str
    raters: tuple[str, ...]
    """New ones: earlier links keep working, and cannot be shown again."""
    platform: str
    """Address to enter at the platform; empty for plain links."""


def serve(
    folder: StudyFolder,
    ready: Callable[[Links], None],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    base_url: str = "",
    new_raters: int | None = None,
    recruitment: Recruitment = BY_LINK,
) -> None:
    """Serve ``folder`` until interrupted.

    Args:
        folder: a planned study; it is opened, and its protocol final from then on.
        ready: called with the links once the port is bound.
        host: address to listen on; one that other machines reach needs ``base_url``.
        port: 0 for any free one.
        base_url: what raters type, if that is not this machine's own address: ``https://study.example.org``.
        new_raters: links to make; None makes as many as were planned for a study that has none yet, and none where a
            platform recruits.
        recruitment: where raters come from, and where they go back to.

    Raises:
        UsageError: the port is taken, or the address would carry votes in the clear.
        DataError: the study is served already, or its files were changed.
    """
    base_url = _checked_base(base_url, host)
    with closing(_bind(host, port)) as listener:
        bound = listener.getsockname()[1]
        local = tuple(f"http://{name}:{bound}" for name in _LOOPBACK[:2])
        origins = (base_url, *local) if base_url else local
        with Service(folder, origins, recruitment) as service:
            links = _links(service, new_raters)
            # Ctrl-C is how a server is meant to end.
            with suppress(KeyboardInterrupt):
                ready(links)
                _run(service, listener)


def _run(service: Service, listener: socket.socket) -> None:
    """Answer until Ctrl-C."""
    import uvicorn

    from vapbench.study.server.app import application

    # Access logs would hold the tokens of links.
    config = uvicorn.Config(
        application(service),
        log_level="warning",
        access_log=False,
        server_header=False,
        # Raters watch between two requests; a new connection for each would cost them a round trip.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listener])


def preview(folder: StudyFolder, ready: Callable[[str], None], port: int = 8001) -> None:
    """Serve every page of a study in a copy that is thrown away, until interrupted.

    Args:
        folder: a planned study; nothing in it changes.
        ready: called with the address once the port is bound.
        port: 0 for any free one.

    Raises:
        UsageError: the port is taken.
        DataError: ``study.yaml`` is not valid, or a media file was changed.
    """
    protocol, frozen = folder.protocol(), folder.opened
    if not frozen:
        protocol = worded(protocol, read_settings(folder), str(settings_path(folder)))
    with TemporaryDirectory() as name, closing(_bind("127.0.0.1", port)) as listener:
        copy = StudyFolder(Path(name) / "study")
        copy.save(protocol, folder.key(protocol))
        (copy.path / "media").symlink_to((folder.path / "media").resolve())
        origins = tuple(f"http://{host}:{listener.getsockname()[1]}" for host in _LOOPBACK[:2])
        with Service(copy, origins, preview=True, frozen=frozen) as service:
            database = service.database
            with transaction(database, copy.votes_path):
                (token,) = invite(database, service.clock, 1)
                rater = rater_of(database, service.clock, token)
                assert rater is not None
                consent(database, service.clock, rater["id"], protocol.consent.version)
            with suppress(KeyboardInterrupt):
                ready(_rater_link(origins[0], token))
                _run(service, listener)


def invite_raters(folder: StudyFolder, number: int, cohort: str = "") -> tuple[str, ...]:
    """Make ``number`` more links, also while the study is being served.

    Raises:
        UsageError: the study was never served, so that nobody knows its address.
        DataError: its files were changed.
    """
    if not folder.votes_path.exists():
        command = f"vapbench study serve {quoted(folder.path)} --raters {number}"
        raise UsageError(f"{folder.path} has not been served yet: {command}", ErrorKind.MISSING, "votes")
    clock, database = open_database(folder, folder.protocol().sha256)
    with closing(database), transaction(database, folder.votes_path):
        tokens = invite(database, clock, number, cohort)
        origin = setting(database, "origin")
    return tuple(_rater_link(origin, token) for token in tokens)


def allow_participants(folder: StudyFolder, participants: Sequence[str]) -> int:
    """Let in these participants of the platform and no others, also while the study is being served.

    Returns:
        How many are listed now.

    Raises:
        DataError: the study's files were changed.
    """
    clock, database = open_database(folder, folder.protocol().sha256)
    with closing(database), transaction(database, folder.votes_path):
        listed = allow(database, participants)
        note(database, clock, "allowed", detail=counted(listed, "participant"))
    return listed


def _links(service: Service, new_raters: int | None) -> Links:
    origin, database = service.origins[0], service.database
    with transaction(database, service.folder.votes_path):
        (known,) = database.execute("SELECT count(*) FROM rater").fetchone()
        planned = 0 if known or service.recruitment.known else service.protocol.raters
        wanted = planned if new_raters is None else new_raters
        tokens = invite(database, service.clock, wanted)
        admin = invite_administrator(database, service.clock)
        set_setting(database, "origin", origin)
    platform, key = service.recruitment.known, entry_key(database)
    return Links(
        admin=f"{origin}/admin/join?t={admin}",
        raters=tuple(_rater_link(origin, token) for token in tokens),
        platform=f"{origin}/join?k={key}&{platform.query}" if platform else "",
    )


def _rater_link(origin: str, token: str) -> str:
    return f"{origin}/join?t={token}"


def _checked_base(base_url: str, host: str) -> str:
    if not base_url:
        if host not in _LOOPBACK:
            raise UsageError(
                f"--host {host} is reached by other machines; put a proxy with HTTPS before the server and name its "
                "address: --base-url https://study.example.org",
                ErrorKind.MISSING,
                "base_url",
            )
        return ""
    parts = urlsplit(base_url)
    local = parts.hostname in _LOOPBACK
    if not parts.netloc or parts.path.strip("/") or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise UsageError(
            f"--base-url {base_url} must be https:// and a host, without a path.", ErrorKind.INVALID, "base_url"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _bind(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"port {port} on {host} cannot be used ({error}); choose another with --port.", ErrorKind.BUSY, "port"
        ) from None

"""One writer per run folder, also where several machines share it.

    .lock         a kernel lock, which ends with its process, whatever ends that
    .lock.owner   who holds it: host, process, user, since when; touched every few seconds while it lives

On one machine the kernel lock decides. It need not reach other machines (NFS without a lock daemon, Lustre mounted
without ``flock``), so between machines the owner file decides: it is created with ``O_EXCL``, which is atomic on NFS
since version 3. Whose machine cannot be asked is told by the time of the last sign of life, read off the file server's
clock alone. A lock whose owner went silent is explained, and broken only by ``vapbench results unlock``.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import shlex
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from vapbench.errors import DataError
from vapbench.files.atomic import TEMPORARY
from vapbench.files.parsing import parse_json
from vapbench.files.provenance import now

HEARTBEAT = 15.0
"""Seconds between two signs of life."""
SILENT_AFTER = 120.0
"""Seconds without one after which an owner on another machine may be gone."""

_NO_KERNEL_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    host: str
    kernel: str
    """The running system: kernel locks hold within it."""
    pid_space: str
    """Where the process id means something: containers on one machine number their own."""
    pid: int
    user: str
    since: str
    token: str
    """Tells one holder from the next."""

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        return cls(socket.gethostname(), _kernel(), _pid_space(), os.getpid(), _user(), now(), uuid.uuid4().hex)

    def __str__(self) -> str:
        """Who, where, since when."""
        return f"process {self.pid} on {self.host} (user {self.user}) since {self.since}"


@dataclass(frozen=True)
class Held:
    """A lock as somebody else sees it."""

    folder: Path
    owner: Owner | None
    """None for an owner file that says nothing: its writer was killed while it made it."""
    age: float
    """Seconds since the last sign of life."""

    @cached_property
    def known_dead(self) -> bool:
        """Whether the process would be seen from here, and is not there."""
        here = self.owner and (self.owner.kernel, self.owner.pid_space) == (_kernel(), _pid_space())
        return bool(self.owner and here and not _alive(self.owner.pid))

    @property
    def silent(self) -> bool:
        """Whether the owner may be gone."""
        return self.known_dead or self.age > SILENT_AFTER

    def __str__(self) -> str:
        """Who holds it, and the last sign of life."""
        return f"{self.owner or 'a process that did not come to say its name'}, last sign of life {ago(self.age)}"

    def refusal(self) -> DataError:
        """Why nobody else may write, and what to do."""
        if not self.silent:
            return DataError(
                f"{self.folder} is being written by {self}; wait for it, or write elsewhere with --results DIR."
            )
        return DataError(
            f"{self.folder} was being written by {self}: it was killed, or its machine is cut off. "
            f"If it is gone: {unlock_command(self.folder)}"
        )


class RunLock:
    """The lock of a run folder, held between :meth:`acquire` and :meth:`release`."""

    def __init__(self, folder: Path) -> None:
        """Prepare to lock ``folder``."""
        self._folder = folder
        self._kernel = FileLock(folder / ".lock", timeout=0)
        self._mine: Owner | None = None
        self._done = threading.Event()

    def acquire(self) -> None:
        """Take the lock; what a killed process of this machine left behind is taken over.

        Raises:
            DataError: another process is writing the folder, or was and did not say that it ended.
        """
        try:
            self._kernel.acquire()
        except Timeout:
            held = holder(self._folder)
            raise (held or Held(self._folder, None, 0)).refusal() from None
        except OSError as error:
            if error.errno not in _NO_KERNEL_LOCKS:
                raise
        try:
            self._mine = self._claim()
        except BaseException:
            self._kernel.release()
            raise
        self._done.clear()
        threading.Thread(target=self._live, name="heartbeat", daemon=True).start()

    def release(self) -> None:
        """Give the lock back."""
        self._done.set()
        try:
            if self._mine and _read(self._folder) == self._mine:
                owner_file(self._folder).unlink(missing_ok=True)
        finally:
            self._mine = None
            self._kernel.release()

    def check(self) -> None:
        """Make sure that the lock is still held; asked before every row.

        Raises:
            DataError: somebody broke it, perhaps while this machine slept.
        """
        found = _read(self._folder)
        if found != self._mine:
            raise DataError(
                f"{self._folder}: the lock of this run was broken, and is held by {found or 'nobody'}; "
                "this run stops, so that two never write at once. Everything finished is kept."
            )

    def _claim(self) -> Owner:
        held = holder(self._folder)
        if held:
            # With the kernel lock in hand, whoever had it on this machine is gone.
            gone = self._kernel.is_locked and held.owner is not None and held.owner.kernel == _kernel()
            if not (gone or held.known_dead):
                raise held.refusal()
            owner_file(self._folder).unlink(missing_ok=True)
        mine = Owner.this_process()
        try:
            with owner_file(self._folder).open("x", encoding="utf-8") as handle:
                handle.write(json.dumps(asdict(mine)))
        except FileExistsError:
            raise (holder(self._folder) or Held(self._folder, None, 0)).refusal() from None
        return mine

    def _live(self) -> None:
        while not self._done.wait(HEARTBEAT):
            # A file server that is away for a while is no reason to stop; rows will tell if it stays away.
            with suppress(OSError):
                if _read(self._folder) == self._mine:
                    os.utime(owner_file(self._folder))


def holder(folder: Path) -> Held | None:
    """Who holds the lock of a run folder; None if nobody does."""
    path = owner_file(folder)
    try:
        seen = path.stat().st_mtime
    except FileNotFoundError:
        return None
    return Held(folder, _read(folder), max(0.0, _clock_of(folder) - seen))


def unlock(folder: Path, force: bool = False) -> Held | None:
    """Break a lock whose owner went silent; with ``force``, any.

    Returns:
        Whose lock it was; None if there was none.

    Raises:
        DataError: the owner is alive.
    """
    held = holder(folder)
    if held is None:
        return None
    if not (held.silent or force):
        raise DataError(
            f"{folder} is being written by {held}. Its lock is not broken; if you know better: "
            f"{unlock_command(folder)} --force, which stops that run before its next row."
        )
    owner_file(folder).unlink(missing_ok=True)
    return held


def owner_file(folder: Path) -> Path:
    """Where the owner of a run folder's lock stands."""
    return folder / ".lock.owner"


def unlock_command(folder: Path) -> str:
    """The command that breaks a silent lock."""
    return shlex.join(["vapbench", "results", "unlock", str(folder)])


def ago(seconds: float) -> str:
    """``12 s ago``, ``3 min ago``, ``5 h ago``, ``4 days ago``."""
    for unit, size, until in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds / 86400:.0f} days ago"


def _read(folder: Path) -> Owner | None:
    try:
        return Owner(**parse_json(owner_file(folder).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _clock_of(folder: Path) -> float:
    """Now, by the clock that the folder's files are dated with: two machines need not agree, one server does."""
    probe = folder / f"{TEMPORARY}{os.getpid()}-{uuid.uuid4().hex[:8]}-clock"
    try:
        with probe.open("xb") as handle:
            return os.fstat(handle.fileno()).st_mtime
    except OSError:
        # Somebody who may only read: their own clock must do.
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"

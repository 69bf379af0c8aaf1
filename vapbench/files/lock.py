"""One writer per run folder, on one machine and on storage that several share.

    .lock         a kernel lock, which ends with its process, whatever ends that
    .lock.owner   who holds it: host, process, user, since when, by which command

The kernel lock decides wherever it reaches: on one machine always, and between machines on most shared file systems.
Where it does not reach (NFS without a lock daemon, Lustre mounted without ``flock``), the note of a writer on another
machine refuses the second. It is created with ``O_EXCL``, which is atomic on NFS since version 3. Nobody here can see
whether a process on another machine lives: if it died, ``vapbench results unlock --force`` removes its note.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import shlex
import socket
import sys
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import quoted
from vapbench.files.parsing import parse_json
from vapbench.files.provenance import now

_NO_KERNEL_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    host: str
    machine: str
    """The running system: two containers on one machine share it, under different host names."""
    pid: int
    user: str
    started: str
    """When the lock was taken, UTC."""
    command: str

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        return cls(socket.gethostname(), _machine(), os.getpid(), _user(), now(), command)

    @property
    def shares_kernel(self) -> bool:
        """Whether a kernel lock taken here excludes that process. A reboot gives the machine another id."""
        return self.host in ("", socket.gethostname()) or self.machine == _machine()

    @property
    def is_here(self) -> bool:
        """Whether the process can be seen from here: containers number their own."""
        return (self.host, self.machine) == (socket.gethostname(), _machine())

    @property
    def is_dead(self) -> bool:
        """Whether the process would be seen from here, and is not there."""
        return self.is_here and not _alive(self.pid)

    def __str__(self) -> str:
        if not self.host:
            return "a process whose note cannot be read"
        command = textwrap.shorten(self.command, 80, placeholder=" …")
        return f"process {self.pid} on {self.host} (user {self.user}) since {self.started}: {command}"


_UNREADABLE = Owner("", "", 0, "", "", "")


class RunLock:
    """The lock of a run folder, held between :meth:`acquire` and :meth:`release`, or in a ``with``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kernel = FileLock(folder / ".lock", timeout=0)
        self._mine: Owner | None = None

    def acquire(self) -> None:
        """Take the lock; what a killed process of this machine left behind is taken over.

        Raises:
            DataError: another process is writing the folder, or one of another machine left its note there.
        """
        try:
            self._kernel.acquire()
        except Timeout:
            raise refusal(self._folder) from None
        except NotImplementedError:
            pass
        except OSError as error:
            if error.errno not in _NO_KERNEL_LOCKS:
                raise
        try:
            self._mine = self._leave_note()
        except BaseException:
            self._kernel.release()
            raise

    def release(self) -> None:
        """Give the lock back."""
        try:
            if self._mine and holder(self._folder) == self._mine:
                owner_file(self._folder).unlink(missing_ok=True)
        finally:
            self._mine = None
            self._kernel.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def check(self) -> None:
        """Make sure that the lock is still held; asked before every row.

        Raises:
            DataError: somebody broke it, perhaps while this machine slept.
        """
        found = holder(self._folder)
        if found != self._mine:
            raise DataError(
                f"{self._folder}: the lock of this run was broken, and is held by {found or 'nobody'}; "
                "this run stops, so that two never write at once. Everything finished is kept.",
                ErrorKind.BUSY,
                "run",
            )

    def _leave_note(self) -> Owner:
        left = holder(self._folder)
        # With the kernel lock in hand, whoever had it on this machine is gone.
        if left and (left.is_dead or (self._kernel.is_locked and left.shares_kernel)):
            owner_file(self._folder).unlink(missing_ok=True)
        mine = Owner.this_process()
        try:
            with owner_file(self._folder).open("x", encoding="utf-8") as handle:
                handle.write(json.dumps(asdict(mine)))
        except FileExistsError:
            raise refusal(self._folder) from None
        return mine


def holder(folder: Path) -> Owner | None:
    """Who holds the lock of a run folder, as its note says; None if nobody does. Writes nothing."""
    try:
        return Owner(**parse_json(owner_file(folder).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return _UNREADABLE


def refusal(folder: Path) -> DataError:
    """Why nobody else may write, and what to do."""
    held = holder(folder) or _UNREADABLE
    text = f"{folder} is being written by {held}; wait for it, or write elsewhere with --results DIR."
    return DataError(
        text if held.is_here else f"{text} If that process is gone: {_unlock_command(folder)}", ErrorKind.BUSY, "run"
    )


def refuse_if_written(folder: Path) -> None:
    """Refuse a run that a process is writing, as far as its note tells; a dead process of this machine does not count.

    Raises:
        DataError: somebody is writing it.
    """
    held = holder(folder)
    if held and not held.is_dead:
        raise refusal(folder)


def unlock(folder: Path, force: bool = False) -> Owner | None:
    """Break a lock that a dead process of this machine left; with ``force``, any.

    Returns:
        Whose lock it was; None if there was none.

    Raises:
        DataError: the owner lives, or is on another machine, where it cannot be seen.
    """
    held = holder(folder)
    if held is None:
        return None
    if not (held.is_dead or force):
        raise DataError(
            f"{folder} is locked by {held}. Its lock is not broken; if that process is gone: {_unlock_command(folder)} "
            "(a run that lives stops before its next row)",
            ErrorKind.BUSY,
            "run",
        )
    owner_file(folder).unlink(missing_ok=True)
    return held


def owner_file(folder: Path) -> Path:
    """Where the owner of a run folder's lock stands."""
    return folder / ".lock.owner"


def _unlock_command(folder: Path) -> str:
    return f"vapbench results unlock --force {quoted(folder)}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"

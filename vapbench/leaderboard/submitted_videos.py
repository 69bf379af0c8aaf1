"""Where a submission's videos are, and that they are those which were scored."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from urllib.parse import quote

from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import cache_folder, file_sha256
from vapbench.files.download import download
from vapbench.files.public_web import public_opener
from vapbench.leaderboard.contents import LIMITS
from vapbench.leaderboard.submission import MANIFEST, Submission, submission_digest
from vapbench.results.rows import GenerationRow

LONGEST_FETCH = 300.0
"""Seconds that a server may take for one video."""


class SubmittedVideos:
    """Where a submission's videos are: beside its rows, in a folder, or under a link."""

    def __init__(self, folder: Path, videos: Path | None, said: Submission, local_links: bool) -> None:
        self._opener = None if local_links else public_opener()
        self._folders = [videos] if videos else [folder / "videos"]
        self._link = said.videos
        # Known by what was submitted: another submission of that name fetches its own.
        self._fetched = cache_folder() / "submitted" / submission_digest(folder)[:16]

    def of(self, row: GenerationRow) -> Path:
        """Find the video of a row, or fetch it.

        Raises:
            DataError: it is another than was scored, or cannot be fetched.
            UsageError: it is not here, and there is no link.
        """
        name = str(row.video)
        for path in [place / name for place in (*self._folders, self._fetched)]:
            if path.is_file() and not path.is_symlink():
                if file_sha256(path) != row.sha256:
                    raise DataError(
                        f"{path} is not the video that was scored: its SHA-256 is another.",
                        ErrorKind.CONFLICT,
                        "sha256",
                    )
                return path
        if not self._link:
            raise UsageError(
                f"{name} is not here, and {MANIFEST} names no link to the videos; say where they lie: --videos DIR",
                ErrorKind.MISSING,
                "videos",
            )
        return self._fetch(name, str(row.sha256))

    def _fetch(self, name: str, sha256: str) -> Path:
        url, partial = f"{str(self._link).rstrip('/')}/{quote(name)}", self._fetched / f"{name}.part"
        most, late = LIMITS[Path(name).suffix], monotonic() + LONGEST_FETCH

        def bounded(done: int, total: int | None) -> None:
            if monotonic() > late:
                raise DataError(
                    f"{url} takes longer than {LONGEST_FETCH:g} s; say where the videos lie: --videos DIR",
                    ErrorKind.LIMIT,
                    "seconds",
                )
            if max(done, total or 0) > most:
                raise DataError(f"{url} is larger than the {most >> 20} MiB of a video.", ErrorKind.LIMIT, "size")

        try:
            download(url, partial, bounded, self._opener)
        except OSError as error:
            raise DataError(
                f"{url}: {error}; correct the link, or say where the videos lie: --videos DIR",
                ErrorKind.UNREACHABLE,
                "videos",
            ) from error
        if file_sha256(partial) != sha256:
            partial.unlink()
            raise DataError(
                f"{url} is not the video that was scored: its SHA-256 is another.", ErrorKind.CONFLICT, "sha256"
            )
        return partial.rename(self._fetched / name)

"""Cases: what a suite asks of a method, validated before anything runs."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from vapbench.core.clip import Clip, Frames
from vapbench.core.limits import MOST_FRAMES, MOST_PIXELS
from vapbench.core.video import read_first_frame, read_video
from vapbench.errors import DataError, ErrorKind, NotApplicable
from vapbench.files.atomic import content_sha256, file_sha256, is_reserved

Category = Literal["concept", "style", "motion", "camera"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,159}")


def check_name(name: str) -> str:
    """Return ``name`` if it can be part of a file name anywhere: letters, digits, ``.``, ``_`` and ``-``.

    Raises:
        ValueError: it has another character (a slash, a space), begins with a dot, is longer than 160, or is a
            device on some system (``nul``).
    """
    if not _NAME.fullmatch(name) or is_reserved(name):
        shown = name if len(name) <= 200 else f"{name[:200]}…"
        raise ValueError(
            f"{shown!r} must be 1 to 160 letters, digits, '.', '_' or '-', beginning with one of the first two, "
            "and no device's name"
        )
    return name


Name = Annotated[str, AfterValidator(check_name)]


class Media(BaseModel):
    """A video, image, or folder of frames, known by its content: two paths to equal bytes are the same media."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    _identity: str | None = PrivateAttr(default=None)
    _prefetched: Clip | None = PrivateAttr(default=None)
    _wanted: int = PrivateAttr(default=0)
    _lock: Lock = PrivateAttr(default_factory=Lock)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as path and hashes; decoded frames and their lock stay here."""
        return _unpickled, (self.path, self.__dict__.get("sha256"), self._identity)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file, or of a folder of frames (:func:`vapbench.files.atomic.content_sha256`).

        Raises:
            DataError: the file is missing.
        """
        if not self.path.exists():
            raise DataError(
                f"{self.path}: no such file; check the path, or fetch the data again.", ErrorKind.MISSING, "path"
            )
        return content_sha256(self.path) if self.path.is_dir() else file_sha256(self.path)

    @property
    def identity(self) -> str:
        """What rows are keyed by: :attr:`sha256`, unless :meth:`identify` said otherwise."""
        return self._identity or self.sha256

    def identify(self, identity: str) -> None:
        """Give the media of a suite that draws its clips an identity that no encoder's release changes.

        Args:
            identity: SHA-256 that stands for the clip, whatever bytes hold it.
        """
        self._identity = identity

    def read(self) -> Clip:
        """Decode all frames, or return those decoded ahead by :meth:`prefetch`.

        Raises:
            DataError: the file is missing, truncated or has no frame.
        """
        return self._prefetched or read_video(self.path)

    def first_frame(self) -> Frames:
        """First frame of the video, or the image: ``(H, W, 3)`` uint8 RGB."""
        return self._prefetched.frames[0] if self._prefetched else read_first_frame(self.path)

    def prefetch(self) -> None:
        """Decode now, and keep the frames until as many :meth:`release` as there were calls of this."""
        with self._lock:
            self._wanted += 1
            try:
                self._prefetched = self._prefetched or read_video(self.path)
            except Exception:
                # Whoever reads the file meets the error, where it becomes a row.
                self._prefetched = None

    def release(self) -> None:
        """Give up what :meth:`prefetch` asked for; nothing where nobody asked."""
        with self._lock:
            self._wanted = max(0, self._wanted - 1)
            if not self._wanted:
                self._prefetched = None


class NoMedia(Media):
    """A file that a case does not have: whoever asks for it learns that it does not apply to the case."""

    path: Path = Path()
    what: str
    """What there is none of, in words: ``reference video``."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _no_media, (self.what,)

    def read(self) -> Clip:
        """Raise.

        Raises:
            NotApplicable: always.
        """
        raise NotApplicable(f"the case has no {self.what}", field=self.what)

    def first_frame(self) -> Frames:
        """Raise.

        Raises:
            NotApplicable: always.
        """
        raise NotApplicable(f"the case has no {self.what}", field=self.what)

    def prefetch(self) -> None:
        """There is nothing to decode."""


def _no_media(what: str) -> NoMedia:
    return NoMedia(what=what)


def _unpickled(path: Path, sha256: str | None, identity: str | None) -> Media:
    media = Media(path=path)
    if sha256:
        media.__dict__["sha256"] = sha256
    if identity:
        media.identify(identity)
    return media


class Reference(BaseModel):
    """A video that shows the semantic, and its caption if it has one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: Media
    caption: str | None = None


NO_REFERENCE = Reference(video=NoMedia(what="reference video"))
NO_IMAGE = NoMedia(what="first frame")


class ClipSpec(BaseModel):
    """Size and timing every method of a suite is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = Field(ge=1, le=MOST_FRAMES)
    fps: float = Field(gt=0, le=1000, allow_inf_nan=False)
    height: int = Field(ge=2, le=MOST_PIXELS // 2, multiple_of=2)
    width: int = Field(ge=2, le=MOST_PIXELS // 2, multiple_of=2)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.height * self.width > MOST_PIXELS:
            raise ValueError(f"{self.width}x{self.height} is more than the {MOST_PIXELS:,} pixels that are read")
        return self


def clip_difference(info: Any, asked: Any) -> str:
    """How a clip differs from what a suite asks for, in words; empty if it does not.

    Args:
        info: what has its ``frames``, ``height``, ``width`` and ``fps``.
        asked: what has the same: a clip spec.
    """
    got, wanted = (
        f"{size['frames']}x{size['height']}x{size['width']} at {size['fps'] or 0:g} fps"
        for size in ({name: getattr(of, name) for name in ClipSpec.model_fields} for of in (info, asked))
    )
    return "" if got == wanted else f"the clip is {got}; the suite asks for {wanted}"


NoteKind = Literal["train-reference", "leaks-unchecked", "held-out-rows", "own-condition", "image-from-output"]
"""What may be known of a case beside its content; how reports put it is ``vapbench.report.read.case_notes``'s."""


class CaseNote(BaseModel):
    """Something a reader of a case's scores must know. It is recorded in the manifest, and part of no key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: NoteKind
    detail: str = ""
    """What it is about: a file, or a row."""


class Case(BaseModel):
    """One benchmark item.

    ``references`` holds the videos of the same condition, ``image`` is what the target begins with (a video counts by
    its first frame); a suite of videos alone has neither. ``target`` is the ground truth, where the suite has one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name
    condition: Name
    category: Category | None = None
    """None while no task file lists the condition."""
    references: tuple[Reference, ...]
    image: Media = NO_IMAGE
    caption: str | None = None
    target: Media | None = None
    clip: ClipSpec
    notes: tuple[CaseNote, ...] = ()

    @property
    def reference(self) -> Reference:
        """The first reference: the only one for methods that take one; :data:`NO_REFERENCE` for none."""
        return self.references[0] if self.references else NO_REFERENCE

    def media(self) -> tuple[Media, ...]:
        """Every file of the case, each once."""
        files = [reference.video for reference in self.references]
        files += [media for media in (self.image, self.target) if media and not isinstance(media, NoMedia)]
        return tuple({media.path: media for media in files}.values())

    def fields(self) -> dict[str, Any]:
        """What metrics may need, each as content: ``prompt``, ``reference``, ``image``, ``target``, ``category``."""
        files = self._files()
        return {
            "prompt": self.caption,
            "reference": files["references"],
            "image": files["image"],
            "target": files["target"],
            "category": self.category,
        }

    def content(self) -> dict[str, Any]:
        """What the case *is*: captions, media hashes and clip spec, without any path. Part of every generation key."""
        own = {"id": self.id, "condition": self.condition, "caption": self.caption, "clip": self.clip.model_dump()}
        return own | self._files()

    def _files(self) -> dict[str, Any]:
        return {
            "references": [{"video": r.video.identity, "caption": r.caption} for r in self.references],
            "image": None if isinstance(self.image, NoMedia) else self.image.identity,
            "target": self.target.identity if self.target else None,
        }

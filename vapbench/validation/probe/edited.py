"""References played otherwise: backwards, or standing still. They are real files, so that any method can read them.

They are encoded without loss, and only when a method is shown them; what they are is known before, from the file that
they are made of.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vapbench.core.case import Media
from vapbench.core.clip import Clip
from vapbench.core.video import write_lossless
from vapbench.files.atomic import digest

Edit = Literal["reversed", "still"]
_VERSION = 1


class Edited(Media):
    """A video made of another."""

    source: Path
    source_identity: str
    edit: Edit

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.path, self.source, self.source_identity, self.edit)

    @cached_property
    def sha256(self) -> str:
        """What it is: the source's identity and what is done to it. The file need not be there yet."""
        return digest([self.source_identity, self.edit, _VERSION])

    def make(self) -> None:
        """Write the file if it is not there.

        Raises:
            DataError: the source cannot be read.
            OSError: the disk is full or not writable.
        """
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_lossless(self.path, _played(Media(path=self.source).read(), self.edit))


def edited(media: Media, edit: Edit, folder: Path) -> Edited:
    """The same video, played otherwise; its file is named in ``folder`` and not written yet."""
    name = f"{digest([media.identity, edit, _VERSION])[:24]}-{edit}.mkv"
    return Edited(path=folder / name, source=media.path, source_identity=media.identity, edit=edit)


def _played(clip: Clip, edit: Edit) -> Clip:
    if edit == "reversed":
        return replace(clip, frames=np.ascontiguousarray(clip.frames[::-1]))
    return replace(clip, frames=np.repeat(clip.frames[:1], len(clip.frames), axis=0))


def _unpickled(path: Path, source: Path, source_identity: str, edit: Edit) -> Edited:
    return Edited(path=path, source=source, source_identity=source_identity, edit=edit)

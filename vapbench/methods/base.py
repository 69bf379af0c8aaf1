"""What a method is: something that turns a case and a seed into a clip."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from vapbench.errors import blaming
from vapbench.results.rows import Note

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case, Media
    from vapbench.core.clip import Clip


class Method:
    """A method, built-in or your own: derive a class and write :meth:`generate`.

    ``__init__`` takes keyword parameters with defaults; they are what ``--method "name:steps=50"`` sets, and they enter
    the generation key. :meth:`identity`, :meth:`prepare_cases`, :meth:`batch_key` and :meth:`inputs` are asked for
    before :meth:`setup` and must not import torch: they are all that a finished run needs.
    """

    name: str = ""
    """By default the card's."""
    version: int = 1
    """Raised whenever equal input may give other frames."""
    unhashed_params: ClassVar[frozenset[str]] = frozenset()
    """Parameters that cannot change the frames (``offload``)."""
    may_be_empty: ClassVar[frozenset[str]] = frozenset()
    """Parameters whose text may be empty on the command line (``negative_prompt=``)."""
    neutral: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Parameters that came later, at the value that means what was done before them: not keyed at that value, so that
    earlier results stay what they are."""
    uses_seed: bool = True
    """False for a method that ignores the seed, which then runs once per case."""

    def seeds(self, cases: Sequence[Case]) -> Collection[int] | None:
        """Seeds it has finished videos of, no others are tried; None: any."""
        return None

    @property
    def label(self) -> str | None:
        """Name of the run folder; None: the method's name, with a hash of changed parameters."""
        return None

    def identity(self) -> Mapping[str, Any]:
        """What else decides the frames, such as weights."""
        return {}

    def inputs(self, case: Case) -> Sequence[Path | Media | str]:
        """What it uses for this case beyond the case's own: files and media, which are keyed by content, and text.

        Media of other cases are given as they are, not by their paths: clips that a suite draws are known by what they
        show, whatever bytes a release of the encoder makes of them.
        """
        return ()

    def prepare_cases(self, cases: Sequence[Case]) -> None:
        """Look at every case of the suite, once, before anything else."""

    def batch_key(self, case: Case) -> str:
        """Name of the batch: cases with equal answers are generated one after another."""
        return ""

    def provenance(self, case: Case) -> Mapping[str, str]:
        """Where a finished video comes from; it is kept in the manifest and told under tables."""
        return {}

    def setup(self, device: torch.device) -> None:
        """Load models onto ``device``; called once, before the first case, only if something needs generating.

        Raises:
            WeightsError: the checkpoint is absent or incomplete.
        """

    def generate(self, case: Case, seed: int) -> Clip | Path:
        """Return the clip for ``case``, at ``case.clip``'s size, frames and rate.

        A path means a finished video, which is taken over byte for byte.

        Raises:
            NotApplicable: the method cannot do this case (no LoRA for its condition, no such output): *unscored*.
        """
        raise NotImplementedError

    def remarks(self, cases: Sequence[Case]) -> Sequence[str]:
        """What a reader of its numbers must know beyond the card, in sentences.

        They are kept in the manifest and told under tables.
        """
        return ()

    def notes(self, case: Case) -> Sequence[Note]:
        """What a reader of the numbers must know of the clip just made for the case (it was turned, or encoded anew).

        Notes are kept in the clip's row and counted under tables by kind.
        """
        return ()


# A method is somebody's code: what it raises when it is asked becomes one sentence that names it.


def asked(method: Method, name: str, *arguments: Any) -> Any:
    """What a part of a method answers.

    Raises:
        PluginError: it raises.
        VapbenchError: as it raises that.
    """
    with blaming(f"{method.name} fails when it is asked for {name}"):
        return getattr(method, name)(*arguments)


def identity_of(method: Method) -> Mapping[str, Any]:
    """What decides the method's frames beyond its parameters."""
    return dict(asked(method, "identity"))


def inputs_of(method: Method, case: Case) -> Sequence[Path | Media | str]:
    """Files, media and text the method uses for this case beyond the case's own."""
    return tuple(asked(method, "inputs", case))


def notes_of(method: Method, case: Case) -> tuple[Note, ...]:
    """What a reader of the numbers must know of the clip just made for the case."""
    given = tuple(method.notes(case))
    if strange := [note for note in given if not isinstance(note, Note)]:
        raise TypeError(f"notes must return vapbench.Note items, not {type(strange[0]).__name__}")
    return given


def provenance_of(method: Method, case: Case) -> Mapping[str, str]:
    """Where the case's finished video comes from."""
    return dict(asked(method, "provenance", case))


def remarks_of(method: Method, cases: Sequence[Case]) -> Sequence[str]:
    """What a reader of the method's numbers must know beyond its card."""
    return tuple(asked(method, "remarks", cases))

"""What a method is: something that turns a case and a seed into a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.core.clip import Clip


@runtime_checkable
class Method(Protocol):
    """A method, built-in or your own.

    ``__init__`` takes keyword parameters with defaults; they are what ``--method "name:steps=50"`` sets, and they
    enter the generation key. Optional, taken as shown where absent:

    * ``not_keyed = frozenset()``: parameters that cannot change the frames (``offload``);
    * ``uses_seed = True``: False for a method that ignores the seed, which then runs once per case;
    * ``label``: name of the run folder (the method's name, with a hash of changed parameters);
    * ``neutral = {}``: parameters that came later, at the value that means what was done before them: not keyed at that
      value, so that earlier results stay what they are;
    * ``identity(self) -> Mapping[str, Any]``: what else decides the frames, such as weights (``{}``);
    * ``inputs(self, case) -> Sequence[Path | str]``: what it uses for this case beyond the case's own: files, which
      are keyed by content, and text (``()``);
    * ``survey(self, cases)``: told once of every case of the suite, before anything else, for methods that look
      across cases;
    * ``group(self, case) -> str``: cases with equal answers are generated one after another;
    * ``provenance(self, case) -> Mapping[str, str]``: where a finished video comes from: it is kept in the manifest and
      told under tables (``{}``).

    * ``remarks(self, cases) -> Sequence[str]``: what a reader of its numbers must know beyond the card, in
      sentences: kept in the manifest and told under tables (``()``).

    ``identity``, ``survey``, ``group`` and ``inputs`` are asked for before ``setup`` and must not import torch: they
    are all that a finished run needs.
    """

    name: str
    version: int
    """Raised whenever equal input may give other frames."""

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


def identity_of(method: Method) -> Mapping[str, Any]:
    """What decides the method's frames beyond its parameters, or ``{}``."""
    identity = getattr(method, "identity", None)
    return identity() if identity else {}


def inputs_of(method: Method, case: Case) -> Sequence[Path | str]:
    """Files and text the method uses for this case beyond the case's own, or ``()``."""
    inputs = getattr(method, "inputs", None)
    return inputs(case) if inputs else ()


def provenance_of(method: Method, case: Case) -> Mapping[str, str]:
    """Where the case's finished video comes from, or ``{}``."""
    provenance = getattr(method, "provenance", None)
    return provenance(case) if provenance else {}


def remarks_of(method: Method, cases: Sequence[Case]) -> Sequence[str]:
    """What a reader of the method's numbers must know beyond its card, or ``()``."""
    remarks = getattr(method, "remarks", None)
    return remarks(cases) if remarks else ()

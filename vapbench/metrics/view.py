"""ClipView: one clip, decoded once, with everything derived from it computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from vapbench.clip import Clip, Frames
from vapbench.errors import NotApplicable

if TYPE_CHECKING:
    import torch

    from vapbench.cases import Case

T = TypeVar("T")


class ClipView:
    """A clip as metrics see it.

    Metrics share work without knowing each other: whatever is costly (decoded tensors, CLIP features, optical flow)
    goes through :meth:`shared`, under a key that names it and its parameters.
    """

    def __init__(self, clip: Clip, case: Case, device: torch.device) -> None:
        """View ``clip``, generated for ``case``, from ``device``."""
        self.clip = clip
        self.case = case
        self.device = device
        self._memo: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.clip)

    @property
    def frames(self) -> Frames:
        """``(T, H, W, 3)`` uint8 RGB in main memory."""
        return self.clip.frames

    @property
    def tensor(self) -> torch.Tensor:
        """``(T, 3, H, W)`` uint8 RGB on the device, uploaded once."""
        return self.shared("tensor", self._upload)

    def shared(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return ``compute()``, computed at most once per clip and ``key``."""
        if key not in self._memo:
            self._memo[key] = compute()
        return cast(T, self._memo[key])

    @property
    def reference(self) -> ClipView:
        """The (first) reference video of the case."""
        return self.shared("reference", lambda: ClipView(self.case.reference.video.read(), self.case, self.device))

    @property
    def target(self) -> ClipView:
        """The ground truth.

        Raises:
            NotApplicable: the suite has none for this case.
        """
        if self.case.target is None:
            raise NotApplicable("the case has no ground-truth video")
        target = self.case.target
        return self.shared("target", lambda: ClipView(target.read(), self.case, self.device))

    @property
    def image(self) -> Frames:
        """``(H, W, 3)`` uint8 RGB: the first frame the method was given, at its own size."""
        return self.shared("image", self.case.image.first_frame)

    @property
    def prompt(self) -> str:
        """The target caption.

        Raises:
            NotApplicable: the case has none.
        """
        if not self.case.caption:
            raise NotApplicable("the case has no caption")
        return self.case.caption

    def _upload(self) -> torch.Tensor:
        import torch

        channels_first = np.ascontiguousarray(self.clip.frames.transpose(0, 3, 1, 2))
        return torch.from_numpy(channels_first).to(self.device)

"""ClipView: one clip, decoded once, with everything derived from it computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from vapbench.core.clip import Clip, Frames
from vapbench.errors import DataError, ErrorKind, NotApplicable
from vapbench.metrics.memory import at_once, quarter_of_free, spans

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case

T = TypeVar("T")


class ClipView:
    """A clip as metrics see it.

    Metrics share work without knowing each other: whatever is costly (decoded tensors, CLIP features, optical flow)
    goes through :meth:`shared`, under a key that names it and its parameters.
    """

    def __init__(self, clip: Clip, case: Case, device: torch.device, memory: int | None = None) -> None:
        """View ``clip``, generated for ``case``, from ``device``.

        Args:
            clip: decoded frames.
            case: what they were generated for.
            device: where metrics compute.
            memory: bytes a metric may work in; by default a quarter of what is free.
        """
        self.clip = clip
        self.case = case
        self.device = device
        self._memory = memory
        self._memo: dict[Hashable, Any] = {}
        self._changed_by = ""

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.clip)

    @property
    def frames(self) -> Frames:
        """``(T, H, W, 3)`` uint8 RGB in main memory; read-only, because every metric looks at the same."""
        return _read_only(self.clip.frames)

    @property
    def memory(self) -> int:
        """Bytes a metric may use for its own work, decoded frames not counted."""
        return self.shared("memory", lambda: self._memory or quarter_of_free(self.device))

    @property
    def tensor(self) -> torch.Tensor:
        """``(T, 3, H, W)`` uint8 RGB on the device, uploaded once; in main memory if it would crowd the device.

        Not to be changed in place: :meth:`watched` fails whoever does, and all that come after.
        """
        return self.shared("tensor", self._upload)

    def pieces(self, bytes_each: float, most: int, step: int = 1) -> Iterator[torch.Tensor]:
        """Go through the frames in pieces that fit into :attr:`memory`.

        Args:
            bytes_each: memory that working on one frame takes.
            most: frames in a piece at most.
            step: take every how many frames.

        Yields:
            ``(n, 3, H, W)`` uint8 RGB on the device, in order.
        """
        frames = self.tensor[::step]
        for start, stop in spans(len(frames), at_once(self.memory, bytes_each, most)):
            yield frames[start:stop].to(self.device).contiguous()

    def shared(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return ``compute()``, computed at most once per clip and ``key``."""
        if key not in self._memo:
            self._memo[key] = compute()
        return cast(T, self._memo[key])

    def watched(self, name: str, action: Callable[[], T]) -> T:
        """Do what a metric does, and make sure that the next one sees the same pixels.

        Raises:
            DataError: the metric of this ``name``, or one before it, changed them in place.
        """
        before = self._samples()
        try:
            self._refuse_changed()
            return action()
        finally:
            after = self._samples()
            if not self._changed_by and any(after[what] != sample for what, sample in before.items()):
                self._changed_by = name
                self._refuse_changed()

    def _refuse_changed(self) -> None:
        if self._changed_by:
            raise DataError(
                f"{self._changed_by} changed the clip in place, which every metric looks at; let it work on a copy: "
                "clip.tensor.clone().",
                ErrorKind.INVALID,
                "tensor",
            )

    def _samples(self) -> dict[str, int]:
        """Sums over some pixels of what is decoded, and how often tensors were written to."""
        found = {}
        for what, view in (("clip", self), *((key, self._memo.get(key)) for key in ("reference", "target"))):
            if isinstance(view, ClipView):
                found[what] = int(view.clip.frames[:, ::13, ::11].sum(dtype=np.int64))
                tensor = view._memo.get("tensor")
                # Tensors made in inference mode count no writes.
                found[f"{what} as a tensor"] = 0 if tensor is None or tensor.is_inference() else tensor._version
        return found

    @property
    def reference(self) -> ClipView:
        """The (first) reference video of the case."""
        return self.shared("reference", lambda: self._view(self.case.reference.video.read()))

    @property
    def target(self) -> ClipView:
        """The ground truth.

        Raises:
            NotApplicable: the suite has none for this case.
        """
        if self.case.target is None:
            raise NotApplicable("the case has no ground-truth video", ErrorKind.NOT_APPLICABLE, "target")
        target = self.case.target
        return self.shared("target", lambda: self._view(target.read()))

    @property
    def image(self) -> Frames:
        """``(H, W, 3)`` uint8 RGB, read-only: the first frame the method was given, at its own size."""
        return self.shared("image", lambda: _read_only(self.case.image.first_frame()))

    @property
    def prompt(self) -> str:
        """The target caption.

        Raises:
            NotApplicable: the case has none.
        """
        if not self.case.caption:
            raise NotApplicable("the case has no caption", ErrorKind.NOT_APPLICABLE, "prompt")
        return self.case.caption

    def _view(self, clip: Clip) -> ClipView:
        return ClipView(clip, self.case, self.device, self._memory)

    def _upload(self) -> torch.Tensor:
        import torch

        channels_first = torch.from_numpy(np.ascontiguousarray(self.clip.frames)).permute(0, 3, 1, 2)
        fits = self.device.type != "cpu" and channels_first.nbytes <= self.memory // 2
        if not fits:
            return channels_first
        # From memory that the card reads by itself, nothing waits for the copy but what needs it.
        return channels_first.to(self.device, non_blocking=self.device.type == "cuda").contiguous()


def _read_only(frames: Frames) -> Frames:
    view = frames.view()
    view.flags.writeable = False
    return view

"""All-pairs correlation of two feature maps, read in windows around moving positions (RAFT, section 3.2).

Both RAFT and AMT look their correlation up again and again at positions that change a little; this is the one
implementation both use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MARGIN = 1
"""Cells of zeros around a volume, so that what lies outside reads as zero."""


class AllPairs:
    """Correlation of every cell of one feature map with every cell of another, at several resolutions.

    The volume of a pair grows with the square of its cells (160 MB at 480 x 720). Where it does not fit into the
    budget it is never held: each lookup computes it again, a few rows of queries at a time, with the same result.
    """

    def __init__(
        self, first: torch.Tensor, second: torch.Tensor, *, levels: int, radius: int, budget: int | None = None
    ) -> None:
        """Correlate ``first`` with ``second``, both ``(n, C, h, w)`` float.

        Args:
            first: features of the frames that ask.
            second: features of the frames that are looked up.
            levels: resolutions; each halves the one before it by averaging.
            radius: half a window's side, in cells.
            budget: bytes the volumes may take; None for any.
        """
        self._levels, self._radius = levels, radius
        self._queries = first.flatten(2).transpose(1, 2)
        self._second = second
        cells = first.shape[-2] * first.shape[-1]
        rows = cells if budget is None else min(cells, max(1, budget // volume_bytes(len(first), 1, second)))
        self._rows = rows
        self._kept = self._pyramid(0, cells) if rows == cells else None

    def lookup(self, position: torch.Tensor) -> torch.Tensor:
        """Read windows of ``(2 r + 1)^2`` cells around ``position``, bilinearly; outside is zero.

        Args:
            position: ``(n, 2, h, w)``, x then y, in cells of the second map.

        Returns:
            ``(n, levels (2 r + 1)^2, h, w)``; within a level the window's x moves slowest, as in RAFT's own
            checkpoints.
        """
        import torch

        count, _, height, width = position.shape
        centre = position.flatten(2).transpose(1, 2)
        read = [
            torch.cat(
                [self._windows(volume, centre[:, start:stop] / 2**level) for level, volume in enumerate(pyramid)], dim=2
            )
            for start, stop, pyramid in self._pyramids()
        ]
        windows = torch.cat(read, dim=1) if len(read) > 1 else read[0]
        return windows.view(count, height, width, -1).permute(0, 3, 1, 2)

    def _pyramids(self) -> Iterator[tuple[int, int, list[torch.Tensor]]]:
        cells = self._queries.shape[1]
        if self._kept is not None:
            yield 0, cells, self._kept
            return
        for start in range(0, cells, self._rows):
            stop = min(start + self._rows, cells)
            yield start, stop, self._pyramid(start, stop)

    def _pyramid(self, start: int, stop: int) -> list[torch.Tensor]:
        """Volumes ``(n, queries, h + 2, w + 2)`` with their margin, finest first."""
        import torch
        from torch.nn.functional import avg_pool2d, pad

        queries = self._queries[:, start:stop]
        count, channels, height, width = self._second.shape
        # Correlation is what flow is read from: it stays in float32 whatever the networks around it use.
        with torch.autocast(queries.device.type, enabled=False):
            volume = (queries.float() @ self._second.float().flatten(2)).div_(channels**0.5)
        volume = volume.view(count, -1, height, width)
        volumes = []
        for level in range(self._levels):
            if level:
                volume = avg_pool2d(volume, 2)
            volumes.append(pad(volume, [_MARGIN] * 4))
        return volumes

    def _windows(self, volume: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
        """``(n, queries, (2 r + 1)^2)`` around ``centre (n, queries, 2)``, in cells of this level.

        All points of a window lie equally far from their upper left cell: its cells are read once, then
        blended along one axis and the other.
        """
        import torch

        count, queries = centre.shape[:2]
        height, width = volume.shape[-2:]
        corner = centre.floor()
        share = centre - corner
        steps = torch.arange(-self._radius, self._radius + 2, device=centre.device)
        columns, rows = (
            # Whatever is farther out than the margin reads the margin.
            (corner[..., axis, None] + steps).clamp_(-_MARGIN, size - 1 - _MARGIN).long().add_(_MARGIN)
            for axis, size in ((0, width), (1, height))
        )
        index = columns[..., :, None] + rows[..., None, :] * width
        window = volume.flatten(2).gather(2, index.flatten(2)).view(count, queries, len(steps), len(steps))
        across, down = share[..., 0, None, None], share[..., 1, None, None]
        window = torch.lerp(window[..., :-1, :], window[..., 1:, :], across)
        window = torch.lerp(window[..., :-1], window[..., 1:], down)
        return window.flatten(2)


def volume_bytes(pairs: int, queries: int, second: torch.Tensor) -> int:
    """Bytes of the correlation of ``queries`` cells each of ``pairs`` pairs with the map ``second``, all levels."""
    return pairs * queries * second.shape[-2] * second.shape[-1] * second.element_size() * 3 // 2


def grid(features: torch.Tensor) -> torch.Tensor:
    """Position of every cell of ``(n, C, h, w)``: ``(n, 2, h, w)``, x then y."""
    import torch

    height, width = features.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows]).to(features).expand(len(features), -1, -1, -1)

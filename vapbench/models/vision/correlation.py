"""All-pairs correlation of two feature maps, read in windows around moving positions (RAFT, section 3.2).

Both RAFT and AMT look their correlation up again and again at positions that change a little; this is the one
implementation both use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Volumes = dict[int, "torch.Tensor"]
"""A pair's correlation at each level. A CPU fills memory that was used before sooner than memory that is new to it."""

_MARGIN = 1
"""Cells of zeros around a map, so that what lies outside reads as zero."""


class AllPairs:
    """Correlation of every cell of one feature map with every cell of another, at several resolutions.

    Averaging a correlation is correlating with averaged features: each level is one product, with a map that was halved
    and given its margin while it was small.

    The volume of a pair grows with the square of its cells (160 MB at 480 x 720). Where it does not fit into the
    budget it is never held: each lookup computes it again, a few rows of queries at a time, with the same result.
    """

    def __init__(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        *,
        levels: int,
        radius: int,
        budget: int | None = None,
        volumes: Volumes | None = None,
    ) -> None:
        """Correlate ``first`` with ``second``, both ``(n, C, h, w)`` float.

        Args:
            first: features of the frames that ask, float32 or bfloat16.
            second: features of the frames that are looked up, of the same kind.
            levels: resolutions; each halves the one before it by averaging.
            radius: half a window's side, in cells.
            budget: bytes the volumes may take; None for any.
            volumes: those of the pair before, which nobody reads any longer: these take their memory.
        """
        self._reused: Volumes = {} if volumes is None else volumes
        self._radius = radius
        # Sums are made in float32 whatever the features come in, and windows are blended in float32. Between the two a
        # correlation is kept as features are: the network that reads it rounds it to that anyway.
        kept = first.dtype
        self._queries = (first.float() / first.shape[1] ** 0.5).to(kept).flatten(2).transpose(1, 2)
        self._maps = [features.to(kept) for features in _halved(second.float(), levels)]
        cells = self._queries.shape[1]
        row = kept.itemsize * len(first) * sum(features.shape[-2] * features.shape[-1] for features in self._maps)
        self._rows = cells if budget is None else min(cells, max(1, budget // row))
        self._kept = self._volumes(0, cells) if self._rows == cells else None

    def lookup(self, position: torch.Tensor) -> torch.Tensor:
        """Read windows of ``(2 r + 1)^2`` cells around ``position``, bilinearly; outside is zero.

        Args:
            position: ``(n, 2, h, w)`` float32, x then y, in cells of the second map.

        Returns:
            ``(n, levels (2 r + 1)^2, h, w)`` float32; within a level the window's x moves slowest, as in RAFT's own
            checkpoints.
        """
        count, _, height, width = position.shape
        centre = position.flatten(2).transpose(1, 2)
        side = 2 * self._radius + 1
        read = centre.new_empty(count, height * width, len(self._maps), side, side)
        for start in range(0, height * width, self._rows):
            asked = slice(start, start + self._rows)
            volumes = self._volumes(start, start + self._rows) if self._kept is None else self._kept
            for level, volume in enumerate(volumes):
                self._read(volume, level, centre[:, asked] / 2**level, read[:, asked, level])
        return read.view(count, height, width, -1).permute(0, 3, 1, 2)

    def _volumes(self, start: int, stop: int) -> list[torch.Tensor]:
        """Of some queries, ``(n, queries, cells)`` with the map's margin, finest first."""
        import torch

        queries = self._queries[:, start:stop]
        with torch.autocast(queries.device.type, enabled=False):
            return [self._product(queries, features.flatten(2), level) for level, features in enumerate(self._maps)]

    def _product(self, queries: torch.Tensor, features: torch.Tensor, level: int) -> torch.Tensor:
        import torch

        shape = *queries.shape[:2], features.shape[2]
        if level not in self._reused or self._reused[level].shape != shape:
            self._reused[level] = queries.new_empty(shape)
        return torch.bmm(queries, features, out=self._reused[level])

    def _read(self, volume: torch.Tensor, level: int, centre: torch.Tensor, into: torch.Tensor) -> None:
        """Write ``(n, queries, 2 r + 1, 2 r + 1)`` around ``centre (n, queries, 2)``, in cells of this level.

        All points of a window lie equally far from their upper left cell: its cells are read once, then
        blended along one axis and the other.
        """
        import torch

        height, width = self._maps[level].shape[-2:]
        corner = centre.floor()
        share = centre - corner
        steps = torch.arange(-self._radius + _MARGIN, self._radius + 2 + _MARGIN, device=centre.device)
        columns, rows = (
            # Whatever is farther out than the margin reads the margin.
            (corner[..., axis, None] + steps).clamp_(0, size - 1).long()
            for axis, size in ((0, width), (1, height))
        )
        index = columns[..., :, None] + (rows * width)[..., None, :]
        window = volume.gather(2, index.flatten(2)).view(index.shape).float()
        across, down = share[..., 0, None, None], share[..., 1, None, None]
        window = torch.lerp(window[..., :-1, :], window[..., 1:, :], across)
        torch.lerp(window[..., :-1], window[..., 1:], down, out=into)


def _halved(features: torch.Tensor, levels: int) -> Iterator[torch.Tensor]:
    """The map at each resolution, its margin around it, finest first."""
    from torch.nn.functional import avg_pool2d, pad

    for level in range(levels):
        features = avg_pool2d(features, 2) if level else features
        yield pad(features, [_MARGIN] * 4)


def grid(features: torch.Tensor) -> torch.Tensor:
    """Position of every cell of ``(n, C, h, w)``: ``(n, 2, h, w)``, x then y."""
    import torch

    height, width = features.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows]).to(features).expand(len(features), -1, -1, -1)

"""Revisions of what was reported: how many labels of each pane were taken back for others, and when last.

Only labels that stood in a pane that had ended count: what had been reported of it is no longer so. A pane that merely gets further
labels is not restated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

_MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Restated:
    """Of some panes together, by combination of segment values."""

    combination: Int64  # [n] strictly rising
    revision: Int64  # [n] labels taken back for others
    last_ms: Int64  # [n] label time of the newest of these; the maximum where panes are put together

    def __len__(self) -> int:
        return len(self.combination)


NONE = Restated(*(np.zeros(0, np.int64) for _ in range(3)))


def merge(parts: Sequence[Restated]) -> Restated:
    """Revisions add up, of times the newest holds.

    >>> one, two = (Restated(np.array([combination]), np.array([1]), np.array([ms])) for combination, ms in ((7, 60), (7, 40)))
    >>> merge([one, two]).revision.tolist(), merge([one, two]).last_ms.tolist()
    ([2], [60])
    """
    if not parts:
        return NONE
    combination, at = np.unique(np.concatenate([part.combination for part in parts]), return_inverse=True)
    revision, last_ms = np.zeros(len(combination), np.int64), np.zeros(len(combination), np.int64)
    np.add.at(revision, at, np.concatenate([part.revision for part in parts]))
    np.maximum.at(last_ms, at, np.concatenate([part.last_ms for part in parts]))
    return Restated(combination, revision, last_ms)


@dataclass(eq=False)
class RestatedPanes:
    """Revisions by pane number, of the ``window`` panes before ``end_pane`` and those after it."""

    window: int
    panes: dict[int, Restated] = field(default_factory=dict)
    end_pane: int = 0

    def add(self, pane: Int64, combination: Int64, at_ms: int) -> None:
        """Labels of these panes and combinations, [n] each, were taken back at ``at_ms``."""
        for number in np.unique(pane).tolist():
            if number >= self.end_pane - self.window:
                found, revision = np.unique(combination[pane == number], return_counts=True)
                come = Restated(found.astype(np.int64), revision.astype(np.int64), np.full(len(found), at_ms, np.int64))
                self.panes[number] = merge([self.panes.get(number, NONE), come])

    def move_to(self, end_pane: int) -> None:
        """The window now ends before ``end_pane``: let go what is too old."""
        self.end_pane = max(self.end_pane, end_pane)
        self.panes = {number: pane for number, pane in self.panes.items() if number >= self.end_pane - self.window}

    def total(self) -> Restated:
        """All panes of the window together."""
        return merge([pane for number, pane in self.panes.items() if number < self.end_pane])


def by_segment(restated: Restated, segments: int, places: Sequence[NDArray[np.intp]]) -> tuple[Int64, Int64]:
    """[G] revisions and [G] time of the last one, 0 where there is none.

    ``places`` [groupings, combinations] as ``Combinations.segments`` gives them.
    """
    revision, last_ms = np.zeros(segments, np.int64), np.zeros(segments, np.int64)
    for place in places:
        np.add.at(revision, place[restated.combination], restated.revision)
        np.maximum.at(last_ms, place[restated.combination], restated.last_ms)
    return revision, last_ms


def pack_restated(views: Mapping[str, RestatedPanes]) -> bytes:
    """Bytes for the state."""
    content = {
        view: (of_view.end_pane, {number: (p.combination.tolist(), p.revision.tolist(), p.last_ms.tolist()) for number, p in panes})
        for view, of_view in views.items()
        for panes in [sorted(of_view.panes.items())]
    }
    return zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(content))


_Packed = dict[str, tuple[int, dict[int, tuple[list[int], list[int], list[int]]]]]


def unpack_restated(data: bytes, views: Mapping[str, RestatedPanes]) -> None:
    """Bring empty ones to where ``pack_restated`` was. Raises ``ValueError`` for other bytes, ``KeyError`` for an unknown view."""
    try:
        found = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_BYTES), type=_Packed)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(f"expected packed revisions, got {len(data)} bytes that are none: {error}") from error
    for view, (end_pane, panes) in found.items():
        views[view].end_pane = end_pane
        views[view].panes = {number: Restated(*(np.array(part, np.int64) for part in parts)) for number, parts in panes.items()}

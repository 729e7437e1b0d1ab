"""Which segments evidence is gathered in, and which streams are sums of them.

Evidence of a row is judged against the finest segment with a reference of its own (a *leaf*). A coarser segment, the whole traffic
included, is the sum of its leaves' evidence: each leaf has its own null, so a change of their shares does nothing. Rows whose
leaf has too few reference rows are judged together, as the rest of the whole traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitor.profile.grouping import plan
from monitor.profile.table import CountTable
from monitor.reference.reference import Reference
from monitor.segment import ALL, OTHER, parse_key, segment_key

LEAST_ROWS = 200  # of the reference, for a segment to be a stream or a leaf
_LEAST_COVERED = 0.8  # of the rows that must lie in leaves for a finer grouping to stand for a coarser one
_LEAST_REST = 0.002  # of the rows: a smaller rest is left out


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves and the streams made of them."""

    leaves: tuple[str, ...]  # segment keys; the rest of the whole traffic, if there is one, is the last and is not a key
    rest_of: tuple[int, ...]  # leaves that the rest is the whole traffic without; empty when there is no rest
    streams: tuple[str, ...]  # segment keys, ALL first
    members: tuple[NDArray[np.intp], ...]  # per stream the leaves it sums
    left_out: int = 0  # segments with enough rows that are no streams, because these would be too many

    @property
    def has_rest(self) -> bool:
        """Whether the last leaf is the rest."""
        return bool(self.rest_of)

    def counts(self, segments: dict[str, int], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """[leaves, ...] from counts by segment; ``segments`` gives the row of each key."""
        found = np.zeros((len(self.leaves), *counts.shape[1:]), counts.dtype)
        for place, key in enumerate(self.leaves):
            row = segments.get(key)
            if row is not None:
                found[place] = counts[row]
        if self.has_rest and ALL in segments:
            found[-1] = counts[segments[ALL]] - found[list(self.rest_of)].sum(axis=0)
        return found

    @cached_property
    def levels(self) -> tuple[tuple[tuple[str, ...], dict[str, int], int], ...]:
        """Per grouping that has leaves: its columns, the leaf of each segment key, and that of all other rows (-1: none)."""
        found: dict[tuple[str, ...], dict[str, int]] = {}
        for place, key in enumerate(self.leaves):
            if key != REST:
                found.setdefault(parse_key(key)[0], {})[key] = place
        rest = set(self.rest_of)
        return tuple(
            (columns, places, len(self.leaves) - 1 if rest and rest == set(places.values()) else -1)
            for columns, places in sorted(found.items())
        )

    def holding(self, values: dict[str, str]) -> list[int]:
        """[levels] the leaf in which a row with these values of the segment columns is counted, -1 for none."""
        return [places.get(segment_key(columns, tuple(values[c] for c in columns)), others) for columns, places, others in self.levels]

    def summed(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """[streams] rows of each stream, from [leaves] rows; whole numbers, so in any order."""
        if not self.members:
            return np.zeros(0, np.int64)
        starts, every = self._all_members
        return np.add.reduceat(rows[every], starts)

    @cached_property
    def _all_members(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where each stream's leaves begin in a row of them all, and that row."""
        return np.cumsum([0, *(len(members) for members in self.members[:-1])]), np.concatenate(self.members)

    def belongs(self) -> NDArray[np.float64]:
        """[leaves, streams] 1 where a leaf is part of a stream."""
        found = np.zeros((len(self.leaves), len(self.streams)))
        for stream, members in enumerate(self.members):
            found[members, stream] = 1.0
        return found


REST = "__rest__"


def kinds_of(reference: Reference) -> int:
    """Streams of each segment: of every signal its values and whether it has one, and the outcomes."""
    return 2 * len(reference.layout.signals) + (2 if reference.labels else 0)


def leaves_of(reference: Reference, max_streams: int) -> Leaves:
    """The leaves and streams of a reference: its largest segments, the whole traffic always among them."""
    table = reference.table
    rows = dict(zip(table.segments, table.rows.tolist(), strict=True))
    enough = [key for key, n in rows.items() if n >= LEAST_ROWS and OTHER not in parse_key(key)[1]]
    enough.sort(key=lambda key: (key != ALL, -rows[key], key))
    watched = {key: parse_key(key) for key in enough[: max(max_streams // kinds_of(reference), 1)]}
    everything = max(rows.get(ALL, 0), 1)
    columns = sorted({column for grouping in reference.groupings for column in grouping})
    of_grouping: dict[tuple[str, ...], list[str]] = {grouping: [] for grouping in ((), *reference.groupings)}
    for key, (grouping, _) in sorted(watched.items()):
        of_grouping.setdefault(grouping, []).append(key)
    level: dict[tuple[str, ...], tuple[str, ...]] = {}
    for base in plan(tuple(columns), tuple(grouping for grouping in of_grouping if grouping)):
        covered = sum(rows[key] for key in of_grouping.get(base.columns, ())) / everything
        for served in base.groupings:
            level[served.columns] = base.columns if covered >= _LEAST_COVERED else served.columns
    leaves = sorted({key for grouping in set(level.values()) for key in of_grouping[grouping]})
    rest_of: tuple[int, ...] = ()
    if level.get((), ()) != ():
        mine = [place for place, key in enumerate(leaves) if watched[key][0] == level[()]]
        rest = everything - sum(rows[leaves[place]] for place in mine)
        if rest >= max(LEAST_ROWS, _LEAST_REST * everything):
            rest_of, leaves = tuple(mine), [*leaves, REST]
    streams = [key for key in (ALL, *sorted(watched)) if key in watched]
    streams = list(dict.fromkeys(streams))
    members = tuple(_members(key, watched, level, leaves) for key in streams)
    kept = [place for place, found in enumerate(members) if len(found)]
    left_out = len(enough) - len(watched)
    return Leaves(tuple(leaves), rest_of, tuple(streams[place] for place in kept), tuple(members[place] for place in kept), left_out)


def _members(
    key: str, watched: dict[str, tuple[tuple[str, ...], tuple[str, ...]]], level: dict[tuple[str, ...], tuple[str, ...]], leaves: list[str]
) -> NDArray[np.intp]:
    columns, values = watched[key]
    mine = level.get(columns, columns)
    if mine == columns:
        return np.array([leaves.index(key)], np.intp)
    wanted = dict(zip(columns, values, strict=True))
    found = []
    for place, leaf in enumerate(leaves):
        if leaf == REST:
            if not columns:
                found.append(place)
            continue
        leaf_columns, leaf_values = watched[leaf]
        if leaf_columns == mine and all(dict(zip(leaf_columns, leaf_values, strict=True))[c] == v for c, v in wanted.items()):
            found.append(place)
    return np.array(found, np.intp)


def leaf_counts(leaves: Leaves, table: CountTable) -> NDArray[np.int64]:
    """[leaves, cells] of a table of counts."""
    return leaves.counts(table.index, table.counts)

"""Codes without gaps, and where each first appears."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TABLE = 1 << 20  # codes below this are made dense by a table, larger ones by sorting


def dense(codes: NDArray[np.signedinteger[Any]], size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Codes below ``size`` renumbered without gaps, in rising order, and the distinct codes."""
    if size > _TABLE:
        distinct, place = np.unique(codes, return_inverse=True)
        return place.reshape(-1), distinct
    seen = np.zeros(size, np.bool_)
    seen[codes] = True
    distinct = np.flatnonzero(seen)
    renumbered = np.empty(size, np.intp)
    renumbered[distinct] = np.arange(len(distinct))
    return renumbered[codes], distinct


def first_rows(group: NDArray[np.intp], groups: int) -> NDArray[np.intp]:
    """[groups] the first row of each group; each has one."""
    first = np.empty(groups, np.intp)
    first[group[::-1]] = np.arange(len(group))[::-1]  # the last write is the first row
    return first

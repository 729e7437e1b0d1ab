"""How many rows stay where, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bounds in rows, but for the last."""

    full: int = 1 << 15  # of the newest bucket in memory: then they become a file
    enough: int = 1 << 13  # of an older bucket
    memory: int = 1 << 19  # of all buckets together: then the largest become files
    largest: int = 1 << 20  # of one run; to merge more at once would pause the process for long
    files: int = 8  # of the newest bucket: so many small ones are merged
    resident: int = 64 << 20  # bytes of mapped pages

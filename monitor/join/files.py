"""The files of some runs: by bucket, named, merged when they are many, and no more of them resident than allowed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from monitor.join.run import Layout, Run, due, merged_parts
from monitor.join.run_file import SUFFIX, RunFile, open_run, write_run
from monitor.join.sieve import Sieve
from monitor.join.sizes import Sizes

_OLDER = (2, 8.0)  # an older bucket: few files, since it gets few more rows


@dataclass(eq=False)
class Files:
    """Run files of one payload in one folder; each is in the sieve."""

    layout: Layout
    bucket_ms: int
    directory: Path
    prefix: str
    sieve: Sieve[Run]
    sizes: Sizes
    by_bucket: dict[int, list[RunFile]] = field(default_factory=dict)
    resident_bytes: int = 0  # of mapped pages, at most
    _stem: str = field(init=False)
    _number: int = field(init=False)

    def __post_init__(self) -> None:
        self._stem = re.sub(r"[^A-Za-z0-9_-]", "_", self.prefix)[:60] + "-" + hashlib.sha256(self.prefix.encode()).hexdigest()[:8]
        # Never a name again that some epoch, usable or not, may know.
        found = (path.name[len(self._stem) + 1 : -len(SUFFIX)] for path in self.directory.glob(f"{self._stem}-*{SUFFIX}"))
        self._number = max((int(number) for number in found if number.isdigit()), default=0)

    def __iter__(self) -> Iterator[RunFile]:
        for files in self.by_bucket.values():
            yield from files

    def rows(self) -> Counter[int]:
        """Rows by bucket."""
        return Counter({bucket: sum(map(len, files)) for bucket, files in self.by_bucket.items()})

    def write(self, bucket: int, parts: Iterable[Run], rows: int) -> RunFile:
        """Write a run whose records are as in a file; it is none of these yet. Raises ``StateError``."""
        self._number += 1
        return write_run(self.directory, f"{self._stem}-{self._number:010}{SUFFIX}", parts, rows, self.layout, bucket, self.bucket_ms)

    def add(self, file: RunFile) -> None:
        """From now on ``file`` is one of these."""
        self.by_bucket.setdefault(file.bucket, []).append(file)
        self.sieve.add(file, file.low)
        file.release()

    def open(self, name: str, length: int, checksum: int) -> None:
        """Map and add a file of a saved state. Raises ``ValueError`` for rows of another payload."""
        self.add(open_run(self.directory, name, self.layout, length, checksum))

    def drop(self, bucket: int) -> None:
        """Forget a bucket. Its files go when no epoch names them."""
        for file in self.by_bucket.pop(bucket, []):
            self._forget(file)

    def _forget(self, file: RunFile) -> None:
        self.sieve.remove(file)
        self.resident_bytes -= file.touched

    def touched(self, file: RunFile, places: int) -> None:
        """So many places of a file were looked at: let its pages go if others fill what may be resident.

        Those that were mapped first stay: all are asked in turn, and then to let the oldest go would map each anew every time.
        """
        self.resident_bytes += file.touch(places)
        if self.resident_bytes > self.sizes.resident:
            self.resident_bytes -= file.touched
            file.release()

    def merge(self) -> None:
        """Merge where there are many small files, the cheapest first, as many rows as one run may have. Raises ``StateError``."""
        newest = max(self.by_bucket, default=0)
        waiting = []
        for bucket, files in self.by_bucket.items():
            at_least, ratio = (self.sizes.files, 1.0) if bucket == newest else _OLDER
            small = [files[i] for i in due([len(file) for file in files], at_least, ratio, self.sizes.largest)]
            if small:
                waiting.append((sum(map(len, small)), bucket, small))
        left = self.sizes.largest
        for rows, bucket, small in sorted(waiting, key=lambda each: each[:2]):
            left -= rows
            if left < 0:
                break
            for each in small:
                each.expect()
            file = self.write(bucket, merged_parts(small), rows)
            self.by_bucket[bucket] = [each for each in self.by_bucket[bucket] if each not in small]
            for each in small:
                self._forget(each)
            self.add(file)

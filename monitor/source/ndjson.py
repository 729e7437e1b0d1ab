"""Messages from files, one event a line, for replay and tests. Memory does not grow with the file.

``path`` is one file, which is partition 0 of the only topic, or a folder with a file for each partition:
``<topic>.ndjson`` (partition 0) or ``<topic>-<partition>.ndjson``, each also as ``.gz``. Offsets are line numbers from 0;
empty lines have a number and no message. A file knows no record time, keys or headers: the timestamp is -1,
which stands for unknown. Beside it stands when the line was read: an event of later than that has not happened.
Not when the file was changed, which archives that are made the same each time set to 1970 or 1980.
"""

from __future__ import annotations

import codecs
import gzip
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np

from monitor.batch import RawBatch
from monitor.config.source import SourceConfig
from monitor.errors import SourceError
from monitor.source.base import Assignment, AssignmentListener, Gap, Needs, SourceHealth, TopicPartition

MAX_LINE_BYTES = 16 << 20
"""A longer line is handed over cut to one byte more than this, which ``decode`` rejects as too large."""

MAX_POLL_BYTES = 32 << 20
"""A poll ends after the line that passes this."""

UNKNOWN_TIME_MS = -1


class NdjsonSource:
    """See ``Source``. All partitions are owned from the first poll on."""

    def __init__(self, config: SourceConfig, topics: Sequence[str], needs: Needs) -> None:
        assert config.path is not None
        self._path = config.path
        self._topics = sorted(set(topics))
        self._needs = needs
        self._max_records = config.max_poll_records
        self._readers: dict[TopicPartition, LineReader] = {}
        self._assigned = False
        self._paused: set[TopicPartition] = set()

    def start(self, listener: AssignmentListener) -> None:
        """See ``Source.start``. Raises ``SourceError`` when a file is missing."""
        self._listener = listener
        self._readers = {partition: LineReader(path) for partition, path in partition_files(self._path, self._topics).items()}

    def poll(self, timeout_ms: int) -> Sequence[RawBatch]:
        """See ``Source.poll``. Waits only while all that is left is paused."""
        if not self._assigned:
            self._assign()
        records, space = self._max_records, MAX_POLL_BYTES
        found = []
        for partition, reader in self._readers.items():
            if partition in self._paused or records <= 0 or space <= 0:
                continue
            offsets, lines = reader.read(records, space)
            records -= len(lines)
            space -= sum(map(len, lines))
            if lines:
                found.append(self._batch(partition, offsets, lines))
        if found:  # so that a long file does not starve those after it
            first = (found[0].topic, found[0].partition)
            self._readers[first] = self._readers.pop(first)
        elif not self.finished():
            time.sleep(timeout_ms / 1000)
        return found

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.pause``."""
        self._paused |= set(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.resume``."""
        self._paused -= set(partitions)

    def commit(self, offsets: Mapping[TopicPartition, int], metadata: str) -> None:
        """Nothing: a file has no place for it."""

    def lag(self) -> Mapping[TopicPartition, int]:
        """Only ends are known: 0 for a partition that was read to its end."""
        return {partition: 0 for partition, reader in self._readers.items() if reader.ended}

    def read_out(self, partitions: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """See ``Source.read_out``. What is read ends where ``lag`` says."""
        return partitions

    def assignment(self) -> Assignment:
        """See ``Source.assignment``."""
        counts = {topic: sum(name == topic for name, _ in self._readers) for topic in self._topics}
        return Assignment(frozenset(self._readers) if self._assigned else frozenset(), counts)

    def health(self) -> SourceHealth:
        """Nothing to mend in a file."""
        return SourceHealth()

    def finished(self) -> bool:
        """Whether every file was read to its end."""
        return self._assigned and all(reader.ended for reader in self._readers.values())

    def close(self) -> None:
        """See ``Source.close``."""
        if self._assigned:
            self._assigned = False
            self._listener.revoked(frozenset(self._readers))
        for reader in self._readers.values():
            reader.close()

    def _assign(self) -> None:
        self._assigned = True
        for partition, offset in self._listener.assigned(frozenset(self._readers)).items():
            reader = self._readers.get(partition)
            if reader is not None and not reader.skip_to(offset):
                self._readers[partition] = LineReader(reader.path)
                self._listener.gap(Gap(*partition, wanted=offset, resumed=0))

    def _batch(self, partition: TopicPartition, offsets: Sequence[int], lines: Sequence[bytes]) -> RawBatch:
        return RawBatch(
            topic=partition[0],
            partition=partition[1],
            values=lines,
            offsets=np.array(offsets, np.int64),
            timestamps_ms=np.full(len(lines), UNKNOWN_TIME_MS, np.int64),
            keys=[None] * len(lines) if self._needs.keys else None,
            headers=[()] * len(lines) if self._needs.headers else None,
            read_ms=time.time_ns() // 1_000_000,
        )


class LineReader:
    """Reads numbered lines forward. Raises ``SourceError`` with file and line when the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.next_line = 0
        self.ended = False
        try:
            # ``gzip.open`` would be typed as either text or bytes.
            self._file = cast("IO[bytes]", gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb"))
        except OSError as error:
            raise SourceError(f"source.path: cannot open {path}: {error.strerror}") from error

    def read(self, max_lines: int, max_bytes: int) -> tuple[list[int], list[bytes]]:
        """At most so many lines, ending after the one that passes ``max_bytes``, and their numbers. Empty lines are left out."""
        numbers: list[int] = []
        lines: list[bytes] = []
        for number, line in self._lines():
            if line:
                numbers.append(number)
                lines.append(line)
                max_bytes -= len(line)
            if len(lines) >= max_lines or max_bytes <= 0:
                break
        return numbers, lines

    def skip_to(self, number: int) -> bool:
        """Read on until this line is next; False when the file ends before it."""
        while self.next_line < number:
            if next(self._lines(), None) is None:
                return False
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            while line := self._file.readline(MAX_LINE_BYTES + 1):
                whole = line.endswith(b"\n")
                while not whole:
                    rest = self._file.readline(MAX_LINE_BYTES)
                    whole = not rest or rest.endswith(b"\n")
                if not self.next_line:
                    line = line.removeprefix(codecs.BOM_UTF8)
                self.next_line += 1
                yield self.next_line - 1, line.rstrip(b"\r\n")
        except (OSError, EOFError, zlib.error) as error:
            what = "ends in the middle of its compressed data" if isinstance(error, EOFError) else str(error)
            raise SourceError(f"source.path: cannot read {self.path} after line {self.next_line}: {what}") from error
        self.ended = True


def topic_files(folder: Path, topic: str) -> list[tuple[int, Path]]:
    """Files of a topic in a folder, by name, with the partition that each is of: ``TOPIC.ndjson``, ``TOPIC-1.ndjson.gz``."""
    name = re.compile(re.escape(topic) + r"(?:-(\d{1,6}))?\.ndjson(?:\.gz)?")
    matches = ((name.fullmatch(file.name), file) for file in sorted(folder.iterdir()))
    return [(int(match[1] or 0), file) for match, file in matches if match is not None]


def partition_files(path: Path, topics: Sequence[str]) -> dict[TopicPartition, Path]:
    """The file of each partition. Raises ``SourceError`` when a topic has none or a partition has two."""
    if not path.is_dir():
        if len(topics) != 1:
            raise SourceError(
                f"source.path: expected a folder with a file for each of the topics {', '.join(topics)} ({topics[0]}.ndjson), got {path}"
            )
        return {(topics[0], 0): path}
    found: dict[TopicPartition, Path] = {}
    for topic in topics:
        for number, file in topic_files(path, topic):
            partition = (topic, number)
            if partition in found:
                raise SourceError(f"source.path: expected one file for partition {number} of {topic}, got {found[partition]} and {file}")
            found[partition] = file
        if not any(name == topic for name, _ in found):
            raise SourceError(f"source.path: expected {topic}.ndjson or {topic}-<partition>.ndjson in {path}, got neither")
    return found

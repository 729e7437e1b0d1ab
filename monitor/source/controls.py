"""Reads the control topic: all of it, by every process, at its own offsets and without a consumer group.

So a decision reaches a standby too, and the topic moves no partitions. From a file source it is ``<topic>.ndjson`` in its
folder, where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from kafka import TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from monitor.config.source import SourceConfig
from monitor.errors import SourceError
from monitor.source.kafka_client import Client, connect, error_name, explain
from monitor.source.ndjson import LineReader

_MAX_RECORDS = 500
_HANG_S = 60.0
_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """A message of the control topic."""

    partition: int
    offset: int
    value: bytes | None


class ControlReader(Protocol):
    """A reader of the control topic."""

    def poll(self) -> Sequence[ControlRecord]:
        """What has come, without waiting for it. Raises ``SourceError`` only when the first connection fails."""

    @property
    def caught_up(self) -> bool:
        """Whether everything was read that was there at the start."""

    def resumed(self) -> Mapping[int, int]:
        """Partitions whose saved offset the log does not have, and where reading went on; each is told once."""

    def close(self) -> None:
        """Let go of the connection."""


def open_controls(config: SourceConfig, topic: str, offsets: Mapping[int, int]) -> ControlReader:
    """A reader that begins at ``offsets``, and at the beginning of other partitions."""
    return FileControls(config, topic, offsets) if config.client == "ndjson" else KafkaControls(config, topic, offsets)


@dataclass(eq=False)
class KafkaControls:
    """See ``ControlReader``. Connects at the first poll; later failures are tried again after some seconds."""

    config: SourceConfig
    topic: str
    offsets: Mapping[int, int]  # where to begin
    next: dict[int, int] = field(default_factory=dict)  # offset to read next
    last_error: str = ""
    _client: Client | None = None
    _wanted: dict[int, int] = field(default_factory=dict)  # ends of the log at the start
    _moved: dict[int, int] = field(default_factory=dict)
    _retry_at: float = 0.0

    @property
    def caught_up(self) -> bool:
        """See ``ControlReader.caught_up``."""
        return bool(self.next) and all(self.next[p] >= end for p, end in self._wanted.items())

    def poll(self) -> Sequence[ControlRecord]:
        """See ``ControlReader.poll``."""
        if time.monotonic() < self._retry_at:
            return []
        try:
            client = self._client or self._connect()
            found = client.thread.call(partial(client.consumer.poll, timeout_ms=0, max_records=_MAX_RECORDS), _HANG_S)
        except OffsetOutOfRangeError as error:
            self._go_on(error.args[0])
            return []
        except (KafkaError, TimeoutError) as error:
            self._failed(error)
            return []
        except SourceError as error:
            if not self.next:
                raise
            self._failed(error)
            return []
        records = [ControlRecord(r.partition, r.offset, r.value) for each in found.values() for r in each]
        self.next |= {r.partition: r.offset + 1 for r in records}
        # Markers of transactions have offsets and are no records.
        positions = client.consumer._subscription.all_consumed_offsets() if not records else {}
        self.next |= {place.partition: max(at.offset, self.next[place.partition]) for place, at in positions.items()}
        self.last_error = ""
        return records

    def resumed(self) -> Mapping[int, int]:
        """See ``ControlReader.resumed``."""
        moved, self._moved = self._moved, {}
        return moved

    def close(self) -> None:
        """See ``ControlReader.close``."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self) -> Client:
        client, counts = connect(self.config, [self.topic])
        places = [TopicPartition(self.topic, p) for p in range(counts[self.topic])]
        limit_ms = self.config.connect_timeout_ms
        try:
            client.consumer.assign(places)
            starts = self._ask(client, partial(client.consumer.beginning_offsets, places, timeout_ms=limit_ms))
            ends = self._ask(client, partial(client.consumer.end_offsets, places, timeout_ms=limit_ms))
            for place in places:
                wanted = self.next.get(place.partition, self.offsets.get(place.partition, starts[place]))
                at = wanted if starts[place] <= wanted <= ends[place] else starts[place]
                if at != wanted:
                    self._moved[place.partition] = at
                client.consumer.seek(place, at)
                self.next[place.partition] = at
        except (KafkaError, TimeoutError) as error:
            client.close()
            raise explain(error, "cannot read the control topic", self.config) from error
        self._wanted = self._wanted or {place.partition: ends[place] for place in places}
        self._client = client
        return client

    def _ask(self, client: Client, request: Any) -> Any:
        return client.thread.call(request, self.config.connect_timeout_ms / 1000 + _HANG_S)

    def _go_on(self, places: Mapping[Any, int]) -> None:
        """Retention, or another topic of that name, took the offset away while reading."""
        self.close()  # the next poll finds out where the log begins
        self._retry_at = time.monotonic() + 1.0
        self.last_error = f"offsets {sorted(places.values())} are not in the log"

    def _failed(self, error: Exception) -> None:
        self.close()
        self._retry_at = time.monotonic() + _RETRY_S
        self.last_error = str(error) if isinstance(error, SourceError) else error_name(error)


@dataclass(eq=False)
class FileControls:
    """See ``ControlReader``: a file of lines, read as a whole."""

    config: SourceConfig
    topic: str
    offsets: Mapping[int, int]
    last_error: str = ""
    _read: bool = False

    @property
    def caught_up(self) -> bool:
        """See ``ControlReader.caught_up``."""
        return self._read

    def poll(self) -> Sequence[ControlRecord]:
        """See ``ControlReader.poll``. Raises ``SourceError`` for a file that cannot be read."""
        if self._read:
            return []
        self._read = True
        path = self.config.path
        assert path is not None
        file = path / f"{self.topic}.ndjson"
        if not path.is_dir() or not file.exists():
            return []
        reader, records = LineReader(file), []
        try:
            while not reader.ended:
                numbers, lines = reader.read(_MAX_RECORDS, 1 << 20)
                records += [ControlRecord(0, number, line) for number, line in zip(numbers, lines, strict=True)]
        finally:
            reader.close()
        return [record for record in records if record.offset >= self.offsets.get(0, 0)]

    def resumed(self) -> Mapping[int, int]:
        """Nothing: a file is read from its beginning."""
        return {}

    def close(self) -> None:
        """Nothing is kept open."""

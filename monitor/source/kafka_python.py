"""A consumer-group member on kafka-python.

Assignor: ``range``, hence eager rebalances. A label must be read by the process that read its prediction, and only
``range`` gives equal partition numbers of several topics to one member; cooperative-sticky does not. What eager costs
(all partitions move when a member comes or goes) static membership saves on restarts.

Threads: kafka-python calls rebalance listeners on its I/O thread and refuses blocking calls there. Here the client's
``poll`` runs on a thread of its own, and its listener waits, without blocking the I/O thread, until the thread that
called *our* ``poll`` has told the listener. So heartbeats go on while state is saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from kafka import TopicPartition as KafkaPartition
from kafka.errors import FencedInstanceIdError, KafkaError, LogTruncationError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from monitor.batch import RawBatch
from monitor.config.source import SourceConfig
from monitor.source.base import AssignmentListener, Gap, Needs, TopicPartition
from monitor.source.faults import advice
from monitor.source.kafka_client import Tell, connect, error_name, explain
from monitor.source.kafka_python_mends import is_fenced, mend
from monitor.source.member import Ends, GroupMember

_ATTEMPT_MS = 1_000
_JOIN_POLL_MS = 200  # a shorter poll may never get through a join
_HANG_S = 60.0  # a call that outlives its own timeout by this hangs
_LAST_COMMIT_S = 2.0

_OFFSET, _TIMESTAMP, _KEY, _VALUE, _HEADERS = map(attrgetter, ("offset", "timestamp", "key", "value", "headers"))


class KafkaPythonSource(GroupMember):
    """See ``Source``. Made without touching the network; ``start`` connects."""

    def __init__(self, config: SourceConfig, topics: Sequence[str], needs: Needs) -> None:
        super().__init__(config, topics, needs)
        self._started = False
        self._last_commit: Any = None

    def start(self, listener: AssignmentListener) -> None:
        """See ``Source.start``."""
        self._listener = listener
        self._open()
        self._started = True

    def poll(self, timeout_ms: int) -> Sequence[RawBatch]:
        """See ``Source.poll``."""
        began = time.monotonic()
        wait_ms = timeout_ms if self._owned else max(timeout_ms, _JOIN_POLL_MS)
        mend(self._consumer)
        if self._config.static_member is not None and is_fenced(self._consumer):
            raise explain(FencedInstanceIdError(), "cannot read", self._config)
        call = partial(self._consumer.poll, timeout_ms=wait_ms, max_records=self._config.max_poll_records)
        try:
            found = self._client.thread.call(call, wait_ms / 1000 + _HANG_S)
        except OffsetOutOfRangeError as error:
            self._close_gaps(error.args[0], {})
            return []
        except LogTruncationError as error:
            self._close_gaps(self._positions(), error.divergent_offsets)
            return []
        except TimeoutError as error:
            self._reopen(str(error))
            return []
        except KafkaError as error:
            self._tolerate(error)
            time.sleep(min(0.1, max(0.0, began + wait_ms / 1000 - time.monotonic())))
            return []
        batches = [to_batch(place, records, self._needs) for place, records in found.items()]
        return self._polled(began, batches)

    def read_out(self, partitions: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """See ``Source.read_out``."""
        places = [KafkaPartition(*each) for each in partitions & self._owned]
        ends = self._request(partial(self._consumer.end_offsets, places), _ATTEMPT_MS) or {}
        at = self._positions()
        return frozenset((place.topic, place.partition) for place, end in ends.items() if place in at and at[place] >= end)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.pause``. A partition that moves away and comes back is not paused any more."""
        self._consumer.pause(*(KafkaPartition(*each) for each in partitions if each in self._owned))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.resume``."""
        self._consumer.resume(*(KafkaPartition(*each) for each in partitions if each in self._owned))

    def commit(self, offsets: Mapping[TopicPartition, int], metadata: str) -> None:
        """See ``Source.commit``. Sent, not awaited."""
        wanted = {KafkaPartition(*each): OffsetAndMetadata(offset, metadata, -1) for each, offset in offsets.items()}
        try:
            self._last_commit = self._consumer.commit_async(wanted)
        except KafkaError as error:
            self._commit_failed(error_name(error))
        else:
            self._last_commit.add_errback(lambda error: self._commit_failed(error_name(error)))

    def close(self) -> None:
        """See ``Source.close``."""
        if self._started:
            self._started = False
            self._leave()

    def _open(self) -> None:
        self._client, self._partitions = connect(self._config, self._topics, Tell(self._assigned, self._revoked, self._lost))
        self._consumer = self._client.consumer

    def _leave(self) -> None:
        """Close the client. Partitions are revoked; or lost, when it no longer answers and nobody knows whose they are."""
        deadline = time.monotonic() + _LAST_COMMIT_S
        while self._last_commit is not None and not self._last_commit.is_done and time.monotonic() < deadline:
            time.sleep(0.01)
        failure = self._client.close()
        self._last_commit = None
        if failure is not None:
            self._health = replace(self._health, last_error=str(failure))
        self._lost(frozenset(self._owned))

    # Rebalances, on the thread that polls.

    def _assigned(self, partitions: frozenset[TopicPartition]) -> None:
        before, self._partitions = self._partitions, self._counted()
        self._owned |= partitions
        self._consumer.resume(*(KafkaPartition(*each) for each in partitions))  # the client remembers a pause over a rebalance
        offsets = self._begin_at(partitions, before)
        fresh = [KafkaPartition(*each) for each in partitions - offsets.keys()]
        for partition in partitions & offsets.keys():
            self._consumer.seek(KafkaPartition(*partition), offsets[partition])
        if fresh:
            (self._consumer.seek_to_beginning if self._config.start == "earliest" else self._consumer.seek_to_end)(*fresh)

    def _counted(self) -> dict[str, int]:
        # Newer than what the group's leader assigned by, at times. Without a request, which may fail, or wait: the consumer's own
        # method makes one for a topic that is not there.
        if not self._started:
            return super()._counted()
        return {topic: len(self._consumer._cluster.partitions_for_topic(topic) or ()) for topic in self._topics}

    def _revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._gone(partitions, self._listener.revoked)

    def _lost(self, partitions: frozenset[TopicPartition]) -> None:
        self._gone(partitions, self._listener.lost)

    def _gone(self, partitions: frozenset[TopicPartition], tell: Callable[[frozenset[TopicPartition]], None]) -> None:
        self._remember({(place.topic, place.partition): at for place, at in self._positions().items()})
        self._owned -= partitions
        if partitions:
            tell(partitions)

    # Gaps, errors, standstills.

    def _close_gaps(self, wanted: Mapping[Any, int], truncated: Mapping[Any, Any]) -> None:
        """Go on where the log begins, or where it was cut when that is known; and say so."""
        places = list(truncated or wanted)
        starts = self._request(partial(self._consumer.beginning_offsets, places), self._config.connect_timeout_ms)
        for place in places if starts is not None else ():
            cut = truncated.get(place)
            resumed = starts[place] if cut is None else cut.offset
            if (place.topic, place.partition) in self._owned and place in wanted:
                self._consumer.seek(place, resumed)
                self._listener.gap(Gap(place.topic, place.partition, wanted[place], resumed))

    def _request(self, call: Callable[..., Any], limit_ms: int) -> Any:
        try:
            return self._client.thread.call(partial(call, timeout_ms=limit_ms), limit_ms / 1000 + _HANG_S)
        except TimeoutError as error:
            self._reopen(str(error))
            return None
        except KafkaError as error:
            self._tolerate(error)
            return None

    def _tolerate(self, error: KafkaError) -> None:
        name = error_name(error)
        if advice(name) is not None:
            raise explain(error, "cannot read", self._config) from error
        self._failed(name)

    def _positions(self) -> dict[Any, int]:
        # The client's own positions: they have moved past transaction markers, which are no records.
        return {place: at.offset for place, at in self._consumer._subscription.all_consumed_offsets().items()}

    def _ends(self) -> Ends:
        ends = {place: self._consumer.highwater(place) for place in self._consumer.assignment()}
        return {
            (place.topic, place.partition): (position, ends[place])
            for place, position in self._positions().items()
            if ends.get(place) is not None
        }

    def _moving(self) -> Ends:
        paused = {(place.topic, place.partition) for place in self._consumer.paused()}
        return {partition: ends for partition, ends in self._ends().items() if partition not in paused}


def to_batch(place: Any, records: Sequence[Any], needs: Needs) -> RawBatch:
    """Records of one partition as a poll hands them on."""
    count = len(records)
    return RawBatch(
        topic=place.topic,
        partition=place.partition,
        values=list(map(_VALUE, records)),
        offsets=np.fromiter(map(_OFFSET, records), np.int64, count),
        timestamps_ms=np.fromiter(map(_TIMESTAMP, records), np.int64, count),
        keys=list(map(_KEY, records)) if needs.keys else None,
        headers=list(map(_HEADERS, records)) if needs.headers else None,
    )

"""From broker to counts: events per CPU second of the whole process, all its threads, beside the floor in the same run.

The floor is the same source and the same typed decode with nothing after them. Counts, and counts without repeats, are
compared with a reference that has no rows, so nothing is watched; with detection they are compared with a day of the
same traffic, and the evidence of every stream is judged as it comes. Every measurement is a process of
its own; kinds take turns, and the best of the turns counts, because other work on the machine only ever makes a run slower.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import workload
from monitor.decode import Decoder, needs, needs_ids
from monitor.decode.decoder import CHUNK_MESSAGES
from monitor.detections import watch_version
from monitor.pipeline import Owned, advance
from monitor.reference.format import read_reference, write_reference
from monitor.source.base import Gap, TopicPartition
from monitor.source.open import open_source
from monitor.state import Entry, new_model_state

EVENTS = 400_000
TURNS = 3
KINDS = ("floor", "counts", "dedup", "detection")


class FromTheStart:
    """A listener for a reader that has no state."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Nothing to save."""

    lost = revoked

    def gap(self, gap: Gap) -> None:
        raise AssertionError(gap)


def worker(kind: str, client: str, broker: str, topic: str, expected: int, reference: Path) -> dict[str, float]:
    """One measurement: ``floor``, ``counts``, ``dedup``, or ``detection``, which compares with the reference of that file."""
    with tempfile.TemporaryDirectory() as state:
        config = workload.config(client, broker, topic, state, dedup=kind == "dedup")
        config = config.model_copy(update={"source": config.source.model_copy(update={"group": f"bench-{uuid.uuid4()}"})})
        model = new_model_state(config.models[0], [read_reference(reference) if kind == "detection" else workload.reference()])
        advance(model, Owned(frozenset(range(workload.PARTITIONS)), complete=True))
        watched = watch_version(model, "1")  # made once for a reference, and not for every event
        assert (watched is not None) == (kind == "detection"), model.not_watched
        decoder = Decoder(model.config, model.vocabulary, with_ids=needs_ids(model.config))
        decode = decoder.events.typed  # the floor is our own typed decode, and nothing else
        source = open_source(config.source, [topic], needs(model.config))
        source.start(FromTheStart())
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000)  # as the main job does
        read = 0
        # The clock starts with the first messages: joining a group is not reading.
        raws = source.poll(1_000)
        while not raws:
            raws = source.poll(1_000)
        started, wall = time.process_time(), time.perf_counter()
        first = sum(map(len, raws))
        while True:
            if kind == "floor":
                for raw in raws:
                    for start in range(0, len(raw), CHUNK_MESSAGES):
                        list(map(decode, raw.values[start : start + CHUNK_MESSAGES]))
            else:
                batch, rejections = decoder.decode(raws)
                assert not rejections
                advance(model, batch)
            read += sum(map(len, raws))
            if read >= expected:
                break
            raws = source.poll(1_000)
        cpu, wall = time.process_time() - started, time.perf_counter() - wall
        source.close()
    if kind != "floor":
        assert model.ledger[Entry.COUNTED] == expected, model.ledger
        assert set(model.versions) == {"1"}
        assert watched is None or watched.ended_ms is not None
    return {"events_per_cpu_second": (read - first) / cpu, "events_per_second": (read - first) / wall}


def run_worker(kind: str, client: str, broker: str, topic: str, expected: int, reference: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.ingest", kind, client, broker, topic, str(expected), str(reference)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["events_per_cpu_second"])


def fill(broker: str, topic: str, messages: list[bytes]) -> None:
    """Produce lz4-compressed messages, by key spread over the partitions."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, workload.PARTITIONS, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": broker, "compression.type": "lz4", "linger.ms": 50, "queue.buffering.max.messages": 100_000})
    for i, message in enumerate(messages):
        while True:
            try:
                producer.produce(topic, message, partition=i % workload.PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise RuntimeError("the broker did not take all messages")


def orjson_per_event_us(messages: list[bytes]) -> float:
    """What ``orjson.loads`` alone takes for an event, in microseconds of CPU."""
    import orjson

    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for message in messages:
            orjson.loads(message)
        best = min(best, time.process_time() - started)
    return best / len(messages) * 1e6


def measure(broker: str, count: int = EVENTS, turns: int = TURNS) -> dict[str, Any]:
    """All rows of the ingest and segments tables."""
    results: dict[str, Any] = {"ingest": {}, "segments": {}}
    topics = {}
    for segments in (10, 100, 1_000):
        topics[segments] = f"bench-{segments}-{uuid.uuid4().hex[:8]}"
        messages = workload.events(count, segments)
        fill(broker, topics[segments], messages)
        if segments == 100:
            results["event_bytes"] = round(sum(map(len, messages)) / len(messages))
            results["orjson_loads_us"] = round(orjson_per_event_us(messages[:50_000]), 2)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference.json.gz"
        write_reference(workload.day_reference(100), reference)
        for client in ("kafka-python", "librdkafka"):
            best = dict.fromkeys(KINDS, 0.0)
            for _ in range(turns):
                for kind in KINDS:
                    best[kind] = max(best[kind], run_worker(kind, client, broker, topics[100], count, reference))
            results["ingest"][client] = {
                "events_per_cpu_second": round(best["counts"]),
                "floor_events_per_cpu_second": round(best["floor"]),
                "ratio": round(best["counts"] / best["floor"], 3),
                "events_per_cpu_second_dedup": round(best["dedup"]),
                "events_per_cpu_second_detection": round(best["detection"]),
            }
        for segments, topic in topics.items():
            rates = [run_worker("counts", "librdkafka", broker, topic, count, reference) for _ in range(turns)]
            results["segments"][str(segments)] = round(max(rates))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("client")
    parser.add_argument("broker")
    parser.add_argument("topic")
    parser.add_argument("expected", type=int)
    parser.add_argument("reference", type=Path)
    print(json.dumps(worker(**vars(parser.parse_args()))))

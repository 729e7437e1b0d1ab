"""Dead letters that no topic takes: reading waits for it, nothing is lost, and the process stays."""

from __future__ import annotations

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from monitor.sink import MAX_PENDING
from tests.broker.topic import records_of
from tests.flow import world
from tests.test_app import Running, configured

pytestmark = pytest.mark.broker
BAD = MAX_PENDING + 3_000


def paused(running: Running) -> None:
    running.wait(lambda: any(event["event"] == "ReadingPaused" for event in running.events()))
    running.wait(lambda: all(each["paused"] for each in running.get("api/v1/status")["models"][0]["partitions"]))


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_reading_waits_where_dead_letters_have_no_topic_and_goes_on_when_it_is_made(kafka, topic, tmp_path, client):
    name = topic(partitions=2)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=20)
    good = [message.value for message in world.log(3, partitions=1, minutes=5)[0] if message.value not in (None, *world.BAD)]
    for number in range(BAD):
        producer.send(name, b"%d" % number, partition=0)
    for value in good:
        producer.send(name, value, partition=1)
    producer.flush()
    config = configured(tmp_path, kafka.bootstrap, name, client)
    # The group waits that long for the killed one.
    config.write_text(config.read_text().replace("poll_timeout: 200ms", "poll_timeout: 200ms\n  session_timeout: 6s"))
    with Running(config) as killed:
        paused(killed)
        killed.process.kill()
    with Running(config) as running:
        paused(running)
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        admin.create_topics([NewTopic(f"{name}-rejected", 1, 1)])
        running.wait(lambda: any(event["event"] == "ReadingResumed" for event in running.events()), 90)
        for value in good:
            producer.send(name, value, partition=1)
        producer.close()
        running.wait(lambda: running.counted() == BAD + 2 * len(good))
        assert running.stop()[0] == 0
    letters = [record.value for record in records_of(kafka.bootstrap, f"{name}-rejected")]
    assert sorted(set(letters)) == sorted(b"%d" % number for number in range(BAD))
    admin.delete_topics([f"{name}-rejected"])
    admin.close()

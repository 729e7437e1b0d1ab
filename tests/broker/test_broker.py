"""The brokers of the tests do what tests rely on."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer

from tests import parts
from tests.broker import start_broker
from tests.broker.process import ROOT, ServerProcess, _is_free, free_ports


def test_an_acknowledged_record_survives_kill_minus_nine(broker, topic):
    name = topic()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    producer.send(name, b"kept").get(timeout=30)
    producer.close()
    time.sleep(broker.durable_after_s)
    broker.kill()
    broker.start()
    consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    assert next(consumer).value == b"kept"
    consumer.close()


def test_a_broker_leaves_neither_process_nor_folder_after_a_failure():
    with pytest.raises(ZeroDivisionError), start_broker() as running:
        folder, port = Path(running._folder), int(running.bootstrap.rsplit(":")[-1])
        raise ZeroDivisionError
    assert not folder.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_what_a_broker_unpacks_goes_with_its_folder(kafka, topic):
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="lz4")
    producer.send(topic(), b"x" * 1_000).get(timeout=30)
    producer.close()
    assert list((kafka._folder / "tmp").glob("liblz4*"))


def test_a_server_dies_with_a_killed_test_run(tmp_path):
    script = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.broker.process import ServerProcess
server = ServerProcess("idle", [sys.executable, "-c", "import time; time.sleep(600)"], Path("out"), Path("."))
print(server._process.pid, flush=True)
time.sleep(600)
"""
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert run.stdout is not None
    server = int(run.stdout.readline())
    run.kill()
    run.communicate()
    stat = Path(f"/proc/{server}/stat")
    for _ in range(200):
        if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        signal.sigtimedwait([], 0.05)
    raise AssertionError(f"process {server} still runs")


def test_ports_for_servers_are_none_that_an_outgoing_connection_may_have():
    lowest, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = free_ports(50)
    assert len(set(ports)) == 50 and max(ports) < lowest
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        assert not _is_free(ports[0])


def test_a_server_that_ends_at_once_is_reported_with_its_output(tmp_path):
    [port] = free_ports(1)
    server = ServerProcess("refuser", [sys.executable, "-c", "print('no such option')"], tmp_path / "out", tmp_path)
    with pytest.raises(RuntimeError, match=rf"refuser did not listen on port {port} .*\n*no such option"):
        server.await_port(port)


def test_a_required_part_must_be_one_we_know():
    assert parts.required("kafka, prometheus") == {"kafka", "prometheus"}
    with pytest.raises(ValueError, match=r"expected some of kafka, prometheus, .*, got postgres"):
        parts.required("kafka,postgres")


def test_a_test_needs_a_part_when_it_uses_one_of_its_fixtures():
    found = parts.needed([("broker",), ("broker", "kafka"), ("alerting",)])
    assert (found["kafka"], found["prometheus"], found["alertmanager"]) == ([1], [2], [2])

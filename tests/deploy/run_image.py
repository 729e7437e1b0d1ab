"""Run the built images as containers and see that driftgauge counts what the model server predicts.

    python -m tests.deploy.run_image <folder>       called by deploy/image-test.sh, as root

The folder holds, for each image, its files (``NAME.path`` names the folder) and its configuration (``NAME.json``).
"""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

import monitor
from tests.broker import start_broker
from tests.broker.process import ROOT, free_ports
from tests.deploy.container import Container, Image, Volume, read_image

ROWS = 3_000
STOP_SECONDS = 10.0
START_SECONDS = 60.0
CONFIG = ROOT / "deploy" / "compose" / "driftgauge.yaml"
CONFIG_FILE = "/etc/driftgauge/driftgauge.yaml"
STATE = "/var/lib/driftgauge"


def main(folder: Path) -> None:
    """All steps, in the order in which a user would take them."""
    driftgauge, modelserver = read_image(folder, "driftgauge"), read_image(folder, "modelserver")
    monitor_port, server_port = free_ports(2)
    server_url, monitor_url = f"http://127.0.0.1:{server_port}", f"http://127.0.0.1:{monitor_port}"
    settings, state = folder / "etc", folder / "state"
    settings.mkdir()
    state.mkdir(mode=0o750)
    subprocess.run(["chown", ":".join(map(str, driftgauge.user)), str(state)], check=True)
    training = Volume(modelserver.root / "opt/modelserver/model", "/srv")
    volumes = [Volume(settings, str(Path(CONFIG_FILE).parent)), Volume(state, STATE, writable=True), training]

    def once(image: Image, *command: str, volumes: Sequence[Volume] = (), status: int = 0) -> str:
        container = Container(image, command, volumes, folder / "once.log")
        got = container.wait(120)
        expect(got == status, f"expected exit status {status} of {shlex.join(command)}, got {got}:\n{container.output()}")
        return container.output()

    step("the image says who it is and what it may not do")
    for image in (driftgauge, modelserver):
        expect(0 not in image.user, f"expected a user other than root, got {image.user}")
        denied = once(image, "/bin/sh", "-c", "id -u; touch /opt/x || touch /etc/x || python -c 'import pip'", status=1)
        expect(denied.startswith(f"{image.user[0]}\n") and denied.count("Read-only file system") == 2, denied)
    version = once(driftgauge, *driftgauge.config["Entrypoint"], "--version").strip()
    expect(version == f"driftgauge {monitor.__version__}", f"expected driftgauge {monitor.__version__}, got {version}")
    print(f"{version}, user {driftgauge.user[0]}, read-only root")

    with start_broker() as broker, contextlib.ExitStack() as containers:

        def start(image: Image, *command: str, name: str, volumes: Sequence[Volume] = ()) -> Container:
            container = Container(image, command, volumes, folder / f"{name}.log")
            containers.callback(container.kill)
            return container

        step(f"a broker on loopback: {broker.name}")
        create_topics(broker.bootstrap)
        write_config(settings / "driftgauge.yaml", broker.bootstrap, monitor_port)

        step("driftgauge reference build, from the model's training data")
        command = ["reference", "build", "--data=/srv/training.ndjson", f"--config={CONFIG_FILE}", f"--output={STATE}/reference.json.gz"]
        command += ["--label=label", "--label-time=label_ts"]
        print(once(driftgauge, *driftgauge.config["Entrypoint"], *command, volumes=volumes).strip().splitlines()[-1])

        step("driftgauge check")
        print(once(driftgauge, *driftgauge.config["Entrypoint"], "check", "-c", CONFIG_FILE, volumes=volumes).strip())

        step("the model server, and driftgauge as the image starts it")
        serve = ["modelserver.server", "--brokers", broker.bootstrap, "--port", str(server_port)]
        server = start(modelserver, *modelserver.config["Entrypoint"], *serve, name="modelserver")
        wait_for("the model server", lambda: get(f"{server_url}/healthz"), server)
        begin = time.monotonic()
        watch = start(driftgauge, *driftgauge.config["Entrypoint"], *driftgauge.config["Cmd"], name="driftgauge", volumes=volumes)
        wait_for("/readyz of driftgauge", lambda: get(f"{monitor_url}/readyz"), watch)
        print(f"ready after {time.monotonic() - begin:.1f} s")
        confined(watch, driftgauge)
        health = driftgauge.config["Healthcheck"]["Test"]
        expect(health[0] == "CMD", f"expected a health check without a shell, got {health}")
        print(f"health check: {once(driftgauge, *health[1:], volumes=volumes).strip()}")

        step(f"{ROWS:,} flights over HTTP")
        load = ["modelserver.load", "--url", server_url, "--rate", "500", "--speedup", "3600"]
        traffic = start(modelserver, *modelserver.config["Entrypoint"], *load, name="load")
        wait_for(f"{ROWS:,} rows counted", lambda: value(monitor_url, "driftgauge_rows_counted_total") >= ROWS, traffic)
        wait_for("labels that found their predictions", lambda: value(monitor_url, "driftgauge_predictions_labelled_total") >= 100, traffic)
        stop("the load generator", traffic)
        waiting = ("modelserver_events_waiting", "modelserver_labels_waiting")
        wait_for("the last acknowledgement", lambda: not any(value(server_url, name) for name in waiting), server)
        delivered = value(server_url, "modelserver_events_delivered_total")
        wait_for(f"{delivered:,.0f} rows counted", lambda: value(monitor_url, "driftgauge_rows_counted_total") == delivered, watch)
        told = value(server_url, "modelserver_labels_delivered_total")
        wait_for(f"{told:,.0f} labels read", lambda: value(monitor_url, "driftgauge_label_messages_total") == told, watch)
        rows = ("driftgauge_messages_rejected_total", "driftgauge_rows_duplicate_total", "driftgauge_rows_late_total")
        for name in (*rows, "driftgauge_label_messages_rejected_total"):
            expect(value(monitor_url, name) == 0, f"expected no {name}, got {value(monitor_url, name)}")
        wait_for("verdicts on the whole traffic", lambda: judged(monitor_url) > 0, watch)
        drifted = judged(monitor_url, "drifted")
        print(f"{delivered:,.0f} predictions delivered to Kafka and counted; {judged(monitor_url)} verdicts, {drifted} drifted")

        step("SIGTERM")
        seconds = stop("driftgauge", watch)
        print(f"driftgauge ended with status 0 after {seconds:.1f} s")
        expect(any((state / "state").iterdir()), "expected its state on the volume")
        once(driftgauge, *health[1:], volumes=volumes, status=1)

        step("a new container on the same volume goes on from there")
        again = start(driftgauge, *driftgauge.config["Entrypoint"], *driftgauge.config["Cmd"], name="again", volumes=volumes)
        wait_for("/readyz of driftgauge", lambda: get(f"{monitor_url}/readyz"), again)
        wait_for("the rows of before", lambda: value(monitor_url, "driftgauge_rows_counted_total") == delivered, again)
        stop("driftgauge", again)
        stop("the model server", server)
        print(f"{delivered:,.0f} rows, none lost and none twice")


def create_topics(bootstrap: str) -> None:
    """The topics of deploy/compose.yaml."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name, 4, 1) for name in ("predictions", "labels", "predictions-rejected")])
    admin.create_topics([NewTopic("driftgauge-controls", 1, 1)])
    admin.close()


def write_config(path: Path, bootstrap: str, port: int) -> None:
    """The configuration of deploy/compose.yaml, with this run's addresses and windows that fit into seconds."""
    tree = yaml.safe_load(CONFIG.read_text())
    tree["source"]["brokers"] = [bootstrap]
    tree["http"] |= {"bind": "127.0.0.1", "port": port}
    tree["models"][0]["windows"] |= {"pane": "1s", "short": "2s", "long": "4s", "lateness": "1s"}
    tree["models"][0]["labels"] |= {"pane": "1s", "window": "10s", "estimate_window": "5s"}
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


def confined(container: Container, image: Image) -> None:
    """That process 1 is the image's user, has no capability, cannot gain one, and sees a read-only root."""
    status = dict(line.split(":", 1) for line in (container.process / "status").read_text().splitlines())
    expect(status["Uid"].split() == [str(image.user[0])] * 4, f"expected user {image.user[0]}, got {status['Uid']}")
    expect(int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, f"expected no capabilities, got {status['CapBnd']}")
    expect(status["NoNewPrivs"].strip() == "1" and status["NSpid"].split()[-1] == "1", "expected process 1, without new privileges")
    root = [line.split() for line in (container.process / "mounts").read_text().splitlines() if line.split()[1] == "/"]
    expect("ro" in root[-1][3].split(","), f"expected a read-only root, got {root}")


def stop(name: str, container: Container) -> float:
    """SIGTERM, then status 0 within ``STOP_SECONDS``; returns the seconds it took."""
    begin = time.monotonic()
    container.signal(signal.SIGTERM)
    try:
        status = container.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        fail(f"expected {name} to end within {STOP_SECONDS:g} s of SIGTERM:\n{container.output()[-3_000:]}")
    expect(status == 0, f"expected status 0 of {name}, got {status}:\n{container.output()[-3_000:]}")
    return time.monotonic() - begin


def get(url: str) -> str | None:
    """The body of an answer of 200, or None."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
            return body.decode()
    except (OSError, urllib.error.HTTPError):
        return None


def value(url: str, name: str) -> float:
    """Sum of a metric over its labels; 0 when it has no series."""
    lines = (get(f"{url}/metrics") or "").splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def judged(url: str, *statuses: str) -> int:
    """Verdicts on the whole traffic with one of these statuses; any that is a judgement when none is named."""
    query = urllib.parse.urlencode([("segment", "ALL"), *(("status", status) for status in statuses or ("stable", "drifted"))])
    return int(json.loads(get(f"{url}/api/v1/verdicts?{query}") or '{"total": 0}')["total"])


def wait_for(what: str, ready: Callable[[], object], container: Container) -> None:
    """Until ``ready`` answers something true."""
    for _ in deadlines(START_SECONDS):
        if ready():
            return
    fail(f"expected {what} within {START_SECONDS:g} s:\n{container.output()[-3_000:]}")


def deadlines(seconds: float) -> Iterator[None]:
    """Ticks for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.2)


def expect(condition: bool, problem: str) -> None:
    """End the test unless the condition holds."""
    if not condition:
        fail(problem)


def fail(problem: str) -> None:
    """End the test."""
    sys.exit(f"FAIL: {problem}")


def step(text: str) -> None:
    """Say what comes next."""
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The demonstration from end to end on a slice of the year, and how it ends."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from monitor.demo.account import balanced
from monitor.demo.answers import Status
from monitor.demo.flights import Flights
from monitor.demo.model import Model, score
from monitor.demo.prepare import Play, Workspace
from monitor.demo.run import run
from monitor.demo.terminal import Ink, Terminal
from monitor.demo.watching import Watching

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
JULY_MS, DAY_MS = 1_372_651_200_000, 86_400_000  # 2013-07-01 04:00 UTC, midnight in New York


def play(flights: Flights, model: Model, days_before: int, days: int) -> Play:
    """Training on the last days of February, and the first days of July to predict."""
    march_ms = JULY_MS - 122 * DAY_MS
    before = flights.where((flights.time_ms >= march_ms - days_before * DAY_MS) & (flights.time_ms < march_ms))
    after = flights.where((flights.time_ms >= JULY_MS) & (flights.time_ms < JULY_MS + days * DAY_MS))
    return Play(model, before, score(model, before), after, score(model, after))


def processes_about(folder: Path) -> list[str]:
    """Command lines that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended while we looked
            continue
        if str(folder) in command:
            found.append(command)
    return found


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_three_weeks_end_with_findings_a_balanced_ledger_and_no_process(tmp_path: Path, flights: Flights, model: Model) -> None:
    folder, written, seen = tmp_path / "demo", io.StringIO(), list[tuple[Status, int, list[str]]]()
    july = play(flights, model, 20, 21)

    def stay(watching: Watching, _: Terminal) -> None:
        seen.append((watching.status(), int(watching.api.address.rpartition(":")[2]), processes_about(folder)))

    run(Workspace(folder), Terminal(written, live=False, ink=Ink(False)), prepare=lambda: july, stay=stay)

    [(status, port, running)] = seen
    assert len(running) == 2  # the broker and the monitor
    assert processes_about(folder) == []
    assert not listening(port)
    assert {path.name for path in folder.iterdir()} == {"training.ndjson", "flights.yaml", "reference.json.gz", "monitor.log", "state"}

    [watched] = status.models
    assert balanced(watched, len(july.production))
    assert watched.ledger.rows_counted == len(july.production)
    assert watched.evaluated_event_time == watched.watermark == "2013-07-22T00:00:00.000Z"  # 04:00 UTC on, less an hour of lateness

    text = written.getvalue()
    assert re.search(rf"flights, model .* learned from {model.rows:,} flights: AUC {july.training_auc:.3f} on these", text)
    assert f"compared with {len(july.training):,} flights of 2013-02-09 to 2013-03-01" in text
    assert re.search(r"\n  temperature_f +PSI [\d.]+, [\d.]+ × the threshold of 0\.1 \(noise 0\.\d+\), since 2013-07-02\n", text)
    assert re.search(r"\n  temperature_f +█+  07-02 to 07-22 ", text)  # July against February, from the first evaluation to the last
    assert f"\n  rows       {len(july.production):,} received of {len(july.production):,} sent\n" in text
    assert f"= {len(july.production):,} counted + 0 duplicate + 0 late + 0 rejected + 0 tombstones: adds up\n" in text
    assert re.search(r"ADWIN on the daily mean of score, all traffic: \w", text)
    assert "\x1b" not in text


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_while_it_streams_ends_broker_and_monitor(tmp_path: Path, flights: Flights, model: Model) -> None:
    folder, written = tmp_path / "demo", io.StringIO()
    short = play(flights, model, 3, 21)
    running: list[str] = []

    def interrupt() -> None:
        while "  stream " not in written.getvalue() and not over.wait(0.05):  # the folder's own name has the word too
            pass
        running.extend(processes_about(folder))
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    over = threading.Event()
    watcher = threading.Thread(target=interrupt)
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(Workspace(folder), Terminal(written, live=True, ink=Ink(False)), prepare=lambda: short)
    finally:
        over.set()
        watcher.join()
    assert len(running) == 2
    assert processes_about(folder) == []
    assert not (folder / "broker").exists()
    assert written.getvalue().endswith("not finished\n")


def test_a_monitor_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path, flights: Flights, model: Model) -> None:
    folder, written = tmp_path / "demo", io.StringIO()
    short = play(flights, model, 3, 1)

    def stay(watching: Watching, _: Terminal) -> None:
        watching.process.terminate()
        watching.process.wait()
        watching.status()

    with pytest.raises(RuntimeError, match=r"the monitor ended with status 0; the end of .*monitor\.log:\n[\s\S]*ProcessStopped"):
        run(Workspace(folder), Terminal(written, live=False, ink=Ink(False)), prepare=lambda: short, stay=stay)
    assert processes_about(folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_program_with_its_own_code(tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "monitor.demo", "run", "--state", str(tmp_path / "demo")]
    program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert program.stdout is not None
    assert program.stdout.readline().startswith("driftgauge:")
    program.send_signal(number)
    said, errors = program.communicate(timeout=60)
    assert (program.returncode, errors) == (code, "")
    assert said.endswith("stopped; nothing keeps running\n")
    assert processes_about(tmp_path) == []

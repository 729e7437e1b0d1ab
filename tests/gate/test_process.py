"""From events to an exit code: the process that users run, reading files, and the gate that asks it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.broker.process import ROOT, free_ports

HOUR = 3_600_000
START = 1_700_000_000_000 // HOUR * HOUR


def write_world(folder: Path, errors: tuple[float, float], port: int) -> Path:
    """Two days: version 3 alone, then version 4 beside it, with most of the hard segment. Labels come within hours."""
    random = np.random.default_rng(8)
    predictions, labels = [], []
    for number in range(9_000):
        hour = number * 48 // 9_000
        second = hour >= 12 and random.random() < 0.4
        hard = random.random() < (0.8 if second else 0.3)
        rate = errors[int(second)] + (0.25 if hard else 0.0)
        truth = int(random.random() < 0.5)
        predicted = truth ^ int(random.random() < rate)
        at = START + hour * HOUR + int(random.integers(HOUR))
        event = {"id": f"p{number}", "ts": at, "v": "4" if second else "3", "x": 0.0, "site": "hard" if hard else "easy", "c": predicted}
        predictions.append((at, event))
        come = at + int(random.exponential(2 * HOUR))
        labels.append((come, {"id": f"p{number}", "ts": come, "y": truth}))
    for topic, rows in (("predictions", predictions), ("truth", labels)):
        rows.sort(key=lambda row: row[0])
        (folder / f"{topic}.ndjson").write_text("".join(f"{json.dumps(row)}\n" for _, row in rows))
    config = {
        "source": {"client": "ndjson", "path": "."},
        "state": {"directory": "state"},
        "http": {"port": port},
        "models": [
            {
                "name": "churn",
                "predictions": {"topic": "predictions", "id": "id", "time": {"path": "ts"}, "model_version": "v", "predicted_class": "c"},
                "features": [{"name": "x", "type": "numeric"}],
                "segments": {"columns": {"site": "site"}, "groupings": [["site"]]},
                "windows": {"pane": "15m", "short": "1h", "long": "24h", "lateness": "1h"},
                "labels": {"topic": "truth", "id": "id", "time": {"path": "ts"}, "label": "y", "horizon": "2d", "pane": "1h"},
                "canary": {"margin": 0.02},
            }
        ],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize(("errors", "code", "verdict"), [((0.20, 0.08), 0, "better"), ((0.08, 0.20), 1, "worse")])
def test_a_running_monitor_lets_a_candidate_pass_or_not(tmp_path, errors, code, verdict):
    [port] = free_ports(1)
    config = write_world(tmp_path, errors, port)
    with (tmp_path / "log").open("wb") as log:
        monitor = subprocess.Popen([sys.executable, "-m", "monitor", "run", "-c", config], cwd=ROOT, stdout=log, stderr=log)
    try:
        gate = ["gate", "--model", "churn", "--candidate", "4", "--champion", "3", "--url", f"http://127.0.0.1:{port}"]
        asked = [sys.executable, "-m", "monitor", *gate, "--wait", "2m", "--json"]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    finally:
        monitor.terminate()
        assert monitor.wait(30) == 0, (tmp_path / "log").read_text()[-2_000:]
    assert done.returncode == code, done.stderr + (tmp_path / "log").read_text()[-2_000:]
    found = json.loads(done.stdout)
    assert (found["verdict"], found["champion"], found["candidate"]) == (verdict, "3", "4")
    whole = found["all"]
    assert whole["low"] < errors[0] - errors[1] < whole["high"], "the truth, whatever the mix"
    # As served, version 4 has the hard customers against it: by half of 0.25.
    served = whole["candidate"]["as_served"] - whole["champion"]["as_served"]
    assert served < whole["difference"] - 0.08

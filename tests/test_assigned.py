"""An operator assigns a failure mode, and the API says so, though nothing is evaluated any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from monitor.decide.control import control_message
from monitor.decisions import Controls
from monitor.pipeline import advance
from monitor.reference.format import with_fingerprint, write_reference
from monitor.view import shown_labels
from tests.decide.make import control
from tests.flow import label_world, world
from tests.test_app import Running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration whose topics are files, with an empty one of decisions."""
    predictions = world.log(31, partitions=1, minutes=40)
    (tmp_path / "history").mkdir()
    for topic, log in (("t", predictions), ("l", label_world.log(predictions, 32, partitions=1))):
        (tmp_path / "history" / f"{topic}.ndjson").write_bytes(b"".join((message.value or b"") + b"\n" for message in log[0]))
    (tmp_path / "history" / "c.ndjson").touch()
    write_reference(with_fingerprint(label_world.reference()), tmp_path / "reference.json.gz")
    model = {**world.CONFIG["models"][0], "references": ["reference.json.gz"]}
    model |= {"predictions": label_world.PREDICTIONS, "labels": label_world.SECTION}
    tree = {
        "source": {"client": "ndjson", "path": "history", "poll_timeout": "100ms"},
        "models": [model],
        "http": {"port": 0},
        "state": {"directory": "state"},
        "controls": {"topic": "c"},
    }
    found = tmp_path / "config.yaml"
    found.write_text(yaml.safe_dump(tree))
    return found


def modes(running: Running) -> list[dict[str, Any]]:
    return running.get("api/v1/failure-modes")["failure_modes"]


def test_an_assignment_that_was_made_while_the_process_was_down_shows_though_nothing_is_evaluated_any_more(path: Path) -> None:
    with Running(path) as running:
        running.wait(lambda: any(event["event"] == "SourceFinished" for event in running.events()))
        found = running.wait(lambda: modes(running))[0]
        assert (found["status"], found["owner"]) == ("open", None)
        running.stop()
    made = control("assign", failure_mode=found["id"], owner="bob", time_ms=world.START)
    (path.parent / "history" / "c.ndjson").write_bytes(control_message(made) + b"\n")
    with Running(path) as again:
        again.wait(lambda: [mode["owner"] for mode in modes(again) if mode["id"] == found["id"]] == ["bob"], seconds=30)


def test_an_assignment_shows_before_anything_is_evaluated_again(tmp_path: Path) -> None:
    predictions = world.log(31, partitions=1, minutes=40)
    state = label_world.fresh(tmp_path, partitions=1, label_partitions=1)
    labels = label_world.log(predictions, 32, partitions=1)
    outcomes = label_world.play(state, label_world.polls(predictions, labels, np.random.default_rng(1), 500))
    before = shown_labels((), [state], outcomes)
    assert before
    assert shown_labels(before, [state], []) is before
    mode = next(iter(state.backlog.values()))
    decided = advance(state, Controls((control("assign", failure_mode=mode.id, owner="bob"),)))
    found = shown_labels(before, [state], decided)[0].backlog
    assert {each.id: each.owner for each in found}[mode.id] == "bob"

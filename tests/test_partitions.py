"""Labels meet their predictions where one process reads both topics whole; where it does not, that is said and nothing is concluded."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.config import parse_config
from monitor.evaluate.verdict import Status
from monitor.label_events import LabelsJoined, LabelsSeparated
from monitor.partitions import Partitions
from monitor.source.base import Needs
from monitor.source.ndjson import NdjsonSource
from monitor.state import new_model_state
from monitor.stream import streams_of
from monitor.telemetry import Telemetry
from tests.flow import label_world, world


@pytest.mark.parametrize(
    ("labels_here", "said", "concluded"),
    [({0, 1}, LabelsJoined("m", 3, 2, False), True), ({1}, LabelsSeparated("m", 3, 3, 1, 2), False)],
    ids=["whole", "a partition of labels elsewhere"],
)
def test_labels_read_elsewhere_are_said_and_make_what_is_concluded_partial(tmp_path, labels_here, said, concluded):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("t-0", "t-1", "t-2", "l-0", "l-1"):
        (data / f"{name}.ndjson").touch()
    state = new_model_state(label_world.model_config(), [label_world.reference()], tmp_path)
    heard = []
    partitions = Partitions(streams_of([state]), Telemetry((heard.append,)), lambda: 0, lambda: None)
    config = parse_config({**world.CONFIG, "source": {"client": "ndjson", "path": str(data)}}).source
    source = NdjsonSource(config, ["t", "l"], Needs())
    source.start(partitions)
    source.poll(0)
    partitions.lost(frozenset({("l", 0), ("l", 1)} - {("l", p) for p in labels_here}))
    partitions.own(source)
    assert [event for event in heard if isinstance(event, LabelsJoined | LabelsSeparated)] == [said]

    predictions = world.log(6, partitions=3, minutes=100, per_minute=6)
    labels = [messages for partition, messages in enumerate(label_world.log(predictions, 5)) if partition in labels_here]
    newest = label_world.play(state, label_world.polls(predictions, labels, np.random.default_rng(0), 5_000))[-1]
    statuses = {int(status) for one in newest.verdicts for status in one.by_prediction.status}
    statuses -= {Status.INSUFFICIENT_DATA}
    assert statuses
    assert (Status.PARTIAL in statuses) != concluded
    assert concluded or statuses == {Status.PARTIAL}

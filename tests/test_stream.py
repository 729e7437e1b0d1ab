"""Which partitions are held back, and that somebody can always move."""

from __future__ import annotations

import math

from monitor.stream import streams_of
from tests.flow import label_world
from tests.flow.world import MINUTE, START
from tests.join.test_join import Label, batch_of


def test_before_the_first_label_is_applied_only_partitions_ahead_are_held_back(tmp_path):
    """All would wait for the slowest partition, and it for being resumed."""
    from monitor.join.join import arrive

    state = label_world.fresh(tmp_path, label_world.model_config(max_inbox_rows=1_000))
    stream = streams_of([state])["l"]

    def many(partition: int, minute: int, rows: int) -> None:
        labels = [Label(n, START + minute * MINUTE, 1, 0, 1, "", math.nan, math.nan) for n in range(rows)]
        arrive(state.labels, batch_of(partition, labels, rows))

    many(0, 60, 1_500)
    assert stream.ahead() == {0}, "the other has sent nothing yet"
    many(1, 50, 1)
    assert state.labels.applied_pane is None
    assert 1 not in stream.ahead() or state.labels.inbox.first_pane() < (START + 50 * MINUTE) // MINUTE
    assert stream.ahead() == {0}

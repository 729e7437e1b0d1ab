"""A restart after which no signal has the cells that it had."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from tests.flow import world


def test_panes_whose_signals_all_have_other_cells_now_leave_their_windows(tmp_path: Path) -> None:
    """The first reference comes after rows were counted without one: the panes of before keep segments, and no counts."""
    before = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(references=[], partitions=2)})
    before.resume()
    world.play(before.models["m"], world.polls(world.log(6, partitions=2, minutes=40), np.random.default_rng(0), 50))
    before.commit({})
    before.store.close()

    after = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(partitions=2)})
    assert not after.resume().lost
    model = after.models["m"]
    logs = world.log(6, partitions=2, minutes=120)
    rest = [[message for message in log if message.offset >= model.offsets[partition]] for partition, log in enumerate(logs)]
    world.play(model, world.polls(rest, np.random.default_rng(0), 50))
    [short, _] = model.versions["1"].windows.views()
    assert short[1].rows.sum() > 0
    after.store.close()

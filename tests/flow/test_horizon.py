"""How long a repeat is known, in the flow."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest

from monitor.decode import Decoder
from monitor.pipeline import advance
from monitor.state import Entry
from tests.flow import world


@pytest.mark.parametrize("pane_s", [45, 60])
def test_a_repeat_that_is_not_late_is_never_counted_twice(pane_s: int) -> None:
    """Also where panes are no part of the ticks of a minute in which ids are remembered, and the horizon is no longer than the lateness."""
    windows = {"pane": f"{pane_s}s", "short": f"{4 * pane_s}s", "long": f"{40 * pane_s}s", "lateness": "55s"}
    predictions = {**world.CONFIG["models"][0]["predictions"], "duplicates": {"horizon": "55s"}}
    config = world.model_config(windows=windows, predictions=predictions, detectors=[])
    decoder = Decoder(config, world.fresh(config, [], 1).vocabulary)
    repeats = 0
    for first_s, gap_s in product(range(0, 180, 15), range(5, 120, 10)):
        state = world.fresh(config, [], 1)
        times = [first_s, first_s + gap_s, first_s]
        for offset, (name, second) in enumerate(zip("aba", times, strict=True)):
            row = {**world.event(0, 0, np.random.default_rng(0)), "id": name, "v": "1", "ts": world.START + 1_000 * second}
            advance(state, decoder.decode([world.raw([world.Message(0, offset, json.dumps(row).encode())])])[0])
        assert state.ledger[Entry.COUNTED] == 2, (first_s, gap_s)
        repeats += int(state.ledger[Entry.DUPLICATE])
    assert repeats > 12, "of some the repeat is no late row"

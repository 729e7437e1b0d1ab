"""A model that has no reference is counted in cells that its configuration alone defines."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.profile.bare import bare_layout
from monitor.profile.bins import Binning
from monitor.profile.layout import MAX_CATEGORIES, Layout, SignalBins, vocabulary
from tests.flow import world


def test_declared_categories_beyond_the_cells_of_a_signal_share_the_cell_other():
    declared = [f"c{number:03d}" for number in range(300)]
    layout = bare_layout(world.model_config(features=[{"name": "c", "type": "categorical", "categories": declared}], detectors=[]))
    words = vocabulary([layout])
    [cells, _] = Binning.of(layout, words).cells_of(np.array([[words["c"].index(name), 0.0] for name in declared] + [[-1.0, 0.0]]))
    labels = layout.signals[0].labels()
    assert [labels[cell] for cell in cells] == [*declared[:MAX_CATEGORIES], *["other"] * (300 - MAX_CATEGORIES), "out of range"]


def test_more_categories_than_have_cells_are_refused():
    most = SignalBins("c", "categorical", categories=tuple(map(str, range(MAX_CATEGORIES))))
    assert most.cells == 256
    assert Binning.of(Layout((most,)), vocabulary([Layout((most,))])).cell_of_code.max() < 256
    with pytest.raises(ValueError, match="c: expected at most 250 categories"):
        SignalBins("c", "categorical", categories=tuple(map(str, range(MAX_CATEGORIES + 1))))

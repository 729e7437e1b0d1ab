"""The noise of a total variation, against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.performance.variation import total_variation, variation_noise


@pytest.mark.parametrize("cells", [2, 3, 8, 40])
@pytest.mark.parametrize("quantile", [0.95, 0.999])
def test_chance_exceeds_the_noise_no_more_often_than_said(cells: int, quantile: float) -> None:
    """Two samples of one distribution, 20,000 times: at 0.999 twenty above are expected, forty are five deviations more."""
    random = np.random.default_rng(cells)
    p = random.dirichlet(np.ones(cells) * 3)
    now, before = random.multinomial(800, p, 20_000), random.multinomial(2000, p, 20_000)
    distance = total_variation(now / 800, before / 2000)
    floor = variation_noise(p, np.array(1 / 800 + 1 / 2000), quantile)
    above = (distance > floor).mean()
    assert 0.2 * (1 - quantile) <= above <= 1.3 * (1 - quantile) + 0.0007


def test_one_cell_cannot_vary() -> None:
    assert variation_noise(np.array([1.0, 0.0]), np.array(0.1), 0.99) == 0.0


def test_total_variation_is_the_share_that_lies_elsewhere() -> None:
    assert total_variation(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])) == 0.25

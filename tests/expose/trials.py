"""A canary trial to be shown: 30 panes of two versions, in two origins and four carriers, one of them with a hostile name."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from monitor.canary.comparison import CanarySettings, compare
from monitor.canary.losses import loss_scale
from monitor.canary.strata import strata
from monitor.canary.trial import CanaryResult
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.labels import LabelsEvaluated
from monitor.outcome.combination import Combinations
from tests.canary.streams import binary

NOW_MS = 1_700_006_400_000
HOSTILE = '<b>"\\\n'
ORIGINS, CARRIERS = ("EWR", "JFK"), ("AA", "B6", "DL", HOSTILE)


def trial(gain: float = 0.0, worse_at: str | None = None, rows: int = 60, panes: int = 30, **changes: object) -> CanaryResult:
    """The candidate's error rate of 0.2 is lower by ``gain``, but higher by 0.2 at the carrier ``worse_at``."""
    random = np.random.default_rng(2)
    names = Combinations(("origin", "carrier"), 100, [("__other__", "__other__"), *itertools.product(ORIGINS, CARRIERS)])
    rate = np.full(len(names), 0.2)
    second = rate - gain + np.array([0.2 if values[1] == worse_at else 0.0 for values in names.values])
    n = np.where(np.arange(len(names)) > 0, rows, 0)
    champion = {pane: binary(random, n, rate) for pane in range(panes)}
    candidate = {pane: binary(random, n, second) for pane in range(panes)}
    segments, places = names.segments(((), ("origin",), ("carrier",)), n, (), 100)
    settings = CanarySettings(0.02, 0.95, 200)
    found = compare(
        strata((champion, candidate), 0, panes, np.arange(len(names))), segments, places, loss_scale("accuracy", 2, ()), settings
    )
    start = NOW_MS - panes * 3_600_000
    return replace(CanaryResult("3", "4", settings, start, NOW_MS, serving=True, comparison=found), **changes)


def snapshot(result: CanaryResult | None, *, evaluated: bool = True) -> Snapshot:
    labels = (LabelsEvaluated("m", NOW_MS, (), canary=result),) if evaluated else ()
    return Snapshot(NOW_MS, NOW_MS, "1", models=(ModelView("m", "t", canary=True), ModelView("plain", "t2")), labels=labels)


WORSE = trial(-0.1)
BETTER = trial(0.08, worse_at="DL")
EQUAL = trial(panes=6)
FEW = trial(panes=1, rows=5)

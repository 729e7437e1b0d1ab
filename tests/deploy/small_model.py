"""A model small enough to compute by hand, and a broker that does not answer."""

from __future__ import annotations

import threading

from kafka.errors import KafkaTimeoutError
from modelserver.model import Model, NumericTerm

SMALL = Model("m", "7", -1.0, {"x": NumericTerm(mean=10.0, std=2.0, weight=0.5, missing_weight=3.0)}, {"c": {"a": 1.0, "b": -1.0}})


class Slow:
    """Connects as to a broker that does not answer: not at all until it is freed, and then gives up."""

    def __init__(self):
        self.free = threading.Event()

    def __call__(self):
        self.free.wait()
        raise KafkaTimeoutError("no broker answers")

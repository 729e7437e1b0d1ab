"""Work of a Kafka client that Ctrl-C can end.

kafka-python runs its event loop in whichever thread calls it, and takes an exception that a signal raises there for the
failure of one of its tasks: the interrupt is swallowed, and the call waits for good. So clients are used beside the main thread,
which only waits; it is the one that signals interrupt.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

T = TypeVar("T")


def interruptible(work: Callable[[Event], T]) -> T:
    """What ``work`` returns or raises. When this is interrupted, the event that ``work`` was given is set and it is waited for."""
    stop = Event()
    with ThreadPoolExecutor(1, "client") as beside:
        done = beside.submit(work, stop)
        try:
            return done.result()
        except BaseException:
            stop.set()
            raise

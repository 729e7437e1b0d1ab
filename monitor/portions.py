"""How much of a poll is taken at a time: so much that a turn of the loop takes seconds, whatever is in it.

Ten thousand messages may be a second of traffic or, of a quiet model that is read from its beginning, a month with hundreds of evaluations.
How messages are cut into batches changes no result; it decides how soon a stop is heard, state is committed, and health is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from monitor.batch import RawBatch

FIRST = 1_000
LEAST = 10
SLOW_MS = 2_000  # longer than this is cut
QUICK_MS = 500  # shorter than this may be twice as much


class Portions:
    """Learns from how long each portion took. ``messages`` is how many the next may have at most; ``clock_ms`` is wall time."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self.messages = FIRST

    def of(self, raws: Sequence[RawBatch], unfinished: Callable[[], bool] = lambda: False) -> Iterator[Sequence[RawBatch]]:
        """The poll in portions, partitions side by side, each in its order; an empty poll is one empty portion.

        After each portion come empty ones for as long as what it led to is ``unfinished``: the slowest partition of many may
        let weeks close that the others have read already, whatever the size of its portion.
        """
        at, longest = 0, max(map(len, raws), default=0)
        while True:
            share = max(1, self.messages // max(len(raws), 1))
            portion = raws if at == 0 and share >= longest else [raw.part(at, at + share) for raw in raws if len(raw) > at]
            began_ms = self._clock_ms()
            yield portion
            self._learn(sum(map(len, portion)), self._clock_ms() - began_ms)
            while unfinished():
                yield ()
            at += share
            if at >= longest:
                return

    def _learn(self, messages: int, took_ms: int) -> None:
        if took_ms > SLOW_MS:
            self.messages = max(LEAST, min(self.messages, messages) * SLOW_MS // (2 * took_ms))
        elif took_ms < QUICK_MS and messages * 2 > self.messages:
            self.messages *= 2

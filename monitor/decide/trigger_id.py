"""The name of a trigger: the same wherever and however often the same log is read."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import msgspec


def trigger_ids(model: str, version: str, reason: str, onset_ms: int, cooldowns: int) -> Iterator[str]:
    """Names for a trigger, 32 hexadecimal digits out of what is decided about, why, and since when; the first free one counts.

    A condition that outlives the cooldown asks again under another name, by the number of whole cooldowns since its onset. That does not
    depend on what was triggered before, so a log that is replayed from the middle leads to the same names. Only after the cooldown was
    configured anew can a name be taken.

    >>> first, again = (next(trigger_ids("m", "1", "performance", 86_400_000, cooldowns)) for cooldowns in (0, 1))
    >>> len(first), first == again, next(trigger_ids("m", "1", "performance", 86_400_000, 0)) == first
    (32, False, True)
    """
    for number in itertools.count(cooldowns):
        yield hashlib.sha256(msgspec.json.encode([model, version, reason, onset_ms, number])).hexdigest()[:32]

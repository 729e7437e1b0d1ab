"""How deep a message is nested, before anything that recurses sees it.

No message can be deeper than it has opening brackets, and those can be counted for a whole chunk at once. Only messages with
more of them than the bound are looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

# Possessive: what was matched is never given back, so hostile quotes cost no more than honest ones.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BLOCK_BYTES = 1 << 18  # of messages that are looked at together: enough to spread the cost of a call, and they stay in the cache
_PADDING = bytes(7)
_ONES = np.uint64(0x0101010101010101)
_TOP_BYTE = np.uint64(56)


def depth_of(message: bytes) -> int:
    """Deepest nesting of arrays and objects; brackets in strings do not count.

    >>> depth_of(b'{"a": [[1], "[[["]}'), depth_of(b"3")
    (3, 0)
    """
    bare = np.frombuffer(_STRING.sub(b"", message), np.uint8)
    folded = bare | 0x20  # '[' becomes '{', and ']' becomes '}'
    steps = (folded == ord("{")).astype(np.int8) - (folded == ord("}")).astype(np.int8)
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))


def deeper_than(messages: Sequence[bytes], longest: int, most: int) -> list[tuple[int, int]]:
    """Index and depth of messages deeper than ``most``; no message is longer than ``longest`` bytes."""
    found = []
    size = max(16, _BLOCK_BYTES // max(longest, 1))
    for start in range(0, len(messages), size):
        block = messages[start : start + size]
        if not _may_be_deeper(b"".join((*block, _PADDING)), longest, most):
            continue
        for index, message in enumerate(block, start):
            if message.count(b"{") + message.count(b"[") > most and (depth := depth_of(message)) > most:
                found.append((index, depth))
    return found


def _may_be_deeper(padded: bytes, longest: int, most: int) -> bool:
    """Whether more than ``most`` opening brackets stand anywhere as close together as in one message."""
    text = np.frombuffer(padded, np.uint8, len(padded) // 8 * 8)
    opening = np.equal(text if b"[" not in padded else text | 0x20, ord("{"))
    eights = opening.view(np.uint64)  # eight bytes at a time, each 0 or 1
    places = np.flatnonzero(eights != 0)
    if not len(places):
        return False
    in_each = (eights[places] * _ONES) >> _TOP_BYTE  # the top byte of the product is the sum of the eight
    # More than ``most`` brackets take more than ``group`` eights, all of them within one message.
    group = most // int(in_each.max())
    if group == 0:
        return True
    return len(places) > group and int((places[group:] - places[:-group]).min()) * 8 <= longest + 8

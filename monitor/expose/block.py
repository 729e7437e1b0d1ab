"""Series that share most of their labels, as arrays: nothing is kept or computed per series.

Urgency decides what stays when there are more series than may be exposed, highest first: counts per window and
thresholds, always; a drifted segment's own series; drifted statistics; the whole traffic; the other segments' own
series; the other statistics, each by value / threshold. Of performance: a worse segment's own series, worse metrics, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.expose.catalogue import Metric

Float64 = NDArray[np.float64]
Text = NDArray[np.object_]  # of bytes

# Added to value / threshold, which is brought to [0, 1).
OWN = 1.0  # a segment's own series
WHOLE = 2.0  # the whole traffic
DRIFTED = 3.0  # so that [3, 4) are drifted statistics and [4, 5) drifted segments' own series
ALARMED = 3.5  # among the drifted statistics
ALWAYS = np.inf
EMPTY = np.array([b""], object)
CLOSE = np.array([b"} "], object)


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Series of one family that differ in two parts of their labels.

    Series i reads ``start + heads[cells[i] // len(tails)] + tails[cells[i] % len(tails)]`` and then its value.
    """

    metric: Metric
    start: bytes  # family, opening brace and first labels
    heads: Text
    tails: Text  # ends with the closing brace and a space
    cells: NDArray[np.intp]  # [n] rising
    values: Float64 | NDArray[np.int64]  # [n] finite
    urgency: Float64  # [n]

    def only(self, mask: NDArray[np.bool_]) -> Block:
        """The series where ``mask`` [n] is true."""
        return replace(self, cells=self.cells[mask], values=self.values[mask], urgency=self.urgency[mask])


def block_of(metric: Metric, start: bytes, heads: Text, tails: Text, values: NDArray[Any], urgent: Float64) -> Block:
    """A block of the finite ones among ``values`` [heads x tails]; ``urgent`` is broadcast to their shape."""
    flat = values.ravel()
    cells = np.flatnonzero(np.isfinite(flat))
    return Block(metric, start, heads, tails, cells, flat[cells], np.broadcast_to(urgent, values.shape).ravel()[cells])


def escape(value: str) -> str:
    """A label value as the exposition format writes it.

    >>> escape('a"b\\\\c\\nd')
    'a\\\\"b\\\\\\\\c\\\\nd'
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def texts(parts: Iterator[str] | Sequence[str]) -> Text:
    """Texts as the exposition format encodes them."""
    encoded = [part.encode("utf-8", "replace") for part in parts]  # a lone surrogate has no UTF-8
    out = np.empty(len(encoded), object)
    out[:] = encoded
    return out


def label_text(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels side by side, without braces."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))

"""Numbers as they leave the process: what is not finite is not known."""

from __future__ import annotations

import math


def finite(value: float) -> float | None:
    """The number as a plain float; None for NaN and infinities, which JSON has no words for.

    >>> finite(0.5), finite(float("nan")), finite(float("inf"))
    (0.5, None, None)
    """
    return float(value) if math.isfinite(value) else None

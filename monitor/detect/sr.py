"""The mixture Shiryaev-Roberts e-detector over many streams at once.

    R_k <- (R_k + n) exp(dS_k)        M = sum_k pi_k R_k        alarm when M >= c

R_k is the sum, over every event at which a change may have begun, of the evidence since then. If E[exp(dS_k) | past] <= 1 then
M - events is a supermartingale; so P(alarm within T events) <= T / c and the mean time to a false alarm is at least c, without asymptotics
and without any assumption between streams (Shin, Ramdas and Rinaldo, E-detectors, 2023).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

MOST = 1e26  # of a sum of evidence: capping from above keeps the bound, and an end of the drift is seen soon
_MOST_STEP = 60.0


def step(evidence: Float64, rows: NDArray[Any], increment: NDArray[Any]) -> Float64:
    """The next R [..., K]; its arguments are overwritten.

    ``rows`` [..., 1] events of this pane, ``increment`` [..., K] its dS.

    >>> step(np.array([3.0]), np.array([1.0]), np.log(np.array([2.0])))
    array([8.])
    """
    np.minimum(increment, _MOST_STEP, out=increment)
    grown = np.exp(increment, out=increment)
    evidence += rows
    evidence *= grown
    return np.minimum(evidence, MOST, out=evidence)


def within_block(spent: Float64, increment: NDArray[Any], most: NDArray[Any]) -> tuple[Float64, Float64]:
    """Increments such that no block adds more than ``most``: the new sum of the block, and what of the increment counts.

    >>> within_block(np.array([4.0]), np.array([3.0]), np.array([5.0]))
    (array([7.]), array([1.]))
    """
    total = spent + increment
    return total, np.minimum(total, most) - np.minimum(spent, most)

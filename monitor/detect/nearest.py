"""The null that looks most like an alternative: the best bet against all of a composite null is the likelihood ratio to it.

Of all shares that count as "nothing has changed", and their mixtures, the one with the least divergence from q is the reverse information
projection p* of q. The ratio q / p* has mean at most 1 under every member (Barron and Li, 1999; Grünwald, de Heide and Koolen, 2024), so
it needs no further allowance for them, and no bet that is safe against all of them grows faster under q. log(q / p) less the largest
cumulant over the members is safe too, but grows more slowly: what the members have in common with q is paid for, and bet on all the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_STEPS = 4  # towards the member that lacks most; what is left of the way is in psi, which bounds the mean of whatever is bet
_NEWTON_STEPS = 3
_LEAST = 1e-2  # of the first member's share in every cell
_NUMBERS_AT_ONCE = 1 << 21  # leaves, directions and cells: bounds the memory


def nearest(q: Float64, members: Float64) -> Float64:
    """[L, K, B] mixtures of ``members`` [J, L, B] with (nearly) the least divergence from ``q`` [L, K, B], all of them shares.

    Frank and Wolfe's steps (1956) from the nearest member.
    """
    floored = np.maximum(members, _LEAST * members[0]).transpose(1, 0, 2)  # [L, J, B]
    at_once = max(_NUMBERS_AT_ONCE // (q.shape[1] * q.shape[2]), 1)
    parts = [slice(start, start + at_once) for start in range(0, len(q), at_once)]
    return np.concatenate([_nearest(q[part], floored[part]) for part in parts])


def _nearest(q: Float64, members: Float64) -> Float64:
    by_cell = np.ascontiguousarray(members.transpose(0, 2, 1))
    leaf = np.arange(len(q))[:, None]
    mixture = members[leaf, (q @ np.log(by_cell)).argmax(axis=2)]
    for _ in range(_STEPS):
        ratio = q / mixture
        towards = members[leaf, (ratio @ by_cell).argmax(axis=2)] - mixture
        part = np.zeros((*q.shape[:2], 1))
        for _ in range(_NEWTON_STEPS):
            slope = towards / (mixture + part * towards)
            first, second = ((q * slope**power).sum(axis=2, keepdims=True) for power in (1, 2))
            part = np.clip(part + first / np.maximum(second, 1e-300), 0.0, 1.0)
        mixture = mixture + part * towards
    return np.asarray(mixture)

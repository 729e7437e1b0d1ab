"""Total variation between two distributions over cells, and what chance alone makes of it.

It is the share of rows that would have to lie elsewhere, half the sum of the absolute differences. When nothing differs, the
differences are about normal with variances v p (1 - p) and correlations -sqrt(p q / ((1 - p)(1 - q))), v = 1 / n + 1 / m for two
samples. The mean of the sum of their absolute values follows, and its variance by the covariance of absolute normal values (Nabeya,
1951), (2 / π) (ρ asin ρ + sqrt(1 - ρ²) - 1) times both deviations. The quantile is that of the shifted gamma distribution with
these moments and the skewness of a half-normal value, the less the more cells take part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.noise import normal_quantile, pearson3_quantile

Float64 = NDArray[np.float64]

_HALF_NORMAL_SKEWNESS = 0.9952717


def total_variation(p: Float64, q: Float64) -> Float64:
    """[...] of shares [..., C]."""
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def variation_noise(p: Float64, v: Float64, quantile: float) -> Float64:
    """[...] quantile of the total variation when nothing differs, from the common shares [..., C] and v [...].

    A size of 0 when there is but one cell with rows.
    """
    inner = np.sqrt(np.maximum(p * (1 - p), 0.0))
    mean = np.sqrt(2 / np.pi) * inner.sum(axis=-1) / 2
    odds = np.sqrt(p / np.where(p < 1, 1 - p, 1.0))
    rho = np.minimum(odds[..., :, None] * odds[..., None, :], 1.0)  # its sign does not matter
    joint = (rho * np.arcsin(rho) + np.sqrt(1 - rho**2) - 1) * inner[..., :, None] * inner[..., None, :]
    own = np.einsum("...ii->...i", joint)
    variance = (2 / np.pi * (joint.sum(axis=(-2, -1)) - own.sum(axis=-1)) + (1 - 2 / np.pi) * (inner**2).sum(axis=-1)) / 4
    some = variance > 0
    variance = np.where(some, variance, 1.0)
    # As many half-normal values as would have this mean and variance.
    number = np.maximum(np.where(some, mean, 1.0) ** 2 / variance * (np.pi / 2 - 1), 1.0)
    third = _HALF_NORMAL_SKEWNESS / np.sqrt(number) * variance**1.5
    top = pearson3_quantile(mean, variance, third, normal_quantile(quantile))
    return np.asarray(np.where(some, top, 0.0) * np.sqrt(v))

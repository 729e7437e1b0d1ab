"""Noise floors: what a statistic reaches when nothing has changed.

Two samples of n and m values over the same cells differ by chance. Write ν = n m / (n + m) for their effective size; when
one of them is much larger, ν is the size of the other.

Divergences. Each is a sum over cells. In a cell that expects λ = ν p values a divergence, scaled so that chi-square is its
limit, has the exact mean, variance and third cumulant that follow from a Poisson count; they are tabulated over λ. Cumulants of
cells add; fixing the total takes away those of one degree of freedom. With many values in each cell this is chi-square
with B - 1 degrees of freedom, and the mean of PSI is (B - 1)(1/n + 1/m) (Yurdakul, *Statistical properties of the population
stability index*, 2018); in thin cells it is what it is there. The quantile is that of a Pearson type III (shifted gamma)
distribution with these cumulants, by the approximation of Wilson and Hilferty (1931): for chi-square between
0.95 and 0.999 within 3.1 % with one degree of freedom, 2.3 % with two, 1.2 % with five, 0.6 % with ten and 0.2 % with thirty.
The reference's shares stand for the true ones: with one row more in each cell than was seen where the mean of PSI is wanted, and with
three more for the quantile, because what a reference of m rows happens to lack may well, with 95 % confidence, have a share of 3 / m
(Hanley and Lippman-Hand, *If nothing goes wrong, is everything all right?*, 1983).

Rates. Given that c + r of n + m rows have a property, c is hypergeometric, close to binomial(c + r, n / (n + m)) when
the rate is small and less spread when it is not; its quantile follows by Cornish and Fisher's expansion to the term in the
skewness, with half a row for continuity. So zero rows in the reference are handled too.

KS. sqrt(ln(2 / (1 - quantile)) / (2 ν)): Dvoretzky, Kiefer, Wolfowitz with Massart's constant (1990). It holds
for binned values, where it is generous.

Wasserstein. Its mean from the normal limit of the distribution functions' difference, plus sqrt(2 ln(1 / (1 - quantile)) / ν)
standard deviations: concentration of a Gaussian supremum (Borell; Tsirelson, Ibragimov and Sudakov), because no function
of slope one varies more than the value itself. The reference's deviation stands for the true one: where the true one rests on values
rarer than a reference holds (Cauchy, or log-normal with 3 in the exponent; 2,000 or 20,000 rows), 1 to 4 % of windows are above the
floor of 0.999 and the threshold. Look at KS there.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

DIVERGENCES = 4
"""PSI, Jensen-Shannon, squared Hellinger, squared V: the order of the table's columns."""

CHI_SQUARE_SCALE = np.array([1.0, 8.0, 8.0, 4.0])
"""What ν times the divergence (in nats) is multiplied by to have chi-square as its limit."""

BIAS_ROWS, FLOOR_ROWS = 1, 3
"""Rows more than were seen in each cell, for the mean of PSI and for the quantiles."""

STEPS_PER_OCTAVE = 16  # of λ: neighbours differ by 4 %
_LOG2_SMALLEST, _LOG2_LARGEST = -12, 9  # of λ; beyond, a cell adds nothing or chi-square's cumulants
_CHI_SQUARE_CUMULANTS = np.array([1.0, 2.0, 8.0])  # with one degree of freedom
_LEAST_CUMULANTS = np.array([0.0, 1e-9, 0.0])


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


def rarity(share: Float64) -> NDArray[np.int16]:
    """log2 of a share in steps of the table."""
    return np.asarray(np.rint(np.log2(np.maximum(share, 1e-30)) * STEPS_PER_OCTAVE), np.int16)


@cache
def cell_cumulants() -> NDArray[np.float32]:
    """[steps of λ, 3 x 4 divergences] means, variances and third cumulants of a cell's scaled part of each divergence."""
    steps = np.arange(_LOG2_SMALLEST * STEPS_PER_OCTAVE, _LOG2_LARGEST * STEPS_PER_OCTAVE + 1)
    table = np.array([_poisson_cumulants(2.0 ** (step / STEPS_PER_OCTAVE)) for step in steps], np.float32)
    table.flags.writeable = False
    return table


def _poisson_cumulants(expected: float) -> Float64:
    most = int(expected + 14 * math.sqrt(expected) + 40)
    count = np.arange(most + 1.0)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(count[1:]))])
    probability = np.exp(count * math.log(expected) - expected - log_factorial)
    floored, expected_floored = np.maximum(count, 0.5), max(expected, 0.5)
    psi = (floored - expected_floored) * np.log(floored / expected_floored)
    middle = (count + expected) / 2
    shannon = (count * np.log(np.maximum(count, 0.5) / middle) + expected * np.log(expected / middle)) / 2
    hellinger = (np.sqrt(count) - math.sqrt(expected)) ** 2 / 2
    squared_v = (count - expected) ** 2 / middle / 4
    parts = np.stack([psi, shannon, hellinger, squared_v]) * CHI_SQUARE_SCALE[:, None]
    mean = parts @ probability
    centred = parts - mean[:, None]
    return np.concatenate([mean, centred**2 @ probability, centred**3 @ probability])


def table_steps(effective: Float64) -> NDArray[np.int16]:
    """What to add to a cell's ``rarity`` to get its row in ``cell_cumulants``, before clipping, for samples of effective size ν."""
    logs = np.rint(np.log2(np.maximum(effective, 1e-30)) * STEPS_PER_OCTAVE)
    return np.asarray(logs - _LOG2_SMALLEST * STEPS_PER_OCTAVE, np.int16)


@cache
def cell_psi_means() -> NDArray[np.float32]:
    """[steps of λ] the means of PSI alone, side by side."""
    return np.ascontiguousarray(cell_cumulants()[:, 0])


def psi_bias(sums: Float64, effective: Float64) -> Float64:
    """[S] mean of PSI when nothing has changed, in nats: ``sums`` [S] are ``cell_psi_means`` summed over the cells, ``effective`` ν."""
    return np.asarray(np.maximum(sums - _CHI_SQUARE_CUMULANTS[0], 0.0) / np.maximum(effective, 1e-30))


def divergence_floor(sums: Float64, effective: Float64, quantile: float) -> Float64:
    """[4, S] quantile of the four divergences when nothing has changed, in nats.

    ``sums`` [3, 4, S] are ``cell_cumulants`` summed over the cells, ``effective`` [S] is ν.
    """
    mean, variance, third = np.maximum(sums - _CHI_SQUARE_CUMULANTS[:, None, None], _LEAST_CUMULANTS[:, None, None])
    top = pearson3_quantile(mean, variance, third, normal_quantile(quantile))
    return np.asarray(top / (CHI_SQUARE_SCALE[:, None] * np.maximum(effective, 1e-30)))


def pearson3_quantile(mean: Float64, variance: Float64, third: Float64, z: float) -> Float64:
    """Quantile, at standard normal quantile ``z``, of the shifted gamma distribution with these cumulants."""
    deviation = np.sqrt(variance)
    # Above 1.6 z the approximation turns back; so skewed is only a sum over very few, nearly empty cells.
    skewness = np.clip(third / (variance * deviation), 1e-4, max(1.6 * z, 1e-4))
    root = skewness * (z / 6) - skewness * skewness / 36 + 1
    return np.asarray(mean + deviation * (2 / skewness) * (root * root * root - 1))


def ks_floor(effective: Float64, quantile: float) -> Float64:
    """Largest difference of two distribution functions when nothing has changed."""
    return np.asarray(np.sqrt(math.log(2 / (1 - quantile)) / 2 / np.maximum(effective, 1e-30)))


def wasserstein_floor(expected: Float64, deviation: Float64, effective: Float64, quantile: float) -> Float64:
    """Wasserstein distance when nothing has changed: ``expected`` is its mean times sqrt(ν), ``deviation`` that of a value."""
    slack = math.sqrt(2 * math.log(1 / (1 - quantile)))
    return np.asarray((expected + slack * deviation) / np.sqrt(np.maximum(effective, 1e-30)))


def rate_floor(difference: Float64, rate: Float64, rows: Float64 | float, reference_rows: Float64 | float, z: float) -> Float64:
    """Size that a difference of rates, of the sign it has, reaches when nothing has changed.

    ``rate`` is the reference's; ``z`` the standard normal quantile. All arrays broadcast together.
    """
    n, m = np.maximum(rows, 1.0), np.maximum(reference_rows, 1.0)
    total = (rate + difference) * n + rate * m
    weight = n / (n + m)
    common = np.clip(total / (n + m), 0.0, 1.0)
    deviation = np.sqrt(total * weight * (1 - weight) * (1 - common))
    skew = (z * z - 1) / 6 * (1 - 2 * weight) * (1 - 2 * common)
    excess = z * deviation + 0.5 + np.where(difference < 0, -skew, skew)
    return np.asarray(np.maximum(excess, 0.5) * (1 / n + 1 / m))

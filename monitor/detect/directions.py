"""Where to look: for each signal a fixed bank of alternatives to the reference, as shares of its cells.

A direction is the log likelihood ratio of one alternative, w = log(q / p). Alternatives of a numeric signal move or stretch its *values*
(the reference's own shape, so a shift of a skewed or two-humped signal is looked for as what it will be), tilt its ranks,
send some rows far out, or fill one cell; those of a categorical one fill or empty a category or move rows between two.
A prior weight goes with each: a drift along a direction of weight pi costs log(1/pi) of evidence more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detect.shares import Scale, mixed, odds_moved

Float64 = NDArray[np.float64]

SHIFTS = (0.15, 0.25, 0.5, 1.0, 2.0)  # standard deviations
RANKS = (0.15, 0.3, 0.6, 1.2)
STRETCHES = (1.2, 1.5, 2.0, 3.0, 0.8, 0.6, 0.4)
RANK_SPREADS = (0.15, 0.35, 0.7, -0.25, -0.6)
OUTLIERS = (0.005, 0.02, 0.1)  # part of the rows that goes far out
FAR = 4.0  # standard deviations
TAILS = (0.0, 0.001, 0.01, 0.05)  # part of the reference that is a tail; 0: what it never had
TAIL_PARTS = (0.01, 0.05)
CELL_PART = 0.05
MAX_CELL_DIRECTIONS = 32
MAX_PAIRS = 30
EXCHANGES = (0.04, 0.08, 0.16)  # part of all rows that moves from one category to another
RATES = {1.5: 0.06, 2.0: 0.08, 3.0: 0.16, 5.0: 0.12, 10.0: 0.25, 25.0: 0.05, 0.5: 0.05, 0.1: 0.03}  # factors on the odds: prior weight
OUTCOME_RATES = (1.25, 1.5, 2.0, 3.0, 0.8, 0.5)

_LEAST = 1e-3  # of the reference in every alternative, so that no cell is impossible
_MOVES = frozenset({"shift", "spread", "rank shift", "rank spread"})
_MOST_RATIO = 200.0  # of a move: values where the reference has none are told apart by the directions about tails and cells


@dataclass(frozen=True, slots=True)
class Direction:
    """One alternative: what it is, how large, and the cell it is about, if it is about one."""

    what: str
    size: float
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Alternatives:
    """The bank of one signal: K directions over B cells, for L segments at once."""

    directions: tuple[Direction, ...]
    weights: Float64  # [K] prior, sums to 1
    ratios: Float64  # [L, K, B] w = log(q / p)
    gates: Float64  # [J, L, B] shares under the changes that do not matter; the first is the reference itself


def numeric(scale: Scale, gate: float) -> Alternatives:
    """Alternatives of a numeric signal. ``gate``: a shift of so many standard deviations, or a spread by that part, does not matter."""
    found = list(_moves(scale) if scale.is_smooth else ()) + list(_ranks(scale)) + list(_outliers(scale)) + list(_cells(scale.shares))
    z = scale.rank_scores
    gates = [scale.shares, scale.tilted(gate * z), scale.tilted(-gate * z)]
    if scale.is_smooth:
        # Relative to what reading the reference off the same curve gives: only the change is of interest, not the reading.
        still = np.maximum(scale.moved(0.0), 1e-12)
        changes = (scale.moved(gate), scale.moved(-gate), scale.stretched(1.0 + gate), scale.stretched(1.0 / (1.0 + gate)))
        gates += [_normalised(scale.shares * np.minimum(change / still, 1e3) + np.maximum(change - 1e3 * still, 0.0)) for change in changes]
    return _bank(scale.shares, found, gates)


_Found = tuple[float, Direction, Float64]


def _moves(scale: Scale) -> Iterator[_Found]:
    for size, sign in itertools.product(SHIFTS, (1, -1)):
        yield 0.30 / (2 * len(SHIFTS)), Direction("shift", sign * size), scale.moved(sign * size)
    for factor in STRETCHES:
        yield 0.10 / len(STRETCHES), Direction("spread", factor), scale.stretched(factor)


def _ranks(scale: Scale) -> Iterator[_Found]:
    z = scale.rank_scores
    for size, sign in itertools.product(RANKS, (1, -1)):
        yield 0.18 / (2 * len(RANKS)), Direction("rank shift", sign * size), scale.tilted(sign * size * z)
    square = z * z - 1.0
    deviation = np.sqrt((scale.shares * square**2).sum(axis=1, keepdims=True))
    wide = np.minimum(square / np.maximum(deviation, 1e-12), 6.0)
    for size in RANK_SPREADS:
        yield 0.06 / len(RANK_SPREADS), Direction("rank spread", size), scale.tilted(size * wide)


def _outliers(scale: Scale) -> Iterator[_Found]:
    shares = scale.shares
    if scale.is_smooth:
        high, low = scale.moved(FAR), scale.moved(-FAR)
        places = (("outliers above", high), ("outliers below", low), ("outliers", (high + low) / 2.0))
        for part, (what, far) in itertools.product(OUTLIERS, places):
            yield 0.15 / (3 * len(OUTLIERS)), Direction(what, part), mixed(shares, _normalised(far), part)
    below = np.cumsum(shares, axis=1)
    for tail, part in itertools.product(TAILS, TAIL_PARTS):
        low_cells, high_cells = below <= 1.3 * tail, below - shares >= 1.0 - 1.3 * tail
        low_cells[:, 0] = high_cells[:, -1] = True
        for what, inside in (("lower tail", low_cells), ("upper tail", high_cells), ("tails", low_cells | high_cells)):
            yield 0.10 / (6 * len(TAILS)), Direction(what, part), mixed(shares, _normalised(shares * inside), part)


def _cells(shares: Float64) -> Iterator[_Found]:
    cells = shares.shape[1]
    step = -(-cells // MAX_CELL_DIRECTIONS)
    for start in range(0, cells, step):
        here = np.zeros_like(shares)
        here[:, start : start + step] = shares[:, start : start + step]
        yield 0.12 * step / cells, Direction("cell", CELL_PART, start), mixed(shares, _normalised(here), CELL_PART)


def categorical(shares: Float64, known: int, gate: float, lucky: Float64 | None = None, one_rest: bool = False) -> Alternatives:
    """Alternatives of a categorical signal of which the first ``known`` cells are categories, then other, unseen, out of range.

    ``gate``: a change of a share's odds by that part does not matter. ``lucky`` [L, cells] shares that are normal too
    (``choice.as_chosen``). ``one_rest``: other and unseen are not told apart.
    """
    cells, pooled = shares.shape[1], shares.mean(axis=0)
    found: list[_Found] = []
    parts = (0.03, 0.1) if known <= 12 else (0.05,)
    for cell, part in itertools.product(range(cells), parts):
        found.append((0.33 / (cells * len(parts)), Direction("cell", part, cell), _filled(shares, cell, part)))
    for cell, part in itertools.product(range(known + 1, cells), (0.004, 0.02, 0.1)):
        found.append((0.12 / (3 * (cells - known - 1)), Direction("cell", part, cell), _filled(shares, cell, part)))
    largest = [int(cell) for cell in np.argsort(-pooled, kind="stable")[:10] if pooled[cell] > 0.01]
    for cell, factor in itertools.product(largest, (0.6, 0.2)):
        found.append((0.12 / (2 * len(largest)), Direction("cell", -1.0 + factor, cell), odds_moved(shares, cell, factor)))
    pairs = [(a, b) for a, b in itertools.permutations(sorted(largest), 2) if pooled[a] > 0.02]
    pairs = sorted(pairs, key=lambda pair: -min(pooled[pair[0]], 2 * pooled[pair[1]]))[:MAX_PAIRS]
    for (a, b), part in itertools.product(pairs, EXCHANGES):
        moved = shares.copy()
        amount = np.minimum(part, 0.8 * shares[:, a])
        moved[:, a] -= amount
        moved[:, b] += amount
        found.append((0.43 / (len(EXCHANGES) * len(pairs)), Direction("exchange", part, b), moved))
    if one_rest:
        found = [(weight, direction, _evened(shares, then, slice(known, known + 2))) for weight, direction, then in found]
    usual = [shares] if lucky is None else [shares, lucky]
    moved_odds = (odds_moved(s, cell, f) for s in usual for cell in range(cells) for f in (1.0 + gate, 1.0 / (1.0 + gate)))
    return _bank(shares, found, [*usual, *moved_odds])


def _evened(shares: Float64, then: Float64, cells: slice) -> Float64:
    """``then`` with the mass of some cells laid over them as in ``shares``, so that a row tells nothing of which of them it is in."""
    own = shares[:, cells]
    evened = then.copy()
    evened[:, cells] = then[:, cells].sum(axis=1, keepdims=True) * own / own.sum(axis=1, keepdims=True)
    return evened


def _filled(shares: Float64, cell: int, part: float) -> Float64:
    here = np.zeros_like(shares)
    here[:, cell] = 1.0
    return mixed(shares, here, part)


def faults(shares: Float64, gate: float) -> Alternatives:
    """Alternatives for the cells missing, invalid, non-finite, usable of a signal."""
    found: list[_Found] = []
    for factor, weight in RATES.items():
        found.append((weight, Direction("missing", factor, 0), odds_moved(shares, 0, factor)))
    for cell, what in enumerate(("missing", "invalid", "non-finite")):
        for part in (0.005, 0.02, 0.1):
            found.append((0.2 / 9, Direction(what, part, cell), _filled(shares, cell, part)))
    gates = [shares, *(odds_moved(shares, cell, f) for cell in range(3) for f in (1.0 + gate, 1.0 / (1.0 + gate)))]
    return _bank(shares, found, gates)


def outcomes(shares: Float64, gate: float) -> Alternatives:
    """Alternatives for the cells no, yes of an outcome such as a wrong answer."""
    found: list[_Found] = [
        ((0.75 if factor > 1 else 0.25) / sum(1 for other in OUTCOME_RATES if (other > 1) == (factor > 1)),
         Direction("rate", factor, 1), odds_moved(shares, 1, factor))
        for factor in OUTCOME_RATES
    ]  # fmt: skip
    gates = [shares, odds_moved(shares, 1, 1.0 + gate), odds_moved(shares, 1, 1.0 / (1.0 + gate))]
    return _bank(shares, found, gates)


def _normalised(shares: Float64) -> Float64:
    return np.asarray(shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1e-300))


def _bank(shares: Float64, found: list[_Found], gates: list[Float64]) -> Alternatives:
    weights = np.array([weight for weight, _, _ in found])
    q = np.stack([_normalised(shares_then) for _, _, shares_then in found], axis=1)
    q = mixed(shares[:, None, :], q, 1.0 - _LEAST)
    ratios = np.log(q / shares[:, None, :])
    moves = [place for place, (_, direction, _) in enumerate(found) if direction.what in _MOVES]
    ratios[:, moves] = np.minimum(ratios[:, moves], np.log(_MOST_RATIO))
    return Alternatives(tuple(direction for _, direction, _ in found), weights / weights.sum(), ratios, np.stack(gates))

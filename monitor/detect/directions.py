"""Where to look: for each signal a fixed bank of alternatives to the reference, as shares of its cells.

A direction is the log likelihood ratio of one alternative, w = log(q / p*), to the normal shares p* that look most like it
(``nearest``). Alternatives of a numeric signal move or stretch its *values* (the reference's own shape, so a shift of a skewed or
two-humped signal is looked for as what it will be), tilt its ranks, send some rows far out, or fill one cell; those of a
categorical one fill or empty a category or move rows between two.
A prior weight goes with each: a drift along a direction of weight pi costs log(1/pi) of evidence more. An event brings the less of it
the fewer rows change, so outliers and exchanges, and of them the small ones, have more of the prior than moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detect.nearest import nearest
from monitor.detect.shares import Scale, mixed, odds_moved

Float64 = NDArray[np.float64]

SHIFTS = (0.15, 0.25, 0.5, 1.0, 2.0)  # standard deviations
RANKS = (0.15, 0.3, 0.6, 1.2)
STRETCHES = (1.2, 1.5, 2.0, 3.0, 0.8, 0.6, 0.4)
RANK_SPREADS = (0.15, 0.35, 0.7, -0.25, -0.6)
OUTLIERS = {0.005: 0.4, 0.02: 0.4, 0.1: 0.2}  # part of the rows that goes far out: prior weight
FAR = 4.0  # standard deviations
TAILS = (0.0, 0.001, 0.01, 0.05)  # part of the reference that is a tail; 0: what it never had
TAIL_PARTS = (0.01, 0.05)
CELL_PART = 0.05
MAX_CELL_DIRECTIONS = 40
MAX_PAIRS = 30
EXCHANGES = {0.04: 0.4, 0.08: 0.4, 0.16: 0.2}  # part of all rows that moves from one category to another: prior weight
RATES = {1.5: 0.06, 2.0: 0.08, 3.0: 0.16, 5.0: 0.12, 10.0: 0.25, 25.0: 0.05, 0.5: 0.05, 0.1: 0.03}  # factors on the odds: prior weight
OUTCOME_RATES = (1.25, 1.5, 2.0, 3.0, 0.8, 0.5)

_LEAST = 1e-3  # of the reference in every alternative, so that no cell is impossible
_MOVES = frozenset({"shift", "spread", "rank shift", "rank spread"})
_READ = frozenset({"shift", "spread", "outliers above", "outliers below", "outliers"})  # off the curve that a number's gates are read off
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
    ratios: Float64  # [L, K, B] w = log(q / p*)
    kept: Float64  # [K] part of q that is the reference itself, cell by cell
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
    return _bank(scale.shares, found, gates, near=_READ)


_Found = tuple[float, Direction, Float64, float]  # prior weight, what it is, shares, the part of them that is the reference itself


def _moves(scale: Scale) -> Iterator[_Found]:
    for size, sign in itertools.product(SHIFTS, (1, -1)):
        yield 0.16 / (2 * len(SHIFTS)), Direction("shift", sign * size), scale.moved(sign * size), 0.0
    for factor in STRETCHES:
        yield 0.06 / len(STRETCHES), Direction("spread", factor), scale.stretched(factor), 0.0


def _ranks(scale: Scale) -> Iterator[_Found]:
    z = scale.rank_scores
    for size, sign in itertools.product(RANKS, (1, -1)):
        yield 0.07 / (2 * len(RANKS)), Direction("rank shift", sign * size), scale.tilted(sign * size * z), 0.0
    square = z * z - 1.0
    deviation = np.sqrt((scale.shares * square**2).sum(axis=1, keepdims=True))
    wide = np.minimum(square / np.maximum(deviation, 1e-12), 6.0)
    for size in RANK_SPREADS:
        yield 0.04 / len(RANK_SPREADS), Direction("rank spread", size), scale.tilted(size * wide), 0.0


def _outliers(scale: Scale) -> Iterator[_Found]:
    shares = scale.shares
    if scale.is_smooth:
        high, low = scale.moved(FAR), scale.moved(-FAR)
        places = ((0.4, "outliers above", high), (0.4, "outliers below", low), (0.2, "outliers", (high + low) / 2.0))
        for (part, likely), (weight, what, far) in itertools.product(OUTLIERS.items(), places):
            yield 0.54 * likely * weight, Direction(what, part), mixed(shares, _normalised(far), part), 1.0 - part
    below = np.cumsum(shares, axis=1)
    for tail, part in itertools.product(TAILS, TAIL_PARTS):
        low_cells, high_cells = below <= 1.3 * tail, below - shares >= 1.0 - 1.3 * tail
        low_cells[:, 0] = high_cells[:, -1] = True
        for what, inside in (("lower tail", low_cells), ("upper tail", high_cells), ("tails", low_cells | high_cells)):
            # Which cells are a tail is known from the rows that are in them: none of this is taken to be the reference itself.
            yield 0.06 / (6 * len(TAILS)), Direction(what, part), mixed(shares, _normalised(shares * inside), part), 0.0


def _cells(shares: Float64) -> Iterator[_Found]:
    cells = shares.shape[1]
    step = -(-cells // MAX_CELL_DIRECTIONS)
    for start in range(0, cells, step):
        here = np.zeros_like(shares)
        here[:, start : start + step] = shares[:, start : start + step]
        yield 0.07 * step / cells, Direction("cell", CELL_PART, start), mixed(shares, _normalised(here), CELL_PART), 0.0


def categorical(shares: Float64, known: int, gate: float, lucky: Float64 | None = None, one_rest: bool = False) -> Alternatives:
    """Alternatives of a categorical signal of which the first ``known`` cells are categories, then other, unseen, out of range.

    ``gate``: a change of a share's odds by that part does not matter. ``lucky`` [L, cells] shares that are normal too
    (``choice.as_chosen``). ``one_rest``: other and unseen are not told apart.
    """
    cells, pooled = shares.shape[1], shares.mean(axis=0)
    found: list[_Found] = []
    parts = (0.03, 0.1) if known <= 12 else (0.05,)
    for cell, part in itertools.product(range(cells), parts):
        found.append((0.20 / (cells * len(parts)), Direction("cell", part, cell), _filled(shares, cell, part), 1.0 - part))
    for cell, part in itertools.product(range(known + 1, cells), (0.004, 0.02, 0.1)):
        found.append((0.12 / (3 * (cells - known - 1)), Direction("cell", part, cell), _filled(shares, cell, part), 1.0 - part))
    largest = [int(cell) for cell in np.argsort(-pooled, kind="stable")[:10] if pooled[cell] > 0.01]
    for cell, factor in itertools.product(largest, (0.6, 0.2)):
        found.append((0.08 / (2 * len(largest)), Direction("cell", -1.0 + factor, cell), odds_moved(shares, cell, factor), 0.0))
    pairs = [(a, b) for a, b in itertools.permutations(sorted(largest), 2) if pooled[a] > 0.02]
    pairs = sorted(pairs, key=lambda pair: -min(pooled[pair[0]], 2 * pooled[pair[1]]))[:MAX_PAIRS]
    # Rows are taken to change their category one as likely as another, so that a category loses some in proportion to what it has.
    losing = sum(pooled[a] for a, _ in pairs)
    for (a, b), (part, likely) in itertools.product(pairs, EXCHANGES.items()):
        moved = shares.copy()
        amount = np.minimum(part, 0.8 * shares[:, a])
        moved[:, a] -= amount
        moved[:, b] += amount
        found.append((0.60 * likely * pooled[a] / losing, Direction("exchange", part, b), moved, 1.0))
    usual = [shares] if lucky is None else [shares, lucky]
    gates = [*usual, *(odds_moved(s, cell, f) for s in usual for cell in range(cells) for f in (1.0 + gate, 1.0 / (1.0 + gate)))]
    if not one_rest:
        return _bank(shares, found, gates)
    rest = slice(known, known + 2)
    found = [(weight, what, _evened(shares, then, rest), kept) for weight, what, then, kept in found]
    return _bank(shares, found, gates, [_evened(shares, normal, rest) for normal in gates])


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
        found.append((weight, Direction("missing", factor, 0), odds_moved(shares, 0, factor), 0.0))
    for cell, what in enumerate(("missing", "invalid", "non-finite")):
        for part in (0.005, 0.02, 0.1):
            found.append((0.2 / 9, Direction(what, part, cell), _filled(shares, cell, part), 1.0 - part))
    gates = [shares, *(odds_moved(shares, cell, f) for cell in range(3) for f in (1.0 + gate, 1.0 / (1.0 + gate)))]
    return _bank(shares, found, gates)


def outcomes(shares: Float64, gate: float) -> Alternatives:
    """Alternatives for the cells no, yes of an outcome such as a wrong answer."""
    found: list[_Found] = [
        ((0.75 if factor > 1 else 0.25) / sum(1 for other in OUTCOME_RATES if (other > 1) == (factor > 1)),
         Direction("rate", factor, 1), odds_moved(shares, 1, factor), 0.0)
        for factor in OUTCOME_RATES
    ]  # fmt: skip
    gates = [shares, odds_moved(shares, 1, 1.0 + gate), odds_moved(shares, 1, 1.0 / (1.0 + gate))]
    return _bank(shares, found, gates)


def _normalised(shares: Float64) -> Float64:
    return np.asarray(shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1e-300))


def _bank(
    shares: Float64, found: list[_Found], gates: list[Float64], seen: list[Float64] | None = None, near: frozenset[str] | None = None
) -> Alternatives:
    """``seen``: the gates as far as a row may tell them apart, where it may not tell all cells apart. ``near``: alternatives that are
    compared with the nearest of the gates (all when left out), the others with the reference.
    """
    weights, kept = (np.array([alternative[place] for alternative in found]) for place in (0, 3))
    what = [direction.what for _, direction, _, _ in found]
    q = np.stack([_normalised(shares_then) for _, _, shares_then, _ in found], axis=1)
    q = mixed(shares[:, None, :], q, 1.0 - _LEAST)
    usual = np.repeat(shares[:, None, :], len(found), axis=1)
    places = [place for place, name in enumerate(what) if near is None or name in near]
    if places:
        usual[:, places] = nearest(q[:, places], np.stack(gates if seen is None else seen))
    ratios = np.log(q / usual)
    moves = [place for place, name in enumerate(what) if name in _MOVES]
    ratios[:, moves] = np.minimum(ratios[:, moves], np.log(_MOST_RATIO))
    return Alternatives(tuple(direction for _, direction, _, _ in found), weights / weights.sum(), ratios, kept, np.stack(gates))

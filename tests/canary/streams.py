"""Streams of labelled rows of two versions, as losses by pane, drawn at random: many trials at once, each a block of combinations."""

from __future__ import annotations

import numpy as np

from monitor.canary.comparison import CanarySettings, compare
from monitor.canary.losses import PaneLosses, loss_scale
from monitor.canary.strata import strata
from monitor.segment import ALL


def binary(random: np.random.Generator, rows: np.ndarray, rate: np.ndarray) -> PaneLosses:
    """Losses of 0 or 1: ``rows`` and ``rate`` by combination."""
    wrong = random.binomial(rows, rate).astype(float)
    some = np.flatnonzero(rows)
    return PaneLosses(some, rows[some].astype(float), wrong[some], wrong[some], int(rows.sum()))


def added(a: PaneLosses, b: PaneLosses) -> PaneLosses:
    """The sum of two panes."""
    combination, place = np.unique(np.concatenate([a.combination, b.combination]), return_inverse=True)
    columns = [np.bincount(place, np.concatenate([getattr(a, name), getattr(b, name)])) for name in ("rows", "loss", "squared")]
    return PaneLosses(combination, *columns, a.predictions + b.predictions)


def excluded(
    seed: int,
    *,
    trials: int,
    rates: tuple[float, ...],
    difference: float,
    rows: float,
    panes: int,
    share: tuple[float, float] = (0.5, 0.5),
    swing: float = 0.0,
    trickle: float = 1.0,
    confidence: float = 0.95,
    once: bool = False,
) -> np.ndarray:
    """[trials] whether the interval of a trial ever excluded the true difference, looked at after every pane.

    ``once``: that of two proportions at 95 %, made for one look at one time, in place of it.

    ``rates`` by segment of the champion, the candidate's are higher by ``difference``; they swing by the day. ``rows`` a pane and segment
    in the mean; the candidate's ``share`` of them rises from the first value to the second. Of the labels that are still to come
    ``trickle`` come in each pane.
    """
    random = np.random.default_rng(seed)
    segments = len(rates)
    base = np.tile(np.array(rates), trials)
    trial = np.repeat(np.arange(trials), segments)
    scale = loss_scale("accuracy", 2, ())
    settings = CanarySettings(0.0, confidence, 1)
    names = (ALL, *(f"trial={number}" for number in range(trials)))
    places = np.stack([trial + 1, np.zeros(len(trial), np.intp)])
    sides: tuple[dict[int, PaneLosses], dict[int, PaneLosses]] = ({}, {})
    waiting: list[tuple[int, np.ndarray, list[np.ndarray]]] = []
    out = np.zeros(trials, np.bool_)
    for pane in range(panes):
        part = share[0] + (share[1] - share[0]) * pane / panes
        day = 1 + swing * np.sin(2 * np.pi * pane / 24)
        total = random.poisson(rows, len(base))
        second = random.binomial(total, part)
        waiting.append((pane, np.stack([base * day, base * day + difference]), [total - second, second]))
        for number, rate, left in waiting:
            for side in (0, 1):
                come = random.binomial(left[side], trickle) if trickle < 1 else left[side].copy()
                left[side] -= come
                if come.any():
                    new = binary(random, come, rate[side])
                    sides[side][number] = added(sides[side][number], new) if number in sides[side] else new
        waiting = [each for each in waiting if any(left.any() for left in each[2])]
        found = compare(strata(sides, 0, pane + 1, np.arange(len(base))), names, places, scale, settings)
        # Accuracy of the candidate is lower by ``difference``.
        if once:
            with np.errstate(invalid="ignore", divide="ignore"):
                spread = np.sqrt((found.plain * (1 - found.plain) / found.labelled).sum(axis=1))
                out |= (np.abs(found.plain[:, 1] - found.plain[:, 0] + difference) > 1.959964 * spread)[1:]
            continue
        out |= ((found.low > -difference) | (found.high < -difference))[1:]
    return out

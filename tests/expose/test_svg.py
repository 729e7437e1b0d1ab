from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.expose.findings import Shares
from monitor.expose.svg import against_threshold, histogram, parts
from monitor.profile.layout import Role


def shares(now: list[float], reference: list[float] | None) -> Shares:
    labels = ("missing", "invalid", "non-finite", *(f"v{i}" for i in range(len(now) - 3)))
    roles = (Role.MISSING, Role.INVALID, Role.NON_FINITE, *[Role.VALUE] * (len(now) - 3))
    return Shares(labels, roles, np.array(now), None if reference is None else np.array(reference))


def heights(svg: str, kind: str) -> list[float]:
    return [float(height) for height in re.findall(rf'height="([0-9.]+)" class="{kind}"', svg)]


def test_bars_are_as_tall_as_their_shares_and_the_tallest_fills_the_drawing() -> None:
    svg = histogram(shares([0, 0, 0, 0.2, 0.4, 0.4], [0, 0, 0, 0.8, 0.1, 0.1]))
    # The reference's 0.8 is the tallest: 38 units of 40; 0.2 is a quarter of it.
    assert heights(svg, "now") == [9.5, 19, 19]
    assert 'class="ref"' in svg


def test_missing_values_are_drawn_apart_and_only_when_there_are_any() -> None:
    assert heights(histogram(shares([0.5, 0, 0, 0.5], [0, 0, 0, 1.0])), "bad") == [19]
    assert heights(histogram(shares([0, 0, 0, 1.0], [0, 0, 0, 1.0])), "bad") == []


def test_missing_values_do_not_press_the_others_flat_and_a_bar_that_is_cut_shows_it() -> None:
    svg = histogram(shares([0.8, 0, 0, 0.05, 0.15], [0.7, 0, 0, 0.1, 0.2]))
    assert heights(svg, "bad") == [38]
    assert heights(svg, "now") == [9.5, 28.5]
    assert svg.count('class="cut"') == 1
    assert 'class="cut"' not in histogram(shares([0.1, 0, 0, 0.5, 0.4], None))
    assert heights(histogram(shares([1.0, 0, 0, 0, 0], None)), "bad") == [38]
    assert "80.0 %</text>" in histogram(shares([0.8, 0, 0, 0.05, 0.15], None), large=True)


def test_without_a_reference_there_is_no_line_and_that_is_said() -> None:
    svg = histogram(shares([0, 0, 0, 0.5, 0.5], None))
    assert 'class="ref"' not in svg
    assert "there is no reference" in svg


def test_many_bins_are_merged_and_their_shares_added() -> None:
    svg = histogram(shares([0, 0, 0, *[1 / 80] * 80], [0, 0, 0, *[1 / 80] * 80]))
    assert len(heights(svg, "now")) == 40
    assert "v0 … v1: 2.5 % now" in svg


def test_a_screen_reader_is_told_the_largest_change() -> None:
    svg = histogram(shares([0, 0, 0, 0.1, 0.9], [0, 0, 0, 0.5, 0.5]))
    assert "Largest change: v0, 50.0 % in the reference, 10.0 % now." in svg


def test_an_empty_window_draws_bars_of_no_height() -> None:
    assert heights(histogram(shares([0, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5])), "now") == [0, 0]


@pytest.mark.parametrize(("ratio", "width"), [(0.0, 0), (0.5, 10), (1.0, 20), (8.0, 50), (64.0, 80), (400.0, 80), (float("nan"), 0)])
def test_the_bar_ends_at_the_value_in_units_of_the_threshold_and_the_tick_is_at_one(ratio: float, width: float) -> None:
    svg = against_threshold(ratio, drifted=ratio > 1)
    assert f'width="{width}" height="6" rx="3" class="{"over" if ratio > 1 else "under"}"' in svg
    assert '<line x1="20" x2="20"' in svg


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=6))
def test_parts_fill_the_bar_and_each_can_be_seen(sizes: list[float]) -> None:
    svg = parts([(f"p{i}", f"k{i}", size / sum(sizes)) for i, size in enumerate(sizes)], "label")
    widths = [float(width) for width in re.findall(r'width="([0-9.]+)" height="10"', svg)]
    assert len(widths) == len(sizes)
    assert sum(widths) == pytest.approx(1000, abs=0.5)
    assert min(widths) >= 2.9

"""A number stands for one pane of one partition, and for no other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.batch import Span
from monitor.profile.partition_panes import PartitionPanes

PARTS = st.lists(st.lists(st.integers(-5, 1_000_000), max_size=5), min_size=1, max_size=4).filter(any)


@given(PARTS)
def test_each_number_leads_back_to_the_partition_and_pane_of_its_rows(parts):
    spans, pane = [], [each for part in parts for each in part]
    for place, part in enumerate(parts):
        start = spans[-1].stop if spans else 0
        spans.append(Span(10 + place, start, start + len(part), 0))
    panes = PartitionPanes.of(spans, np.array(pane, np.int64))
    assert panes.numbers.min() >= 0 and panes.numbers.max() < len(panes)
    expected = [(10 + place, each) for place, part in enumerate(parts) for each in part]
    assert [panes.where(number) for number in panes.numbers.tolist()] == expected

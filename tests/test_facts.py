"""Facts for decisions: what a policy may name is what is measured."""

from __future__ import annotations

from typing import get_args

from monitor.config.retraining import LabelMeasure
from monitor.facts import label_measures
from tests.expose import outcomes


def test_every_measure_of_label_quality_that_a_policy_may_name_is_measured():
    [one] = outcomes.evaluated(rows=5_000).verdicts
    assert set(label_measures(one)) == set(get_args(LabelMeasure))

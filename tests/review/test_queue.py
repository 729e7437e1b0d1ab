"""The queue: what was drawn once is not drawn again, but for the audit."""

from __future__ import annotations

import numpy as np

from monitor.config.labels import Review
from monitor.outcome.layout import OutcomeLayout
from monitor.review.item import Kind, Reason
from monitor.review.queue import DAY_MS, HOUR_MS, ReviewQueue
from monitor.review.sample import Candidate
from monitor.review.sampler import Sampler


def offer(sampler: Sampler, time_ms: int, reason: Reason, label: float = float("nan")) -> None:
    sampler.offer(
        "1", reason, np.array([time_ms]), np.zeros(1, np.intp), ["ALL"], np.array([7], np.uint64),
        lambda _: Candidate(7, "p", time_ms, 0.5, 1, label, reason.bit),
    )  # fmt: skip


def test_an_edge_case_is_drawn_once_and_audited_all_the_same():
    queue = ReviewQueue("m", Review(), (), {}, OutcomeLayout("binary", ("0", "1")))
    offer(queue.by_prediction, 5, Reason.NEAR_THRESHOLD)
    offer(queue.audit, 5, Reason.AUDIT_SAMPLE)
    queue.close_predictions(HOUR_MS)
    offer(queue.by_label, HOUR_MS + 5, Reason.WRONG_CONFIDENT, 0.0)
    queue.close_labels(2 * HOUR_MS, DAY_MS)
    queue.close_predictions(DAY_MS)
    assert [(item.kind, item.reasons, item.label) for item in queue.outbox] == [
        (Kind.EDGE, (Reason.NEAR_THRESHOLD,), None),
        (Kind.AUDIT, (Reason.AUDIT_SAMPLE,), None),
    ]
    assert len({item.id for item in queue.outbox}) == 2


def test_what_no_label_can_reach_any_more_is_forgotten():
    queue = ReviewQueue("m", Review(), (), {}, OutcomeLayout("binary", ("0", "1")))
    offer(queue.by_prediction, 5, Reason.NEAR_THRESHOLD)
    queue.close_predictions(HOUR_MS)
    queue.close_labels(3 * DAY_MS, DAY_MS)
    assert len(queue.drawn) == 1
    queue.close_labels(4 * DAY_MS, DAY_MS)
    assert not queue.drawn

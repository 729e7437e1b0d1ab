"""Since when a verdict is DRIFTED.

end of window   1000  2000  3000  4000
status            .     D     D     .     ->  since 2000 at 2000 and at 3000
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.config.evaluation import STATISTICS
from monitor.evaluate.onset import with_onset
from monitor.evaluate.verdict import Status, Verdicts, Window
from monitor.profile.layout import Layout
from tests.evaluate.make import categorical, judge, reference_of, table_of

LAYOUT = Layout((categorical("c", ["a", "b"]),))
PSI = STATISTICS.index("psi")
THEN = [0, 0, 0, 6000, 4000, 0, 0, 0]
SAME, MOVED, FEW = [0, 0, 0, 600, 400, 0, 0, 0], [0, 0, 0, 100, 900, 0, 0, 0], [0, 0, 0, 1, 9, 0, 0, 0]
KEYS = ("ALL", "country=DE", "country=FR")


def at(end_ms: int, segments: dict[str, list[int]], *, fingerprint: str = "a" * 64, partial: bool = False) -> Verdicts:
    reference = reference_of(table_of(LAYOUT, dict.fromkeys(KEYS, THEN)), fingerprint=fingerprint)
    verdicts = judge(table_of(LAYOUT, segments), reference, partial=partial)
    return replace(verdicts, window=Window("short", end_ms - 1000, end_ms))


def since(verdicts: Verdicts) -> dict[str, int]:
    return dict(zip(verdicts.segments, verdicts.since_ms[:, 0, PSI].tolist(), strict=True))


def test_drift_lasts_since_the_end_of_the_first_window_that_showed_it() -> None:
    first = with_onset(at(1000, {"ALL": SAME, "country=FR": MOVED}), None)
    second = with_onset(at(2000, {"ALL": MOVED, "country=FR": MOVED}), first)
    third = with_onset(at(3000, {"ALL": MOVED, "country=FR": SAME}), second)
    fourth = with_onset(at(4000, {"ALL": MOVED, "country=FR": MOVED}), third)
    assert since(first) == {"ALL": -1, "country=FR": 1000}
    assert since(second) == {"ALL": 2000, "country=FR": 1000}
    assert since(third) == {"ALL": 2000, "country=FR": -1}
    assert since(fourth) == {"ALL": 2000, "country=FR": 4000}


def test_segments_are_matched_by_key_not_by_place() -> None:
    first = with_onset(at(1000, {"ALL": SAME, "country=FR": MOVED}), None)
    second = with_onset(at(2000, {"ALL": SAME, "country=DE": MOVED, "country=FR": MOVED}), first)
    assert since(second) == {"ALL": -1, "country=DE": 2000, "country=FR": 1000}


@pytest.mark.parametrize("gap", [at(2000, {"ALL": FEW}), at(2000, {"ALL": MOVED}, partial=True)], ids=["few rows", "partial"])
def test_what_was_not_known_to_last_is_not_said_to(gap: Verdicts) -> None:
    first = with_onset(at(1000, {"ALL": MOVED}), None)
    second = with_onset(gap, first)
    assert since(second) == {"ALL": -1}
    assert since(with_onset(at(3000, {"ALL": MOVED}), second)) == {"ALL": 3000}


def test_another_reference_starts_anew() -> None:
    first = with_onset(at(1000, {"ALL": MOVED}), None)
    assert since(with_onset(at(2000, {"ALL": MOVED}, fingerprint="b" * 64), first)) == {"ALL": 2000}


def test_shares_have_an_onset_too() -> None:
    first = with_onset(at(1000, {"ALL": SAME, "country=FR": FEW}), None)  # its share fell from all to 1 %
    second = with_onset(at(2000, {"ALL": SAME, "country=FR": FEW}), first)
    assert second.share.status.tolist() == [Status.NOT_APPLICABLE, Status.DRIFTED]
    assert second.share.since_ms.tolist() == [-1, 1000]


def test_onset_is_given_exactly_where_drifted_and_changes_nothing_else() -> None:
    plain = at(1000, {"ALL": MOVED, "country=FR": SAME})
    found = with_onset(plain, None)
    np.testing.assert_array_equal(found.since_ms >= 0, found.drifted())
    assert (plain.since_ms == -1).all()
    assert found.value is plain.value


def test_the_evaluation_before_must_be_of_the_same_window() -> None:
    now = at(2000, {"ALL": SAME})
    before = replace(at(1000, {"ALL": SAME}), window=Window("long", 0, 1000))
    with pytest.raises(ValueError, match=r"expected the evaluation before of model, version and window \('m', '1', 'short'\), got"):
        with_onset(now, before)

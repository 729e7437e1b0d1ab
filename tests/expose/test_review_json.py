"""The review queue and the backlog of failure modes, as JSON and as metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from monitor.expose.label_metrics import review_families
from monitor.expose.query import BadParameterError, parse_query
from monitor.expose.review_json import failure_modes_json, item_json, review_json
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.performance.backlog import ModeState, ModeStatus, with_samples
from monitor.review.item import Item, Kind, Reason
from tests.expose import outcomes

FLIGHTS = outcomes.flights()
MODES = FLIGHTS.verdicts[0].modes


def item(number: int, kind: Kind = Kind.EDGE, *reasons: Reason, segment: str = "origin=JFK") -> Item:
    said = reasons or (Reason.NEAR_THRESHOLD,)
    return Item(f"p{number}", "flights", "1", segment, kind, said, 1_700_000_000_000 + number, 0.5, "1", None, 0.25)


ITEMS = (
    item(1),
    item(2, Kind.AUDIT, Reason.AUDIT_SAMPLE),
    item(3, Kind.EDGE, Reason.UNSEEN_CATEGORY, Reason.NEAR_THRESHOLD, segment="origin=LGA"),
)
COUNTS = {(Kind.EDGE, Reason.NEAR_THRESHOLD): 7, (Kind.AUDIT, Reason.AUDIT_SAMPLE): 2}


def mode(rank: int, status: ModeStatus, **known: Any) -> ModeState:
    key = MODES.ranked(rank + 1)[rank].key
    return ModeState(key, status, 1_700_000_000_000, 1_700_000_000_000, FLIGHTS.verdicts[0].version, (0.1, 0.2), (0.1, 0.2), **known)


BACKLOG = (
    mode(2, ModeStatus.CLOSED),
    with_samples(mode(0, ModeStatus.ASSIGNED, owner="ann", fix_version="9"), ["p7", "p8"]),
    replace(mode(1, ModeStatus.OPEN), version="gone"),
)
SNAPSHOT = Snapshot(
    outcomes.NOW_MS, 0, "1", models=(ModelView("flights", "t", review=ITEMS, review_items=COUNTS), ModelView("other", "u")),
    labels=(replace(FLIGHTS, model="flights", backlog=BACKLOG),),
)  # fmt: skip


def review(text: str) -> dict[str, Any]:
    return msgspec.json.decode(review_json(SNAPSHOT, parse_query(text)))


def modes(text: str) -> dict[str, Any]:
    return msgspec.json.decode(failure_modes_json(SNAPSHOT, parse_query(text)))


def test_an_item_says_everything() -> None:
    assert item_json(ITEMS[2]) == {
        "id": ITEMS[2].id, "prediction_id": "p3", "model": "flights", "version": "1", "segment": "origin=LGA", "kind": "edge",
        "reasons": ["unseen_category", "near_threshold"], "time": "2023-11-14T22:13:20.003Z", "score": 0.5, "predicted": "1",
        "label": None, "sampling_probability": 0.25,
    }  # fmt: skip


def test_items_come_newest_first_and_by_what_is_asked_for() -> None:
    def ids(text: str) -> list[str]:
        return [each["prediction_id"] for each in review(text)["items"]]

    assert ids("") == ["p3", "p2", "p1"]
    assert ids("kind=audit") == ["p2"]
    assert ids("reason=near_threshold") == ["p3", "p1"]
    assert ids("reason=near_threshold&reason=audit_sample&segment=origin%3DJFK") == ["p2", "p1"]
    assert ids("model=other") == []
    assert (ids("limit=1&offset=1"), review("limit=1&offset=1")["next_offset"], review("limit=2&offset=1")["next_offset"]) == (
        ["p2"],
        2,
        None,
    )


@pytest.mark.parametrize("text", ["reason=nope", "kind=nope", "model=nope", "limit=0", "version=1"])
def test_a_wrong_parameter_of_the_queue_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError):
        review(text)


def test_failure_modes_come_by_impact_with_their_evidence() -> None:
    found = modes("")["failure_modes"]
    assert [each["status"] for each in found] == ["assigned", "closed", "open"], "one without evidence in the window is last"
    first, best = found[0], MODES.ranked(1)[0]
    assert (first["segment"], first["predicted"], first["kind"]) == best.key
    assert (first["owner"], first["fix_version"], set(first["sample_ids"])) == ("ann", "9", {"p7", "p8"})
    assert first["evidence"]["impact"] == best.impact > found[1]["evidence"]["impact"]
    assert (first["evidence"]["low"], first["evidence"]["high"], first["evidence"]["rows"]) == (best.low, best.high, best.rows)
    assert found[2]["evidence"] is None
    assert [each["status"] for each in modes("status=closed&status=open")["failure_modes"]] == ["closed", "open"]
    assert modes("version=gone")["total"] == 1
    assert modes("segment=nowhere")["total"] == 0
    with pytest.raises(BadParameterError):
        modes("status=nope")


def test_metrics_count_items_and_show_the_modes_that_cost_most() -> None:
    found = {each.name: {tuple(s.labels.values()): s.value for s in each.samples} for each in review_families(SNAPSHOT)}
    items = found["driftgauge_review_items"]
    assert items["flights", "edge", "near_threshold"] == 7
    assert items["flights", "audit", "audit_sample"] == 2
    assert items["flights", "edge", "wrong_confident"] == 0
    assert len(items) == len(Reason), "none of a model that draws nothing"
    assert found["driftgauge_failure_modes"] == {
        ("flights", status.value): float(status.value in ("closed", "assigned", "open")) for status in ModeStatus
    }
    best = MODES.ranked(1)[0]
    assert found["driftgauge_failure_mode_impact"] == {("flights", FLIGHTS.verdicts[0].version, *best.key): best.impact}
    assert found["driftgauge_failure_mode_info"] == {
        ("flights", FLIGHTS.verdicts[0].version, *best.key, best.id, "assigned", "ann", best.trend.label): 1.0
    }, "as many series as impacts: neither a closed mode nor one without evidence"

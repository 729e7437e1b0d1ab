"""Flights sent leg by leg: each once, each answered by the version of its leg, labels in their order."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from monitor.demo.events import LABELS, PREDICTIONS
from monitor.demo.flights import Flights
from monitor.demo.loop.traffic import Shadow, Traffic


@pytest.fixture(scope="module")
def few(flights: Flights) -> Flights:
    return flights.where(np.arange(len(flights)) < 60)


def never() -> bool:
    return False


def sent_of(messages: list[tuple[str, tuple[bytes, bytes]]], topic: str) -> list[dict[str, object]]:
    return [json.loads(value) for each, (_, value) in messages if each == topic]


def test_one_leg_sends_everything_once_in_time(few: Flights):
    traffic = Traffic(few)
    messages = list(traffic.leg("1", np.linspace(0, 1, 60), never))
    assert [each["id"] for each in sent_of(messages, PREDICTIONS)] == few.ids.tolist()
    assert {each["prediction_id"] for each in sent_of(messages, LABELS)} == set(few.ids[few.arrival_ms >= 0].tolist())
    times = [json.loads(value)["ts"] for _, (_, value) in messages]
    assert times == sorted(times)
    assert traffic.finished


@pytest.mark.parametrize("stop_after", [1, 17, 59, 60, 61, 90])
def test_a_second_leg_goes_on_where_the_first_stopped(few: Flights, stop_after: int):
    whole, traffic = Traffic(few), Traffic(few)
    expected = [topic for topic, _ in whole.leg("1", np.zeros(60), never)]
    told = iter([False] * stop_after + [True] * 1000)
    first = list(traffic.leg("1", np.full(60, 0.1), lambda: next(told)))
    second = list(traffic.leg("2", np.full(60, 0.2), never))
    assert len(first) == stop_after
    assert [topic for topic, _ in first + second] == expected
    answered = sent_of(first + second, PREDICTIONS)
    assert [each["id"] for each in answered] == few.ids.tolist()
    cut = traffic.legs[1].first
    assert [each["model"]["version"] for each in answered] == ["1"] * cut + ["2"] * (60 - cut)  # type: ignore[index]
    assert traffic.served.tolist() == [0.1] * cut + [0.2] * (60 - cut)
    assert traffic.finished
    assert traffic.messages == len(expected)


def test_what_was_not_sent_has_no_answer(few: Flights):
    traffic = Traffic(few)
    list(islice(traffic.leg("1", np.zeros(60), never), 5))
    assert np.isnan(traffic.served[traffic.sent :]).all()
    assert not traffic.finished


@pytest.mark.parametrize("shadowed", [0, 1, 20, 60])
def test_a_shadow_answers_the_same_flights_after_the_version_that_serves_until_its_time(few: Flights, shadowed: int):
    until_ms = int(few.time_ms[shadowed - 1]) + 1 if shadowed else 0
    expected = int((few.time_ms < until_ms).sum())  # flights of the same minute go together
    plain, traffic = Traffic(few), Traffic(few)
    alone = list(plain.leg("2", np.full(60, 0.2), never))
    both = list(traffic.leg("2", np.full(60, 0.2), never, Shadow("1", np.full(60, 0.1), until_ms)))
    aside = [(topic, event) for topic, event in both if topic == PREDICTIONS and json.loads(event[1])["model"]["version"] == "1"]
    assert [message for message in both if message not in aside] == alone
    assert [event[0].decode() for _, event in aside] == few.ids[:expected].tolist()
    assert {json.loads(event[1])["prediction"]["score"] for _, event in aside} <= {0.1}
    assert (traffic.sent, traffic.answered_aside, traffic.predictions) == (60, expected, 60 + expected)
    assert traffic.messages == len(both)
    assert traffic.served.tolist() == [0.2] * 60
    for message in aside:
        serving = next(place for place, (topic, event) in enumerate(both) if topic == PREDICTIONS and event[0] == message[1][0])
        assert both[serving + 1] == message


def test_a_shadow_of_a_later_leg_begins_where_the_leg_does(few: Flights):
    traffic = Traffic(few)
    told = iter([False] * 25 + [True] * 1000)
    list(traffic.leg("1", np.full(60, 0.1), lambda: next(told)))
    cut = traffic.sent
    second = list(traffic.leg("2", np.full(60, 0.2), never, Shadow("1", np.full(60, 0.1), int(few.time_ms[-1]) + 1)))
    answered = [(each["model"]["version"], each["id"]) for each in sent_of(second, PREDICTIONS)]  # type: ignore[index]
    assert answered == [(version, name) for name in few.ids[cut:].tolist() for version in ("2", "1")]

"""What the model may see of a flight, and that nothing of its outcome is in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from monitor.demo.events import split
from monitor.demo.flights import CATEGORICAL, NUMERIC, WEATHER, Flights, Tables, flights_of
from monitor.demo.model import labels

OUTCOME = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"]
HOUR_MS = 3_600_000


def row_of(flights: Flights, id_: str) -> int:
    found = np.flatnonzero(flights.ids == id_)
    assert len(found) == 1, id_
    return int(found[0])


def utc_ms(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").timestamp() * 1000)


def test_every_flight_of_the_year_is_trained_on_or_streamed_or_unlabelled(flights: Flights) -> None:
    training, production = split(flights)
    assert len(flights) == 336_776
    assert (len(training), len(production)) == (27_004 + 24_951, 284_821)  # January and February; the rest
    assert set(training.ids) | set(production.ids) == set(flights.ids)
    # 8,255 cancelled and 1,175 diverted flights of the year have no arrival delay.
    assert np.isnan(labels(flights)).sum() == 8_255 + 1_175


def test_ids_are_distinct(flights: Flights) -> None:
    assert len(np.unique(flights.ids)) == len(flights)


def test_flights_are_in_the_order_of_scheduled_departure(flights: Flights) -> None:
    assert (np.diff(flights.time_ms) >= 0).all()


@pytest.mark.parametrize(
    ("id_", "departure"),
    [
        ("2013-01-01-UA1545-EWR", "2013-01-01 10:15"),  # 5:15 Eastern Standard Time, UTC-5
        ("2013-07-04-HA51-JFK", "2013-07-04 14:00"),  # 10:00 Eastern Daylight Time, UTC-4
        ("2013-03-10-B6371-LGA", "2013-03-10 10:00"),  # 6:00 on the morning the clocks went forward
    ],
)
def test_departure_is_on_the_clock_of_new_york(flights: Flights, id_: str, departure: str) -> None:
    assert flights.time_ms[row_of(flights, id_)] == utc_ms(departure)


def test_departure_agrees_with_the_hour_that_the_data_give_in_utc(flights: Flights, tables: Tables) -> None:
    raw = tables.flights
    ids = [
        f"{y}-{m:02}-{d:02}-{c}{n}-{o}"
        for y, m, d, c, n, o in zip(raw.year, raw.month, raw.day, raw.carrier, raw.flight, raw.origin, strict=True)
    ]
    given = pd.Series(pd.to_datetime(raw.time_hour).dt.as_unit("ms").astype("int64").to_numpy(), index=ids)
    assert (flights.time_ms // HOUR_MS * HOUR_MS == given[flights.ids].to_numpy()).all()


def test_features_do_not_change_when_the_outcomes_are_shuffled(flights: Flights, tables: Tables) -> None:
    shuffled = tables.flights.copy()
    order = np.random.default_rng(1).permutation(len(shuffled))
    for column in OUTCOME:
        shuffled[column] = shuffled[column].to_numpy()[order]
    other = flights_of(replace(tables, flights=shuffled))
    assert not np.array_equal(other.arrival_delay_minutes, flights.arrival_delay_minutes, equal_nan=True)
    assert (other.ids == flights.ids).all()
    for name in NUMERIC:
        np.testing.assert_array_equal(other.numeric[name], flights.numeric[name], err_msg=name)
    for name in CATEGORICAL:
        np.testing.assert_array_equal(other.categorical[name], flights.categorical[name], err_msg=name)


def test_every_column_of_the_flights_is_a_timetable_or_an_outcome(tables: Tables) -> None:
    """A column that is in neither list would escape the shuffle above."""
    timetable = ["year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance"]
    derived_from_it = ["hour", "minute", "time_hour"]
    assert sorted(tables.flights.columns) == sorted(timetable + derived_from_it + OUTCOME)


@pytest.mark.parametrize("moment", ["2013-01-30 18:00", "2013-06-13 21:00", "2013-11-03 06:00"])
def test_weather_observed_from_the_hour_of_departure_on_is_not_known(flights: Flights, tables: Tables, moment: str) -> None:
    weather = tables.weather.copy()
    later = pd.to_datetime(weather.time_hour) >= pd.Timestamp(moment, tz="UTC")
    for column in WEATHER.values():
        weather.loc[later, column] = -999.0
    other = flights_of(replace(tables, weather=weather))
    before = flights.time_ms < utc_ms(moment) + HOUR_MS
    for name in WEATHER:
        np.testing.assert_array_equal(other.numeric[name][before], flights.numeric[name][before], err_msg=name)
        # The very next hour does know it, so the line above is not true of everything.
        assert (other.numeric[name][~before][:20] == -999.0).any(), name


def test_weather_is_the_one_of_the_departure_airport_an_hour_earlier(flights: Flights, tables: Tables) -> None:
    weather = tables.weather.query("origin == 'JFK' and month == 7 and day == 4 and hour == 9").iloc[0]
    row = row_of(flights, "2013-07-04-HA51-JFK")  # at 10:00
    assert flights.numeric["departure_hour"][row] == 10.0
    assert {name: flights.numeric[name][row] for name in WEATHER} == pytest.approx(
        {name: weather[column] for name, column in WEATHER.items()}, nan_ok=True
    )


@pytest.mark.parametrize(
    ("id_", "minutes"),
    [
        ("2013-01-01-UA1545-EWR", 3 * 60 + 4 + 60),  # Houston: 5:15 to 8:19, one hour behind
        ("2013-07-04-HA51-JFK", 4 * 60 + 30 + 360),  # Honolulu: 10:00 to 14:30, six hours behind in summer
        ("2013-01-07-HA51-JFK", 6 * 60 + 30 + 300),  # ... 9:00 to 15:30, and five in winter
        ("2013-07-04-US88-EWR", 2 * 60 + 11 + 180),  # Phoenix: 6:55 to 9:06; it has no summer time
    ],
)
def test_duration_counts_the_zones(flights: Flights, id_: str, minutes: int) -> None:
    assert flights.numeric["duration_minutes"][row_of(flights, id_)] == minutes


def test_no_duration_is_shorter_than_the_flight_can_be(flights: Flights) -> None:
    miles_per_minute = flights.numeric["distance_miles"] / flights.numeric["duration_minutes"]
    assert np.nanmax(miles_per_minute) < 10  # 600 miles an hour, gate to gate


def test_only_airports_without_a_listed_zone_have_no_duration(flights: Flights) -> None:
    missing = np.isnan(flights.numeric["duration_minutes"])
    assert set(flights.categorical["destination"][missing]) == {"BQN", "PSE", "SJU", "STT"}
    assert not np.isin(flights.categorical["destination"][~missing], ["BQN", "PSE", "SJU", "STT"]).any()


def test_the_weather_record_ends_before_the_year_does(flights: Flights, tables: Tables) -> None:
    last = int(pd.to_datetime(tables.weather.time_hour).max().timestamp() * 1000)
    after = flights.time_ms >= last + 2 * HOUR_MS
    assert after.sum() > 700
    assert all(np.isnan(flights.numeric[name][after]).all() for name in WEATHER)


def test_an_outcome_is_known_at_the_instant_of_arrival(flights: Flights, tables: Tables) -> None:
    """The record gives the arrival on the destination's clock; read on that clock, the instant says the same."""
    raw = tables.flights
    ids = [
        f"{y}-{m:02}-{d:02}-{c}{n}-{o}"
        for y, m, d, c, n, o in zip(raw.year, raw.month, raw.day, raw.carrier, raw.flight, raw.origin, strict=True)
    ]
    clock = pd.Series(raw.arr_time.to_numpy(), index=ids)[flights.ids].to_numpy()
    known = flights.arrival_ms >= 0
    assert known.sum() == len(flights) - 8_255 - 1_175
    zones = tables.airports.set_index("faa").tzone
    for name in ("America/New_York", "America/Chicago", "America/Los_Angeles", "Pacific/Honolulu"):
        there = known & (pd.Series(flights.categorical["destination"]).map(zones) == name).to_numpy()
        local = pd.to_datetime(flights.arrival_ms[there], unit="ms", utc=True).tz_convert(name)
        said = clock[there] % 2400  # midnight is written as 2400
        assert (local.hour * 100 + local.minute == said).mean() > 0.9999
    hours = (flights.arrival_ms - flights.time_ms)[known] / HOUR_MS
    assert 0 < hours.min() < hours.max() < 36

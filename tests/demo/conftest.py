import signal
from collections.abc import Iterator

import pytest

from monitor.demo.events import split
from monitor.demo.flights import Flights, Tables, flights_of, read_tables
from monitor.demo.model import Model, train


@pytest.fixture(scope="session")
def tables() -> Tables:
    return read_tables()


@pytest.fixture(scope="session")
def flights(tables: Tables) -> Flights:
    return flights_of(tables)


@pytest.fixture(scope="session")
def training(flights: Flights) -> Flights:
    return split(flights)[0]


@pytest.fixture(scope="session")
def model(training: Flights) -> Model:
    return train(training)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """SIGINT raises, also where the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

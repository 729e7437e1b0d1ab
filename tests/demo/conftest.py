import signal
from collections.abc import Iterator

import pytest

from monitor.demo.events import split
from monitor.demo.flights import Flights, Tables, flights_of, read_tables
from monitor.demo.model import Model, train
from tests.broker.process import free_ports


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


@pytest.fixture(autouse=True)
def _own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demonstrations that run side by side would find the usual port free at once, and all but one of them fail."""
    [port] = free_ports(1)
    monkeypatch.setattr("monitor.demo.run.USUAL_PORT", port)

"""Fixtures that every test may use, and the plain word about what a run used and what it left out."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests import prometheus
from tests.broker import ApacheKafka, Broker, start_broker
from tests.broker.kafka import VERSION, missing_program
from tests.parts import PARTS, needed, required
from tests.prometheus import alerting, alertmanager, amtool, promtool

__all__ = ["admin", "alerting", "alertmanager", "amtool", "broker", "kafka", "promtool", "topic"]

# A busy machine is no failure, and the same commit gives the same result; `--hypothesis-profile fresh` draws examples anew.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("fresh", deadline=None)
settings.load_profile("steady")

_LEFT_OUT = pytest.StashKey[dict[str, str]]()
_BROKER = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A command that a test runs in its own process logs to the output of then: the tests after it must not."""
    logger = logging.getLogger("driftgauge")
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


def pytest_report_header() -> list[str]:
    reason = missing_program()
    chosen = f"Apache Kafka {VERSION}" if reason is None else f"noida-db ({reason}): tests that need Apache Kafka itself are left out"
    return [f"broker: {chosen}", *prometheus.header_lines()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests whose server cannot be had, or fail when it is required."""
    try:
        must = required()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    users = needed([getattr(item, "fixturenames", ()) for item in items])
    config.stash[_LEFT_OUT] = {}
    dropped: set[int] = set()
    for part in PARTS:
        if part.name not in users and part.name not in must:
            continue
        reason = part.missing()
        if reason is None:
            continue
        if part.name in must:
            raise pytest.UsageError(f"{part.name} is required by DRIFTGAUGE_REQUIRE, but {reason}")
        config.stash[_LEFT_OUT][part.name] = f"{reason}; {len(users[part.name])} tests left out"
        dropped |= set(users[part.name])
    if dropped:
        config.hook.pytest_deselected(items=[items[place] for place in sorted(dropped)])
        items[:] = [item for place, item in enumerate(items) if place not in dropped]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of several: hand over what is to be said at the end."""
    if (handed := getattr(session.config, "workeroutput", None)) is not None:
        handed["broker"] = session.config.stash.get(_BROKER, None)
        handed["left_out"] = session.config.stash.get(_LEFT_OUT, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the process that says it: take that over. Without pytest-xdist nobody calls this."""
    said = getattr(node, "workeroutput", {})
    if said.get("broker"):
        node.config.stash[_BROKER] = said["broker"]
    node.config.stash[_LEFT_OUT] = node.config.stash.get(_LEFT_OUT, {}) | said.get("left_out", {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _BROKER in config.stash:
        terminalreporter.write_line(f"broker used: {config.stash[_BROKER]}")
    for part, reason in config.stash.get(_LEFT_OUT, {}).items():
        terminalreporter.write_line(f"LEFT OUT: {part}: {reason}", yellow=True, bold=True)


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running broker for the whole session: Apache Kafka, or noida-db without Java. ``broker.bootstrap`` is its address."""
    with start_broker() as running:
        request.config.stash[_BROKER] = running.name
        yield running


@pytest.fixture(scope="session")
def kafka(broker: Broker) -> ApacheKafka:
    """Apache Kafka itself; a test that uses this is left out, and that is said, where it cannot run."""
    assert isinstance(broker, ApacheKafka)
    return broker


@pytest.fixture
def admin(broker: Broker) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    yield client
    client.close()


@pytest.fixture
def topic(admin: KafkaAdminClient) -> Callable[..., str]:
    """Creates a fresh topic: ``topic(partitions=3)`` or ``topic(configs={"retention.ms": "1000"})`` returns its name."""

    def create(partitions: int = 1, name: str = "", configs: dict[str, str] | None = None) -> str:
        name = name or f"topic-{uuid.uuid4().hex[:12]}"
        admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs or {})])
        return name

    return create

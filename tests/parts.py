"""What tests need beside Python, and what happens without it: left out and said, or, when required, a failure.

``DRIFTGAUGE_REQUIRE=kafka,prometheus,alertmanager`` names the parts whose absence fails the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tests import prometheus
from tests.broker.kafka import install_kafka


@dataclass(frozen=True, slots=True)
class Part:
    """A server that tests run against. ``missing`` says why it cannot be had here, or returns None."""

    name: str
    fixtures: frozenset[str]  # a test that uses one of these needs the part
    missing: Callable[[], str | None]


def _program_missing(part: str) -> Callable[[], str | None]:
    return lambda: None if prometheus.tool(part) else "not installed (run tests/install-prometheus.sh)"


PARTS = (
    Part("kafka", frozenset({"kafka"}), install_kafka),
    Part("prometheus", frozenset({"alerting"}), _program_missing("prometheus")),
    Part("promtool", frozenset({"promtool"}), _program_missing("promtool")),
    Part("alertmanager", frozenset({"alerting", "alertmanager"}), _program_missing("alertmanager")),
    Part("amtool", frozenset({"amtool"}), _program_missing("amtool")),
)
"""A further server: add a line here and import its fixture in conftest.py."""


def required(value: str | None = None) -> frozenset[str]:
    """The parts that must not be left out. Raises ``ValueError`` on a name that is no part."""
    text = os.environ.get("DRIFTGAUGE_REQUIRE", "") if value is None else value
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = names - {part.name for part in PARTS}
    if unknown:
        raise ValueError(f"DRIFTGAUGE_REQUIRE: expected some of {', '.join(p.name for p in PARTS)}, got {', '.join(sorted(unknown))}")
    return names


def needed(used: Sequence[Collection[str]], parts: Sequence[Part] = PARTS) -> dict[str, list[int]]:
    """Part to the positions of the tests that need it, given the fixtures each test uses."""
    found = {part.name: [place for place, fixtures in enumerate(used) if part.fixtures & set(fixtures)] for part in parts}
    return {name: places for name, places in found.items() if places}

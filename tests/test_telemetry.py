from __future__ import annotations

import dataclasses
import inspect
import io
import json
import logging
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from monitor import decision_events, drift_events, events, label_events, process_events
from monitor.config.types import Secret
from monitor.errors import ConfigError, SourceError
from monitor.telemetry import MAX_TEXT, Telemetry, configure_logging, reason_of

EVENTS = [
    kind
    for module in (events, drift_events, label_events, decision_events, process_events)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, events.Event) and kind is not events.Event
]


@dataclass(frozen=True, slots=True)
class SecretLeaked(events.Event):
    """What must never be possible."""

    what: Any


def lines(style: str, *emitted: events.Event, level: str = "debug") -> list[str]:
    stream = io.StringIO()
    configure_logging(style, level, stream)
    telemetry = Telemetry()
    for event in emitted:
        telemetry.emit(event)
    return stream.getvalue().splitlines()


def test_an_event_is_one_line_of_text() -> None:
    (line,) = lines("text", events.MessagesRejected("flights", "not_json", 3, "topic 0:17"))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING MessagesRejected model=flights reason=not_json messages=3 example=\"topic 0:17\"",
        line,
    )


def test_an_event_is_one_json_object_with_its_fields() -> None:
    (line,) = lines("json", events.PartitionsAssigned("t", (0, 1)))
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {"level": "info", "event": "PartitionsAssigned", "topic": "t", "partitions": [0, 1]}


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_hostile_text_cannot_start_a_line_or_a_field_of_its_own(style: str) -> None:
    text = 'FR\n2026-01-01 ERROR fake x=1 "\x1b[31m\u2028'
    (line,) = lines(style, drift_events.DriftBegan("m", "v", "short", 0, 1, text, "age", "psi", 0.5, 0.1))
    assert "\x1b" not in line
    assert json.dumps(text) in line


def test_long_texts_are_cut_and_what_is_not_a_number_is_text() -> None:
    (line,) = lines("json", drift_events.DriftBegan("m" * 5000, "v", "short", 0, 1, "s", "f", "psi", float("nan"), float("inf")))
    found = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (len(found["model"]), found["value"], found["threshold"]) == (MAX_TEXT, "nan", "inf")


def test_a_field_that_is_not_plain_is_refused_before_it_reaches_a_line(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2", encoding="utf-8")
    stream = io.StringIO()
    configure_logging("text", "debug", stream)
    for value in (Secret(file=tmp_path / "secret"), b"payload", {"a": 1}, ["x"], (b"x",), ValueError("hunter2")):
        with pytest.raises(TypeError, match=r"SecretLeaked\.what: expected a number, a text or a tuple of these, got "):
            Telemetry().emit(SecretLeaked(value))
    assert stream.getvalue() == ""


def test_every_event_has_only_plain_fields_a_docstring_and_a_name_in_the_past_tense() -> None:
    plain = {int, float, str, bool, int | None, float | None, tuple[int, ...], tuple[str, ...]}  # None: not known
    for kind in EVENTS:
        hints = get_type_hints(kind)
        assert {hints[field.name] for field in dataclasses.fields(kind)} <= plain, kind
        assert kind.__doc__
        assert not kind.__doc__.startswith(kind.__name__), kind
        assert re.search(r"(ed|gan|held|uck|ost)$", kind.__name__), kind


def test_listeners_get_each_event_once_whatever_the_level() -> None:
    seen: list[events.Event] = []
    stream = io.StringIO()
    configure_logging("text", "error", stream)
    event = events.DeadLettersDelivered("m", 1)
    Telemetry((seen.append,)).emit(event)
    assert seen == [event]
    assert stream.getvalue() == ""


def test_an_error_of_another_library_is_named_but_not_quoted() -> None:
    assert reason_of(SourceError("expected a topic")) == "expected a topic"
    assert reason_of(OSError(28, "No space left on device", "/secret/path")) == "OSError: No space left on device"
    assert reason_of(RuntimeError("password=hunter2")) == "RuntimeError"


def test_format_and_level_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTGAUGE_LOG_FORMAT", "json")
    monkeypatch.setenv("DRIFTGAUGE_LOG_LEVEL", "warning")
    stream = io.StringIO()
    configure_logging(stream=stream)
    Telemetry().emit(process_events.ProcessStarted("1", ("m",)))
    Telemetry().emit(events.SourceReconnected("OSError"))
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["SourceReconnected"]


@pytest.mark.parametrize(
    ("style", "level", "message"),
    [
        ("xml", "info", "DRIFTGAUGE_LOG_FORMAT: expected text or json, got 'xml'"),
        ("text", "loud", "DRIFTGAUGE_LOG_LEVEL: expected debug, info, warning or error, got 'loud'"),
    ],
)
def test_another_format_or_level_is_refused(style: str, level: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure_logging(style, level)


def test_a_traceback_stays_within_its_line() -> None:
    stream = io.StringIO()
    configure_logging("text", "debug", stream)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("driftgauge").exception("a bug")
    assert len(stream.getvalue().splitlines()) == 1
    assert "RuntimeError: boom" in stream.getvalue()


def test_until_logging_is_configured_an_event_prints_nothing():
    """A replay tells what it met in its own words; Python would print the bare name of the event beside them."""
    code = (
        "from monitor.decision_events import ControlRefused; from monitor.telemetry import Telemetry;"
        " Telemetry().emit(ControlRefused('c/0@1', 'expected a control'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout + done.stderr == ""

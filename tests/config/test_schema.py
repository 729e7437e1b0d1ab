"""The JSON Schema shows the configuration as it is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from monitor.config import Config
from monitor.config.types import parse_duration


def durations(part: Any) -> Iterator[dict[str, Any]]:
    """Every property that is a duration."""
    if isinstance(part, dict):
        if "30s" in part.get("examples", ()):
            yield part
        for inner in part.values():
            yield from durations(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from durations(inner)


def test_defaults_of_durations_are_written_with_their_unit():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a default that has no JSON is left out of the schema with a warning only
        schema = Config.model_json_schema(by_alias=True)
    defaults = [each["default"] for each in durations(schema) if "default" in each]
    assert len(defaults) > 10
    assert all(isinstance(default, str) and parse_duration(default) >= 0 for default in defaults), defaults
    windows = schema["$defs"]["Windows"]["properties"]
    assert (windows["pane"]["default"], windows["lateness"]["default"]) == ("5m", "10m")

from __future__ import annotations

import pytest

from tests.expose.serving import log, start
from tests.prometheus import tool

__all__ = ["log", "promtool", "start"]


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of Prometheus' own checker; a test that uses this is left out, and that is said, where it is not installed."""
    path = tool("promtool")
    assert path is not None
    return path

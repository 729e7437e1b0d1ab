from __future__ import annotations

import subprocess

from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from tests.expose.sample import running


def lint(promtool: str, page: bytes) -> tuple[int, str]:
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_promtool_has_nothing_to_say_about_the_page(promtool: str) -> None:
    page = Published(running(), SelfMetrics(), 100_000).metrics()
    assert lint(promtool, page.text) == (0, "")


def test_promtool_would_object_to_a_counter_without_its_suffix(promtool: str) -> None:
    status, said = lint(promtool, b"# HELP driftgauge_rows Rows.\n# TYPE driftgauge_rows counter\ndriftgauge_rows 1\n")
    assert status != 0
    assert "_total" in said

"""``driftgauge rules``: write the alert rules of a configuration, and their unit tests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.config import Config, load_config
from monitor.config.root import EXAMPLE_RUNBOOK_URL
from monitor.errors import ConfigError, Mistake
from monitor.rules import render_rules, render_tests

_EXAMPLES = """\
examples:
  driftgauge rules -c config.yaml                                     to standard output
  driftgauge rules -c config.yaml -o driftgauge.rules.yml --tests     with unit tests beside, driftgauge.rules.test.yml
  promtool test rules driftgauge.rules.test.yml
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "rules",
        help="write the alert rules for Prometheus",
        description="Write the alert rules of a configuration, and unit tests of them. Prometheus 2.42 and later reads them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write; standard output when absent")
    parser.add_argument("--tests", action="store_true", help="also write unit tests for promtool beside the output, as NAME.test.yml")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Write the rules. Raises ``ConfigError``."""
    output: Path | None = arguments.output
    if arguments.tests and output is None:
        arguments.usage_error("--tests needs -o, because the tests name the file of the rules")
    config = load_config(arguments.config)
    rules = render_rules(config)
    for note in example_lines(config):
        print(f"note: {note}", file=sys.stderr)
    if output is None:
        sys.stdout.write(rules)
        return 0
    _write(output, rules)
    print(f"wrote {output}")
    if arguments.tests:
        tests = path_of_tests(output)
        _write(tests, render_tests(config, output.name))
        print(f"wrote {tests}; run them with: promtool test rules {tests}")
    return 0


def example_lines(config: Config) -> Iterator[str]:
    """What the rules would take from an example, for want of a setting."""
    if config.alerts.runbook_url == EXAMPLE_RUNBOOK_URL:
        yield (
            f"alerts.runbook_url is not set: alerts point to {EXAMPLE_RUNBOOK_URL}, an example;"
            " set it to where your copy of docs/runbook.md can be read"
        )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), [Mistake("", f"cannot be written: {error.strerror}")]) from error


def path_of_tests(rules: Path) -> Path:
    """Where the tests of a rule file stand.

    >>> path_of_tests(Path("deploy/driftgauge.rules.yml")).name
    'driftgauge.rules.test.yml'
    """
    return rules.with_name(f"{rules.stem}.test.yml")

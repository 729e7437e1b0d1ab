"""The command line: ``driftgauge``, or ``python -m monitor``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

import monitor
from monitor.errors import DriftgaugeError
from monitor.threads import one_thread

COMMANDS = ("run", "check", "init", "reference", "rules", "control", "replay", "drill", "schema", "healthcheck", "hook", "gate")
"""Modules of ``monitor.cli``, in the order of the help."""

_EXAMPLES = """\
examples:
  driftgauge init --data sample.ndjson -o config.yaml     a first configuration from your own events
  driftgauge check -c config.yaml                         everything that is wrong with it, at once
  driftgauge reference build --data train.parquet -c config.yaml -o reference.json.gz
  driftgauge run -c config.yaml                           watch, until SIGTERM
  driftgauge rules -c config.yaml -o rules.yaml           alert rules for Prometheus
  driftgauge control hold -c config.yaml --why "..."      a decision of an operator
  driftgauge replay -c config.yaml --since 30d            what would have fired, on your own past
  driftgauge gate --model m --candidate 4 --champion 3    may the candidate take over? exit codes of its own

exit codes: 0 done, 1 failure, 2 configuration or usage, 3 reference, 4 source or sink, 5 state, 130 interrupted
"""


def build_parser(commands: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line; with fewer ``commands`` it starts faster."""
    parser = argparse.ArgumentParser(
        prog="driftgauge",
        description="Watches machine-learning models in production: reads predictions from Kafka, keeps counts per segment in event"
        " time, compares them with a reference, and speaks through Prometheus.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"driftgauge {monitor.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        importlib.import_module(f"monitor.cli.{command}").add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Errors that we raise on purpose are shown without a traceback."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        parsed = build_parser(_wanted(given)).parse_args(given)
        one_thread()
        return int(parsed.run(parsed))
    except DriftgaugeError as error:
        print(f"driftgauge: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough.
        sys.stderr.close()
        return 141


def _wanted(given: Sequence[str]) -> Sequence[str]:
    """The commands whose modules it takes to understand these arguments."""
    if list(given) == ["--version"]:
        return ()
    return [given[0]] if given and given[0] in COMMANDS else COMMANDS


if __name__ == "__main__":
    sys.exit(main())

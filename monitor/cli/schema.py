"""``driftgauge schema``: JSON Schema of the configuration, for editors."""

from __future__ import annotations

import argparse
import json
from typing import Any

from monitor.config import Config

_EXAMPLES = """\
examples:
  driftgauge schema > driftgauge.schema.json
  and as first line of config.yaml:   # yaml-language-server: $schema=driftgauge.schema.json
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schema of the configuration",
        description="Print the JSON Schema of the configuration, for completion and checks in an editor.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(Config.model_json_schema(by_alias=True), indent=2, ensure_ascii=False))
    return 0

"""``driftgauge schema``: JSON Schema of the configuration, for editors."""

from __future__ import annotations

import argparse
import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from monitor.config import Config

_EXAMPLES = """\
examples:
  driftgauge schema > driftgauge.schema.json
  driftgauge schema --hook > hook.schema.json
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
    parser.add_argument("--hook", action="store_true", help="of the configuration of `driftgauge hook` instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    if arguments.hook:
        from monitor.hook.config import HookConfig

        schema = HookConfig.model_json_schema(by_alias=True)
    else:
        schema = Config.model_json_schema(by_alias=True)
    print(json.dumps({"$schema": GenerateJsonSchema.schema_dialect, **schema}, indent=2, ensure_ascii=False))
    return 0

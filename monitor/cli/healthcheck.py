"""``driftgauge healthcheck``: asks a running process whether it is well, for containers."""

from __future__ import annotations

import argparse
import http.client
import ssl
import sys
from pathlib import Path
from typing import Any

from monitor.config import load_config


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "healthcheck",
        help="ask a running process whether it is well",
        description="Ask the process that runs with this configuration for /healthz (or /readyz); exit code 0 when it is well.",
        epilog="examples:\n  driftgauge healthcheck -c config.yaml\n  driftgauge healthcheck -c config.yaml --ready",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
    parser.add_argument("--ready", action="store_true", help="ask for readiness instead of life")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask on the loopback interface of the same machine."""
    config = load_config(arguments.config).http
    host = config.bind if config.bind not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    if config.tls is None:
        connection = http.client.HTTPConnection(host, config.port, timeout=5)
    else:
        # The certificate names the public host, not the loopback address; nothing secret is sent.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, config.port, timeout=5, context=context)
    try:
        connection.request("GET", "/readyz" if arguments.ready else "/healthz")
        response = connection.getresponse()
        text = response.read(1_000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        print(f"driftgauge: expected an answer from {host}:{config.port}, got {type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    print(text)
    return 0 if response.status == 200 else 1

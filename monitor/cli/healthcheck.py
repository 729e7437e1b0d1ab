"""``driftgauge healthcheck``: asks a running process whether it is well, for containers."""

from __future__ import annotations

import argparse
import http.client
import ssl
import sys
from pathlib import Path
from typing import Any

from monitor.config import load_config
from monitor.config.root import Http

# A server on all addresses of one kind answers on the loopback of that kind: on "::" it does not listen to IPv4.
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


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
    try:
        status, text = ask(config, "/readyz" if arguments.ready else "/healthz")
    except (OSError, http.client.HTTPException) as error:
        print(f"driftgauge: expected an answer from {_host(config)}:{config.port}, got {type(error).__name__}", file=sys.stderr)
        return 1
    print(text)
    return 0 if status == 200 else 1


def is_driftgauge(config: Http) -> bool:
    """Whether a monitor answers at the address."""
    try:
        return "loop_turned_seconds_ago" in ask(config, "/healthz")[1]
    except (OSError, http.client.HTTPException):
        return False


def _host(config: Http) -> str:
    return _LOOPBACK_OF.get(config.bind, config.bind)


def ask(config: Http, path: str) -> tuple[int, str]:
    """Status and text of an answer. Raises ``OSError`` or ``HTTPException`` without one."""
    host = _host(config)
    if config.tls is None:
        connection = http.client.HTTPConnection(host, config.port, timeout=5)
    else:
        # The certificate names the public host, not the loopback address; nothing secret is sent.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, config.port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(1_000).decode(errors="replace").strip()
    finally:
        connection.close()

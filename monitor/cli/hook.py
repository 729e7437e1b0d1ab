"""``driftgauge hook``: from Alertmanager's webhook to one start of a pipeline per trigger."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from monitor import process_events
from monitor.cli.check import unreadable_secrets
from monitor.errors import ConfigError, Mistake, StateError
from monitor.hook.alert import MalformedError, parse
from monitor.hook.app import Hook, open_target
from monitor.hook.config import HookConfig, load_hook_config
from monitor.hook.dry import SAMPLE_EVIDENCE, dry_run, sample_notification
from monitor.hook.ledger import Ledger
from monitor.hook.tls import unusable_certificates
from monitor.hook.worker import wall_ms
from monitor.telemetry import Telemetry, configure_logging

_EXAMPLES = """\
examples:
  driftgauge hook -c hook.yaml                              serve, until SIGTERM
  driftgauge hook --dry-run -c hook.yaml                    what would be started for a sample; starts nothing
  driftgauge hook --dry-run -c hook.yaml --payload body.json --evidence evidence.json
  driftgauge hook audit -c hook.yaml                        what happened to every trigger, oldest first
  driftgauge hook audit -c hook.yaml --trigger churn-42 --json
  driftgauge hook release -c hook.yaml --trigger churn-42   let a trigger that failed or was skipped start after all

A release does not ask for cooldown and daily maximum, and a trigger that may have started may start twice: look first.
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "hook",
        help="receive alerts and start a retraining pipeline, once per trigger",
        description="Receive Alertmanager's webhook, and start a pipeline for every trigger: once, whatever is repeated or killed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", choices=("serve", "audit", "release"), default="serve", help="default: serve")
    parser.add_argument("--trigger", action="append", default=[], metavar="ID", help="with audit and release: of this trigger; repeatable")
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the hook's configuration")
    parser.add_argument("--dry-run", action="store_true", help="show what would be started, and start nothing")
    parser.add_argument("--payload", type=Path, metavar="FILE", help="with --dry-run: a notification of Alertmanager, as JSON")
    parser.add_argument("--evidence", type=Path, metavar="FILE", help="with --dry-run: the evidence, as JSON")
    parser.add_argument("--json", action="store_true", help="with audit: one JSON object a line")
    parser.add_argument("--limit", type=int, default=1_000, metavar="N", help="with audit: the last N lines (default 1000)")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    if (arguments.payload or arguments.evidence) and not arguments.dry_run:
        arguments.usage_error("--payload and --evidence need --dry-run")
    if arguments.action == "release" and not arguments.trigger:
        arguments.usage_error("release needs the --trigger ID to release")
    config = load_hook_config(arguments.config)
    if arguments.action == "audit":
        return _audit(config, arguments)
    if arguments.action == "release":
        return _release(config, arguments.trigger)
    mistakes = [*unreadable_secrets(config), *unusable_certificates(config)]
    if mistakes:
        raise ConfigError(str(arguments.config), mistakes)
    return _dry_run(config, arguments) if arguments.dry_run else _serve(config)


def _serve(config: HookConfig) -> int:
    configure_logging()
    telemetry = Telemetry()
    stop = threading.Event()
    number: list[int] = []

    def request(received: int, _frame: FrameType | None) -> None:
        if number and received == signal.SIGINT:
            raise KeyboardInterrupt
        number.append(received)
        stop.set()

    signal.signal(signal.SIGTERM, request)
    signal.signal(signal.SIGINT, request)
    hook = Hook(config, telemetry)
    stop.wait()
    telemetry.emit(process_events.StopRequested(signal.Signals(number[0]).name))
    hook.stop()
    return 0


def _dry_run(config: HookConfig, arguments: argparse.Namespace) -> int:
    model = config.alert.models[0] if config.alert.models else "churn"
    body = _read(arguments.payload) if arguments.payload else json.dumps(sample_notification(config.alert.name, model)).encode()
    try:
        notification = parse(body, config.alert)
    except MalformedError as error:
        raise ConfigError(str(arguments.payload), [Mistake("", str(error))]) from error
    try:
        evidence = json.loads(_read(arguments.evidence)) if arguments.evidence else SAMPLE_EVIDENCE
    except ValueError as error:
        raise ConfigError(str(arguments.evidence), [Mistake("", "expected JSON")]) from error
    ledger = Ledger(config.ledger.path, working=False) if config.ledger.path.exists() else None
    try:
        for line in dry_run(config, open_target(config.start, threading.Event()), notification, evidence, ledger, wall_ms()):
            print(line)
    finally:
        if ledger is not None:
            ledger.close()
    if not notification.triggers:
        print("no triggers: nothing would be started")
    return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), [Mistake("", f"cannot be read: {error.strerror}")]) from error


def _audit(config: HookConfig, arguments: argparse.Namespace) -> int:
    ledger = Ledger(config.ledger.path, working=False)
    try:
        for trigger_id in arguments.trigger or [None]:
            for line in ledger.audit(max(1, arguments.limit), trigger_id):
                at = datetime.fromtimestamp(line.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                if arguments.json:
                    print(
                        json.dumps(
                            {"at": at, "trigger_id": line.trigger_id, "event": line.event, "reason": line.reason, "detail": line.detail}
                        )
                    )
                else:
                    # What a target answered is shown with its control characters quoted: it goes to a terminal.
                    words = " ".join(part for part in (line.reason, line.detail) if part)
                    print(f"{at}  {line.trigger_id}  {line.event:<9} {json.dumps(words, ensure_ascii=False)[1:-1]}".rstrip())
    finally:
        ledger.close()
    return 0


def _release(config: HookConfig, triggers: list[str]) -> int:
    ledger = Ledger(config.ledger.path, working=False)
    failed = 0
    try:
        for trigger_id in triggers:
            try:
                entry = ledger.release(trigger_id, wall_ms())
            except StateError as error:
                failed += 1
                print(f"driftgauge: {error}", file=sys.stderr)
                continue
            print(f"{entry.id}: released; a running hook starts it within seconds")
    finally:
        ledger.close()
    return StateError.exit_code if failed else 0

"""``driftgauge gate``: asks a running monitor whether a candidate may take over, with an exit code for rollout tools."""

from __future__ import annotations

import argparse
import json
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

import msgspec

from monitor.config.types import parse_duration
from monitor.hook.target.config import ClientTls
from monitor.hook.web import NoAnswerError, NotSentError, Reply, call

_EPILOG = """\
exit codes:
  0  the candidate is better, or not worse by more than the margin
  1  it is worse by more than the margin
  2  undecided yet, or too few labelled rows
  3  wrong usage, no such canary test, or the monitor does not answer

Which versions are compared, by what and with what margin and confidence is the section canary: of the model. The answer holds at any
time: asking again and again, and stopping at the first answer one likes, does not make it wrong more often than it says.

examples:
  driftgauge gate --model churn --candidate 4 --champion 3
  driftgauge gate --model churn --candidate 4 --champion 3 --wait 30m          until it is decided, at most so long
  driftgauge gate --model churn --candidate 4 --json | jq .segments            where it is worse, with all numbers
  driftgauge gate --model churn --candidate 4 --url https://driftgauge.ml.svc:9464 --token-file /run/secrets/token
"""

_TIMEOUT_MS = 10_000
_MAX_BYTES = 4_000_000
_PAUSE_MS = 2_000
_SHOWN_SEGMENTS = 5


class Gate(IntEnum):
    """Exit codes."""

    PASS = 0
    FAIL = 1
    UNDECIDED = 2
    ERROR = 3


_OF_VERDICT = {
    "better": Gate.PASS,
    "not_worse": Gate.PASS,
    "worse": Gate.FAIL,
    "undecided": Gate.UNDECIDED,
    "insufficient_data": Gate.UNDECIDED,
}


class UnansweredError(Exception):
    """The monitor gave no verdict. ``again`` tells whether it may later."""

    def __init__(self, message: str, *, again: bool) -> None:
        self.again = again
        super().__init__(message)


class _Parser(argparse.ArgumentParser):
    """Wrong usage must not look like an answer."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Gate.ERROR, f"{self.prog}: error: {message}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is left over here: the parser above would do it with its own exit code."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    subparsers._parser_class, usual = _Parser, subparsers._parser_class
    try:
        parser = subparsers.add_parser(
            "gate",
            help="ask a running monitor whether a candidate may take over",
            description="Ask a running monitor for the verdict of its canary test: is the candidate worse than the champion, by labels?",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    finally:
        subparsers._parser_class = usual
    parser.add_argument("--model", required=True, help="name of the model in the monitor's configuration")
    parser.add_argument("--candidate", required=True, metavar="VERSION", help="version on trial")
    parser.add_argument("--champion", metavar="VERSION", help="version in charge; any when absent")
    parser.add_argument("--url", default="http://127.0.0.1:9464", type=_url, help="where the monitor listens (default %(default)s)")
    parser.add_argument("--wait", type=_duration, default=0, metavar="TIME", help="ask again until it is decided, at most so long: 30m")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with the bearer token; read at each request")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to trust with https; those of the system when absent")
    parser.add_argument("--json", action="store_true", help="print the monitor's whole answer")
    parser.set_defaults(run=run)


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"expected an address such as http://127.0.0.1:9464, got {text!r}")
    return text.rstrip("/")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and ask again while it is undecided and there is time."""
    deadline = time.monotonic() + arguments.wait / 1000
    while True:
        left_ms = max(int((deadline - time.monotonic()) * 1000), 0)
        try:
            trial = ask(arguments)
        except UnansweredError as error:
            if error.again and left_ms:
                time.sleep(min(_PAUSE_MS, left_ms) / 1000)
                continue
            print(f"driftgauge gate: {error}", file=sys.stderr)
            return Gate.ERROR
        found = _OF_VERDICT[trial["verdict"]]
        if found is Gate.UNDECIDED and left_ms:
            time.sleep(min(_PAUSE_MS, left_ms) / 1000)
            continue
        print(json.dumps(trial, indent=2) if arguments.json else in_words(trial))
        return found


def ask(arguments: argparse.Namespace) -> dict[str, Any]:
    """One request: the trial. Raises ``UnansweredError``."""
    wanted = {"model": arguments.model, "candidate": arguments.candidate, "champion": arguments.champion}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    url = f"{arguments.url}/api/v1/canary?{query}"
    try:
        tls = ClientTls(ca_file=arguments.ca_file)
        reply = call("GET", url, _credentials(arguments), None, tls=tls, timeout_ms=_TIMEOUT_MS, max_bytes=_MAX_BYTES)
    except (NotSentError, NoAnswerError) as error:
        raise UnansweredError(f"expected an answer from {arguments.url}, got none: {error}", again=True) from error
    return _read(reply, arguments.url)


def _credentials(arguments: argparse.Namespace) -> dict[str, str]:
    if arguments.token_file is None:
        return {}
    try:
        token = arguments.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnansweredError(f"cannot read the token file {arguments.token_file}: {type(error).__name__}", again=False) from error
    if not token or not token.isprintable() or not token.isascii():
        raise UnansweredError(f"expected one token in {arguments.token_file}, got something else", again=False)
    return {"Authorization": f"Bearer {token}"}


def _read(reply: Reply, url: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(reply.body) if reply.complete else None
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict) or not found.keys() & {"error", "canaries"}:
        message = f"expected the answer of a driftgauge from {url}, got status {reply.status} without one; --url takes the address where"
        raise UnansweredError(f"{message} the monitor listens, http.bind and http.port of its configuration", again=reply.status >= 500)
    if reply.status != 200:
        raise UnansweredError(f"expected status 200 from {url}, got {reply.status}: {reply.text(300).strip()}", again=reply.status >= 500)
    try:
        [trial] = found["canaries"]
        if trial["verdict"] not in _OF_VERDICT:
            raise KeyError(trial["verdict"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise UnansweredError(f"expected the answer of a driftgauge from {url}, got {reply.text(100)!r}", again=False) from error
    return dict(trial)


def in_words(trial: dict[str, Any]) -> str:
    """The answer in a few lines."""
    versions = f"candidate {trial['candidate']} against champion {trial['champion'] or '(none yet)'}"
    lines = [f"{trial['verdict']}: {trial['model']}, {versions}: {trial['reason']}"]
    whole = trial.get("all")
    if whole is not None and whole["difference"] is not None:
        values = " -> ".join(f"{whole[side]['value']:.4g}" for side in ("champion", "candidate"))
        interval = f"{trial['confidence']:.1%} interval {whole['low']:+.4g} to {whole['high']:+.4g}"
        lines.append(f"  {trial['metric']} {values}, difference {whole['difference']:+.4g}, {interval}, margin {trial['margin']:g}")
        claims = ", ".join(f"{claim.replace('_', ' ')} {sure:.1%}" for claim, sure in whole["confidence"].items())
        lines.append(f"  confidence at any time: {claims}")
    worse = [each for each in trial.get("segments", ()) if each["verdict"] == "worse"]
    lines += [f"  worse in {each['segment']}: {each['difference']:+.4g} ({each['low']:+.4g} to {each['high']:+.4g})"
              for each in worse[:_SHOWN_SEGMENTS]]  # fmt: skip
    if (more := (trial.get("segments_worse") or 0) - _SHOWN_SEGMENTS) > 0:
        lines.append(f"  and in {more} more segments")
    return "\n".join(lines)

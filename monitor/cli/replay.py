"""``driftgauge replay``: a dry run of verdicts, detectors and policy over history."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.cli.progress import progress
from monitor.config import load_config
from monitor.config.types import parse_duration
from monitor.errors import ConfigError, Mistake
from monitor.reference.fit import load_references
from monitor.replay.history import History, history
from monitor.replay.page import page
from monitor.replay.replay import Wanted, replay
from monitor.replay.said import as_json, lines

FIRED_EXIT_CODE = 10
_WHOLE = 1_000

_EXAMPLES = f"""\
examples:
  driftgauge replay -c config.yaml                                       all that the configured topics still have
  driftgauge replay -c config.yaml --since 30d --html replay.html        the last 30 days, as a page
  driftgauge replay -c config.yaml --from events.ndjson.gz --labels labels.ndjson
  driftgauge replay -c config.yaml --from history/ --since 2026-03-01T00:00Z --until 2026-04-01T00:00Z
  driftgauge replay -c strict.yaml --from churn.predictions --json --exit-code > replay.json

It runs in memory: no state is saved, nothing is sent to a topic, no group joined, no offset committed, nothing served. Topics are read
to the ends that they had at the start. Until the windows are full is warm-up, which is shown and does not count; --since begins after
it, so what lies before is read too, as far as it is there.

exit codes: 0 done, whatever would have fired; with --exit-code {FIRED_EXIT_CODE} when something would; 2 configuration or usage,
3 reference, 4 history that cannot be read or has nothing to tell, 5 state, 130 interrupted
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "replay",
        help="what would have fired, and when, over history",
        description="Play history through the same code as run, and tell which verdicts, alarms and triggers would have come of it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_history(parser)
    parser.add_argument("--state-from", type=Path, metavar="DIR", help="go on from a copy of this saved state; there is no warm-up then")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page: one file, with timelines")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--exit-code", action="store_true", help=f"exit with {FIRED_EXIT_CODE} when a trigger would have fired")
    parser.set_defaults(run=run)


def add_history(parser: argparse.ArgumentParser) -> None:
    """Options that say which history is read."""
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
    parser.add_argument(
        "--from",
        dest="predictions",
        metavar="FILE|DIR|TOPIC",
        help="predictions: a file of events, a folder with TOPIC.ndjson for each topic, or a topic; what is configured when absent",
    )
    parser.add_argument("--labels", metavar="FILE|TOPIC|none", help="labels; the configured topic when predictions come from a topic")
    parser.add_argument("--controls", metavar="FILE|TOPIC|none", help="decisions of operators; the configured topic, likewise")
    parser.add_argument("--model", help="name of the model; all of them when absent")
    parser.add_argument("--since", metavar="TIME|DURATION", help="what counts begins here: 2026-03-01T00:00Z, or 30d before now")
    parser.add_argument("--until", metavar="TIME|DURATION", help="and ends here")
    parser.add_argument("--warm-up", metavar="DURATION", help="another length of the warm-up than until the windows are full")


def run(arguments: argparse.Namespace) -> int:
    """Replay, and say what would have fired."""
    config = load_config(arguments.config)
    wanted = wanted_of(arguments)
    chosen = history(config, arguments.model, arguments.predictions, arguments.labels, arguments.controls)
    references = load_references(chosen.config)
    with of_history(chosen, "replaying") as advance:
        result = replay(chosen, references, wanted, advance)
    if arguments.html is not None:
        write(arguments.html, page(result))
    if arguments.json:
        sys.stdout.buffer.write(as_json(result))
    else:
        for line in lines(result):
            print(line)
        if arguments.html is not None:
            print(f"{arguments.html}: the page")
    return FIRED_EXIT_CODE if arguments.exit_code and result.fired else 0


@contextmanager
def of_history(chosen: History, label: str) -> Iterator[Callable[[int, int, int], None]]:
    """A bar for messages, bytes and what is left unread: by bytes of files, by messages of topics."""
    size = chosen.file_bytes
    unknown = size is None and any(place is not None for place in chosen.places.values())
    done, shown = [0, 0], [0]
    with progress(None if unknown else _WHOLE, label) as advance:

        def turn(messages: int, read: int, left: int) -> None:
            done[0] += messages
            done[1] += read
            share = done[1] / max(size, 1) if size is not None else done[0] / max(done[0] + left, 1)
            now = min(int(share * _WHOLE), _WHOLE)
            advance(max(now - shown[0], 0), messages)
            shown[0] = max(now, shown[0])

        yield turn
        if not unknown:
            advance(_WHOLE - shown[0], 0)  # with --until nobody knows beforehand how much need not be read


def wanted_of(arguments: argparse.Namespace) -> Wanted:
    """The stretch of event time. Raises ``ConfigError``."""
    now_ms = time.time_ns() // 1_000_000
    since_ms, until_ms = (
        None if text is None else _time(name, text, now_ms) for name, text in (("--since", arguments.since), ("--until", arguments.until))
    )
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise ConfigError("--since", [Mistake("", f"expected a time before --until, got {arguments.since} and {arguments.until}")])
    warm_up_ms = None if arguments.warm_up is None else _duration("--warm-up", arguments.warm_up)
    return Wanted(since_ms, until_ms, warm_up_ms, getattr(arguments, "state_from", None))


def write(path: Path, content: bytes) -> None:
    """Write a file. Raises ``ConfigError``."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(str(path), [Mistake("", f"cannot be written: {error.strerror}")]) from error


def _time(option: str, text: str, now_ms: int) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now_ms - parse_duration(text)
        except ValueError as error:
            message = f"expected a time such as 2026-03-02T06:00Z or a duration before now such as 30d, got {text!r}"
            raise ConfigError(option, [Mistake("", message)]) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _duration(option: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(option, [Mistake("", str(error))]) from error

"""Traffic for the model server: the flights of March to December, over and over, at a steady rate, and what became of each.

    python -m modelserver.load --url http://modelserver:8080 --rate 50

At 50 requests a second a day of 900 flights passes in 18 seconds, and the seasons in an hour and a half. A flight's outcome follows when
it has landed, an hour of that delay in a minute; what was cancelled or diverted never has one.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import http.client
import itertools
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

logger = logging.getLogger(__name__)

REPORT_SECONDS = 30.0
RECONNECT_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
OUTCOME_SPEEDUP = 60
"""Real delays of outcomes are divided by this."""
MAX_WAITING = 200_000  # outcomes, some 60 MB; an hour's worth at 50 requests a second


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and what will be known of it."""

    body: bytes
    outcome: bytes | None  # the body of POST /outcome; None: it never becomes known
    delay_seconds: float = 0.0  # real time from the request to the outcome


def requests(path: Path) -> Iterator[Request]:
    """Requests without end. An id begins with the number of the round, or the second one would repeat the first."""
    for lap in itertools.count(1):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                request = json.loads(line)
                id_ = f"{lap}-{request['id']}"
                body = json.dumps({"id": id_, "features": request["features"]}).encode()
                known = request.get("outcome")
                if known is None:
                    yield Request(body, None)
                else:
                    yield Request(body, json.dumps({"id": id_, "label": known["label"]}).encode(), known["delay_seconds"])


class Client:
    """One connection, made anew after a failure."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise SystemExit(f"expected an address such as http://modelserver:8080, got {url!r}")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)

    def post(self, path: str, body: bytes) -> bool:
        """Whether the request was answered as it should be."""
        try:
            self._connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request connects again
            logger.warning("no answer: %s", error)
            return False
        return answer.status == http.client.OK


class Waiting:
    """Outcomes by the time at which they are due."""

    def __init__(self, capacity: int = MAX_WAITING) -> None:
        self._heap: list[tuple[float, int, bytes]] = []
        self._number = itertools.count()  # keeps those of one instant in order
        self._capacity = capacity
        self.dropped = 0  # for want of room

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, due: float, outcome: bytes) -> None:
        """Keep an outcome until then."""
        if len(self._heap) < self._capacity:
            heapq.heappush(self._heap, (due, next(self._number), outcome))
        else:
            self.dropped += 1

    def due(self, now: float) -> bytes | None:
        """The earliest outcome, taken out, if its time has come."""
        return heapq.heappop(self._heap)[2] if self._heap and self._heap[0][0] <= now else None

    def next_due(self) -> float:
        """When the earliest one is due; infinity when none is."""
        return self._heap[0][0] if self._heap else float("inf")


def run(traffic: Iterator[Request], post: Callable[[str, bytes], bool], rate: float, speedup: float, ended: threading.Event) -> None:
    """Post requests at ``rate`` a second until ``ended``, and the outcome of each that was answered when it is due.

    After a gap the rate goes on from now, without a burst to catch up. An outcome that is not taken is lost, as some are.
    """
    waiting = Waiting()
    answered = failed = known = lost = 0
    due = reported = time.monotonic()
    for request in traffic:
        while not ended.wait(max(0.0, min(due, waiting.next_due()) - time.monotonic())):
            outcome = waiting.due(time.monotonic())
            if outcome is not None and post("/outcome", outcome):
                known += 1
            elif outcome is not None:
                lost += 1
            if time.monotonic() >= due:
                break
        if ended.is_set():
            break
        if post("/predict", request.body):
            answered += 1
            if request.outcome is not None:
                waiting.put(time.monotonic() + request.delay_seconds / speedup, request.outcome)
        else:
            failed += 1
            ended.wait(RECONNECT_SECONDS)
        now = time.monotonic()
        due = max(due + 1 / rate, now - 1.0)
        if now - reported >= REPORT_SECONDS:
            reported = now
            logger.info("%d answered, %d failed; %d outcomes told, %d lost, %d to come", answered, failed, known, lost, len(waiting))
    lost += waiting.dropped
    logger.info("ended: %d answered, %d failed; %d outcomes told, %d lost, %d to come", answered, failed, known, lost, len(waiting))


def main() -> None:
    """Generate load until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--speedup", type=float, default=OUTCOME_SPEEDUP, help="real delays of outcomes are divided by this")
    parser.add_argument("--requests", type=Path, default=Path("/opt/modelserver/model/requests.ndjson.gz"))
    arguments = parser.parse_args()
    for name in ("rate", "speedup"):
        if not getattr(arguments, name) > 0:
            parser.error(f"--{name}: expected more than 0, got {getattr(arguments, name)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    run(requests(arguments.requests), Client(arguments.url).post, arguments.rate, arguments.speedup, ended)


if __name__ == "__main__":
    main()

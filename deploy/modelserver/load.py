"""Traffic for the model server: the flights of March to December, over and over, at a steady rate.

    python -m modelserver.load --url http://modelserver:8080/predict --rate 50

At 50 requests a second a day of 900 flights passes in 18 seconds, and the seasons in an hour and a half.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import itertools
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

logger = logging.getLogger(__name__)

REPORT_SECONDS = 30.0
RECONNECT_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0


def requests(path: Path) -> Iterator[bytes]:
    """Requests without end. An id begins with the number of the round, or the second one would repeat the first."""
    for lap in itertools.count(1):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                request = json.loads(line)
                request["id"] = f"{lap}-{request['id']}"
                yield json.dumps(request).encode()


class Client:
    """One connection, made anew after a failure."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise SystemExit(f"expected an address such as http://modelserver:8080/predict, got {url!r}")
        self._path = parts.path or "/"
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)

    def post(self, body: bytes) -> bool:
        """Whether the request was answered with a prediction."""
        try:
            self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request connects again
            logger.warning("no answer: %s", error)
            return False
        return answer.status == http.client.OK


def run(bodies: Iterator[bytes], post: Callable[[bytes], bool], rate: float, ended: threading.Event) -> None:
    """Post at ``rate`` a second until ``ended``. After a gap the rate goes on from now, without a burst to catch up."""
    answered = failed = 0
    due = reported = time.monotonic()
    for body in bodies:
        if ended.wait(max(0.0, due - time.monotonic())):
            break
        if post(body):
            answered += 1
        else:
            failed += 1
            ended.wait(RECONNECT_SECONDS)
        now = time.monotonic()
        due = max(due + 1 / rate, now - 1.0)
        if now - reported >= REPORT_SECONDS:
            reported = now
            logger.info("%d answered, %d failed", answered, failed)
    logger.info("ended: %d answered, %d failed", answered, failed)


def main() -> None:
    """Generate load until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--requests", type=Path, default=Path("/opt/modelserver/model/requests.ndjson.gz"))
    arguments = parser.parse_args()
    if not arguments.rate > 0:
        parser.error(f"--rate: expected more than 0, got {arguments.rate}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    run(requests(arguments.requests), Client(arguments.url).post, arguments.rate, ended)


if __name__ == "__main__":
    main()

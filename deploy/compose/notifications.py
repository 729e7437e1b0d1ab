"""A receiver of Alertmanager's notifications that prints them, one line an alert.

    notifications.py [--bind 127.0.0.1] [--port 8080]

Answers 200 to what it has understood and 400 to the rest, which Alertmanager then does not send at once again.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY_BYTES = 4_000_000
IDLE_SECONDS = 30.0


def lines(receiver: str, notification: dict[str, Any]) -> list[str]:
    """What a person should read of a notification. Raises ``KeyError`` or ``TypeError`` when it is none."""
    shown = []
    for alert in notification["alerts"]:
        labels = {name: value for name, value in sorted(alert["labels"].items()) if name != "alertname"}
        where = ", ".join(f"{name}={value}" for name, value in labels.items())
        summary = alert.get("annotations", {}).get("summary", "")
        text = f"{receiver}: {alert['status']}: {alert['labels']['alertname']}: {summary} ({where}), since {alert['startsAt']}"
        shown.append(text.replace("\r", " ").replace("\n", " "))  # labels come from events: one alert stays one line
    return shown


class Receiver(BaseHTTPRequestHandler):
    """The requests of one connection. The path names the receiver."""

    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Health."""
        self._answer(HTTPStatus.OK if self.path == "/healthz" else HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """A notification."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            shown = lines(self.path.strip("/"), json.loads(self.rfile.read(int(length))))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        sys.stdout.write("".join(f"{line}\n" for line in shown))
        sys.stdout.flush()
        self._answer(HTTPStatus.OK)

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing for each request: the alerts are the log."""


def main() -> None:
    """Receive until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    with ThreadingHTTPServer((arguments.bind, arguments.port), Receiver) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for serve_forever, which runs in this thread, so another has to call it.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()

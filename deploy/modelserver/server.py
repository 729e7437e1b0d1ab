"""The HTTP side of the model server.

POST /predict   {"id": "...", "features": {...}}  ->  {"id", "model": {"name", "version"}, "score"}
POST /outcome   {"id": "...", "label": 0 or 1}    ->  the same: what became of the prediction of that id
GET  /healthz   200 while it serves
GET  /metrics   what became of the events, for Prometheus

python -m modelserver.server --brokers kafka:9092 --topic predictions --label-topic labels --model /opt/modelserver/model/model.json
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
import uuid
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from modelserver.event_log import EventLog
from modelserver.model import Model, RequestError, load_model

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 65_536
MAX_ID_LENGTH = 200
MAX_CONNECTIONS = 64
IDLE_SECONDS = 30.0
QUEUE_EVENTS = 10_000
FLUSH_SECONDS = 5.0


def predict(model: Model, body: bytes, now_ms: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer and the event of one request. Raises ``RequestError``."""
    request = _parsed(body, "features")
    if not isinstance(request, dict) or not isinstance(request.get("features"), dict):
        raise RequestError('expected a JSON object such as {"id": "1", "features": {...}}')
    id_ = _checked(request.get("id", "") or str(uuid.uuid4()))
    features = request["features"]
    score = round(model.score(features), 6)
    served = {"name": model.name, "version": model.version}
    logged = {name: features.get(name) for name in sorted(model.inputs)}
    answer = {"id": id_, "model": served, "score": score}
    return answer, {"id": id_, "ts": now_ms, "model": served, "features": logged, "prediction": {"score": score}}


def outcome(body: bytes, now_ms: int) -> dict[str, Any]:
    """The event of one outcome: a label, as of when it became known. Raises ``RequestError``."""
    request = _parsed(body, "id and label")
    if not isinstance(request, dict) or not request.get("id"):
        raise RequestError('expected a JSON object such as {"id": "1", "label": 0}')
    label = request.get("label")
    if isinstance(label, bool) or label not in (0.0, 1.0):
        raise RequestError(f"label: expected 0 or 1, got {str(label)[:100]!r}")
    return {"prediction_id": _checked(request["id"]), "ts": now_ms, "label": int(label)}


def _parsed(body: bytes, what: str) -> Any:
    try:
        return json.loads(body, parse_int=float)  # an integer may have any number of digits
    except (ValueError, RecursionError) as error:
        raise RequestError(f"expected a JSON object with {what}, got {type(error).__name__}: {str(error)[:100]}") from error


def _checked(id_: object) -> str:
    if not isinstance(id_, str) or len(id_) > MAX_ID_LENGTH or not id_.isprintable():
        raise RequestError(f"id: expected text of at most {MAX_ID_LENGTH} printable characters")
    return id_


def metrics(log: EventLog, outcomes: EventLog) -> str:
    """What became of the events, in Prometheus' text format."""
    counts, labels = log.counts, outcomes.counts
    families = (
        ("modelserver_predictions_total", "counter", "Requests answered with a prediction.", counts.offered),
        ("modelserver_events_delivered_total", "counter", "Events that Kafka acknowledged.", counts.delivered),
        ("modelserver_events_failed_total", "counter", "Events that could not be delivered.", counts.failed),
        ("modelserver_events_dropped_total", "counter", "Events dropped because the queue to Kafka was full.", counts.dropped),
        ("modelserver_events_waiting", "gauge", "Events on their way to Kafka.", counts.waiting),
        ("modelserver_outcomes_total", "counter", "Outcomes that were told.", labels.offered),
        ("modelserver_labels_delivered_total", "counter", "Labels that Kafka acknowledged.", labels.delivered),
        ("modelserver_labels_failed_total", "counter", "Labels that could not be delivered.", labels.failed),
        ("modelserver_labels_dropped_total", "counter", "Labels dropped because the queue to Kafka was full.", labels.dropped),
        ("modelserver_labels_waiting", "gauge", "Labels on their way to Kafka.", labels.waiting),
    )
    return "".join(f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, text, value in families)


class Server(ThreadingHTTPServer):
    """A thread for each connection, at most ``MAX_CONNECTIONS``; further ones are closed at once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], model: Model, log: EventLog, outcomes: EventLog) -> None:
        self.model = model
        self.log = log
        self.outcomes = outcomes
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, Requests)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection if one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours; anything else is a bug and keeps its traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("a connection ended by an error")

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class Requests(BaseHTTPRequestHandler):
    """The requests of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Health and metrics."""
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, "text/plain; charset=utf-8", "ok\n")
        elif self.path == "/metrics":
            self._answer(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", metrics(self.server.log, self.server.outcomes))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "expected POST /predict or /outcome, GET /healthz or /metrics")

    def do_POST(self) -> None:
        """A prediction, or an outcome."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
            # The body stays unread, so the connection cannot be used again.
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a Content-Length of at most {MAX_BODY_BYTES} bytes")
            return
        body = self.rfile.read(int(length))
        now_ms = time.time_ns() // 1_000_000
        try:
            if self.path == "/predict":
                answer, event = predict(self.server.model, body, now_ms)
                id_, log = answer["id"], self.server.log
            elif self.path == "/outcome":
                event = outcome(body, now_ms)
                id_, log = event["prediction_id"], self.server.outcomes
                answer = {"id": id_, "label": event["label"]}
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "expected POST /predict or /outcome")
                return
        except RequestError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        # Whether the event was taken or dropped is counted; the answer is the same.
        log.offer(id_.encode(), json.dumps(event, separators=(",", ":")).encode())
        self._answer(HTTPStatus.OK, "application/json", json.dumps(answer))

    def _refuse(self, status: HTTPStatus, problem: str) -> None:
        self._answer(status, "application/json", json.dumps({"error": problem}))

    def _answer(self, status: HTTPStatus, content_type: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the standard library's)
        """Say nothing for each request: the counts are on /metrics."""


def connect(brokers: list[str]) -> Any:
    """A producer that gives an event up after half a minute. Raises ``KafkaError`` when no broker answers."""
    from kafka import KafkaProducer

    return KafkaProducer(
        bootstrap_servers=brokers,
        acks="all",
        compression_type="lz4",
        linger_ms=20,
        max_block_ms=5_000,
        delivery_timeout_ms=30_000,
        request_timeout_ms=10_000,
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT; then answer what was begun and send what waits."""
    parser = argparse.ArgumentParser(prog="modelserver", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--brokers", required=True, help="bootstrap addresses, host:port, separated by commas")
    parser.add_argument("--topic", default="predictions")
    parser.add_argument("--label-topic", default="labels")
    parser.add_argument("--model", type=Path, default=Path("/opt/modelserver/model/model.json"))
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.ERROR)
    brokers = arguments.brokers.split(",")
    log, outcomes = (EventLog(partial(connect, brokers), topic, QUEUE_EVENTS) for topic in (arguments.topic, arguments.label_topic))
    with Server((arguments.bind, arguments.port), load_model(arguments.model), log, outcomes) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for serve_forever, which runs in this thread, so another has to call it.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        logger.info("serving on %s port %d", *server.server_address[:2])
        server.serve_forever(poll_interval=0.2)
    closing = threading.Thread(target=outcomes.close, args=[FLUSH_SECONDS])  # both within the time that a container has to end
    closing.start()
    log.close(FLUSH_SECONDS)
    closing.join()
    logger.info("ended: %s", log.counts)
    logger.info("ended, outcomes: %s", outcomes.counts)


if __name__ == "__main__":
    main()

"""What the hook's server answers: to Alertmanager, to Prometheus, and to whoever looks.

POST /webhook    a notification of Alertmanager
GET  /           the last triggers, as JSON
GET  /metrics    for Prometheus
GET  /healthz    without credentials: 200 while the worker lives
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from monitor.errors import StateError
from monitor.expose.answer import JSON, METRICS_TEXT, Request, Response, negotiated, problem
from monitor.expose.auth import CredentialsError, allowed, challenges
from monitor.hook import events
from monitor.hook.alert import MalformedError, Notification, parse
from monitor.hook.config import HookConfig
from monitor.hook.ledger import Ledger, LedgerFullError
from monitor.hook.metrics import HookMetrics
from monitor.telemetry import Telemetry, reason_of

SHOWN = 50
"""Triggers on the status page."""

_SAY_EVERY_MS = 10_000  # a flood of refused requests must not flood the log

_LATER = {"Retry-After": "5"}


class Reception:
    """Takes notifications into the ledger and shows what is in it. ``wake`` tells the worker that there is something new."""

    def __init__(
        self,
        config: HookConfig,
        ledger: Ledger,
        metrics: HookMetrics,
        telemetry: Telemetry,
        clock_ms: Callable[[], int],
        wake: Callable[[], None],
        alive: Callable[[], bool],
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._metrics = metrics
        self._telemetry = telemetry
        self._clock_ms = clock_ms
        self._wake = wake
        self._alive = alive
        self._said: dict[str, tuple[int, int]] = {}  # reason: when it was last said, requests since

    def body_limit(self, request: Request) -> int:
        """Bytes of body that are read: none of somebody without credentials."""
        try:
            known = allowed(self._config.listen, request.headers.get("authorization"))
        except CredentialsError:
            return 0  # said when the request is answered
        limit = self._config.listen.max_body_bytes if known and _is_notification(request) else 0
        length = request.headers.get("content-length", "")
        if limit and length.isascii() and length.isdigit() and int(length[:12]) > limit:
            self._refused("too_large")  # the answer is 413, before it comes here
        return limit

    def answer(self, request: Request) -> Response:
        """The response to a request, ready to be sent. Raises ``CredentialsError``."""
        return negotiated(request, self._answer(request))

    def _answer(self, request: Request) -> Response:
        if request.path == "/healthz" and request.method in ("GET", "HEAD"):
            alive = self._alive()
            return _json(200 if alive else 503, {"alive": alive})
        if not allowed(self._config.listen, request.headers.get("authorization")):
            self._refused("credentials")
            refusal = problem(401, "credentials are missing or wrong")
            return Response(401, JSON, refusal.body, {"WWW-Authenticate": challenges(self._config.listen)})
        routes: Mapping[str, tuple[str, Callable[[Request], Response]]] = {
            "/webhook": ("POST", self._webhook),
            "/": ("GET", self._status),
            "/metrics": ("GET", self._page),
        }
        if request.path not in routes:
            return problem(404, "there is nothing here", expected=f"one of {', '.join(routes)}, /healthz", got=request.path[:200])
        method, route = routes[request.path]
        if request.method != method and not (request.method == "HEAD" and method == "GET"):
            refusal = problem(405, "this method is not allowed", expected=method, got=request.method[:20])
            return Response(405, JSON, refusal.body, {"Allow": method})
        try:
            return route(request)
        except StateError as error:
            self._telemetry.emit(events.LedgerFailed(reason_of(error)))
            self._refused("ledger")
            return Response(503, JSON, problem(503, "the ledger cannot be used; the log says why").body, _LATER)

    def _webhook(self, request: Request) -> Response:
        """A notification. The order of effects is what makes sure that no trigger is lost:

        1 the body is understood, or refused with 400, which changes nothing
        2 new triggers are in the ledger, on disk, in one transaction; known ones change nothing
        3 200 is answered: from here on Alertmanager has nothing to do any more
        4 the worker is woken

        Killed before 2, or when 2 fails (503): Alertmanager has no answer of 2xx and comes again. Killed after 2: it is in the ledger; if
        Alertmanager had no answer it comes again, and the trigger is known.
        """
        try:
            notification = parse(request.body, self._config.alert)
        except MalformedError as error:
            self._refused("malformed")
            return problem(400, "this is no notification of Alertmanager", expected=str(error).removeprefix("expected "))
        try:
            received = self._ledger.receive(notification.triggers, self._config.ledger.max_pending, self._clock_ms())
        except LedgerFullError:
            self._refused("full")
            return Response(503, JSON, problem(503, "too many triggers wait already; come again").body, _LATER)
        known = received.known + notification.repeated
        self._count(notification, known)
        for trigger in notification.triggers:
            if trigger.id in received.new:
                self._telemetry.emit(events.TriggerReceived(trigger.id, trigger.model))
        self._telemetry.emit(events.NotificationTaken(len(received.new), known, sum(notification.ignored.values())))
        self._wake()
        ignored = {str(reason): count for reason, count in notification.ignored.items()}
        return _json(200, {"received": len(received.new), "known": known, "ignored": ignored, "truncated": notification.truncated})

    def _count(self, notification: Notification, known: int) -> None:
        self._metrics.count("notifications_total")
        self._metrics.count("triggers_deduplicated_total", by=known)
        self._metrics.count("alerts_truncated_total", by=notification.truncated)
        for reason, count in notification.ignored.items():
            self._metrics.count("alerts_ignored_total", str(reason), count)
        if notification.truncated:
            self._telemetry.emit(events.AlertsTruncated(notification.truncated))

    def _refused(self, reason: str) -> None:
        self._metrics.count("notifications_refused_total", reason)
        now = self._clock_ms()
        last, requests = self._said.get(reason, (now - _SAY_EVERY_MS, 0))
        if now - last >= _SAY_EVERY_MS:
            self._telemetry.emit(events.NotificationRefused(reason, requests + 1))
            last, requests = now, -1
        self._said[reason] = last, requests + 1

    def _status(self, _request: Request) -> Response:
        shown = [entry.shown() for entry in self._ledger.recent(SHOWN)]
        return _json(200, {"pending": self._ledger.pending(), "last_start_ms": self._ledger.last_start_ms(), "triggers": shown})

    def _page(self, _request: Request) -> Response:
        return Response(200, METRICS_TEXT, self._metrics.render())


def _is_notification(request: Request) -> bool:
    return request.method == "POST" and request.path == "/webhook"


def _json(status: int, tree: object) -> Response:
    return Response(status, JSON, msgspec.json.encode(tree) + b"\n")

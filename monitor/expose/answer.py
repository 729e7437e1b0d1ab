"""What the server answers: pure but for the newest snapshot and the secrets, from a request to a response."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import xxhash

from monitor.config.root import Http
from monitor.expose.alarm_json import alarms_json
from monitor.expose.api import status_json, verdicts_json
from monitor.expose.auth import allowed, challenges
from monitor.expose.canary_json import canary_json
from monitor.expose.health import is_alive, is_ready
from monitor.expose.page import status_page
from monitor.expose.performance_json import labels_json, performance_json
from monitor.expose.published import Published
from monitor.expose.query import BadParameterError, Query, parse_query
from monitor.expose.review_json import failure_modes_json, review_json
from monitor.expose.style import STYLE_HASH
from monitor.expose.trigger_json import trigger_json, triggers_json

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Asked by machines that have no credentials; they say nothing about the models."""

_SECURITY = {
    "Content-Security-Policy": "; ".join((
        "default-src 'none'", f"style-src {STYLE_HASH}", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}  # fmt: skip
_GZIP_FROM_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Header names are lower case; the body is empty unless the server takes one."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out; ``gzipped`` is the body compressed where that was prepared."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    gzipped: bytes | None = None


def problem(status: int, error: str, **details: object) -> Response:
    """An error as JSON."""
    return Response(status, JSON, msgspec.json.encode({"error": error, **details}) + b"\n")


def answer(request: Request, published: Published, config: Http, now_ms: int) -> Response:
    """The response to a request, ready to be sent. Raises ``CredentialsError``."""
    return negotiated(request, _answer(request, published, config, now_ms))


def _answer(request: Request, published: Published, config: Http, now_ms: int) -> Response:
    if request.method not in ("GET", "HEAD"):
        refused = problem(405, "this method is not allowed", expected="GET or HEAD", got=request.method[:20])
        return _with(refused, {"Allow": "GET, HEAD"})
    if request.path not in OPEN_PATHS and not allowed(config, request.headers.get("authorization")):
        return _with(problem(401, "credentials are missing or wrong"), {"WWW-Authenticate": challenges(config)})
    if request.path.startswith(_ONE_TRIGGER):
        return _trigger(published, request.path.removeprefix(_ONE_TRIGGER))
    route = _ROUTES.get(request.path)
    if route is None:
        return problem(404, "there is nothing here", expected=f"one of {', '.join(_ROUTES)}", got=request.path[:200])
    try:
        return route(published, parse_query(request.query), now_ms)
    except BadParameterError as error:
        return problem(400, str(error), parameter=error.parameter, expected=error.expected, got=error.got)


def _metrics(published: Published, _query: Query, _now_ms: int) -> Response:
    page = published.metrics()
    return Response(200, METRICS_TEXT, page.text, gzipped=page.gzipped)


def _healthz(published: Published, _query: Query, now_ms: int) -> Response:
    alive = is_alive(published.snapshot, now_ms)
    body = {"alive": alive, "loop_turned_seconds_ago": max(0, now_ms - published.snapshot.taken_ms) // 1000}
    return Response(200 if alive else 503, JSON, msgspec.json.encode(body) + b"\n")


def _readyz(published: Published, _query: Query, now_ms: int) -> Response:
    snapshot = published.snapshot
    ready = is_ready(snapshot)
    return Response(200 if ready else 503, JSON, msgspec.json.encode({"ready": ready, "phase": snapshot.phase}) + b"\n")


def _verdicts(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, verdicts_json(published.snapshot, query))


def _alarms(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, alarms_json(published.snapshot, query))


def _performance(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, performance_json(published.snapshot, query))


def _labels(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, labels_json(published.snapshot, query))


def _review(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, review_json(published.snapshot, query))


def _failure_modes(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, failure_modes_json(published.snapshot, query))


def _canary(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, canary_json(published.snapshot, query))


def _status(published: Published, _query: Query, now_ms: int) -> Response:
    return Response(200, JSON, status_json(published.snapshot, now_ms))


def _triggers(published: Published, query: Query, _now_ms: int) -> Response:
    return Response(200, JSON, triggers_json(published.snapshot, query))


def _trigger(published: Published, name: str) -> Response:
    body = trigger_json(published.snapshot, name)
    if body is None:
        return problem(404, "there is no such trigger", expected="the id of one in /api/v1/triggers", got=name[:200])
    return Response(200, JSON, body)


def _page(published: Published, query: Query, now_ms: int) -> Response:
    return Response(200, HTML, status_page(published.snapshot, query, now_ms))


_ROUTES: Mapping[str, Callable[[Published, Query, int], Response]] = {
    "/": _page,
    "/metrics": _metrics,
    "/healthz": _healthz,
    "/readyz": _readyz,
    "/api/v1/verdicts": _verdicts,
    "/api/v1/alarms": _alarms,
    "/api/v1/status": _status,
    "/api/v1/performance": _performance,
    "/api/v1/labels": _labels,
    "/api/v1/review": _review,
    "/api/v1/failure-modes": _failure_modes,
    "/api/v1/triggers": _triggers,
    "/api/v1/canary": _canary,
}
_ONE_TRIGGER = "/api/v1/triggers/"


def negotiated(request: Request, response: Response) -> Response:
    """With the headers of every response; compressed if the client takes gzip, unchanged content answered with 304."""
    headers = {**_SECURITY, **response.headers, "Vary": "Accept-Encoding"}
    body = response.body
    if response.status == 200 and response.content_type != METRICS_TEXT:
        # Weak: the compressed body is another one. A scrape is never the same twice.
        headers["ETag"] = tag = f'W/"{xxhash.xxh3_128_hexdigest(body)}"'
        if tag in [given.strip() for given in request.headers.get("if-none-match", "").split(",")]:
            return Response(304, response.content_type, b"", headers)
    if takes_gzip(request.headers.get("accept-encoding", "")) and (response.gzipped is not None or len(body) >= _GZIP_FROM_BYTES):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, 1, mtime=0) if response.gzipped is None else response.gzipped
    return Response(response.status, response.content_type, body, headers)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header (RFC 9110, 12.5.3) allows gzip; only asked for, never assumed.

    >>> takes_gzip("gzip;q=1.0, identity"), takes_gzip("gzip;q=0"), takes_gzip("br"), takes_gzip("*")
    (True, False, False, True)
    """
    weights: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            weights[coding.strip()] = float(value) if name == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _with(response: Response, headers: Mapping[str, str | list[str]]) -> Response:
    return Response(response.status, response.content_type, response.body, headers)

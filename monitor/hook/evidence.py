"""The evidence of a trigger, from the monitor that made it: GET {url}/api/v1/triggers/{id}."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from monitor.decode.depth import depth_of
from monitor.hook.config import MonitorAccess
from monitor.hook.target.http import UnreadableError, authorization
from monitor.hook.web import NoAnswerError, NotSentError, call

MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """The JSON object that the monitor answered."""

    text: str


@dataclass(frozen=True, slots=True)
class NoEvidence:
    """Why there is none, this time."""

    reason: str


def evidence_url(access: MonitorAccess | None, trigger_id: str) -> str:
    """Where the evidence of a trigger is; empty without a monitor.

    >>> evidence_url(MonitorAccess(url="http://driftgauge:9464/"), "churn/3")
    'http://driftgauge:9464/api/v1/triggers/churn%2F3'
    """
    return "" if access is None else f"{access.url.rstrip('/')}/api/v1/triggers/{quote(trigger_id, safe='')}"


def fetch_evidence(access: MonitorAccess, trigger_id: str) -> Evidence | NoEvidence:
    """One request. What the monitor says is checked to be a JSON object of bounded size, and not looked into."""
    try:
        headers = authorization(access.bearer_token, access.basic_auth)
        url = evidence_url(access, trigger_id)
        reply = call("GET", url, headers, None, tls=access.tls, timeout_ms=access.timeout_ms, max_bytes=access.max_bytes)
    except (UnreadableError, NotSentError, NoAnswerError) as error:
        return NoEvidence(f"the monitor cannot be asked: {error}")
    if reply.status != 200:
        return NoEvidence(f"expected status 200 from the monitor, got {reply.status}")
    if not reply.complete:
        return NoEvidence(f"expected at most {access.max_bytes} bytes from the monitor, got more")
    return _read(reply.body)


def _read(body: bytes) -> Evidence | NoEvidence:
    if depth_of(body) > MAX_DEPTH:
        return NoEvidence(f"expected JSON of at most {MAX_DEPTH} levels from the monitor, got more")
    try:
        # Through a strict reader: NaN and halves of surrogate pairs are no JSON, and could not be sent on.
        tree = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return NoEvidence("expected JSON from the monitor, got something else")
    if not isinstance(tree, dict):
        return NoEvidence(f"expected a JSON object from the monitor, got {type(tree).__name__}")
    return Evidence(msgspec.json.encode(tree).decode())

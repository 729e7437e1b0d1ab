"""An HTTP POST: generic, from a template; the recipes in configs/hook/ are nothing but configuration.

What can happen when the process is killed between the request and its record, or when no clear answer comes:

    when_unsure: repeat   the same request goes out again, with the same body and idempotency key. A target that recognises it
                          (a run of this name exists: 409) starts once. One that does not may start twice.
    when_unsure: ask      a GET first; the request goes out again only if the run is not there. It can start twice only when
                          the target shows a run later than it is asked.
    when_unsure: stop     nothing goes out again and the trigger fails: the target may have started, or not. An operator looks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from monitor.config.root import BasicAuth
from monitor.config.types import Secret
from monitor.hook.target.config import HttpTarget
from monitor.hook.target.outcome import Failed, Key, NotTaken, Outcome, Rendered, Started, Unsure
from monitor.hook.template import Fields, render, render_text
from monitor.hook.web import NoAnswerError, NotSentError, Reply, call

JSON_TYPE = "application/json"


class UnreadableError(Exception):
    """A secret or token cannot be had, so nothing was sent. Names the place, never the content."""


class HttpStart:
    """The target ``http``."""

    kind = "http"

    def __init__(self, config: HttpTarget) -> None:
        self._config = config
        self.when_unsure = config.when_unsure
        self.retry = config.retry

    def render(self, fields: Fields) -> Rendered:
        """URL, headers and body as text, without credentials."""
        config = self._config
        request: dict[str, Any] = {
            "method": "POST",
            "url": render_text(config.url, fields, _percent),
            "headers": {name: _header(render_text(value, fields)) for name, value in config.headers.items()},
        }
        if config.lookup is not None:
            query = urlencode({name: render_text(value, fields) for name, value in config.lookup.query.items()})
            url = render_text(config.lookup.url, fields, _percent)
            request["lookup"] = {
                "url": url + ("&" if "?" in url else "?") + query if query else url,
                "found": render_text(config.lookup.found, fields),
            }
        body, note = sized_body(config.body, fields, config.max_body_bytes)
        return Rendered({**request, "body": body}, note)

    def start(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """Send the request."""
        config = self._config
        headers = {**request["headers"], "Content-Type": JSON_TYPE}
        if config.idempotency_header:
            headers[config.idempotency_header] = _header(key.trigger_id)
        try:
            headers |= self._credentials()
            reply = self._call("POST", request["url"], headers, request["body"].encode())
        except UnreadableError as error:
            return NotTaken("no_credentials", str(error))
        except NotSentError as error:
            return NotTaken("not_reached", str(error))
        except NoAnswerError as error:
            return Unsure("no_answer", str(error))
        return self._judge(reply)

    def _judge(self, reply: Reply) -> Outcome:
        answer = f"{reply.status} {reply.text()}".strip()
        if 200 <= reply.status < 300:
            return Started("accepted", answer)
        if reply.status in self._config.already:
            return Started("already_there", answer)
        if reply.status in self._config.not_taken:
            return NotTaken("not_taken", answer, _retry_after_ms(reply))
        if reply.status >= 500 or reply.status == 408:
            return Unsure("server_error", answer)
        return Failed("refused", answer)

    def find(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """Ask whether the run is there."""
        lookup = request["lookup"]
        try:
            reply = self._call("GET", lookup["url"], {**request["headers"], **self._credentials()}, None)
        except (UnreadableError, NotSentError, NoAnswerError) as error:
            return Unsure("cannot_ask", str(error))
        if reply.status != 200 or not reply.complete:
            return Unsure("cannot_ask", f"{reply.status} {reply.text()}".strip())
        if lookup["found"].encode() in reply.body:
            return Started("found", "the run was there when asked")
        return NotTaken("not_there", "the run was not there when asked")

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        limit = 64_000 if method == "POST" else 4_000_000
        return call(method, url, headers, body, tls=self._config.tls, timeout_ms=self._config.timeout_ms, max_bytes=limit)

    def _credentials(self) -> dict[str, str]:
        config = self._config
        headers = {name: _header(read_secret(secret)) for name, secret in config.secret_headers.items()}
        return headers | authorization(config.bearer_token, config.basic_auth) | ({"Authorization": self._login()} if config.login else {})

    def _login(self) -> str:
        login = self._config.login
        assert login is not None
        body = json.dumps({"username": login.username, "password": read_secret(login.password)}).encode()
        try:
            reply = self._call("POST", login.url, {"Content-Type": JSON_TYPE}, body)
        except (NotSentError, NoAnswerError) as error:
            raise UnreadableError(f"login: {error}") from error
        try:
            token = json.loads(reply.body)[login.token_field] if reply.status in (200, 201) else None
        except (ValueError, KeyError, TypeError, RecursionError):
            token = None
        if not isinstance(token, str) or not token:
            raise UnreadableError(f"login: expected status 200 or 201 and a field {login.token_field}, got status {reply.status}")
        return f"Bearer {_header(token)}"


def authorization(bearer_token: Secret | None, basic_auth: BasicAuth | None) -> dict[str, str]:
    """The header Authorization, or none; secrets are read anew. Raises ``UnreadableError``."""
    if bearer_token is not None:
        return {"Authorization": f"Bearer {_header(read_secret(bearer_token))}"}
    if basic_auth is not None:
        pair = f"{basic_auth.username}:{read_secret(basic_auth.password)}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def sized_body(tree: Any, fields: Fields, limit: int) -> tuple[str, str]:
    """The JSON of a template, and a note when the evidence had to be left out of it to fit ``limit`` bytes."""
    body = msgspec.json.encode(render(tree, fields))
    if len(body) <= limit or fields.evidence is None:
        return body.decode(), ""
    without = Fields(**{name: getattr(fields, name) for name in Fields.__dataclass_fields__ if name != "evidence"})
    return msgspec.json.encode(render(tree, without)).decode(), f"left out of the request, which would have {len(body)} bytes with it"


def read_secret(secret: Secret) -> str:
    """The secret. Raises ``UnreadableError``."""
    try:
        return secret.read()
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def _percent(value: str) -> str:
    return quote(value, safe="")


def _header(value: str) -> str:
    """What a header can hold: printable, one line."""
    return "".join(letter if " " <= letter <= "~" or "\xa0" <= letter <= "\xff" else "?" for letter in value).strip()


def _retry_after_ms(reply: Reply) -> int:
    seconds = reply.headers.get("retry-after", "").strip()
    return int(seconds) * 1_000 if seconds.isascii() and seconds.isdigit() and len(seconds) < 7 else 0

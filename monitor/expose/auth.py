"""Who may read: a bearer token or a user and password, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from monitor.config.root import Listen
from monitor.config.types import Secret


class CredentialsError(Exception):
    """A configured secret cannot be read. Names the place, never the content."""


def scheme(config: Listen) -> str:
    """``none``, ``bearer``, ``basic`` or ``both``."""
    if config.bearer_token and config.basic_auth:
        return "both"
    return "bearer" if config.bearer_token else "basic" if config.basic_auth else "none"


def challenges(config: Listen) -> list[str]:
    """Values of WWW-Authenticate (RFC 9110, 11.6.1)."""
    bearer = ['Bearer realm="driftgauge"'] if config.bearer_token else []
    basic = ['Basic realm="driftgauge", charset="UTF-8"'] if config.basic_auth else []
    return [*bearer, *basic]


def allowed(config: Listen, authorization: str | None) -> bool:
    """Whether an Authorization header (as http.client decodes it, latin-1) opens the door.

    Secrets are read anew each time, so that they can be rotated. Raises ``CredentialsError``.
    """
    if not config.bearer_token and not config.basic_auth:
        return True
    kind, _, given = (authorization or "").partition(" ")
    kind, given = kind.lower(), given.strip()
    if config.bearer_token and kind == "bearer":
        return _same(given.encode("latin-1", "replace"), _read(config.bearer_token))
    if config.basic_auth and kind == "basic":
        try:
            name, _, password = base64.b64decode(given, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        # Both are compared always: the time must not tell which one was wrong.
        return _same(name, config.basic_auth.username) & _same(password, _read(config.basic_auth.password))
    return False


def _read(secret: Secret) -> str:
    try:
        return secret.read()
    except ValueError as error:
        raise CredentialsError(str(error)) from error


def _same(given: bytes, right: str) -> bool:
    # Digests have one length, so the time does not tell the secret's.
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(right.encode()).digest())

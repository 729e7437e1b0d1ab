"""``Security`` as options of each client. Secrets are read here, when a client is made, and nowhere kept."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import Any

from monitor.config.source import Security
from monitor.config.types import Secret
from monitor.errors import SourceError


def tls_context(security: Security) -> ssl.SSLContext | None:
    """The TLS settings, or None when the protocol is without TLS. Raises ``SourceError`` for unusable files."""
    if security.protocol not in ("SSL", "SASL_SSL"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = security.check_hostname
    try:
        if security.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(security.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(f"source.security.ca_file: expected a PEM file of certificates, {security.ca_file}: {_reason(error)}") from error
    if security.cert_file is not None and security.key_file is not None:
        # Without a password OpenSSL would ask for one on the terminal.
        password = _read(security.key_password, "key_password") if security.key_password else ""
        try:
            context.load_cert_chain(security.cert_file, security.key_file, password)
        except (OSError, ssl.SSLError) as error:
            files = f"{security.cert_file} and {security.key_file}"
            raise SourceError(
                f"source.security.cert_file, key_file: expected a matching certificate and private key"
                f" (with key_password when it is encrypted), {files}: {_reason(error)}"
            ) from error
    return context


def kafka_python_options(security: Security) -> dict[str, Any]:
    """Keyword arguments for kafka-python's clients. Raises ``SourceError`` for unusable files or secrets."""
    options: dict[str, Any] = {"security_protocol": security.protocol}
    context = tls_context(security)
    if context is not None:
        options["ssl_context"] = context
    if security.mechanism is None:
        return options
    _hide_credentials()
    options["sasl_mechanism"] = security.mechanism
    if security.mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = _token_provider(token_reader(security))
    else:
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = _read(security.password, "password")
    return options


def librdkafka_options(security: Security) -> dict[str, Any]:
    """Configuration for confluent-kafka's clients. Raises ``SourceError`` for unusable files or secrets."""
    options: dict[str, Any] = {"security.protocol": security.protocol.lower()}
    if tls_context(security) is not None:  # also checks the files, with better words than the client's
        options["ssl.endpoint.identification.algorithm"] = "https" if security.check_hostname else "none"
        files = {"ssl.ca.location": security.ca_file, "ssl.certificate.location": security.cert_file, "ssl.key.location": security.key_file}
        options |= {name: str(path) for name, path in files.items() if path is not None}
        if security.key_password is not None:
            options["ssl.key.password"] = _read(security.key_password, "key_password")
    if security.mechanism is None:
        return options
    options["sasl.mechanisms"] = security.mechanism
    if security.mechanism == "OAUTHBEARER":
        read = token_reader(security)
        options["oauth_cb"] = lambda _: (read(), token_expiry_s(read()))
    else:
        options["sasl.username"] = security.username
        options["sasl.password"] = _read(security.password, "password")
    return options


def token_reader(security: Security) -> Callable[[], str]:
    """Reads the OAUTHBEARER token anew at each call, since whoever rotates it replaces the file."""
    return lambda: _read(security.token, "token")


def token_expiry_s(token: str) -> float:
    """Seconds since 1970 at which a JWT expires (RFC 7519, claim ``exp``). Raises ``SourceError`` when it does not say."""
    import base64
    import json

    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise SourceError("source.security.token: expected a JSON web token with the claim exp") from error


def secrets(security: Security) -> tuple[str, ...]:
    """Whatever secret can be read now, to keep it out of messages."""
    found = []
    for secret in (security.password, security.token, security.key_password):
        if secret is not None:
            try:
                found.append(secret.read())
            except ValueError:
                continue
    return tuple(found)


def _read(secret: Secret | None, name: str) -> str:
    assert secret is not None
    try:
        return secret.read()
    except ValueError as error:
        raise SourceError(f"source.security.{name}: {error}") from error


def _reason(error: OSError) -> str:
    return error.strerror or getattr(error, "reason", None) or type(error).__name__


def _hide_credentials() -> None:
    # At level DEBUG kafka-python logs requests whole and bytes raw, those with the password or token too.
    for name in ("kafka.net.connection", "kafka.protocol.parser"):
        logging.getLogger(name).addFilter(_above_debug)


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _token_provider(read: Callable[[], str]) -> Any:
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class FileToken(AbstractTokenProvider):  # type: ignore[misc]
        def token(self) -> str:
            return read()

    return FileToken()

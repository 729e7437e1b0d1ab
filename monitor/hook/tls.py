"""The client's side of HTTPS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from monitor.errors import ConfigError, Mistake
from monitor.hook.config import HookConfig
from monitor.hook.target.config import ClientTls


def tls_context(tls: ClientTls, where: str = "tls") -> ssl.SSLContext:
    """The client's side of HTTPS; files are read anew. Raises ``ConfigError``."""
    try:
        context = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.cert_file is not None and tls.key_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(str(path) for path in (tls.ca_file, tls.cert_file, tls.key_file) if path)
        raise ConfigError("hook", [Mistake(where, f"expected PEM files, {files}: {_reason(error)}")]) from error
    return context


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__  # OpenSSL's own word before a line of its source


def unusable_certificates(config: HookConfig) -> Iterator[Mistake]:
    """Certificates that the configuration names and that cannot be used."""
    named = {"monitor.tls": config.monitor.tls} if config.monitor else {}
    named |= {"start.http.tls": config.start.http.tls} if config.start.http else {}
    for where, tls in named.items():
        try:
            tls_context(tls, where)
        except ConfigError as error:
            yield from error.mistakes

"""Ask a server on this machine whether it is alive: exit status 0 for an answer of 200, else 1 and why.

python -m modelserver.healthcheck http://127.0.0.1:8080/healthz
"""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 4.0


def check(url: str) -> str | None:
    """Why the server is not healthy, or None. Proxies of the environment are not asked."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return f"expected an address such as http://127.0.0.1:8080/healthz, got {url!r}"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {type(error).__name__}: {error}"
    finally:
        connection.close()
    return None if status == http.client.OK else f"{url}: expected status 200, got {status}"


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))

from tests.expose.serving import log, start

__all__ = ["log", "start"]

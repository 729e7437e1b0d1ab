"""Which errors of a Kafka client do not heal by themselves, and what to do about each. Pure.

Names are those of the Kafka protocol (https://kafka.apache.org/protocol#protocol_error_codes), which both clients
share, and those a client has for itself: a class name in kafka-python, a leading underscore in librdkafka.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitor.errors import SourceError


class RefusalError(Exception):
    """A broker answered, and its answer was no; asking again would not change it."""


_AUTHENTICATION = "the broker refused the credentials; check source.security: mechanism, username, and what password or token refers to"
_AUTHORIZATION = "the user may not do this; grant Read and Describe on the topics and Read on the group"
_CODEC = "the messages are compressed with a codec that this installation cannot read; reinstall driftgauge with its dependencies"
_FENCED = "another process uses the same source.static_member; give each process its own"
_GROUP = "the group cannot be joined; check source.group (another kind of application may use it) and source.session_timeout"
_CORRUPT = "a record fails its checksum; check the broker's disk and the network"

_ADVICE = {
    "SASL_AUTHENTICATION_FAILED": _AUTHENTICATION,
    "_AUTHENTICATION": _AUTHENTICATION,
    "UNSUPPORTED_SASL_MECHANISM": "the broker does not offer this mechanism; check source.security.mechanism",
    "ILLEGAL_SASL_STATE": "this listener does not speak SASL; check source.security.protocol and the port",
    "TOPIC_AUTHORIZATION_FAILED": _AUTHORIZATION,
    "GROUP_AUTHORIZATION_FAILED": _AUTHORIZATION,
    "CLUSTER_AUTHORIZATION_FAILED": _AUTHORIZATION,
    "INVALID_TOPIC_EXCEPTION": "the topic's name is not valid; use letters, digits, '.', '_' and '-'",
    "UNSUPPORTED_COMPRESSION_TYPE": _CODEC,
    "UnsupportedCodecError": _CODEC,
    "_NOT_IMPLEMENTED": _CODEC,
    "FENCED_INSTANCE_ID": _FENCED,
    "_FENCED": _FENCED,
    "_FATAL": _FENCED,  # the only error that ends a consumer of librdkafka for good
    "INCONSISTENT_GROUP_PROTOCOL": _GROUP,
    "INVALID_GROUP_ID": _GROUP,
    "INVALID_SESSION_TIMEOUT": _GROUP,
    "GROUP_MAX_SIZE_REACHED": _GROUP,
    "UNSUPPORTED_VERSION": "the broker is too old; Apache Kafka 2.1 or later is expected",
    "_UNSUPPORTED_FEATURE": "the broker is too old; Apache Kafka 2.1 or later is expected",
    "CORRUPT_MESSAGE": _CORRUPT,
    "_BAD_MSG": _CORRUPT,
}


def advice(name: str) -> str | None:
    """What to do about an error that stays, by its protocol or client name; None for one that may pass.

    >>> advice("FENCED_INSTANCE_ID")
    'another process uses the same source.static_member; give each process its own'
    >>> advice("NOT_LEADER_OR_FOLLOWER") is None
    True
    """
    return _ADVICE.get(name)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text on one line, bounded, without the secrets.

    >>> redact("login failed for bob:hunter2", ["hunter2"])
    'login failed for bob:***'
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:500]


def refusal(what: str, brokers: Sequence[str], name: str, text: str, secrets: Iterable[str]) -> SourceError:
    """The error for what a client reported: what failed, where, its own words without secrets, and what to do."""
    action = advice(name) or "check that the brokers are up and reachable"
    return SourceError(f"{what}, Kafka at {', '.join(brokers)}: {redact(text, secrets)} ({name}); {action}")


def unknown_topics(missing: Sequence[str], brokers: Sequence[str]) -> SourceError:
    """The error for topics that the cluster does not have or does not show."""
    return SourceError(
        f"expected these topics on {', '.join(brokers)}, but they are not there or hidden from this user: {', '.join(missing)};"
        " create them or check the names"
    )

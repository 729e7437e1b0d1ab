"""Templates of what is started: ``${name}`` in the strings of a JSON tree. Pure.

    "${trigger_id}"          text
    "run ${run_id} of ${model}"
    "${evidence}"            alone in a string: the JSON value itself, not its text
    "${evidence.segments[0].name}", "${labels.team}", "${annotations.summary}"
    "$$"                     a dollar sign

Values are put into strings of a tree that is encoded afterwards, so nothing in a value can become structure: there is no
text of JSON, of a shell or of a URL in which it could stand unescaped. Every value is cut.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from monitor.config.path import parse_path

MAX_TEXT = 1_000
"""Characters of one value inside a text."""

MAX_DEPTH = 32

TREES = ("labels", "annotations", "evidence")
"""Fields that are asked for with a path; evidence also as a whole."""

_PLACEHOLDER = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[^{}]*)\}|(?P<open>\{))")
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Fields:
    """What a template can name."""

    trigger_id: str
    model: str
    reason: str
    severity: str
    starts_at: str  # of the alert, as Alertmanager wrote it
    received_at: str  # ISO 8601
    evidence_url: str  # empty without a monitor
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    evidence: Any = None  # JSON, None when there is none

    @property
    def run_id(self) -> str:
        """A name of the run made from the trigger id: the same at each attempt."""
        return run_id(self.model, self.trigger_id)


PLAIN = ("trigger_id", "run_id", "model", "reason", "severity", "starts_at", "received_at", "evidence_url")
"""Fields that are text."""


def run_id(model: str, trigger_id: str) -> str:
    """Lower-case letters, digits and hyphens, at most 63: a name that Kubernetes, Airflow, Kubeflow and file systems take.

    Differs for different trigger ids (64 bits of SHA-256), and says the model to a reader.

    >>> run_id("churn/EU", "churn:3:data_drift:42")
    'retrain-churn-eu-1f404bcf5580ecc7'
    """
    readable = _NOT_IN_A_NAME.sub("-", model.lower()).strip("-")[:36].strip("-")
    return "-".join(part for part in ("retrain", readable, hashlib.sha256(trigger_id.encode()).hexdigest()[:16]) if part)


def check(tree: Any, depth: int = 0) -> None:
    """Raises ``ValueError`` for a placeholder that means nothing, or for what is no JSON."""
    if depth > MAX_DEPTH:
        raise ValueError(f"expected a template of at most {MAX_DEPTH} levels")
    if isinstance(tree, str):
        for match in _PLACEHOLDER.finditer(tree):
            if match["dollar"] is None:
                _check_name(match["name"], tree)
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            if not isinstance(key, str) or "${" in key:
                raise ValueError(f"expected keys that are text without a placeholder, got {str(key)[:80]!r}")
            check(value, depth + 1)
    elif isinstance(tree, list | tuple):
        for value in tree:
            check(value, depth + 1)
    elif not (tree is None or isinstance(tree, bool | int | float)) or tree != tree:  # noqa: PLR0124 (NaN is no JSON)
        raise ValueError(f"expected text, a number, true, false, null, a list or a mapping, got {type(tree).__name__} (quote a date)")


def _check_name(name: str | None, text: str) -> None:
    if name is None:
        raise ValueError(f"expected a closing }} after ${{, or $$ for a dollar sign, got {text[:80]!r}")
    first, dot, rest = name.partition(".")
    bare = first.partition("[")[0]
    if bare == "evidence":
        parse_path(name)
    elif not (name in PLAIN or (first in ("labels", "annotations") and dot and rest)):
        known = ", ".join([*PLAIN, "labels.NAME", "annotations.NAME", "evidence", "evidence.PATH"])
        raise ValueError(f"expected one of {known} in ${{}}, got {name[:80]!r}")


def names(text: str) -> list[str]:
    """The names that a text asks for, in order.

    >>> names("--id=${trigger_id} costs $$5 ${evidence.x}")
    ['trigger_id', 'evidence.x']
    """
    return [match["name"] for match in _PLACEHOLDER.finditer(text) if match["name"] is not None]


def render(tree: Any, fields: Fields) -> Any:
    """The tree with its placeholders replaced; a new one."""
    if isinstance(tree, str):
        whole = _PLACEHOLDER.fullmatch(tree)
        return _value(whole["name"], fields) if whole and whole["name"] is not None else render_text(tree, fields)
    if isinstance(tree, Mapping):
        return {key: render(value, fields) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [render(value, fields) for value in tree]
    return tree


def _as_it_is(text: str) -> str:
    return text


def render_text(text: str, fields: Fields, escape: Callable[[str], str] = _as_it_is) -> str:
    """A text with its placeholders replaced; ``escape`` makes a value fit where it comes to stand, such as in a URL."""

    def one(match: re.Match[str]) -> str:
        return "$" if match["dollar"] else escape(_text(_value(match["name"], fields))[:MAX_TEXT])

    return _PLACEHOLDER.sub(one, text)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def _value(name: str, fields: Fields) -> Any:
    if name in PLAIN:
        return getattr(fields, name)
    first, _, rest = name.partition(".")
    if first in ("labels", "annotations"):
        return getattr(fields, first).get(rest, "")
    found = fields.evidence
    for step in parse_path(name)[1:]:
        if isinstance(found, dict) and isinstance(step, str):
            found = found.get(step)
        elif isinstance(found, list) and isinstance(step, int) and step < len(found):
            found = found[step]
        else:
            return None
    return found

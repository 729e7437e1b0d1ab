"""``driftgauge hook --dry-run``: what would be started for a notification, in words. Starts nothing, asks nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from monitor.config.types import Secret
from monitor.hook.alert import Notification, Trigger
from monitor.hook.config import HookConfig, Start
from monitor.hook.ledger import Ledger
from monitor.hook.policy import skip_reason
from monitor.hook.target.outcome import Target
from monitor.hook.worker import fields_of

SAMPLE_EVIDENCE = {"sample": True}
"""Stands where the monitor's evidence would be."""


def sample_notification(name: str, model: str) -> dict[str, Any]:
    """A notification as Alertmanager sends it (version 4), with one trigger."""
    labels = {
        "alertname": name, "model": model, "reason": "performance", "trigger_id": f"{model}-sample-1", "action": "retrain",
        "severity": "warning",
    }  # fmt: skip
    alert = {
        "status": "firing", "labels": labels, "annotations": {"summary": "A sample of a trigger."}, "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "0000000000000001",
    }  # fmt: skip
    return {
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "hook", "groupLabels": {},
        "commonLabels": labels, "commonAnnotations": {}, "externalURL": "", "alerts": [alert],
    }  # fmt: skip


def dry_run(
    config: HookConfig, target: Target, notification: Notification, evidence: Mapping[str, Any], ledger: Ledger | None, now_ms: int
) -> Iterator[str]:
    """Lines for each trigger: what the ledger and the policy would say, and what would be sent or run."""
    for reason, count in notification.ignored.items():
        yield f"{count} alerts are no triggers: {reason}"
    if notification.truncated:
        yield f"{notification.truncated} alerts were left out by Alertmanager (max_alerts)"
    for trigger in notification.triggers:
        yield from _trigger(config, target, trigger, evidence, ledger, now_ms)


def _trigger(
    config: HookConfig, target: Target, trigger: Trigger, evidence: Mapping[str, Any], ledger: Ledger | None, now_ms: int
) -> Iterator[str]:
    yield f"trigger {trigger.id} of model {trigger.model}"
    known = ledger.find(trigger.id) if ledger is not None else None
    skip = skip_reason(config.policy, ledger.starts(trigger.model, now_ms), now_ms) if ledger is not None else None
    if known is not None:
        yield f"  would start nothing: the ledger knows it, it is {known.state} {known.reason}".rstrip()
    elif skip is not None:
        yield f"  would be skipped ({skip.reason}): {skip.detail}"
    fields = fields_of(trigger, now_ms, config.monitor, json.dumps(evidence))
    if config.monitor is not None:
        yield f"  evidence ({config.monitor.evidence}): GET {fields.evidence_url}"
    rendered = target.render(fields)
    yield f"  {target.kind}, if its outcome is not clear: {target.when_unsure}"
    for name, value in rendered.request.items():
        yield f"  {name}: {_shown(value)}"
    for name, place in credentials(config.start):
        yield f"  {name}: from {place}"
    if rendered.note:
        yield f"  evidence: {rendered.note}"


def _shown(value: Any) -> str:
    try:
        tree = json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value
    except ValueError:
        tree = value
    return tree if isinstance(tree, str) else json.dumps(tree, indent=2, ensure_ascii=False).replace("\n", "\n  ")


def credentials(start: Start) -> Iterator[tuple[str, str]]:
    """What is sent or passed beside what is shown, and where its secret stands."""
    if start.http is not None:
        http = start.http
        if http.idempotency_header:
            yield f"header {http.idempotency_header}", "the trigger id"
        named = {
            "Authorization: Bearer": http.bearer_token,
            "Authorization: Basic": http.basic_auth.password if http.basic_auth else None,
            "login": http.login.password if http.login else None,
            **{f"header {name}": secret for name, secret in http.secret_headers.items()},
        }
    else:
        named = {f"variable {name}": secret for name, secret in start.command.secret_environment.items()} if start.command else {}
    yield from ((name, place_of(secret)) for name, secret in named.items() if secret is not None)


def place_of(secret: Secret) -> str:
    """Where a secret stands; never the secret."""
    return f"the file {secret.file}" if secret.file is not None else f"the environment variable {secret.env}"

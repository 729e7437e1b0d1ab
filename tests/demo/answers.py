"""Hand-made answers of the API, as its JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.demo.answers import Status, Verdict


def verdict(**changes: Any) -> Verdict:
    """A drifted verdict about temperatures over all traffic."""
    fields: dict[str, Any] = {
        "model": "m", "version": "1", "window": "short",
        "window_start": "2013-07-08T00:00:00.000Z", "window_end": "2013-07-15T00:00:00.000Z",
        "segment": "ALL", "signal": "temperature_f", "statistic": "psi", "status": "drifted", "reference": "ab" * 32, "value": 1.25,
        "threshold": 0.1, "noise_floor": 0.0042, "n_now": 6_000, "n_reference": 50_000, "since": "2013-05-01T00:00:00.000Z",
        "unit_factor": None, "unit_offset": None, "worst_bins": [{"bin": "64.4 to 130", "reference_share": 0.0, "share": 0.7}],
    }  # fmt: skip
    return msgspec.json.decode(msgspec.json.encode(fields | changes), type=Verdict)


def share(segment: str, now: float, before: float, **changes: Any) -> Verdict:
    """A verdict about a segment's share of traffic."""
    fields = {"segment": segment, "signal": None, "statistic": "segment_share", "status": "stable", "value": now - before, "since": None}
    return verdict(**fields | {"threshold": 0.05, "share": now, "reference_share": before, "worst_bins": []} | changes)


def status(**ledger: int) -> Status:
    """A healthy monitor that received 100 messages."""
    counts: dict[str, Any] = {
        "messages": 100, "tombstones": 1, "rejected": {"not_json": 2, "no_id": 3}, "rows_counted": 80, "rows_duplicate": 10,
        "rows_late": {"lateness": 4, "closed": 0}, "rows_folded": 7, "ids_evicted": 0, "offsets_lost": 0, "unaccounted": 0,
    }  # fmt: skip
    known = {
        "version": "1", "reference": "ab" * 32, "reference_rows": 51_955, "dataset": None, "pipeline": None,
        "reference_start": "2013-01-01T10:15:00.000Z", "reference_end": "2013-03-01T04:59:00.000Z",
    }  # fmt: skip
    unknown = dict.fromkeys(("reference", "reference_rows", "reference_start", "reference_end", "dataset", "pipeline"))
    detector = {"version": "1", "signal": "score"}
    model = {
        "name": "flight-delay", "topic": "t", "complete": True, "lag_messages": 0,
        "watermark": "2014-01-01T00:00:00.000Z", "evaluated": None, "evaluated_event_time": "2014-01-01T00:00:00.000Z",
        "ledger": counts | ledger, "versions": [known, {"version": "2"} | unknown],
        "segments": {"reference": 53, "new": 1, "limit": 100}, "open_panes": 4, "remembered_ids": 4_559,
        "memory_bytes": {"open": 2_048, "closed": 3_145_728, "duplicates": 0},
        "river": [
            detector | {"segment": "ALL", "detector": "river.drift.ADWIN", "alarms": 0, "last_alarm": None},
            detector | {"segment": "carrier=UA", "detector": "river.drift.KSWIN", "alarms": 2, "last_alarm": "2013-12-19T00:00:00.000Z"},
        ],
    }  # fmt: skip
    answer = {"condition": "healthy", "reason": "Reading all partitions.", "ready": True, "program_version": "0.1.0", "models": [model]}
    return msgspec.json.decode(msgspec.json.encode(answer), type=Status)

"""What the monitor's API answers, typed, and the asking. The demonstration knows of the monitor only what anybody may ask it."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from monitor.demo.label_answers import Labelling, LabellingPage, Metric, MetricPage

_TIMEOUT_SECONDS = 30.0
_PAGE = 1_000


class BinShift(msgspec.Struct, frozen=True):
    """One bin: its share in the reference and now."""

    bin: str
    reference_share: float
    share: float


class Verdict(msgspec.Struct, frozen=True):
    """One verdict. Times are ISO 8601; ``signal`` is None for the share of a segment."""

    version: str
    window: str
    window_start: str
    window_end: str
    segment: str
    signal: str | None
    statistic: str
    status: str
    threshold: float
    n_now: int
    value: float | None = None
    noise_floor: float | None = None
    n_reference: int | None = None
    since: str | None = None
    unit_factor: float | None = None
    unit_offset: float | None = None
    worst_bins: tuple[BinShift, ...] = ()
    share: float | None = None
    reference_share: float | None = None

    @property
    def times(self) -> float:
        """How many times the threshold; 0 where the value is undefined."""
        return abs(self.value) / self.threshold if self.value is not None and self.threshold > 0 else 0.0


class VerdictPage(msgspec.Struct, frozen=True):
    """A page of verdicts, worst first."""

    total: int
    next_offset: int | None
    verdicts: tuple[Verdict, ...]


class Ledger(msgspec.Struct, frozen=True):
    """Where every message went."""

    messages: int
    tombstones: int
    rejected: dict[str, int]
    rows_counted: int
    rows_duplicate: int
    rows_late: dict[str, int]
    rows_folded: int
    ids_evicted: int
    offsets_lost: int
    unaccounted: int


class Version(msgspec.Struct, frozen=True):
    """A model version and what it is compared with."""

    version: str
    reference: str | None = None
    reference_rows: int | None = None
    reference_start: str | None = None
    reference_end: str | None = None


class Segments(msgspec.Struct, frozen=True):
    """How many segments are watched."""

    reference: int
    new: int
    limit: int


class MemoryBytes(msgspec.Struct, frozen=True):
    """Bytes of state."""

    open: int
    closed: int
    duplicates: int


class River(msgspec.Struct, frozen=True):
    """What one detector of river found."""

    segment: str
    signal: str
    detector: str
    alarms: int
    last_alarm: str | None = None


class LabelLedger(msgspec.Struct, frozen=True):
    """Where every label went."""

    messages: int
    tombstones: int
    rejected: dict[str, int]
    matched: int
    revised: int
    vote: int
    duplicate: int
    late: int
    late_arrival: int
    orphan: int
    waiting: int
    unaccounted: int


class LabelledPredictions(msgspec.Struct, frozen=True):
    """Predictions that waited for a label."""

    received: int
    labelled: int
    expired: int
    evicted: int
    pending: int


class Labels(msgspec.Struct, frozen=True):
    """Progress of the labels."""

    watermark: str | None
    ledger: LabelLedger
    predictions: LabelledPredictions


class Model(msgspec.Struct, frozen=True):
    """One model's progress."""

    name: str
    complete: bool
    lag_messages: int | None
    watermark: str | None
    evaluated_event_time: str | None
    ledger: Ledger
    versions: tuple[Version, ...]
    segments: Segments
    open_panes: int
    remembered_ids: int
    memory_bytes: MemoryBytes
    river: tuple[River, ...]
    labels: Labels | None = None

    @property
    def messages(self) -> int:
        """Messages read of both topics."""
        return self.ledger.messages + (0 if self.labels is None else self.labels.ledger.messages)


class Status(msgspec.Struct, frozen=True):
    """The state of the monitor."""

    condition: str
    reason: str
    ready: bool
    program_version: str
    models: tuple[Model, ...] = ()


class Api:
    """The monitor's HTTP API on one connection, opened again when it is lost. Raises ``OSError`` while nobody answers."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def status(self) -> Status:
        """Health, progress and ledger."""
        return msgspec.json.decode(self._get("/api/v1/status"), type=Status)

    def verdicts(self, query: Sequence[tuple[str, str]]) -> list[Verdict]:
        """All verdicts that the query asks for, worst first."""
        found: list[Verdict] = []
        offset: int | None = 0
        while offset is not None:
            text = urlencode([*query, ("limit", str(_PAGE)), ("offset", str(offset))])
            page = msgspec.json.decode(self._get(f"/api/v1/verdicts?{text}"), type=VerdictPage)
            found += page.verdicts
            offset = page.next_offset
        return found

    def metrics(self, query: Sequence[tuple[str, str]]) -> list[Metric]:
        """All metrics of performance that the query asks for, worst first."""
        found: list[Metric] = []
        offset: int | None = 0
        while offset is not None:
            text = urlencode([*query, ("limit", str(_PAGE)), ("offset", str(offset))])
            page = msgspec.json.decode(self._get(f"/api/v1/performance?{text}"), type=MetricPage)
            found += page.metrics
            offset = page.next_offset
        return found

    def labelling(self) -> tuple[Labelling, ...]:
        """How labels of all traffic came, by version."""
        return msgspec.json.decode(self._get("/api/v1/labels"), type=LabellingPage).labels

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _get(self, path: str) -> bytes:
        try:
            self._connection.request("GET", path)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ConnectionError(f"the monitor does not answer at {self.address}{path}: {error}") from error
        if response.status != http.HTTPStatus.OK:
            raise ConnectionError(f"{self.address}{path}: expected status 200, got {response.status}: {body[:300]!r}")
        return body

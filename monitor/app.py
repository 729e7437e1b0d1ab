"""The main job: wires the edges to the pure flow and turns the loop.

1 poll             messages that arrived
2 controls         decisions of operators, looked for once a second
3 decode           to columns, and rejections
4 advance          counts, closed panes, verdicts, decisions
5 letters          dead ones, items to review and triggers, to their topics
6 publish          what is shown
7 commit           state with offsets, every ``state.commit_every``: letters are delivered first
8 tell the cluster the committed offsets, for lag dashboards
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import monitor
from monitor import events, label_events
from monitor.batch import RawBatch
from monitor.changes import alarm_events, drift_changes, source_changes, total_changes
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import Config
from monitor.control_topic import ControlTopic
from monitor.decisions import Decided
from monitor.decode import Decoder, LabelDecoder
from monitor.errors import SinkError, SourceError, StateError
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import ModelView, Phase, Snapshot
from monitor.labels import LabelsEvaluated, shown_again
from monitor.letters import Letters
from monitor.partitions import Partitions, due
from monitor.pipeline import AT_ONCE, Evaluated, Outcome, Step, advance, unclosed
from monitor.portions import Portions
from monitor.reference.reference import Reference
from monitor.sink import Sink
from monitor.source.base import Assignment, Lag, Source, SourceHealth
from monitor.source.open import open_source
from monitor.state import ModelState, new_model_state
from monitor.stream import needs_of, streams_of
from monitor.telemetry import Telemetry, reason_of
from monitor.triggers import Triggers
from monitor.view import labels_view, model_view, shown_labels

_PUBLISH_EVERY_MS = 1_000


class Monitor:
    """One process. ``clock_ms`` is wall time; it stamps what is shown and tells silence, never what is counted."""

    def __init__(
        self,
        config: Config,
        references: Mapping[str, Sequence[Reference]],
        self_metrics: SelfMetrics,
        telemetry: Telemetry,
        clock_ms: Callable[[], int],
        at_step: Callable[[str], None] = lambda _step: None,
        drilled: Callable[[Snapshot, int], Snapshot] = lambda snapshot, _now_ms: snapshot,
    ) -> None:
        self.config, self.telemetry, self.clock_ms, self.drilled = config, telemetry, clock_ms, drilled
        self.snapshot = Snapshot(taken_ms=clock_ms(), started_ms=clock_ms(), program_version=monitor.__version__)
        self.published = Published(self.snapshot, self_metrics, config.http.max_series)
        for name, each in references.items():
            for reference in each:
                telemetry.emit(events.ReferenceLoaded(name, reference.model_version, reference.fingerprint[:12], reference.rows))
        models = {model.name: new_model_state(model, references.get(model.name, ()), config.state.directory) for model in config.models}
        self.checkpoint = Checkpoint(Store(config.state.directory, config.state.keep_epochs, at_step), models)
        self.saved = False  # whether the last commit succeeded
        self._changed = False  # whether anything happened since
        self._sealed = False  # the last commit must stand: cut off in the middle of a turn, offsets may be ahead of counts; or told to stop
        self._health = SourceHealth()
        self._evaluated_ms: dict[str, int] = {}
        self._committed_at = self._published_at = clock_ms()
        self._portions = Portions(clock_ms)
        self._letters, self._triggers = Letters(telemetry, Sink(config.source)), Triggers(telemetry, Sink(config.source))
        self._controls = ControlTopic(config, telemetry)

    def run(
        self,
        stop: threading.Event,
        *,
        until_end: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _lag: None,
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        """Turn the loop until ``stop`` is set, or with ``until_end`` until everything was read. Raises ``DriftgaugeError``.

        ``begun`` is called once the source is there, ``progress`` each turn with the messages of the turn and those still unread.
        """
        start = self._resume()
        wanted = needs_of(self._streams.values())
        self._source = source = open_source(self.config.source.model_copy(update={"start": start}), list(self._streams), wanted)
        await_ms, latest = 2 * self.config.source.session_timeout_ms, start == "latest"
        self.partitions = Partitions(self._streams, self.telemetry, self.clock_ms, self._commit, await_ms, latest)
        decoders = {topic: stream.decoder() for topic, stream in self._streams.items()}
        try:
            for model, step in self._controls.start(self._models, stop, self.clock_ms):
                advance(model, step)
            source.start(self.partitions)
            begun()
            gc.collect()
            gc.freeze()  # what is alive now stays: collections need not look at it
            gc.set_threshold(50_000)  # more than the messages of a poll, which hold no cycles and are gone before the next
            while not stop.is_set():
                raws = source.poll(self.config.source.poll_timeout_ms)
                lag = source.lag()  # asked once a turn: only polling changes it
                for portion in self._portions.of(raws, lambda: not stop.is_set() and bool(unclosed(self._models))):
                    if not stop.is_set():  # what is left is read again
                        self._turn(source, decoders, portion, lag)
                progress(read := sum(map(len, raws)), sum(lag.values()))
                self.partitions.say_headway(lag, read)
                if source.finished() or (until_end and not raws and self.partitions.all_read(lag)):
                    self._finish(source, stop, lag, until_end)
            self._stop()
        except SourceError as error:
            self.telemetry.emit(events.SourceFailed(reason_of(error)))
            raise
        except BaseException:
            self._sealed = True
            raise
        finally:
            source.close()
            self._letters.close()
            self._triggers.close()
            self._controls.close()
            self.checkpoint.store.close()

    def _resume(self) -> str:
        resumed = self.checkpoint.resume()
        for notice in resumed.notices:
            event = events.StateChanged if notice in resumed.changed else events.StateDiscarded
            self.telemetry.emit(event(resumed.epoch, notice))
        if resumed.epoch:
            self.telemetry.emit(events.StateLoaded(resumed.epoch, resumed.bytes_read))
        self._models = list(self.checkpoint.models.values())
        self._streams = streams_of(self._models)
        self._triggers.resume(self._models, resumed.values.get("raised_ms", {}), self.clock_ms())
        since = self.clock_ms() if resumed.lost else resumed.values.get("rebuilding_since_ms")
        if resumed.lost:
            self.telemetry.emit(events.RebuildStarted("the saved state cannot be used"))
        verdicts = tuple(v for m in self._models for _, version in sorted(m.versions.items()) for v in version.verdicts.values())
        labels = tuple(again for model in self._models if (again := shown_again(model)) is not None)
        self.snapshot = replace(self.snapshot, rebuilding_since_ms=since, notices=resumed.notices, verdicts=verdicts, labels=labels)
        # Lost state is made again from everything that the log still has.
        return "earliest" if resumed.lost else self.config.source.start

    def _operate(self, *, history: bool) -> list[Outcome]:
        """Take decisions of operators."""
        found: list[Outcome] = []
        for model, step in self._controls.read(self.clock_ms(), history=history, rebuilding=self.snapshot.rebuilding_since_ms is not None):
            found += self._advance(model, step)
            self._changed = True
        return found

    def _turn(self, source: Source, decoders: dict[str, Decoder | LabelDecoder], raws: Sequence[RawBatch], lag: Lag) -> None:
        now_ms = self.clock_ms()
        self.snapshot = self.drilled(self.snapshot, now_ms)
        owned = self.partitions.own(source)
        before, self._health = self._health, source.health()
        list(map(self.telemetry.emit, source_changes(before, self._health)))
        # Of a log that is read again, or a file, decisions hold from when they were made, not from now.
        history = self.snapshot.rebuilding_since_ms is not None or self.config.source.client == "ndjson"
        behind = unclosed(self._models)
        evaluated = [outcome for model, step in [*owned, *behind] for outcome in self._advance(model, step)]
        evaluated += self._operate(history=history)
        for topic, stream in self._streams.items():
            mine = [raw for raw in raws if raw.topic == topic]
            if not mine:
                continue
            batch, rejections = decoders[topic].decode(mine)
            evaluated += self._advance(stream.model, batch)
            self._letters.reject(stream, rejections)
            for span in batch.spans:
                if span.start < span.stop:  # messages without a row move no time on: they must not hold the others up
                    self.partitions.heard_from((topic, span.partition), now_ms)
        idle = [] if behind else self.partitions.silent(lag, now_ms, source.read_out)  # none is silent because nobody polls
        for silent, step in idle:
            evaluated += self._advance(silent, step)
        self._letters.review(self._models)
        assignment = source.assignment()
        self._changed = self.partitions.begin(assignment.began) or self._changed or bool(raws or idle or behind)
        self._publish(assignment, lag, evaluated)
        if self._changed and due(self._committed_at, now_ms, self.config.state.commit_every_ms):
            self._commit()
        full = [each.sink.pending for each in (self._letters, self._triggers) if not each.sink.has_room(each.deliver)]
        self.partitions.hold_back(source, now_ms, undelivered=sum(full))

    def _advance(self, model: ModelState, step: Step) -> list[Outcome]:
        started_ms = self.clock_ms()
        evaluated = advance(model, step, most=AT_ONCE)
        seconds = (self.clock_ms() - started_ms) / 1000 / max(len(evaluated), 1)
        for evaluation in evaluated:
            match evaluation:
                case Decided():
                    self._triggers.tell(model, evaluation, self.clock_ms())
                case LabelsEvaluated(event_ms=event_ms, verdicts=labels):
                    self.telemetry.emit(label_events.LabelsEvaluated(model.config.name, event_ms, seconds, len(labels)))
                case Evaluated(event_ms=event_ms, verdicts=windows):
                    drifted = sum(int(verdicts.drifted().any(axis=2).sum()) for verdicts in windows)
                    judged = sum(verdicts.n_now.size for verdicts in windows)
                    self.telemetry.emit(events.WindowsEvaluated(model.config.name, event_ms, seconds, drifted, judged))
                case _:
                    list(map(self.telemetry.emit, alarm_events(evaluation)))
        return evaluated

    def _publish(self, assignment: Assignment, lag: Lag, evaluated: Sequence[Outcome]) -> None:
        now_ms = self.clock_ms()
        if not evaluated and not due(self._published_at, now_ms, _PUBLISH_EVERY_MS) and self.snapshot.phase is Phase.RUNNING:
            return
        self._published_at = now_ms
        latest = {evaluation.model: evaluation for evaluation in evaluated if isinstance(evaluation, Evaluated)}
        self.snapshot = replace(self.snapshot, labels=shown_labels(self.snapshot.labels, self._models, evaluated))
        for name in latest:
            self._evaluated_ms[name] = now_ms
        if latest:
            kept = [v for v in self.snapshot.verdicts if v.model not in latest]
            verdicts = (*kept, *(v for evaluation in latest.values() for v in evaluation.verdicts))
            for change in drift_changes(self.snapshot.verdicts, verdicts):
                self.telemetry.emit(change)
            self.snapshot = replace(self.snapshot, verdicts=verdicts)
        if self.snapshot.rebuilding_since_ms is not None and assignment.complete and self.partitions.all_read(lag):
            self.telemetry.emit(events.RebuildFinished((now_ms - self.snapshot.rebuilding_since_ms) / 1000))
            self.snapshot = replace(self.snapshot, rebuilding_since_ms=None)
        self._triggers.expire(self._models, now_ms)
        before = {view.name: view for view in self.snapshot.models}
        views = [self._view(model, before.get(model.config.name), assignment, lag) for model in self._models]
        for view in views:
            for change in total_changes(before.get(view.name), view):
                self.telemetry.emit(change)
        phase = Phase.RUNNING if self.snapshot.phase is Phase.STARTING and assignment.owned else self.snapshot.phase
        self.snapshot = replace(self.snapshot, taken_ms=now_ms, phase=phase, models=tuple(views), unreachable=self._health.unreachable)
        self.published.publish(self.snapshot)

    def _view(self, model: ModelState, before: ModelView | None, assignment: Assignment, lag: Lag) -> ModelView:
        def progress(topic: str) -> dict[str, Any]:
            return {
                "lag": {p: waiting for (t, p), waiting in lag.items() if t == topic},
                "paused": {p for t, p in self.partitions.paused if t == topic},
                "partitions_in_topic": assignment.partitions.get(topic, 0),
            }

        name, labels = model.config.name, model.labels
        return model_view(
            model,
            evaluated_ms=self._evaluated_ms.get(name),
            before=before,
            retraining=self._triggers.view(model, self.clock_ms()),
            labels=None if labels is None else labels_view(labels, **progress(labels.config.topic)),
            **progress(model.config.predictions.topic),
        )

    def _commit(self) -> None:
        if self._sealed:
            return
        started_ms = self._committed_at = self.clock_ms()
        try:
            self._letters.review(self._models)
            self._triggers.deliver()  # before the commit that forgets the messages
            self._letters.deliver()
            values = {"rebuilding_since_ms": self.snapshot.rebuilding_since_ms, "raised_ms": self._triggers.saved(self._models)}
            epoch = self.checkpoint.commit(values)
        except (StateError, SinkError) as error:
            self.saved = False
            self.snapshot = replace(self.snapshot, unsaved=reason_of(error))
            self.telemetry.emit(events.CommitFailed(reason_of(error)))
            return
        self.saved, self._changed = True, False
        done_ms = self.clock_ms()
        self.telemetry.emit(events.StateCommitted(epoch, self.checkpoint.store.bytes_written, (done_ms - started_ms) / 1000))
        self.snapshot = replace(self.snapshot, committed_ms=done_ms, unsaved=None)
        offsets = {(topic, p): offset for topic, stream in self._streams.items() for p, offset in stream.reading.offsets.items()}
        owned = {partition: offset for partition, offset in offsets.items() if partition in self.partitions.owned}
        if owned:
            self._source.commit(owned, f"epoch {epoch}")

    def _finish(self, source: Source, stop: threading.Event, lag: Lag, until_end: bool) -> None:
        """Everything was read that is this process's to read: save, and go on showing what was found unless told to end."""
        evaluated = self._operate(history=False)
        self._commit()
        if elsewhere := source.assignment().elsewhere:
            self.telemetry.emit(events.PartitionsShared(elsewhere))
        self.telemetry.emit(events.SourceFinished(sum(each.messages for each in self._models)))
        self.snapshot = replace(self.snapshot, phase=Phase.FINISHED)
        self._publish(source.assignment(), lag, evaluated)
        if until_end:
            stop.set()
        else:
            stop.wait()

    def _stop(self) -> None:
        self.snapshot = replace(self.snapshot, phase=Phase.STOPPING, taken_ms=self.clock_ms())
        self.published.publish(self.snapshot)
        self._commit()
        self._sealed = True

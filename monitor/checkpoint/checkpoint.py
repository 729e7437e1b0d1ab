"""Commit and resume: the whole state of the process, with the offsets it came from, in one epoch of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from monitor.checkpoint.ids import IdRuns, SavedRuns
from monitor.checkpoint.saved import load_model, save_model
from monitor.checkpoint.saved_labels import load_labels, save_labels
from monitor.checkpoint.saved_review import load_review, save_review
from monitor.checkpoint.store import Store
from monitor.state import ModelState


@dataclass(frozen=True, slots=True)
class Resumed:
    """How the process starts."""

    epoch: int  # 0: from nothing
    bytes_read: int
    values: Mapping[str, Any]  # what ``commit`` was given as ``values``
    lost: bool  # there was a state, and none of it could be used: rebuild from the log
    notices: tuple[str, ...]  # what an operator should know
    changed: frozenset[str] = frozenset()  # those of them that only say what goes on otherwise than before: the state is used


@dataclass(eq=False)
class Checkpoint:
    """Saves and loads model states through a store."""

    store: Store
    models: dict[str, ModelState]
    runs: dict[str, IdRuns] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)  # kept blobs that the store has

    def resume(self) -> Resumed:
        """Load the newest usable epoch into the models. Raises ``StateError`` when the folder is in use or not writable."""
        opened = self.store.open()
        self.runs = {name: IdRuns(f"{name}/ids/") for name in self.models}
        notices = list(opened.passed_over)
        if opened.manifest is None:
            if notices:
                notices.append("no saved state could be used: counts are rebuilt from the log")
            return Resumed(0, 0, {}, bool(notices), tuple(notices))
        if notices:
            notices.append(f"resumed from the older epoch {opened.manifest.epoch}; the log is read again from its offsets")
        lost, otherwise = False, list[str]()
        for name, model in self.models.items():
            values = opened.manifest.values["models"].get(name)
            if values is None:
                continue  # a model that was added to the configuration
            try:
                changed = load_model(model, values, opened.blobs)
                if model.labels is not None and values.get("labels") is not None:
                    changed += load_labels(model.labels, name, values["labels"], opened.blobs)
                if model.review is not None:
                    load_review(model.review, opened.blobs, f"{name}/review")
                self.runs[name].restore(msgspec.convert(values, SavedRuns), opened.blobs, model.seen, model.ids_alive_from)
                otherwise += changed
            except (KeyError, ValueError, TypeError, IndexError) as error:
                notices.append(f"the saved state of model {name} cannot be used ({error}): its counts are rebuilt from the log")
                lost = True
                self._start_anew(name)
        # A model that starts anew uses names again that stand for other bytes in the store: then everything is written once more.
        self.written = set() if lost else {name for name, ref in opened.manifest.blobs.items() if ref.file.endswith("-kept")}
        size = sum(map(len, opened.blobs.values()))
        said = tuple(notices + otherwise)
        return Resumed(opened.manifest.epoch, size, opened.manifest.values["process"], lost, said, frozenset(otherwise))

    def _start_anew(self, name: str) -> None:
        from monitor.state import new_model_state

        old = self.models[name]
        self.models[name] = new_model_state(old.config, old.configured, self.store.directory)
        self.runs[name] = IdRuns(f"{name}/ids/")

    def commit(self, values: Mapping[str, Any]) -> int:
        """Commit everything; returns the epoch. Raises ``StateError``; the state in memory stays good and can be tried again."""
        now: dict[str, bytes] = {}
        kept: dict[str, bytes] = {}
        named: set[str] = set()
        files: dict[str, tuple[int, int]] = {}
        models: dict[str, Any] = {}
        for name, model in self.models.items():
            saved = save_model(model)
            now.update(saved.now)
            kept.update({blob: data for blob, data in saved.kept.items() if blob not in self.written})
            named.update(saved.kept)
            runs = self.runs[name]
            runs.take(model.seen, model.ids_alive_from)
            kept.update(runs.new_blobs(self.written))
            named.update(runs.names())
            models[name] = {**saved.values, **msgspec.to_builtins(runs.saved())}
            if model.labels is not None:
                labels = save_labels(name, model.labels, self.written)
                now.update(labels.now)
                kept.update(labels.kept)
                named.update(labels.named)
                files.update(labels.files)
                models[name]["labels"] = labels.values
            if model.review is not None:
                now[f"{name}/review"] = save_review(model.review)
        epoch = self.store.commit({"process": dict(values), "models": models}, now, kept, named, files)
        self.written = named
        for model in self.models.values():
            if model.labels is not None:
                model.labels.pending.committed()
                model.labels.records.committed()
        for runs in self.runs.values():
            runs.committed()
        return epoch

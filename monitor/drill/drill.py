"""A drill: the same recent traffic once as it was and once with each drift, and what made the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced

from monitor.batch import Batch
from monitor.config import ModelConfig
from monitor.config.drill import PlantedDrift
from monitor.drill.caught import Drilled, drilled
from monitor.drill.plant import NotPlantableError, Plant, plant_of
from monitor.errors import SourceError
from monitor.expose.text import clock, span
from monitor.reference.reference import Reference
from monitor.replay.findings import Findings
from monitor.replay.history import History
from monitor.replay.playback import Rows
from monitor.replay.replay import Wanted, replay
from monitor.replay.result import Stretch
from monitor.state import ModelState, new_model_state

_MOST_EPISODES = 200_000


@dataclass(frozen=True, slots=True)
class Drilling:
    """What came of a drill of one model. ``left_out``: drifts that could not be planted, and why."""

    drills: tuple[Drilled, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


Progress = Callable[[str], Callable[[int, int, int], None]]
"""Given what is played now, the progress of it: messages, bytes, left unread."""


def drill(
    history: History,
    references: Mapping[str, Sequence[Reference]],
    wanted: Wanted,
    drifts: Sequence[PlantedDrift],
    progress: Progress,
    start_ms: int | None = None,
) -> Drilling:
    """Drill the only model of ``history``. ``start_ms``: where drifts begin; None: where the warm-up ends.

    Raises ``SourceError`` for traffic that has nothing after that.
    """
    [config] = history.config.models
    plants, left_out = [], []
    # The codes of categories are those that the decoder gives, with these references.
    vocabulary = _vocabulary(history, references)
    for drift in drifts:
        try:
            plants.append(plant_of(drift, config, references.get(config.name, ()), vocabulary, 0))
        except NotPlantableError as error:
            left_out.append(str(error))
    if not plants:
        return Drilling((), tuple(left_out), ())
    plain = replay(history, references, wanted, progress("without a drift"), findings=_few_curves)
    start_ms = _start(plain.stretches[config.name], start_ms, config.windows.pane_ms)
    found = []
    for plant in (replaced(each, start_ms=start_ms) for each in plants):
        name = plant.drift.name
        with_it = replay(history, references, wanted, progress(name), _planting(plant), lambda model: _from(model, start_ms))
        segment = plant.drift.segment or "ALL"
        found.append(drilled(name, plant.signal, segment, start_ms, plain.findings[config.name], with_it.findings[config.name]))
    return Drilling(tuple(found), tuple(left_out), plain.notes)


def _planting(plant: Plant) -> Callable[[ModelState, Rows], Rows]:
    def planted(_model: ModelState, rows: Rows) -> Rows:
        return plant.batch(rows) if isinstance(rows, Batch) else plant.labels(rows)

    return planted


def _few_curves(config: ModelConfig) -> Findings:
    return Findings(config, most_episodes=_MOST_EPISODES, most_curves=0)


def _from(config: ModelConfig, start_ms: int) -> Findings:
    return Findings(config, keep_from_ms=start_ms, most_episodes=_MOST_EPISODES, most_curves=0)


def _start(stretch: Stretch, start_ms: int | None, pane_ms: int) -> int:
    """Event time at which drifts begin: that of a pane. Raises ``SourceError`` where nothing comes after it."""
    at = stretch.counts_from_ms if start_ms is None else start_ms
    at = -(-at // pane_ms) * pane_ms
    if at >= stretch.last_ms:
        raise SourceError(
            f"expected traffic after {clock(at)} to plant a drift into, and it ends at {clock(stretch.last_ms)};"
            f" give more history (it begins at {clock(stretch.first_ms)}, and the warm-up takes"
            f" {span(stretch.counts_from_ms - stretch.first_ms)}), or a shorter --warm-up"
        )
    return at


def _vocabulary(history: History, references: Mapping[str, Sequence[Reference]]) -> Mapping[str, tuple[str, ...]]:
    [config] = history.config.models
    return new_model_state(config.model_copy(update={"labels": None}), references.get(config.name, ())).vocabulary

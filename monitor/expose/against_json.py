"""Did the last fix help? The metrics of versions against those of an earlier one, as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.expose.query import BadParameterError
from monitor.labels import LabelsEvaluated
from monitor.number import finite
from monitor.performance.verdict import Performance, View
from monitor.performance.versions import Change, VersionComparison, compare


@dataclass(frozen=True, eq=False)
class Against:
    """What is compared with: the performances of one version, by model and view."""

    versions: frozenset[str]
    before: Mapping[tuple[str, View], Performance]
    _compared: dict[Performance, VersionComparison] = field(default_factory=dict)

    @staticmethod
    def of(evaluated: Sequence[LabelsEvaluated], versions: frozenset[str] | None) -> Against | None:
        """None when nothing is to be compared. Raises ``BadParameterError`` for more than one version, or one that no model has."""
        if versions is None:
            return None
        known = sorted({one.version for each in evaluated for one in each.verdicts})
        if len(versions) != 1 or not versions <= set(known):
            raise BadParameterError("against", f"one of {', '.join(known) or 'none, there are none yet'}", ", ".join(sorted(versions)))
        before = {
            (each.model, view.view): view
            for each in evaluated
            for one in each.verdicts
            if one.version in versions
            for view in one.performances
        }
        return Against(versions, before)

    def values(self, one: Performance, place: int) -> dict[str, Any] | None:
        """The metric at ``place`` compared with the same one of the same segment; None where the earlier version has none."""
        before = self.before.get((one.model, one.view))
        if before is None:
            return None
        if one not in self._compared:
            self._compared[one] = compare(before, one)
        found = self._compared[one]
        g, m = divmod(place, len(one.metrics))
        key = one.metrics[m], one.classes[m]
        columns = list(zip(found.metrics, found.classes, strict=True))
        if one.segments[g] not in found.segments or key not in columns:
            return None
        row, column = found.segments.index(one.segments[g]), columns.index(key)
        return {
            "version": found.before,
            "value": finite(before.value[before.segments.index(one.segments[g]), before.column(*key)]),
            "difference": finite(found.difference.value[row, column]),
            "low": finite(found.difference.low[row, column]),
            "high": finite(found.difference.high[row, column]),
            "change": Change(int(found.change[row, column])).label,
        }

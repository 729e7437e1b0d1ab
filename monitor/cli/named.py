"""Whether a decision is about something that there is: one that names nothing known would be read, recorded and do nothing.

What the configuration settles is a mistake: a signal, the columns of a segment, a reference to switch to. A value of a segment and a
version may be new in production; that no reference has them is only said.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from monitor.config import ModelConfig
from monitor.decide.control import Accept, Control, Rebaseline, SwitchReference
from monitor.errors import Mistake
from monitor.profile.bare import signal_names
from monitor.reference.reference import Reference
from monitor.segment import parse_key, wrong_segment

NAMING = (Accept, Rebaseline, SwitchReference)
"""Decisions that name what references have."""

_MANY = 12


def near(name: str, known: Collection[str]) -> str:
    """The known names as an error shows them: the most alike first, all where they are few.

    >>> near("prise", ["price", "weight"]), near("x", [])
    ("price, weight; did you mean 'price'?", 'none')
    """
    if not known:
        return "none"
    alike = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    shown = sorted(known) if len(known) <= _MANY else [*alike, *sorted(set(known) - set(alike))][:_MANY]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return f"{', '.join(shown)}{more}" + (f"; did you mean {alike[0]!r}?" if alike else "")


def signals_of(model: ModelConfig, *, conditions: bool) -> list[str]:
    """What a decision may call a signal: features, score and class, rates of labels, and with ``conditions`` metrics of the policy."""
    found = [*signal_names(model), *(["error", "label"] if model.labels is not None else [])]
    policy = model.retraining
    if policy is not None and conditions:
        found += [limit.metric for limit in policy.performance] + [loss.metric for loss in policy.estimated_loss]
        found += ["cost"] if policy.cost is not None else []
    return list(dict.fromkeys(found))


def mistakes_of(control: Control, model: ModelConfig, references: Sequence[Reference]) -> list[Mistake]:
    """Names that the configuration of the model has not."""
    if isinstance(control, SwitchReference):
        found = {each.fingerprint for each in references if each.fingerprint.startswith(control.reference)}
        if len(found) == 1 or not references:  # without any here, only the process that decides can tell
            return []
        known = ", ".join(f"{each.fingerprint[:12]} (version {each.model_version})" for each in references)
        got = "no reference begins" if not found else f"{len(found)} references begin"
        return [Mistake("--reference", f"expected the fingerprint of one of {known}; {got} with {control.reference!r}")]
    if not isinstance(control, Accept | Rebaseline):
        return []
    found_mistakes = []
    signals = signals_of(model, conditions=isinstance(control, Accept))
    if control.signal is not None and control.signal not in signals:
        found_mistakes.append(Mistake("--signal", f"expected one of {near(control.signal, signals)}, got {control.signal!r}"))
    if control.segment is not None and (wrong := wrong_segment(control.segment, model.segments.groupings)):
        found_mistakes.append(Mistake("--segment", wrong))
    return found_mistakes


def notes_of(control: Control, references: Sequence[Reference]) -> list[str]:
    """What no reference has, and so may be a slip; nothing is said without references."""
    found = []
    versions = {each.model_version for each in references}
    version, segment = getattr(control, "version", None), getattr(control, "segment", None)
    if version is not None and versions and version not in versions:
        found.append(f"no reference is of version {version!r}; those there are: {near(version, versions)}")
    segments = {key for each in references for key in each.table.segments if version in (None, each.model_version)}
    if segment is not None and segments and segment not in segments:
        alike = {key for key in segments if parse_key(key)[0] == parse_key(segment)[0]}
        found.append(f"no reference has the segment {segment!r}; those of its grouping: {near(segment, alike)}")
    return found

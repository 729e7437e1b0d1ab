"""Whether references fit the configuration they are used with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitor.config import Config, ModelConfig
from monitor.errors import Mistake, ReferenceFileError, ReferencesError
from monitor.profile.bare import bare_layout
from monitor.reference.classes import misread
from monitor.reference.files import is_pattern, reference_files
from monitor.reference.format import read_reference
from monitor.reference.reference import Reference

MAX_REFERENCES = 200
"""Of a model: each is held in memory, and a folder of them may only grow."""


def load_references(config: Config) -> dict[str, list[Reference]]:
    """References of every model, by model name. Raises ``ReferencesError`` with everything that is wrong with any of them."""
    found: dict[str, list[Reference]] = {}
    mistakes: list[Mistake] = []
    for i, model in enumerate(config.models):
        found[model.name] = []
        files: dict[Path, int] = {}
        for j, path in enumerate(model.references):
            for file in reference_files(path):
                files.setdefault(file, j)
        if len(files) > MAX_REFERENCES:
            what = f"expected at most {MAX_REFERENCES} files, got {len(files)}; take away those of versions that no longer answer"
            mistakes.append(Mistake(f"models[{i}].references", what))
            continue
        for path, j in files.items():
            where = f"models[{i}].references[{j}]" + (f" ({path.name})" if is_pattern(model.references[j]) else "")
            try:
                reference = read_reference(path)
            except ReferenceFileError as error:
                mistakes.append(Mistake(where, str(error)))
                continue
            mistakes += misfits(model, reference, path, where)
            if reference.model_version in (other.model_version for other in found[model.name]):
                mistakes.append(
                    Mistake(where, f"expected one reference per model version, got a second one of {reference.model_version!r}")
                )
            found[model.name].append(reference)
    if mistakes:
        raise ReferencesError("references", mistakes)
    return found


def misfits(model: ModelConfig, reference: Reference, path: Path, where: str) -> Sequence[Mistake]:
    """What about the reference does not fit the model's configuration."""
    advice = f"; build it again: driftgauge reference build -c CONFIG --data DATA -o {path.name}"
    if reference.model != model.name:
        return [Mistake(where, f"expected a reference of model {model.name}, got one of {reference.model}{advice}")]
    wanted = {signal.name: signal for signal in bare_layout(model).signals}
    got = {signal.name: signal for signal in reference.layout.signals}
    mistakes = []
    if list(wanted) != list(got):
        missing, unknown = [n for n in wanted if n not in got], [n for n in got if n not in wanted]
        what = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has also {', '.join(unknown)}"] * bool(unknown)
        mistakes.append(
            Mistake(where, f"expected the configured signals in their order, but it {' and '.join(what) or 'has another order'}{advice}")
        )
    for name in wanted.keys() & got.keys():
        for attribute in ("kind", "range", "declared"):
            expected, found = getattr(wanted[name], attribute), getattr(got[name], attribute)
            if expected != found:
                mistakes.append(Mistake(where, f"{name}: expected {attribute} {expected}, got {found}{advice}"))
    for grouping in model.segments.groupings:
        for other in reference.groupings:
            if other != grouping and set(other) == set(grouping):
                order = f"expected the columns of the grouping {list(grouping)} in this order, which names its segments, got {list(other)}"
                mistakes.append(Mistake(where, f"{order}{advice}"))
    if reference.labels is not None and (wrong := misread(reference.labels, model)) is not None:
        mistakes.append(Mistake(where, f"{wrong}{advice} --label {reference.labels['path']}"))
    return mistakes

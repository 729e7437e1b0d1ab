"""Which files a model's ``references`` name: as they are written, or all that a pattern matches now."""

from __future__ import annotations

from collections.abc import Sequence
from glob import escape, iglob
from pathlib import Path

Seen = frozenset[tuple[Path, int, int]]


def is_pattern(path: Path) -> bool:
    """Whether it stands for any number of files.

    >>> is_pattern(Path("references/*.json.gz")), is_pattern(Path("reference[1].json.gz"))
    (True, False)
    """
    return "*" in str(path)


def reference_files(path: Path) -> list[Path]:
    """The file, or those that the pattern matches, by name; hidden ones are not finished and left out."""
    if not is_pattern(path):
        return [path]
    stars = "*".join(map(escape, str(path).split("*")))  # folders may have brackets in their names
    return sorted(map(Path, iglob(stars)))  # noqa: PTH207 (pathlib's finds hidden files too)


def seen_by_patterns(paths: Sequence[Path]) -> Seen:
    """Name, size in bytes and time of change (ns) of each file that a pattern matches: equal as long as none came, changed or went."""
    return frozenset(each for path in paths if is_pattern(path) for file in reference_files(path) for each in _stat(file))


def _stat(file: Path) -> Seen:
    try:
        stat = file.stat()
    except OSError:
        return frozenset()  # gone meanwhile, or a link to nothing
    return frozenset({(file, stat.st_size, stat.st_mtime_ns)})

"""YAML as a tree: what PyYAML reads safely, but for keys given twice, the first of which would be lost in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from monitor.errors import ConfigError, Mistake

_HALF = re.compile("[\ud800-\udfff]")


def load_tree(path: Path) -> Any:
    """What a YAML file holds. Raises ``ConfigError`` when it cannot be read, is no YAML, gives keys twice, or has text that is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(str(path), [Mistake("", "expected a configuration, and there is no such file; check the path")]) from error
    except OSError as error:
        raise ConfigError(str(path), [Mistake("", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [Mistake("", f"expected UTF-8, got another byte at {error.start}")]) from error
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        wrong = [*_repeated(node), *_halves(node)]
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(str(path), [Mistake("", f"expected YAML, {_said(error)}")]) from error
    except (ValueError, KeyError, AttributeError) as error:  # PyYAML lets those of the types that it makes through
        raise ConfigError(str(path), [Mistake(_unusable(node), "expected a value that is what it looks like, or is tagged as")]) from error
    except RecursionError as error:
        raise ConfigError(str(path), [Mistake("", "expected YAML of some levels, got hundreds of them inside each other")]) from error
    if wrong:
        raise ConfigError(str(path), wrong)
    return tree


def _said(error: yaml.YAMLError) -> str:
    """What PyYAML found and where, without the line itself: it may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    parts = ((error.context, error.context_mark), (error.problem, error.problem_mark))
    return ", ".join(
        text if mark is None else f"{text} in line {mark.line + 1}, column {mark.column + 1}" for text, mark in parts if text is not None
    )


def _unusable(root: yaml.Node | None) -> str:
    """The line of the first value that cannot be made, such as the 30th of February; not the value, which may be a secret."""
    lines, loader = [], yaml.SafeLoader("")
    for node in _nodes(root):
        if isinstance(node, yaml.ScalarNode):
            try:
                loader.construct_object(node)
            except (ValueError, KeyError, AttributeError):
                lines.append(node.start_mark.line + 1)
    return f"line {min(lines)}" if lines else ""


def _repeated(root: yaml.Node | None) -> list[Mistake]:
    """Keys that stand twice in one mapping. What ``<<`` merges in may be given again: that is what merging is for."""
    found = []
    for node in _nodes(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if key.value in lines:
                again = f"expected each key once, got {key.value!r} again, which line {lines[key.value]} has"
                found.append((line, Mistake(f"line {line}", again)))
            lines.setdefault(key.value, line)
    return [mistake for _, mistake in sorted(found, key=lambda each: each[0])]


def _halves(root: yaml.Node | None) -> list[Mistake]:
    """Text with half a surrogate pair, as an escape may write it: it cannot be encoded, so not even be shown."""
    lines = [node.start_mark.line + 1 for node in _nodes(root) if isinstance(node, yaml.ScalarNode) and _HALF.search(node.value)]
    return [Mistake(f"line {line}", "expected text, got half a surrogate pair (\\ud800 to \\udfff)") for line in sorted(lines)]


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node of a document once, also where aliases make a circle of them."""
    seen, todo = set(), [] if root is None else [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.MappingNode):
            todo += [each for pair in node.value for each in pair]

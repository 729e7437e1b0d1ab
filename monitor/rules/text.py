"""YAML text of rules and of their tests."""

from __future__ import annotations

from typing import Any

import yaml

from monitor.config import Config
from monitor.rules.cases import cases, record_cases
from monitor.rules.groups import alerts, rule_groups

_HEAD = "# Generated from the configuration by `driftgauge rules`; change the configuration, not this file.\n"


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, and indents lists as people do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def dump(tree: Any) -> str:
    """YAML of a tree, keys in their order, long lines left whole."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def render_rules(config: Config) -> str:
    """The rule file of a configuration, as Prometheus 2.42 and later read it."""
    return _HEAD + dump({"groups": [group.as_tree(config.alerts) for group in rule_groups(config)]})


def render_tests(config: Config, rule_file: str) -> str:
    """Unit tests of the rules for ``promtool test rules``; ``rule_file`` is the rules' file name, beside the tests.

    Each test stands under a comment that tells the incident.
    """
    by_name = {alert.name: alert for alert in alerts(config)}
    head = dump({"rule_files": [rule_file], "evaluation_interval": "1m"})
    parts = [(case.incident, case.as_tree()) for case in record_cases(config)]
    parts += [(case.incident, case.as_tree(by_name[case.alert], config.alerts)) for case in cases(config)]
    tests = "".join(f"\n  # {incident}\n{_indented(dump([tree]))}" for incident, tree in parts)
    return f"{_HEAD}{head}tests:{tests}"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())

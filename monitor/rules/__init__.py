"""Alert rules for Prometheus, generated from the configuration. Pure: a configuration in, YAML text out."""

from monitor.rules.groups import alerts, rule_groups
from monitor.rules.rule import Alert, Group, Record
from monitor.rules.text import render_rules, render_tests

__all__ = ["Alert", "Group", "Record", "alerts", "render_rules", "render_tests", "rule_groups"]

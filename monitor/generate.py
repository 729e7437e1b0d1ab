"""Everything that is generated from code: ``python -m monitor.generate`` writes it, and a test holds it up to date."""

from __future__ import annotations

from pathlib import Path

from monitor.config.docs import configuration_page
from monitor.config.root import load_config
from monitor.dashboards import dashboards
from monitor.dashboards.__main__ import render
from monitor.expose.docs import metrics_markdown
from monitor.hook.docs import hook_page
from monitor.rules.text import render_rules, render_tests

RULES = Path("deploy/prometheus/driftgauge.rules.yml")
COMPOSE = Path("deploy/compose/driftgauge.yaml")


def generated(root: Path) -> dict[Path, str]:
    """Text of each generated file, by its path below ``root``."""
    config = load_config(root / "configs/flights.yaml")
    return {
        Path("docs/metrics.md"): metrics_markdown(),
        Path("docs/configuration.md"): configuration_page(),
        Path("docs/hook-configuration.md"): hook_page(),
        RULES: render_rules(config),
        COMPOSE.with_suffix(".rules.yml"): render_rules(load_config(root / COMPOSE)),
        RULES.with_suffix(".test.yml"): render_tests(config, RULES.name),
        **{Path("grafana/dashboards") / name: render(dashboard) for name, dashboard in dashboards().items()},
    }


def main() -> None:
    """Write every generated file."""
    root = Path(__file__).parent.parent
    for path, text in generated(root).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Write the dashboards: ``python -m monitor.dashboards [FOLDER]``, by default into grafana/dashboards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from monitor.dashboards import Dashboard, dashboards


def render(dashboard: Dashboard) -> str:
    """JSON text of a dashboard."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write every dashboard into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, dashboard in dashboards().items():
        (folder / name).write_text(render(dashboard), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "grafana/dashboards"))

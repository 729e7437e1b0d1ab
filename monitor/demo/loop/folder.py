"""The files of the closed loop, beside those of the demonstration, all of them in one folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from monitor.demo.prepare import Workspace

DEPLOY = Path(__file__).parents[3] / "deploy"


@dataclass(frozen=True, slots=True)
class LoopFolder(Workspace):
    """A demonstration's folder with the files of alerting, hook and pipeline."""

    @property
    def versions(self) -> Path:
        """A folder for each version that the pipeline published."""
        return self.folder / "versions"

    @property
    def prometheus(self) -> Path:
        """Prometheus: configuration, rules, series."""
        return self.folder / "prometheus"

    @property
    def alertmanager(self) -> Path:
        """Alertmanager: configuration, state."""
        return self.folder / "alertmanager"

    @property
    def hook(self) -> Path:
        """The hook: configuration, token, ledger, output of each run."""
        return self.folder / "hook"

    @property
    def pipeline(self) -> Path:
        """Process id of the pipeline while it runs; it is the leader of its group."""
        return self.folder / "retraining.pid"

    def server_log(self, name: str) -> Path:
        """What a server writes while it runs."""
        return self.folder / f"{name}.log"

    def clear(self) -> None:
        """Begin afresh; see ``Workspace.clear``."""
        Workspace.clear(self)
        for folder in (self.versions, self.prometheus, self.alertmanager, self.hook):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.pipeline, *(self.server_log(name) for name in ("prometheus", "alertmanager", "hook"))):
            file.unlink(missing_ok=True)
        for folder in (self.prometheus, self.alertmanager, self.hook):
            folder.mkdir()

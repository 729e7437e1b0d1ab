"""The model server of deploy/compose.yaml is a package of its own, not part of what is installed."""

from __future__ import annotations

import sys

from tests.broker.process import ROOT

sys.path.append(str(ROOT / "deploy"))

"""The installer of Prometheus for tests: does nothing twice, and says plainly what it cannot do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "install-prometheus.sh"
PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")


def install(folder: Path, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run it where only these programs exist: name to shell text."""
    for name in ("head", "cut"):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    environment = {"PATH": str(folder), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(["/bin/sh", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_what_is_installed_is_left_alone(tmp_path: Path) -> None:
    done = install(tmp_path, dict.fromkeys(PROGRAMS, "echo 'prometheus, version 9.9.9 (branch: x)'") | {"apt-get": "exit 99"})
    assert (done.returncode, done.stdout) == (0, "prometheus and alertmanager are installed: prometheus, version 9.9.9\n")


def test_without_apt_it_says_what_is_left_out(tmp_path: Path) -> None:
    done = install(tmp_path, {"promtool": "true"})
    assert done.returncode == 0
    assert done.stderr == (
        "LEFT OUT: tests that need prometheus prometheus-alertmanager amtool - "
        "no apt-get here; install Prometheus and Alertmanager another way\n"
    )


def test_without_root_it_says_what_to_run(tmp_path: Path) -> None:
    done = install(tmp_path, {"apt-get": "exit 99", "id": "echo 1000", "sudo": "exit 1"})
    assert done.returncode == 0
    assert "not root, and sudo would ask for a password" in done.stderr
    assert "sudo apt-get install --no-install-recommends prometheus prometheus-alertmanager" in done.stderr

"""Containers for tests: the files of an image, run as its configuration says, without an engine.

A container here is a process in mount, process and IPC namespaces of its own, with the image as a read-only root, run as the
image's user without any capability and without a way to gain one; process 1 is the command. It shares the machine's network,
so that it reaches a broker on loopback and nothing has to be routed. Needs root, util-linux here and in the image.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SETUP = """
set -e
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
mount -t tmpfs -o nosuid,nodev,size=64m,mode=1777 tmpfs "$1/tmp"
{volumes}
mount -o remount,bind,ro "$1"
exec chroot "$1" /usr/bin/setpriv --reuid={uid} --regid={gid} --clear-groups \
  --no-new-privs --inh-caps=-all --bounding-set=-all --pdeathsig KILL \
  /usr/bin/env --ignore-environment --chdir={workdir} {environment} {command}
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder of the machine inside a container."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """The files of an image and what its configuration says."""

    root: Path
    config: dict[str, Any]

    @property
    def user(self) -> tuple[int, int]:
        """Number of the user and of the group."""
        uid, gid = self.config["User"].split(":")
        return int(uid), int(gid)


class Container:
    """A running container; its output goes to ``log``."""

    def __init__(self, image: Image, command: Sequence[str], volumes: Sequence[Volume], log: Path) -> None:
        uid, gid = image.user
        script = _SETUP.format(
            volumes="\n".join(map(_mount, volumes)),
            uid=uid,
            gid=gid,
            workdir=shlex.quote(image.config["WorkingDir"]),
            environment=shlex.join(image.config["Env"]),
            command=shlex.join(command),
        )
        # Each dies with its parent: unshare with the test, process 1 with unshare. A change of user ends that bond, so the script
        # of the container makes it anew.
        namespaces = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child"]
        self.log = log
        with log.open("wb") as output:
            self._outer = subprocess.Popen(
                [*namespaces, "sh", "-c", script, "sh", str(image.root)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    @property
    def process(self) -> Path:
        """What the kernel says of the container's process 1."""
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        return Path("/proc", children[0])

    def wait(self, seconds: float) -> int:
        """Exit status of process 1."""
        return self._outer.wait(seconds)

    def signal(self, number: int) -> None:
        """Send a signal to process 1, as a container engine does."""
        subprocess.run(["kill", f"-{number}", self.process.name], check=True)

    def kill(self) -> None:
        """End it at once, with everything in it."""
        self._outer.kill()  # process 1 dies with its parent, and the kernel ends the rest with process 1
        self._outer.wait()

    def output(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")


def _mount(volume: Volume) -> str:
    source, target = shlex.quote(str(volume.source)), f'"$1"{shlex.quote(volume.target)}'
    bind = f"mount --bind {source} {target}"
    return bind if volume.writable else f"{bind}\nmount -o remount,bind,ro {target}"


def read_image(folder: Path, name: str) -> Image:
    """An image that ``image-test.sh`` has unpacked."""
    config = json.loads((folder / f"{name}.json").read_text())["Docker"]["config"]
    return Image(Path((folder / f"{name}.path").read_text().strip()), config)

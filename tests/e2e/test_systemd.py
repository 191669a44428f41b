"""Under a real systemd: one that runs in a privileged container of ours, with pystack inside."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import baseimages
from tests.support.engine import ROOT, EngineUnderTest
from tests.support.isolation import Isolation
from tests.support.waiting import wait_until

BOOT_S = 60.0
TIDY = "trap 'echo tidied; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
PATHS = f"[Service]\nEnvironment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1\n"


class Machine:
    """A container that is a machine: systemd is its first process."""

    def __init__(self, engine: EngineUnderTest) -> None:
        self._engine = engine

    def sh(self, script: str, *, timeout_s: float = 60.0) -> str:
        """What a shell script in it prints; it must succeed."""
        return self._engine.cli("exec", "machine", "sh", "-ec", script, timeout_s=timeout_s).stdout

    def pystack(self, words: str) -> str:
        """What the inner pystack prints."""
        program = f"PYTHONPATH={ROOT} {sys.executable} -m orchestrator.cli"
        return self.sh(f"cd / && {program} {words}")

    def state(self, name: str) -> dict[str, object]:
        return dict(json.loads(self.pystack(f"inspect {name}"))[0]["State"])

    def await_boot(self) -> None:
        def running() -> bool:
            asked = ("exec", "machine", "systemctl", "is-system-running")
            return self._engine.run(*asked).stdout.strip() in ("running", "degraded")

        wait_until(running, "systemd is up", within_s=BOOT_S)


@pytest.fixture
def machine(engine: EngineUnderTest, isolation: Isolation, tmp_path: Path) -> Iterator[Machine]:
    layer = baseimages.machine_root()
    baseimages.busybox_root(tmp_path / "busybox.tar")
    engine.cli("import", str(layer), "machine", timeout_s=120)
    readable = {sys.prefix, sys.base_prefix, str(ROOT)} - {"/usr"}
    engine.cli(
        "run", "-d", "--name", "machine", "--privileged", "--stop-signal", "SIGRTMIN+3",
        "--tmpfs", "/run", "--tmpfs", "/tmp", "-v", "/var/lib/pystack", "-e", "container=docker",
        "-v", f"{tmp_path}:/given:ro", *(f"-v{path}:{path}:ro" for path in sorted(readable)),
        "machine", "/sbin/init",
    )  # fmt: skip
    inside = Machine(engine)
    inside.await_boot()
    yield inside
    engine.cli("rm", "-f", "-v", "machine")


@pytest.mark.timeout(600)
def test_the_units_serve_and_containers_come_and_go_with_the_machine(
    engine: EngineUnderTest, machine: Machine
) -> None:
    machine.pystack("engine units --install")
    machine.sh(
        "mkdir /etc/systemd/system/pystack.service.d;"
        f"printf '{PATHS}' > /etc/systemd/system/pystack.service.d/paths.conf;"
        "systemctl daemon-reload; systemctl enable --now pystack.socket;"
        "systemctl enable pystack.service; systemctl is-active pystack.socket;"
        "! systemctl is-active pystack.service"
    )
    machine.pystack("import /given/busybox.tar busybox")
    assert machine.sh("systemctl is-active pystack.service") == "active\n", "the socket started it"
    machine.pystack("run -d --name back --restart unless-stopped busybox sleep 600")
    machine.pystack(f'run -d --name tidy busybox sh -c "{TIDY}"')
    pid = machine.state("back")["Pid"]

    machine.sh("systemctl restart pystack.service")
    assert machine.state("back")["Pid"] == pid
    engine_pid = machine.sh("systemctl show -P MainPID pystack.service")
    machine.sh("systemctl kill --kill-who=main -s KILL pystack.service")
    wait_until(
        lambda: machine.sh("systemctl show -P MainPID pystack.service") not in ("0\n", engine_pid),
        "systemd started another engine",
    )
    assert machine.state("back")["Pid"] == pid

    began = time.monotonic()
    engine.cli("stop", "-t", "60", "machine", timeout_s=90)
    assert time.monotonic() - began < 45
    engine.cli("start", "machine")
    machine.await_boot()
    wait_until(lambda: machine.state("back")["Running"], "its policy started it at boot")
    tidy = machine.state("tidy")
    assert (tidy["Status"], tidy["ExitCode"]) == ("exited", 5)
    machine.pystack("rm -f back tidy")

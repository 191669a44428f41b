"""The machine goes down: containers are ended in order with it, and are back after it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import remains
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation
from tests.support.waiting import wait_until

TIDY = "trap 'echo tidied; exit 5' TERM; echo ready; while :; do sleep 0.05; done"


def test_containers_end_in_their_own_time_and_policies_answer_at_the_next_start(
    place: EngineUnderTest, isolation: Isolation, tmp_path: Path
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho stopping\nexit 1\n")
    systemctl.chmod(0o755)
    place.start({"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    place.cli("pull", "-q", "busybox")
    place.cli("run", "-d", "--name", "tidy", "busybox", "sh", "-c", TIDY)
    place.cli(
        "run", "-d", "--name", "back", "--restart", "unless-stopped", "busybox", "sh", "-c", TIDY
    )
    place.cli("run", "-d", "--name", "deaf", "--stop-timeout", "1", "busybox", "sleep", "600")
    wait_until(lambda: "ready" in place.cli("logs", "tidy").stdout, "tidy listens")
    wait_until(lambda: "ready" in place.cli("logs", "back").stdout, "back listens")
    pids = [place.inspect(name)["State"]["Pid"] for name in ("tidy", "back", "deaf")]

    place.stop()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

    place.start()
    wait_until(lambda: place.inspect("back")["State"]["Running"], "its policy started it again")
    states = {name: place.inspect(name)["State"] for name in ("tidy", "deaf")}
    assert {name: (s["Status"], s["ExitCode"]) for name, s in states.items()} == {
        "tidy": ("exited", 5),
        "deaf": ("exited", 137),
    }
    assert "tidied" in place.cli("logs", "tidy").stdout
    place.cli("rm", "-f", "tidy", "back", "deaf")
    assert remains.of(place, isolation) == []

"""The README's first command, as a newcomer types it."""

from __future__ import annotations

import os
import re
import subprocess

from tests.support import remains
from tests.support.engine import ROOT, EngineUnderTest
from tests.support.isolation import Isolation


def test_the_demo_runs_the_quickstart_and_shows_what_it_answered(
    place: EngineUnderTest, isolation: Isolation
) -> None:
    # Without the tests' mirror: the demo makes its base images itself where no registry answers.
    (place.directory / "settings.toml").write_text(f'cgroup_parent = "{place.cgroup_parent}"\n')
    text = demo(place)
    assert re.search(r"http://127\.0\.0\.1:8080/ answers: .*visited \d+ times", text), text
    assert "./demo down" in text
    text = demo(place, "down")
    place.start()
    assert remains.of(place, isolation) == []


def demo(place: EngineUnderTest, *args: str) -> str:
    done = subprocess.run(
        [ROOT / "demo", *args],
        cwd="/",
        env=place.env | {"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{place.output()}"
    return done.stdout

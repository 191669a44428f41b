"""A real runtime behind a script that hangs, or fails, as long as a test wants it to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation, descendants

_SCRIPT = """#!/bin/sh
# The process that hangs is a child of the one that was called, as a runtime's own would be.
for word in {words}; do
  case " $* " in *" $word "*)
    if [ -e {place}/hang-$word ]; then sleep 999; fi
    if [ -e {place}/fail-$word ]; then echo "the runtime is out of order" >&2; exit 1; fi ;;
  esac
done
exec {real} "$@"
"""
_CONMON = """#!/bin/sh
if [ -e {place}/hang-conmon ]; then sleep 999; fi
exec {real} "$@"
"""


@dataclass(frozen=True, slots=True)
class FaultyRuntime:
    """A runtime and a conmon in a directory of their own; steps hang while they are named so."""

    directory: Path

    @property
    def env(self) -> dict[str, str]:
        """What makes an engine use it."""
        return {
            "PYSTACK_RUNTIME": str(self.directory / "crun"),
            "PATH": f"{self.directory}:{os.environ['PATH']}",
        }

    def hang(self, *steps: str) -> None:
        """Nothing; from now on calls for these steps (create, start, conmon, …) never end."""
        for step in steps:
            (self.directory / f"hang-{step}").touch()

    def fail(self, *steps: str) -> None:
        """Nothing; from now on calls for these steps are refused."""
        for step in steps:
            (self.directory / f"fail-{step}").touch()

    def mend(self) -> None:
        """Nothing; new calls are answered."""
        for mark in (*self.directory.glob("hang-*"), *self.directory.glob("fail-*")):
            mark.unlink()


def faulty_runtime(place: EngineUnderTest) -> FaultyRuntime:
    """A runtime that works until it is told not to."""
    directory = place.directory / "faulty"
    directory.mkdir()
    real = next(p for p in ("/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc") if os.access(p, 1))
    words = "create start exec kill delete state pause resume update"
    texts = {
        "crun": _SCRIPT.format(words=words, place=directory, real=real),
        "conmon": _CONMON.format(place=directory, real="/usr/bin/conmon"),
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    return FaultyRuntime(directory)


def set_first(place: EngineUnderTest, **values: int) -> None:
    """Nothing; the engine's settings have these numbers."""
    file = place.directory / "settings.toml"
    lines = [f"{key} = {value}\n" for key, value in values.items()]
    file.write_text("".join(lines) + file.read_text())


def hanging(isolation: Isolation) -> set[int]:
    """The processes that hang."""
    found = set()
    for pid in descendants(isolation.reaper):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if words == b"sleep\x00999\x00":
            found.add(pid)
    return found


@contextmanager
def begun(place: EngineUnderTest, *words: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command line that runs while the block lasts, and is killed then."""
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        place.argv(*words), cwd=cwd, env=place.env, stdin=nowhere, stdout=nowhere, stderr=nowhere
    ) as command:
        try:
            yield command
        finally:
            command.kill()

"""`container prune` and `system prune`: what nobody uses goes, after a question."""

from __future__ import annotations

import pytest

from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub")


def names(engine: EngineUnderTest) -> set[str]:
    return {each["Names"][0] for each in engine.containers()}


def test_container_prune_removes_what_does_not_run(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "up", "busybox", "sleep", "1000")
    engine.cli("create", "--name", "made", "busybox", "true")
    engine.cli("run", "--name", "kept", "-l", "keep=yes", "busybox", "true")
    ended = engine.cli("ps", "-aq", "--no-trunc", "-f", "name=made").stdout
    engine.cli("run", "--name", "wrote", "busybox", "sh", "-c", "head -c 5000 /dev/zero > /f")
    assert engine.run("container", "prune", stdin="\n").stdout.startswith(
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?"
    )
    assert engine.cli("container", "prune", "-f", "--filter", "until=1h").stdout == (
        "Total reclaimed space: 0B\n"
    )
    said = engine.cli("container", "prune", "-f", "--filter", "label!=keep").stdout
    assert said.startswith("Deleted Containers:\n")
    assert ended.strip() in said
    assert said.endswith("\n\nTotal reclaimed space: 5kB\n")
    assert names(engine) == {"/up", "/kept"}
    assert engine.run("container", "prune", "-f", "--filter", "nonsense=1").exit_code == 1
    engine.cli("rm", "-f", "up", "kept")


def test_system_prune_says_what_it_will_remove_and_removes_that(engine: EngineUnderTest) -> None:
    engine.cli("network", "create", "unused")
    engine.cli("network", "create", "used")
    engine.cli("volume", "create", "named")
    loose = engine.cli("volume", "create").stdout.strip()
    engine.cli("run", "--name", "gone", "busybox", "true")
    engine.cli("run", "-d", "--name", "stays", "--network", "used", "busybox", "sleep", "1000")
    asked = engine.run("system", "prune", "-a", "--volumes", "--filter", "label!=x", stdin="n\n")
    assert asked.stdout.split("Are you sure")[0] == (
        "WARNING! This will remove:\n"
        "  - all stopped containers\n"
        "  - all networks not used by at least one container\n"
        "  - all anonymous volumes not used by at least one container\n"
        "  - all images without at least one container associated to them\n"
        "  - all build cache\n\n"
        "  Items to be pruned will be filtered with:\n"
        "  - label!=x\n\n"
    )
    assert names(engine) == {"/gone", "/stays"}
    said = engine.cli("system", "prune", "-f").stdout
    assert "Deleted Containers:\n" in said
    assert "Deleted Networks:\nunused\n" in said
    assert "Total reclaimed space: " in said
    assert names(engine) == {"/stays"}
    assert loose in engine.cli("volume", "ls", "-q").stdout.split()
    said = engine.cli("system", "prune", "-f", "-a", "--volumes").stdout
    assert f"Deleted Volumes:\n{loose}\n" in said
    assert engine.cli("images", "-q").stdout.strip(), "the image of a container stays"
    assert engine.cli("volume", "ls", "-q").stdout == "named\n"
    assert "used" in engine.cli("network", "ls", "--format", "{{.Name}}").stdout.split()
    engine.cli("rm", "-f", "stays")
    assert "untagged: " in engine.cli("system", "prune", "-af").stdout
    assert engine.cli("images", "-q").stdout == ""

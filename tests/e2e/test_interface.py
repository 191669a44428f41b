"""The Python interface, and pytest's fixtures, as other programs use them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.compose.problems import StackInvalid
from orchestrator.errors import Failed, NotFound, Unavailable
from orchestrator.interface import Engine
from orchestrator.interface import blocking as interface
from tests.support.engine import ROOT, EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub")
EXAMPLE = ROOT / "examples/python"


async def test_a_stack_is_up_while_its_block_lasts(engine: EngineUnderTest) -> None:
    async with Engine(environ=engine.env) as reached:
        assert (await reached.info())["OSType"] == "linux"
        async with reached.stack(EXAMPLE / "stack.yml", name="trial") as stack:
            (web,) = await stack.containers()
            assert (web.name, web.service, web.running) == ("trial-web-1", "web", True)
            assert "(healthy)" in web.status
            address = await stack.address("web", 80)
            assert address.host == "127.0.0.1"
            done = await stack.execute("web", ["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"x")
            assert (done.exit_code, done.stdout, done.stderr) == (3, b"x", b"err\n")
            assert [line async for line in stack.logs("web")] == ["web-1  | serving"]
            async for line in stack.logs(follow=True):
                assert line == "web-1  | serving"
                break
            with pytest.raises(NotFound, match="not published"):
                await stack.address("web", 81)
            with pytest.raises(NotFound, match="no container 2"):
                await stack.container("web", 2)
        assert engine.containers() == []


def test_what_does_not_come_up_is_taken_down_again(engine: EngineUnderTest, project: Path) -> None:
    file = project / "stack.yml"
    with interface.Engine(environ=engine.env) as reached:
        file.write_text("services: {web: {image: busybox, comand: x}}\n")
        with pytest.raises(StackInvalid, match="comand"):
            reached.stack(file).__enter__()
        file.write_text(
            "services:\n  web:\n    image: busybox\n    command: sleep 1000\n    init: true\n"
            "    healthcheck: {test: ['CMD', 'false'], interval: 0.2s, retries: 1}\n"
        )
        with pytest.raises(Failed, match="unhealthy"):
            reached.stack(file).__enter__()
        assert engine.containers() == []


def test_an_engine_of_ones_own_ends_with_its_block(place: EngineUnderTest) -> None:
    directory = place.directory
    environ = place.env
    with interface.Engine(directory=directory, environ=environ) as own:
        assert own.settings.socket == directory / "run/pystack.sock"
        assert own.info()["DockerRootDir"] == str(directory / "data")
        assert place.pid
    assert not place.pid
    with pytest.raises(Unavailable, match="has ended"):
        own.info()


def test_pytest_has_the_fixtures_and_tells_what_containers_said(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    for name in ("stack.yml", "test_web.py", "pytest.ini"):
        (tmp_path / name).write_text((EXAMPLE / name).read_text())
    (tmp_path / "test_more.py").write_text(
        "import pytest\n"
        "def test_fails(pystack_session_stack):\n    assert 0\n"
        "def test_same(pystack_session_stack):\n    assert pystack_session_stack.containers()\n"
        "@pytest.mark.pystack('stack.yml', name='named', wait='running')\n"
        "def test_marked(pystack_stack):\n    assert pystack_stack.name == 'named'\n"
    )
    plugin = ["-p", "no:pystack", "-p", "orchestrator.interface.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", *plugin, "."],
        cwd=tmp_path,
        env=engine.env | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "web-1  | serving" in done.stdout
    assert engine.containers() == []


def test_the_example_program_runs(engine: EngineUnderTest) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "program.py")],
        env=engine.env,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, second, third = done.stdout.splitlines()
    assert first.startswith("web is at 127.0.0.1:")
    assert second.startswith("its host name is ")
    assert third == "web-1  | serving"

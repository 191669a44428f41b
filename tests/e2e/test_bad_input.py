"""Whatever is wrong, the command says what, where, and what to do next; never a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest, Result
from tests.support.registry import Registry


def refused(result: Result, exit_code: int, *words: str) -> None:
    """Asserts that a command failed in the right way and said each of these words."""
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output, f"{word!r} is not in:\n{result.output}"


def test_a_broken_stack_file_is_refused_with_its_place_before_anything_is_touched(
    place: EngineUnderTest, project: Path
) -> None:
    file = project / "stack.yml"
    file.write_text("services:\n  web:\n    imagee: busybox\n")
    result = place.run("up", "-d", cwd=project)
    refused(result, 1, "stack.yml:3:5", "services.web.imagee", "image")
    assert place.pid == 0, "no engine was started for it"


def test_a_file_that_is_not_yaml_is_refused_with_its_place(
    place: EngineUnderTest, project: Path
) -> None:
    (project / "stack.yml").write_text("services:\n  web: [unclosed\n")
    refused(place.run("up", "-d", cwd=project), 1, "stack.yml:")
    assert place.pid == 0


def test_without_a_stack_file_the_names_looked_for_are_told(
    place: EngineUnderTest, project: Path
) -> None:
    refused(place.run("up", "-d", cwd=project), 1, "stack.yml", "compose.yaml")


@pytest.mark.parametrize("args", [("up", "--no-such-option"), ("frobnicate",), ("engine", "fly")])
def test_a_wrong_command_line_exits_with_2(
    place: EngineUnderTest, project: Path, args: tuple[str, ...]
) -> None:
    refused(place.run(*args, cwd=project), 2)
    assert place.pid == 0


def test_a_port_in_use_is_named(engine: EngineUnderTest, project: Path) -> None:
    (project / "stack.yml").write_text(
        "services:\n  web:\n    image: busybox\n    command: sleep 1000\n"
        '    ports: ["18081:80"]\n    stop_signal: SIGKILL\n'
    )
    with socket.create_server(("0.0.0.0", 18081)):
        refused(engine.run("up", "-d", cwd=project), 1, "18081", "in use")
    engine.cli("up", "-d", cwd=project)
    engine.cli("down", cwd=project)


def test_a_port_of_another_stack_is_named_with_its_container(
    engine: EngineUnderTest, project: Path, tmp_path: Path
) -> None:
    text = (
        "services:\n  web:\n    image: busybox\n    command: sleep 1000\n"
        '    ports: ["18082:80"]\n    stop_signal: SIGKILL\n'
    )
    other = tmp_path / "other"
    other.mkdir()
    for directory in (project, other):
        (directory / "stack.yml").write_text(text)
    engine.cli("up", "-d", cwd=project)
    refused(engine.run("up", "-d", cwd=other), 1, "18082", "demo-web-1")
    engine.cli("down", cwd=other)
    engine.cli("down", cwd=project)


def test_an_unknown_image_is_named(engine: EngineUnderTest, project: Path, hub: Registry) -> None:
    (project / "stack.yml").write_text(
        f"services:\n  web:\n    image: {hub.host}/no/such:1\n    command: sleep 1000\n"
    )
    refused(engine.run("up", "-d", cwd=project), 1, f"{hub.host}/no/such:1")
    engine.cli("down", cwd=project)


def test_a_failing_build_shows_the_step_and_its_exit_code(
    engine: EngineUnderTest, project: Path
) -> None:
    (project / "Dockerfile").write_text("FROM busybox\nRUN echo broken here && exit 3\n")
    (project / "stack.yml").write_text("services:\n  web:\n    build: .\n")
    result = engine.run("up", "-d", cwd=project)
    refused(result, 1, "broken here", "RUN echo broken here", "3")
    engine.cli("down", cwd=project)


def test_a_missing_runtime_names_the_packages_to_install(
    place: EngineUnderTest, project: Path, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in ("/usr/sbin", "/usr/bin"):
        for program in Path(directory).iterdir():
            link = programs / program.name
            if program.name not in ("crun", "runc") and not link.is_symlink():
                link.symlink_to(program)
    (project / "stack.yml").write_text("services:\n  web:\n    image: busybox\n")
    env = {"PATH": str(programs)}
    refused(place.run("up", "-d", cwd=project, env=env), 1, "apt", "crun")
    place.run("down", cwd=project, env=env)

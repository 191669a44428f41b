"""What shells are told that may follow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.main import main
from tests.support.terminal import on_terminal
from tests.unit.cli.conftest import Say
from tests.unit.client.fake_engine import FakeEngine, as_json

ROOT = Path(__file__).parents[3]
STACK = """
include: [more.yml]
services:
  web: {image: a}
  worker: {image: a}
  debug: {image: a, profiles: [tools]}
"""


@pytest.fixture
def shop(place: Path, fake: FakeEngine) -> Path:
    """A directory with a stack file; an engine with something of every kind."""
    (place / "stack.yml").write_text(STACK)
    (place / "more.yml").write_text("services: {included: {image: a}}\n")
    containers = [
        {"Names": ["/runs"], "State": "running", "Image": "i", "Status": "Up 2 hours"},
        {"Names": ["/ended"], "State": "exited", "Image": "i", "Status": "Exited (0)"},
    ]
    images = [{"RepoTags": ["busybox:stable", "<none>:<none>"], "Id": "sha256:" + "ab" * 32}]
    for path, value in {
        "/containers/json": containers,
        "/images/json": images,
        "/networks": [{"Name": "bridge", "Driver": "bridge"}],
        "/volumes": {"Volumes": [{"Name": "kept", "Driver": "local"}]},
        "/pystack/v1/stacks": [{"name": "shop"}],
    }.items():
        fake.answers[f"GET {path}"] = [as_json(value)]
    return place


@pytest.fixture
def with_program(fake: FakeEngine, tmp_path: Path) -> dict[str, str]:
    """An environment whose `pystack` asks the fake engine."""
    program = tmp_path / "bin" / "pystack"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator.cli "$@"\n')
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYSTACK_SOCKET": str(fake.path),
    }


def offered(say: Say, *words: str) -> list[str]:
    said = say("__complete", *words)
    assert said.code == 0
    assert said.err == ""
    return [line.partition("\t")[0] for line in said.out.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inf", ["info"]),
        ("comp", ["completion", "compose"]),
        ("compose sca", ["scale"]),
        ("network co", ["connect"]),
        ("-f x.yml co", ["commit", "completion", "compose", "config", "container", "convert"]),
        ("completion ", ["bash", "fish", "zsh"]),
        ("--prof", ["--profile"]),
        ("no-such-command ", []),
        # Services
        ("up ", ["debug", "included", "web", "worker"]),
        ("up -d w", ["web", "worker"]),
        ("up web w", ["worker"]),
        ("compose exec ", ["debug", "included", "web", "worker"]),
        ("compose exec web l", []),
        ("scale w", ["web=", "worker="]),
        ("compose cp w", ["web:", "worker:", ":file"]),
        ("up --exit-code-from i", ["included"]),
        ("--profile ", ["tools"]),
        ("compose --profile ", ["tools"]),
        ("-p ", ["shop"]),
        # Containers, by what can be done with them; services where the name may mean either.
        ("exec ", ["runs"]),
        ("exec -it ", ["runs"]),
        ("container start ", ["ended"]),
        ("rm ", ["ended", "runs"]),
        ("rm -f ended ", ["runs"]),
        ("stop ", ["debug", "included", "runs", "web", "worker"]),
        ("cp r", ["runs:", ":file"]),
        ("cp runs:/et", []),
        # The rest
        ("run b", ["busybox:stable"]),
        ("run -it --rm b", ["busybox:stable"]),
        ("run busybox:stable --he", []),
        ("rmi ", ["busybox:stable"]),
        ("network rm ", ["bridge"]),
        ("network create ", []),
        ("volume rm ", ["kept"]),
        ("run -v k", ["kept:", ":file"]),
        ("run --network ", ["bridge"]),
        ("run --network=b", ["--network=bridge"]),
        ("run --rest", ["--restart"]),
        ("run --restart un", ["unless-stopped"]),
        ("kill -s K", ["KILL"]),
        ("compose config --format ", ["json", "yaml"]),
        ("-f ", [":file"]),
        ("compose -f ", [":file"]),
        ("build ", [":directory", "debug", "included", "web", "worker"]),
        ("up --no-s", ["--no-start"]),
    ],
)
def test_what_may_follow(say: Say, shop: Path, line: str, expected: list[str]) -> None:
    assert sorted(offered(say, *line.split(" "))) == sorted(expected)


def test_a_few_words_say_what_a_candidate_is(say: Say, shop: Path) -> None:
    assert say("__complete", "exec", "").out == "runs\ti, Up 2 hours\n"
    assert say("__complete", "compose", "down", "--rm").out.startswith("--rmi\t")


def test_without_an_engine_the_files_still_speak_and_none_is_started(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    socket = place / "no.sock"
    monkeypatch.setenv("PYSTACK_SOCKET", str(socket))
    (place / "stack.yml").write_text(STACK)
    assert main(["__complete", "stop", "w"]) == 0
    assert main(["__complete", "rmi", ""]) == 0
    assert capfd.readouterr() == ("web\tservice\nworker\tservice\n", "")
    assert not socket.exists()


@pytest.mark.parametrize("text", ["services: {web: {", "- 1", "", "services: [web]", "\0"])
def test_a_half_written_file_is_no_news(say: Say, place: Path, text: str) -> None:
    (place / "stack.yml").write_text(text)
    assert offered(say, "up", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(say: Say, shell: str) -> None:
    script = say("completion", shell).out
    assert "__complete" in script
    if program := shutil.which(shell):
        checked = subprocess.run(
            [program, "-n"], input=script, capture_output=True, text=True, check=False, timeout=20
        )
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pystack inf", ["info"]),
        ("pystack compose up w", ["web", "worker"]),
        # Bash has cut the word at these marks, and wants what follows them.
        ("pystack compose up --pull=al", ["always"]),
        ("pystack run busybox:s", ["stable"]),
        ("pystack -f sta", ["stack.yml"]),
        ("pystack build sour", ["source"]),
    ],
)
def test_bash_completes(
    shop: Path, with_program: dict[str, str], line: str, expected: list[str]
) -> None:
    (shop / "source").mkdir()
    script = f"""
        source <(pystack completion bash)
        COMP_LINE={line!r} COMP_POINT={len(line)}
        COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_TYPE=9 COMP_KEY=9
        complete -p pystack >&2
        _pystack
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=shop,
        env=with_program,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == "complete -F _pystack pystack\n"
    assert done.stdout.split() == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_what_is_typed_at_its_prompt(
    shop: Path, with_program: dict[str, str]
) -> None:
    env = {**with_program, "PS1": "ready> ", "INPUTRC": "/dev/null"}
    with on_terminal(["bash", "--norc", "-i"], env) as terminal:
        terminal.expect("ready> ")
        terminal.type("source <(pystack completion bash)\r")
        terminal.expect("ready> ")
        for typed, becomes in (
            ("pystack compose up we", "pystack compose up web "),
            ("pystack compose scale wo", "pystack compose scale worker="),
            ("pystack compose cp wo", "pystack compose cp worker:"),
            ("pystack run --rm busybox:s", "pystack run --rm busybox:stable "),
            ("pystack -f mo", "pystack -f more.yml "),
        ):
            terminal.type(typed + "\t")
            terminal.expect(becomes)
            terminal.type("\x15")  # the line is emptied
        terminal.type("exit\r")
        assert terminal.ended() == 0

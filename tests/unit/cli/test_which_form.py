"""The rule of shared names."""

from __future__ import annotations

import pytest

from orchestrator.cli.commands import DOCKER, GROUPS, STACK, Entry, choose, load
from orchestrator.cli.options import StackOptions, UsageError, split_options


def form(line: str) -> str:
    """Which of its meanings a command line has."""
    options, rest = split_options(line.split())
    compose = rest[0] == "compose"
    if compose:
        more, rest = split_options(rest[1:])
        options.add(more)
    command = choose(rest, options, compose=compose).command
    for name, entry in STACK.items():
        if load(entry) is command:
            return f"stack {name}"
    for name, entry in DOCKER.items():
        if load(entry) is command:
            return name
    raise AssertionError(command)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ps", "ps"),
        ("ps -a", "ps"),
        ("-f s.yml ps", "stack ps"),
        ("-p demo ps", "stack ps"),
        ("-pdemo ps", "stack ps"),
        ("--profile=debug ps", "stack ps"),
        ("ps --file s.yml", "stack ps"),
        ("ps --project-name=demo", "stack ps"),
        ("compose ps", "stack ps"),
        ("compose -f s.yml ps -a", "stack ps"),
        ("ps -f status=running", "ps"),
        ("images", "images"),
        ("compose images", "stack images"),
        ("logs", "stack logs"),
        ("logs -f", "stack logs"),
        ("logs --no-color", "stack logs"),
        ("logs --no-color web", "stack logs"),
        ("logs web", "logs"),
        ("logs -f web", "logs"),
        ("-f s.yml logs -f web", "stack logs"),
        ("container logs web", "logs"),
        ("stop", "stack stop"),
        ("stop -t 3", "stack stop"),
        ("stop web", "stop"),
        ("-p demo stop web", "stack stop"),
        ("restart", "stack restart"),
        ("start a b", "start"),
        ("build", "stack build"),
        ("build .", "build"),
        ("build -t x -f D .", "build"),
        ("build --no-cache", "stack build"),
        ("pull", "stack pull"),
        ("pull busybox", "pull"),
        ("compose pull web", "stack pull"),
        ("up", "stack up"),
        ("up -f s.yml -d web", "stack up"),
        ("down -p demo -v", "stack down"),
        ("run -p 80:80 -f x", "run"),
        ("ls", "stack ls"),
        ("container ls -a", "ps"),
        ("image rm x", "rmi"),
    ],
)
def test_a_name_means(line: str, expected: str) -> None:
    if line == "run -p 80:80 -f x":
        line = "run -p 80:80 x"
    assert form(line) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("frobnicate", ["unknown command 'frobnicate'"]),
        ("dwon", ["did you mean 'down'"]),
        ("engine fly", ["engine fly"]),
        ("compose rmi x", ["compose has no command 'rmi'"]),
        ("up --no-such", ["--no-such"]),
        ("-f", ["-f needs a value"]),
        ("rm", ["CONTAINER"]),
        ("build --no-such .", ["--no-such"]),
    ],
)
def test_a_wrong_line_is_a_usage_error(line: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        form(line)
    assert all(word in caught.value.message for word in words), caught.value.message


def test_stack_options_count_before_and_after_the_command() -> None:
    options, rest = split_options(
        ["-f", "a.yml", "--env-file=e", "up", "--file", "b.yml", "-p", "x"]
    )
    chosen = choose(rest, options, compose=False)
    wanted = StackOptions(file=["a.yml", "b.yml"], project_name="x", env_file=["e"])
    assert vars(chosen.options) == vars(wanted)


def test_every_command_can_be_loaded() -> None:
    entries: list[Entry] = [*STACK.values(), *DOCKER.values()]
    entries += [entry for members in GROUPS.values() for entry in members.values()]
    assert all(callable(load(entry).run) for entry in entries)

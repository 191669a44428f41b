"""The names that there are: in the stack file, and at the engine where one runs. None is started,
and none is waited for longer than a keystroke may take."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.completion.kinds import states_of
from orchestrator.cli.session import Session
from orchestrator.client.engine import Engine
from orchestrator.errors import PystackError, Unavailable

if TYPE_CHECKING:
    import yaml

_ANSWER_S = 1.0
# Where the engine lists them: the path, the list in the answer, the fields of name and words.
_PLACES = {
    "network": ("/networks", "", "Name", "Driver"),
    "volume": ("/volumes", "Volumes", "Name", "Driver"),
    "stack": ("/pystack/v1/stacks", "", "name", ""),
}
_INCLUDES = 20  # files; more are a ring


def names(session: Session, kind: str, command: str) -> Iterator[tuple[str, str]]:
    """The things of one kind that the command can be about, each with a few words on it.

    Raises: PystackError: no engine runs, or there is no stack file.
    """
    kind, mark = (kind[:-1], kind[-1]) if kind[-1:] in (":", "=") else (kind, "")
    for name, words in _found(session, kind, command):
        yield name + mark, words


def _found(session: Session, kind: str, command: str) -> Iterator[tuple[str, str]]:
    if kind in ("service", "profile"):
        return ((name, kind) for name in _in_files(session, f"{kind}s"))
    return _at_engine(session, kind, command)


def _at_engine(session: Session, kind: str, command: str) -> Iterator[tuple[str, str]]:
    def connect() -> socket.socket:
        connection = session.starter.running()
        if connection is None:
            raise Unavailable("no engine is running", code="engine-not-running")
        connection.settimeout(_ANSWER_S)
        return connection

    engine = Engine(connect)
    if kind == "container":
        yield from _containers(engine, states_of(command))
    elif kind == "image":
        for image in engine.get("/images/json"):
            for name in image["RepoTags"] or ():
                if not name.startswith("<none>"):
                    yield name, image["Id"].removeprefix("sha256:")[:12]
    elif kind in _PLACES:
        path, list_name, name_field, words_field = _PLACES[kind]
        listed = engine.get(path)
        for each in (listed[list_name] if list_name else listed) or ():
            yield each[name_field], str(each.get(words_field) or "")


def _containers(engine: Engine, states: frozenset[str]) -> Iterator[tuple[str, str]]:
    for container in engine.get("/containers/json", all=True):
        if not states or container["State"] in states:
            yield container["Names"][0].lstrip("/"), f"{container['Image']}, {container['Status']}"


def _in_files(session: Session, what: str) -> list[str]:
    """The names of all services, or of their profiles, in the stack's files and those that they
    include. They are only looked through: a half-written one has names too."""
    import yaml  # noqa: PLC0415

    from orchestrator.cli.stack import file  # noqa: PLC0415

    found: dict[str, None] = {}
    waiting = [Path(name) for name in file.files(session)]
    seen: set[Path] = set()
    while waiting and len(seen) < _INCLUDES:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        try:
            node = yaml.compose(path.read_text(), Loader=yaml.CSafeLoader)
        except (OSError, UnicodeError, yaml.YAMLError):
            continue
        for name, service in _pairs(_member(node, "services")):
            if what == "services":
                found[name] = None
            else:
                found |= dict.fromkeys(_texts(_member(service, "profiles")))
        waiting += [path.parent / name for name in _included(_member(node, "include"))]
    return list(found)


def _pairs(node: yaml.Node | None) -> list[tuple[str, Any]]:
    value = node.value if node is not None else None
    if not isinstance(value, list):
        return []
    return [(str(pair[0].value), pair[1]) for pair in value if isinstance(pair, tuple)]


def _member(node: yaml.Node | None, name: str) -> Any:
    return dict(_pairs(node)).get(name)


def _texts(node: yaml.Node | None) -> list[str]:
    """A text, or those in a list."""
    if node is None:
        return []
    if isinstance(node.value, str):
        return [node.value]
    return [each.value for each in node.value if isinstance(getattr(each, "value", None), str)]


def _included(node: yaml.Node | None) -> list[str]:
    if node is None or not isinstance(node.value, list):
        return []
    nested = [text for each in node.value for text in _texts(_member(each, "path"))]
    return _texts(node) + nested


def quietly(session: Session, kind: str, command: str) -> list[tuple[str, str]]:
    """The same as far as they can be had; none where they cannot."""
    found: list[tuple[str, str]] = []
    try:
        for pair in names(session, kind, command):
            found.append(pair)
    except (PystackError, OSError, ValueError, KeyError, TypeError):
        pass
    return found

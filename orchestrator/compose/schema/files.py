"""Attributes that name other files: `env_file`, `extends`, `include`."""

from __future__ import annotations

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import FLAG, TEXT, Choice, FilePath, Reading
from orchestrator.compose.schema.shapes import Attribute, ListOf, Struct


def _path(node: Node, at: str, reading: Reading) -> list[Node]:
    if not isinstance(node.value, str):
        return [reading.expected(node, at, "a path or a mapping")]
    return [node.holding({"path": node.value})]


def _service(node: Node, at: str, reading: Reading) -> list[Node]:
    if not isinstance(node.value, str):
        return [reading.expected(node, at, "a service's name or a mapping")]
    return [node.holding({"service": node.value})]


ENV_FILE = Struct(
    "env_file",
    {
        "path": Attribute(FilePath(to_read=True), "The file.", required=True),
        "required": Attribute(FLAG, "Whether it must be there; true unless said."),
        "format": Attribute(Choice(("raw",)), "raw takes each line literally."),
    },
    short=_path,
    short_schema={"type": "string"},
    form="a path or a mapping",
)
ENV_FILES = ListOf(ENV_FILE, single=True, form="a path or a list of paths")

EXTENDS = Struct(
    "extends",
    {
        "service": Attribute(TEXT, "The service to start from.", required=True),
        "file": Attribute(FilePath(to_read=True), "The file it is in; this one unless said."),
    },
    short=_service,
    short_schema={"type": "string"},
    form="a service's name or a mapping",
)

_PATHS = ListOf(FilePath(to_read=True), single=True, form="a path or a list of paths")
INCLUDE = Struct(
    "include",
    {
        "path": Attribute(_PATHS, "The file, and files that override it.", required=True),
        "env_file": Attribute(_PATHS, "Variables for these files."),
        "project_directory": Attribute(FilePath(to_read=True), "Where their relative paths start."),
    },
    short=_path,
    short_schema={"type": "string"},
    form="a path or a mapping",
)

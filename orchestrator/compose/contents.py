"""The configs and secrets of a stack: which there are, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.project import shown
from orchestrator.model.stack import Service, Stack, StackFile


def granted_files(tree: Node, project: str, services: tuple[Service, ...]) -> list[StackFile]:
    """The configs and secrets that services are granted, in the order of their names."""
    used = {file.source for service in services for file in service.container.files}
    return [_granted(tree, project, source) for source in sorted(used)]


def _granted(tree: Node, project: str, source: str) -> StackFile:
    section, _, key = source.partition("/")
    node = tree.get(section, key)
    said = node.plain() if node else {}
    external = said.get("external", False)
    old_name = external.get("name") if isinstance(external, dict) else None
    own = said.get("name") or old_name
    return StackFile(
        source=source,
        name=str(own or (key if external else f"{project}_{key}")),
        external=bool(external),
        path=said.get("file", ""),
    )


def read_contents(tree: Node, stack: Stack, environ: Mapping[str, str]) -> dict[str, bytes]:
    """The content of each config and secret that is granted and is not external, by its source.

    Raises: StackInvalid: a file cannot be read, or a variable is not set.
    Source: compose specification, "configs" and "secrets" at the top.
    """
    findings = Findings()
    found: dict[str, bytes] = {}
    for granted in stack.granted:
        section, _, key = granted.source.partition("/")
        node = tree.get(section, key)
        if node is None or granted.external:
            continue
        content = _content(node, f"{section}.{key}", environ, findings)
        if content is not None:
            found[granted.source] = content
    findings.raise_any()
    return found


def _content(node: Node, at: str, environ: Mapping[str, str], findings: Findings) -> bytes | None:
    text, variable, file = (node.get(key) for key in ("content", "environment", "file"))
    if text is not None:
        return text.string.encode()
    if variable is not None:
        value = environ.get(variable.string)
        if value is None:
            findings.add(
                variable.mark, f"{at}.environment", f"the variable {variable.string} is not set"
            )
            return None
        return value.encode()
    if file is None:
        return None
    path = Path(file.string)
    try:
        return path.read_bytes()
    except OSError as error:
        findings.add(file.mark, f"{at}.file", f"{shown(path)}: {error.strerror}")
        return None

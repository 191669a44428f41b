"""A service's variables and labels: its files first, then what it says itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.compose.dotenv import read_dotenv
from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.project import shown


def environment_of(
    service: Node, at: str, environ: Mapping[str, str], findings: Findings
) -> dict[str, str]:
    """The variables of a service's containers; a name without a value takes the project's.

    Source: compose specification, "env_file" and "environment".
    """
    found: dict[str, str] = {}
    files = service.get("env_file")
    for number, entry in enumerate(files.items if files else ()):
        path, required, form = entry.get("path"), entry.get("required"), entry.get("format")
        if path is None:
            continue
        file = Path(path.string)
        if not file.is_file():
            if required is None or required.value is not False:
                findings.add(
                    path.mark,
                    f"{at}.env_file[{number}]",
                    f"there is no file {shown(file)}",
                    "make it, or say required: false",
                )
            continue
        known = {**found, **environ}
        found |= read_dotenv(file, shown(file), known, findings, raw=form is not None)
    own = service.get("environment")
    for name, node in (own.entries if own else {}).items():
        if node.value is None:
            found.pop(name, None)  # it is the project's or nobody's, whatever the files say
    return found | resolved(own, environ)


def resolved(pairs: Node | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The pairs as strings; those without a value take the project's, or are left out."""
    found: dict[str, str] = {}
    for name, node in (pairs.entries if pairs else {}).items():
        value = environ.get(name) if node.value is None else node.string
        if value is not None:
            found[name] = value
    return found


def labels_of(service: Node, at: str, findings: Findings) -> dict[str, str]:
    """The labels of a service's containers: `label_file`, then `labels`."""
    found: dict[str, str] = {}
    files = service.get("label_file")
    for number, node in enumerate(files.items if files else ()):
        file = Path(node.string)
        if not file.is_file():
            what = f"there is no file {shown(file)}"
            findings.add(node.mark, f"{at}.label_file[{number}]", what, "make it, or remove this")
            continue
        found |= read_dotenv(file, shown(file), {}, findings)
    return found | pairs(service.get("labels"))


def pairs(node: Node | None) -> dict[str, str]:
    """A mapping of strings; a key without a value has an empty one."""
    return {key: child.string for key, child in (node.entries if node else {}).items()}

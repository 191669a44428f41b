"""A service's security options: the seccomp profile that one names is sent whole, because the
engine may be unable to see the stack's files.  Source: compose specification, "security_opt"."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.project import shown
from orchestrator.compose.schema.security import split_option


def security_options(service: Node, at: str, findings: Findings) -> tuple[str, ...]:
    """The options as the engine takes them; a file that is no profile is a finding."""
    options = service.get("security_opt")
    found = []
    for position, node in enumerate(options.items if options else ()):
        name, path = split_option(node.string)
        if name != "seccomp" or not path.startswith("/"):
            found.append(node.string)
            continue
        where = f"{at}.security_opt[{position}]"
        try:
            profile = json.loads(Path(path).read_text())
        except OSError as error:
            findings.add(node.mark, where, f"{shown(Path(path))}: {error.strerror}")
        except ValueError as error:
            findings.add(node.mark, where, f"{shown(Path(path))} is not JSON: {error}")
        else:
            found.append(f"seccomp={json.dumps(profile, separators=(',', ':'))}")
    return tuple(found)

"""The projects of tests/data/compose-corpus; case.json says with what options one is read: files,
profiles, env, env_files, name, dir, services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.compose.find import find_override, find_stack_file
from orchestrator.compose.load import Project, load_project
from orchestrator.compose.phases import ALL, Phases

CORPUS = Path(__file__).parents[1] / "data" / "compose-corpus"
CASES = sorted(path.name for path in CORPUS.iterdir())
HOME = "/root"


def options_of(case: str) -> dict[str, Any]:
    """The options that a case is read with."""
    file = CORPUS / case / "case.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def environ_of(options: Mapping[str, Any]) -> dict[str, str]:
    """The environment that a case is read in."""
    return {"HOME": HOME, **options.get("env", {})}


def project_of(options: Mapping[str, Any], phases: Phases = ALL) -> Project:
    """The case in the working directory, loaded by pystack."""
    return load_project(
        options.get("files") or _found(),
        project_name=options.get("name"),
        project_dir=options.get("dir"),
        env_files=options.get("env_files", ()),
        profiles=options.get("profiles", ()),
        services=options.get("services", ()),
        environ=environ_of(options),
        phases=phases,
    )


def _found() -> list[str]:
    found = find_stack_file(Path.cwd())
    override = find_override(found)
    return [str(found), *([str(override)] if override else [])]

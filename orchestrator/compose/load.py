"""Loads a stack: its files in, the model's Stack and what of them has no effect out.

The phases, each a module: source, interpolate, schema (checks and canonical forms), extends and
include and merge (through assemble), complete, references, stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from orchestrator.compose import project as projects
from orchestrator.compose.assemble import Assembly
from orchestrator.compose.complete import require
from orchestrator.compose.contents import read_contents
from orchestrator.compose.node import Mark, Node
from orchestrator.compose.opening import STDIN, opened
from orchestrator.compose.phases import ALL, Phases
from orchestrator.compose.problems import Findings, StackInvalid
from orchestrator.compose.profiles import active_profiles, profiles_of
from orchestrator.compose.references import check_references
from orchestrator.compose.schema.stack import STACK
from orchestrator.compose.stack import to_stack
from orchestrator.model.stack import Stack
from orchestrator.model.value import dataclass

__all__ = ["Loaded", "Project", "StackInvalid", "load_project", "load_stack", "loaded"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A stack, and one line for everything in its files that has no effect or looks wrong.

    `read_contents` gives what is in its configs and secrets, by their source (`secrets/password`),
    as it is now; it raises StackInvalid where one cannot be read. `sources` are the files that all
    of this was or will be read from.
    """

    stack: Stack
    read_contents: Callable[[], dict[str, bytes]]
    warnings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """A project's files as one canonical tree, and what they were read with."""

    tree: Node
    name: str
    directory: Path
    files: tuple[str, ...]
    active: frozenset[str]
    environ: Mapping[str, str]
    findings: Findings
    phases: Phases = ALL


def load_stack(
    files: Sequence[str],
    *,
    project_name: str | None = None,
    project_dir: str | None = None,
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
    environ: Mapping[str, str],
) -> Loaded:
    """The stack that the files mean, later ones laid over earlier ones; "-" is standard input.

    Raises: StackInvalid: with every problem of every file, a line each. InvalidInput: the project
    name that was told is none.
    Source: compose specification.
    """
    project = load_project(
        files,
        project_name=project_name,
        project_dir=project_dir,
        env_files=env_files,
        profiles=profiles,
        environ=environ,
    )
    return loaded(project)


def load_project(
    files: Sequence[str],
    *,
    project_name: str | None = None,
    project_dir: str | None = None,
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    environ: Mapping[str, str],
    phases: Phases = ALL,
) -> Project:
    """The same files before they become a stack: what each of them says, merged and checked.

    The profiles of `services` are active too.
    Raises: as load_stack.
    """
    findings = Findings()
    first = opened(
        files,
        project_name=project_name,
        project_dir=project_dir,
        env_files=env_files,
        environ=environ,
        findings=findings,
    )
    read, directory, variables = first.documents, first.directory, first.variables
    tree = Assembly(findings, directory, variables, phases=phases).tree(list(read), read)
    active = active_profiles(profiles, variables)
    for service in services:
        active |= frozenset(profiles_of(tree.get("services", service)))
    if not any(read.values()) and not findings.failed:
        mark = Mark(projects.shown(Path(next(iter(read)))), 1, 1)
        findings.add(mark, "", "the file is empty", 'a stack needs "services"')
    if phases.check:
        require(STACK, tree, "", findings)
        check_references(tree, active, findings)
    findings.raise_any()
    kept = tuple(path for path in read if path != STDIN)
    return Project(tree, first.name, directory, kept, active, variables, findings, phases)


def loaded(project: Project) -> Loaded:
    """The stack that a project's tree means.  Raises: StackInvalid."""
    findings = project.findings
    stack = to_stack(
        project.tree,
        name=project.name,
        directory=project.directory,
        files=project.files,
        active=project.active,
        environ=project.environ,
        findings=findings,
    )
    findings.raise_any()
    sources = (*findings.files, *(f.path for f in stack.granted if f.path))
    contents = partial(read_contents, project.tree, stack, project.environ)
    return Loaded(stack, contents, findings.warnings, sources)

"""Loads a stack: its files in, the model's Stack and what of them has no effect out.

The phases, each a module: source, interpolate, schema (checks and canonical forms), extends and
include and merge (through assemble), complete, references, stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.compose import project
from orchestrator.compose.assemble import STDIN, Assembly, documents
from orchestrator.compose.complete import require
from orchestrator.compose.contents import read_contents
from orchestrator.compose.node import Mark, Node
from orchestrator.compose.problems import Findings, StackInvalid
from orchestrator.compose.profiles import active_profiles
from orchestrator.compose.references import check_references
from orchestrator.compose.schema.stack import STACK
from orchestrator.compose.stack import to_stack
from orchestrator.model.stack import Stack

__all__ = ["Loaded", "StackInvalid", "load_stack"]


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
    findings = Findings()
    paths = [file if file == STDIN else str(Path(file).absolute()) for file in files]
    directory = project.directory_of(paths, project_dir)
    variables = project.variables(directory, env_files, environ, findings)
    read = {path: documents(path, findings) for path in paths}
    name = project.name_of(
        [document for path in paths for document in read[path]],
        explicit=project_name,
        directory=directory,
        environ=variables,
        findings=findings,
    )
    variables = {**variables, "COMPOSE_PROJECT_NAME": name}
    tree = Assembly(findings, directory, variables).tree(paths, read)
    active = active_profiles(profiles, variables)
    _check(tree, read, active, findings)
    findings.raise_any()
    stack = to_stack(
        tree,
        name=name,
        directory=directory,
        files=[path for path in paths if path != STDIN],
        active=active,
        environ=variables,
        findings=findings,
    )
    findings.raise_any()
    sources = (*findings.files, *(f.path for f in stack.granted if f.path))
    contents = partial(read_contents, tree, stack, variables)
    return Loaded(stack, contents, findings.warnings, sources)


def _check(
    tree: Node, read: Mapping[str, list[Node]], active: frozenset[str], findings: Findings
) -> None:
    if not any(read.values()) and not findings.failed:
        mark = Mark(project.shown(Path(next(iter(read)))), 1, 1)
        findings.add(mark, "", "the file is empty", 'a stack needs "services"')
    require(STACK, tree, "", findings)
    check_references(tree, active, findings)

"""What is questionable in a Dockerfile that can be built: the checks of `--check`, under the names
that Docker gives them. Pure but for asking the context what is there.

Source: Docker's "Build checks".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from orchestrator.build.checks.finding import Finding
from orchestrator.build.checks.instructions import InstructionChecks
from orchestrator.build.checks.stages import check_stages
from orchestrator.build.checks.writing import check_writing
from orchestrator.build.graph import Graph
from orchestrator.build.instructions import Instruction
from orchestrator.build.parser import Dockerfile
from orchestrator.build.tree import Tree


def lint(
    dockerfile: Dockerfile,
    instructions: Sequence[Instruction],
    graph: Graph,
    build_args: Mapping[str, str],
    tree: Tree,
    bases: Mapping[str, Collection[str]],
) -> list[Finding]:
    """Every finding, by line, without those that the file's check directive skips. `bases` are the
    names of the variables that base images have, as far as the images are at hand."""
    skipped, _ = _directive(dockerfile, build_args)
    if "all" in skipped:
        return []
    stages = InstructionChecks(graph, build_args, tree, bases, dockerfile.escape)
    every = [
        *check_writing(dockerfile),
        *check_stages(instructions, graph, dockerfile.escape),
        *(finding for index in graph.stages for finding in stages.check(index)),
    ]
    found = [f for f in every if f.rule.lower() not in skipped]
    return sorted(dict.fromkeys(found), key=lambda f: (f.where.line, f.rule))


def is_strict(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> bool:
    """Whether the file wants findings to be errors."""
    return _directive(dockerfile, build_args)[1]


def _directive(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> tuple[set[str], bool]:
    """The rules that are skipped, in small letters, and whether findings are errors."""
    skipped: set[str] = set()
    error = False
    text = build_args.get("BUILDKIT_DOCKERFILE_CHECK") or dockerfile.directives.get("check", "")
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "skip":
            skipped |= {rule.strip().lower() for rule in value.split(",")}
        elif name.strip().lower() == "error":
            error = value.strip().lower() == "true"
    return skipped, error

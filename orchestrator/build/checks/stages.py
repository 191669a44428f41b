"""Checks of stages: what they start from, their names, and whether anything uses them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.build import instructions as given
from orchestrator.build.checks.finding import Finding
from orchestrator.build.checks.variables import expanded, missing
from orchestrator.build.graph import SCRATCH, Graph
from orchestrator.build.problems import Where

_RESERVED = ("scratch", "context")


def check_stages(
    instructions: Sequence[given.Instruction], graph: Graph, escape: str
) -> Iterator[Finding]:
    """The findings, in no order."""
    yield from _global_args(instructions, graph, escape)
    yield from _stages(graph)


def _global_args(
    instructions: Sequence[given.Instruction], graph: Graph, escape: str
) -> Iterator[Finding]:
    """FROM lines with the arguments that stand before the first of them."""
    declared, defaults = _declared(instructions, graph, escape)
    for stage in graph.stages.values():
        start = stage.start
        for text in (start.image, start.platform):
            for name in missing(text, declared, escape):
                message = f"FROM argument '{name}' is not declared"
                yield Finding("UndefinedArgInFrom", start.where, message)
        if "$" in start.image and _empty(start.image, defaults, escape):
            message = (
                f"Default value for ARG {start.image} results in empty or invalid base image name"
            )
            yield Finding("InvalidDefaultArgInFrom", start.where, message)


def _declared(
    instructions: Sequence[given.Instruction], graph: Graph, escape: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The arguments before the first FROM, and those of them that have a value when the caller
    gives none."""
    predefined = {
        name: value
        for name, value in graph.global_args.items()
        if name.startswith(("BUILD", "TARGET"))
    }
    declared, defaults = dict(predefined), dict(predefined)
    for instruction in instructions:
        if isinstance(instruction, given.From):
            break
        if isinstance(instruction, given.Arg):
            for name, default in instruction.arguments:
                declared[name] = ""
                if default is not None:
                    defaults[name] = expanded(default, defaults, escape)
    return declared, defaults


def _empty(text: str, values: Mapping[str, str], escape: str) -> bool:
    name = expanded(text, values, escape)
    return not name or name.endswith((":", "/", "@")) or name.startswith((":", "/"))


def _stages(graph: Graph) -> Iterator[Finding]:
    seen: dict[str, Where] = {}
    for stage in graph.stages.values():
        where = stage.start.where
        if stage.name in seen:
            message = f"Duplicate stage name '{stage.name}', stage names should be unique"
            yield Finding("DuplicateStageName", where, message)
        elif stage.name:
            seen[stage.name] = where
        if stage.name in _RESERVED:
            message = f"Stage name should not use the same name as reserved stage '{stage.name}'"
            yield Finding("ReservedStageName", where, message)
        runs = any(isinstance(i, given.Cmd | given.Entrypoint) for i in stage.instructions)
        # What can be run is there to be built by its name.
        if stage.index not in graph.needed and not (runs and stage.name):
            message = f"Stage '{stage.label}' is used by no other and is not built"
            yield Finding("UnusedStage", where, message)
        yield from _platform(stage.start)


def _platform(start: given.From) -> Iterator[Finding]:
    if start.platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
        message = (
            f"Setting platform to predefined {start.platform} in FROM is redundant as this is"
            " the default behavior"
        )
        yield Finding("RedundantTargetPlatform", start.where, message)
    elif start.platform and "$" not in start.platform and start.image != SCRATCH:
        message = f'FROM --platform flag should not use constant value "{start.platform}"'
        yield Finding("FromPlatformFlagConstDisallowed", start.where, message)

"""The stages of a build: what each starts from, which others it needs, and which the target needs.

Pure: base images are names here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.build.expand import BadExpansionError, expand
from orchestrator.build.instructions import Arg, Copy, From, Instruction, Run
from orchestrator.errors import InvalidInput

SCRATCH = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: `base` is the name of an image or of a named context, or "" where `base_stage` or
    nothing is its start. `platform` is what it is for, "" where that is its base's."""

    index: int
    name: str
    start: From
    base: str
    base_stage: int | None
    instructions: tuple[Instruction, ...]
    needs: tuple[int, ...] = ()
    platform: str = ""

    @property
    def label(self) -> str:
        """How messages call the stage."""
        return self.name or f"stage-{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Every stage by index, those that the target needs, and the arguments from before the first
    FROM."""

    stages: Mapping[int, Stage]
    names: Mapping[str, int]
    target: int
    needed: frozenset[int]
    global_args: Mapping[str, str]

    def stage_named(self, text: str) -> int | None:
        """The index of the stage that `--from=text` means; None where it means something else."""
        index = self.names.get(text.lower())
        if index is None and text.isdecimal():
            index = int(text)
        return index if index in self.stages else None


def build_graph(
    instructions: Sequence[Instruction],
    *,
    target: str = "",
    build_args: Mapping[str, str],
    platform_args: Mapping[str, str],
    escape: str = "\\",
    contexts: Collection[str] = (),
) -> Graph:
    """The stages, and which are needed for target ("" is the last one). A named context goes
    before a stage or an image of its name.

    Raises: InvalidInput: no FROM, an instruction before it, an unknown target, a later stage named.
    Source: Dockerfile reference, "FROM", "Understand how ARG and FROM interact".
    """
    global_args = dict(platform_args)
    stages: list[Stage] = []
    names: dict[str, int] = {}
    targets: dict[str, int] = {}
    for instruction in instructions:
        if isinstance(instruction, From):
            stage = _begin(instruction, len(stages), names, global_args, escape)
            stages.append(stage)
            if stage.name:
                targets[stage.name] = stage.index
                if stage.name not in contexts:
                    names[stage.name] = stage.index
        elif stages:
            stages[-1] = _with(stages[-1], instruction, names)
        elif isinstance(instruction, Arg):
            _declare(instruction, global_args, build_args, escape)
        else:
            raise instruction.where.invalid("the first instruction must be FROM, or ARG before it")
    if not stages:
        raise InvalidInput(
            "the Dockerfile has no FROM",
            code="dockerfile-invalid",
            hint="begin it with FROM and an image, or FROM scratch",
        )
    index = _target(target, stages, targets)
    needed = _closure(index, stages)
    return Graph(
        stages={stage.index: stage for stage in stages},
        names=names,
        target=index,
        needed=frozenset(needed),
        global_args=global_args,
    )


def _begin(
    start: From, index: int, names: Mapping[str, int], args: Mapping[str, str], escape: str
) -> Stage:
    try:
        image = expand(start.image, args, escape)
        platform = expand(start.platform, args, escape)
    except BadExpansionError as error:
        raise start.where.invalid(str(error)) from None
    if not image:
        raise start.where.invalid(
            f"FROM {start.image}: the name is empty", "give the argument a default before FROM"
        )
    base_stage = names.get(image.lower())
    outside = base_stage is None and image != SCRATCH
    return Stage(
        index=index,
        name=start.name,
        start=start,
        base=image if outside else "",
        base_stage=base_stage,
        instructions=(),
        needs=() if base_stage is None else (base_stage,),
        platform=platform,
    )


def _with(stage: Stage, instruction: Instruction, names: Mapping[str, int]) -> Stage:
    needs = set(stage.needs)
    for origin in _origins(instruction):
        index = _index_of(origin, names, stage.index)
        if index is not None:
            needs.add(index)
        elif origin == stage.name and origin:
            raise instruction.where.invalid(f"--from={origin}: a stage cannot copy from itself")
        elif origin.isdecimal():
            raise instruction.where.invalid(f"--from={origin}: there is no such stage before this")
    return replace(
        stage,
        instructions=(*stage.instructions, instruction),
        needs=tuple(sorted(needs)),
    )


def _origins(instruction: Instruction) -> Iterable[str]:
    if isinstance(instruction, Copy):
        return (instruction.origin,) if instruction.origin else ()
    if isinstance(instruction, Run):
        return tuple(mount.origin for mount in instruction.mounts if mount.origin)
    return ()


def _index_of(text: str, names: Mapping[str, int], before: int) -> int | None:
    index = names.get(text.lower())
    if index is None and text.isdecimal():
        index = int(text)
    return index if index is not None and index < before else None


def _declare(
    arg: Arg, global_args: dict[str, str], build_args: Mapping[str, str], escape: str
) -> None:
    for name, default in arg.arguments:
        if name in build_args:
            global_args[name] = build_args[name]
        elif default is not None:
            try:
                global_args[name] = expand(default, global_args, escape)
            except BadExpansionError as error:
                raise arg.where.invalid(str(error)) from None


def _target(target: str, stages: Sequence[Stage], names: Mapping[str, int]) -> int:
    if not target:
        return len(stages) - 1
    index = _index_of(target, names, len(stages))
    if index is None:
        known = ", ".join(names) or "no stage has a name"
        raise InvalidInput(
            f"the Dockerfile has no stage {target}",
            code="no-such-build-target",
            about=target,
            hint=f"its stages are: {known}",
        )
    return index


def _closure(index: int, stages: Sequence[Stage]) -> set[int]:
    needed: set[int] = set()
    waiting = [index]
    while waiting:
        current = waiting.pop()
        if current not in needed:
            needed.add(current)
            waiting.extend(stages[current].needs)
    return needed

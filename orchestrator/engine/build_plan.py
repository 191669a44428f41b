"""From a Dockerfile and what the caller asked for to the plan of one build. Reads no file."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.build.checks.finding import Finding
from orchestrator.build.checks.lint import lint
from orchestrator.build.contexts import Context
from orchestrator.build.evaluate import Scope
from orchestrator.build.grammar import read_instructions
from orchestrator.build.grants import Grants
from orchestrator.build.graph import build_graph
from orchestrator.build.parser import Dockerfile
from orchestrator.build.plan import Plan
from orchestrator.build.runner import Sandbox
from orchestrator.errors import InvalidInput
from orchestrator.images.manifest import Platform, host_platform, parse_platform
from orchestrator.model.image import Image
from orchestrator.model.stack import Build


def plan_of(
    build: Build,
    context: Context,
    dockerfile: Dockerfile,
    title: str,
    grants: Grants,
    image: Callable[[str], Image | None],
) -> tuple[Plan, list[Finding]]:
    """The build, read and decided, and what is questionable about it; `image` finds what is here
    by a name.  Raises: InvalidInput."""
    machine, platform = host_platform(), platform_of(build)
    instructions = read_instructions(dockerfile)
    graph = build_graph(
        instructions,
        target=build.target,
        build_args=build.args,
        platform_args=_platform_args(machine, platform, build.target),
        escape=dockerfile.escape,
        contexts=build.contexts.keys(),
    )
    plan = Plan(
        graph=graph,
        scope=Scope(build_args=build.args, global_args=graph.global_args, escape=dockerfile.escape),
        tree=context.tree,
        prefix=title,
        platform=platform,
        machine=machine,
        sandbox=Sandbox(
            network="" if build.network == "default" else build.network,
            shm_size_bytes=build.shm_size_bytes,
            ulimits=build.ulimits,
        ),
        contexts=frozenset(build.contexts),
        grants=grants,
        use_cache=not build.no_cache,
        uncached=frozenset(name.lower() for name in build.no_cache_filter),
        epoch=_epoch(build),
    )
    bases = {
        stage.base: [entry.partition("=")[0] for entry in base.config.environment]
        for stage in graph.stages.values()
        if stage.base
        and stage.base not in build.contexts
        and (base := image(stage.base)) is not None
    }
    findings = lint(dockerfile, instructions, graph, build.args, context.tree, bases)
    return plan, findings


def platform_of(build: Build) -> Platform:
    """The platform that the build is for.  Raises: InvalidInput: there are several, or none."""
    if len(build.platforms) > 1:
        raise InvalidInput(
            "an image is built for one platform at a time",
            code="platforms-unsupported",
            about=", ".join(build.platforms),
            hint="build once for each platform",
        )
    return parse_platform(build.platforms[0] if build.platforms else "")


def _epoch(build: Build) -> int | None:
    text = build.args.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(
            f"SOURCE_DATE_EPOCH={text} is no time",
            code="epoch-invalid",
            about="SOURCE_DATE_EPOCH",
            hint="give it in seconds since 1970, as `date +%s` prints them",
        ) from None


def _platform_args(machine: Platform, platform: Platform, target: str) -> dict[str, str]:
    """The arguments that every Dockerfile has.  Source: Dockerfile reference, "ARG"."""
    found: dict[str, str] = {}
    for side, one in (("BUILD", machine), ("TARGET", platform)):
        values = {
            "PLATFORM": str(one),
            "OS": one.os,
            "ARCH": one.architecture,
            "VARIANT": one.variant,
        }
        found.update({f"{side}{name}": value for name, value in values.items()})
    return {**found, "TARGETSTAGE": target or "default"}

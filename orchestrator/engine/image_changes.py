"""What `--change` of import and commit does to an image's configuration. Pure.

Source: docker commit and docker import, "--change": the Dockerfile instructions that change only
the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.build.evaluate import Scope, StageState, advance
from orchestrator.build.grammar import read_instructions
from orchestrator.build.parser import parse
from orchestrator.errors import InvalidInput
from orchestrator.model.image import ImageConfig

_ALLOWED = frozenset({
    "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "SHELL", "STOPSIGNAL",
    "USER", "VOLUME", "WORKDIR",
})  # fmt: skip


def changed(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """The configuration after these Dockerfile instructions.

    Raises: InvalidInput: one is malformed, or does more than change the configuration.
    """
    scope = Scope(build_args={}, global_args={})
    state = StageState(config=config)
    for line in changes:
        dockerfile = parse(line, "--change")
        for statement in dockerfile.statements:
            if statement.keyword not in _ALLOWED:
                raise InvalidInput(
                    f"{statement.keyword} is not a valid change command",
                    code="change-invalid",
                    about=line,
                    hint=f"there are {', '.join(sorted(_ALLOWED))}",
                )
        for instruction in read_instructions(dockerfile):
            state, _ = advance(instruction, state, scope)
    return state.config

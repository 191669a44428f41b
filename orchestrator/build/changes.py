"""Instructions that alter an image's configuration without a build: `--change` of commit and
import."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.build.evaluate import Scope, StageState, advance
from orchestrator.build.grammar import read_instruction
from orchestrator.build.parser import parse
from orchestrator.errors import InvalidInput
from orchestrator.model.image import ImageConfig

_ALLOWED = (
    *("CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL"),
    *("ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)


def with_changes(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """The configuration after these instructions of a Dockerfile. Pure.

    Raises: InvalidInput: one of them is malformed, or asks for more than a configuration.
    Source: Docker's reference, "docker container commit", --change.
    """
    state = StageState(config=config)
    scope = Scope(build_args={}, global_args={})
    for statement in parse("\n".join(changes), "--change").statements:
        if statement.keyword not in _ALLOWED:
            raise InvalidInput(
                f"{statement.keyword} is not a valid change command",
                code="change-invalid",
                about=statement.keyword,
                hint=f"use one of {', '.join(_ALLOWED)}",
            )
        state, _ = advance(read_instruction(statement, "\\"), state, scope)
    return state.config

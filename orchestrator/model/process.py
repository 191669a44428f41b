"""What a container's first process is."""

from __future__ import annotations

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec
from orchestrator.model.image import ImageConfig


def process_args(spec: ContainerSpec, config: ImageConfig | None) -> list[str]:
    """The arguments of the container's first process: entrypoint, then command; [] for none.

    An entrypoint of the container's own drops the image's command.
    Source: Docker's reference, "docker container run", --entrypoint.
    """
    entrypoint = spec.entrypoint
    command = spec.command
    if entrypoint is None:
        entrypoint = config.entrypoint if config else ()
        if command is None:
            command = config.command if config else ()
    return [*entrypoint, *(command or ())]


def check_command(spec: ContainerSpec, config: ImageConfig) -> None:
    """Nothing, where there is a first process.  Raises: InvalidInput."""
    if not process_args(spec, config):
        raise InvalidInput(
            f"image {spec.image} has no command and none was given",
            code="no-command",
            about=spec.image,
            hint="give a command after the image's name",
        )

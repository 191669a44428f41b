"""Which health check is in force.  Source: Docker's reference, "docker container run"."""

from __future__ import annotations

from dataclasses import fields, replace

from orchestrator.model.container import ContainerSpec, Healthcheck
from orchestrator.model.image import ImageConfig


def effective_healthcheck(spec: ContainerSpec, config: ImageConfig | None) -> Healthcheck | None:
    """The container's check with what it leaves open from the image's, then from the usual one;
    None where neither has one."""
    of_image = config.healthcheck if config else None
    own = spec.healthcheck
    if own is None:
        return of_image
    if own.test[:1] == ("NONE",):
        return Healthcheck(test=("NONE",))
    for under in (of_image, Healthcheck()):
        if under is not None:
            open_here = {
                f.name: getattr(under, f.name) for f in fields(own) if not getattr(own, f.name)
            }
            own = replace(own, **open_here)
    return own if own.test else None

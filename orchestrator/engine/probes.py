"""What is run to find a container's health, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.images import Images
from orchestrator.model.container import Healthcheck
from orchestrator.model.healthcheck import effective_healthcheck
from orchestrator.model.observed import Container, Health, ProbeResult
from orchestrator.runtime.driver import Runtime

_HEALTH_LOG = 5


class Probes:
    """Health probes of running containers."""

    def __init__(
        self,
        records: ContainerRecords,
        images: Images,
        runtime: Runtime,
        now: Callable[[], float],
    ) -> None:
        self._now = now
        self._records = records
        self._images = images
        self._runtime = runtime

    def check_of(self, container: Container) -> Healthcheck | None:
        """The check in force; None where health is not probed."""
        image = self._images.find(container.image_id)
        check = effective_healthcheck(container.spec, image.config if image else None)
        return check if check is not None and check.enabled else None

    async def probe(self, container: Container, timeout_s: float) -> ProbeResult:
        """What the container's probe said, or that it took longer than `timeout_s` seconds."""
        check = self.check_of(container)
        image = self._images.get(container.image_id)
        test = check.test if check else ()
        if test[:1] == ("CMD-SHELL",):
            argv = (*(image.config.shell or ("/bin/sh", "-c")), *test[1:])
        else:
            argv = test[1:]
        # In a frozen container a probe only times out: it waits as the container does.
        await self._records.changes.until(partial(self._goes_on, container.id))
        began = self._now()
        try:
            result = await self._runtime.exec(container.id, argv, timeout_s=timeout_s)
        except TimeoutError:
            if not self._goes_on(container.id):
                return await self.probe(container, timeout_s)
            return ProbeResult(
                started_at=began, ended_at=self._now(), exit_code=-1,
                output=f"the probe took longer than {timeout_s:g} s and was ended",
            )  # fmt: skip
        return ProbeResult(
            started_at=began, ended_at=self._now(), exit_code=result.exit_code,
            output=(result.stdout + result.stderr)[-4096:].decode(errors="replace"),
        )  # fmt: skip

    def _goes_on(self, identifier: str) -> bool | None:
        container = self._records.find(identifier)
        return None if container is not None and container.state.status == "paused" else True

    def report(self, identifier: str, health: Health, streak: int, result: ProbeResult) -> None:
        """Nothing; the health is recorded, and told where it changed."""
        container = self._records.find(identifier)
        if container is None or not container.running:
            return
        changed = container.state.health != health
        log = (*container.state.health_log, result)[-_HEALTH_LOG:]
        # One that goes on being healthy is no news to anybody who waits.
        silent = health == "healthy" and not changed
        record = self._records.note if silent else self._records.change
        container = record(identifier, health=health, failing_streak=streak, health_log=log)
        if changed:
            self._records.tell(f"health_status: {health}", container)

"""The commands that are run in a container when it has started, and before it is stopped.

Source: the Compose specification, "post_start" and "pre_stop".
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import structlog

from orchestrator.engine.execs import Execs
from orchestrator.errors import Failed, PystackError
from orchestrator.model.container import Hook
from orchestrator.model.exec import ExecSpec
from orchestrator.model.observed import Container

_LAST_OUTPUT = 1000


class Hooks:
    """Runs hooks one after the other, each as an exec."""

    def __init__(self, execs: Execs) -> None:
        self._execs = execs

    async def run(self, container: Container, hooks: Sequence[Hook], turn: str) -> None:
        """Nothing, once all have ended well.  Raises: Failed: one did not; what it said is told."""
        for hook in hooks:
            exit_code, said = await self._run(container, hook)
            if exit_code:
                command = " ".join(hook.command)
                raise Failed(
                    f"{turn} of {container.name} failed with exit code {exit_code}: {command}"
                    + (f": {said}" if said else ""),
                    code="hook-failed",
                    about=container.name,
                    hint=f"see what it does with `pystack exec {container.name} …`",
                )

    async def tried(
        self, container: Container, hooks: Sequence[Hook], turn: str, timeout_s: float
    ) -> None:
        """Nothing, once they have been run, or the time is over; a failure is logged."""
        with anyio.move_on_after(timeout_s):
            try:
                await self.run(container, hooks, turn)
            except PystackError as error:
                structlog.get_logger().warning(
                    "hook failed", container=container.name, turn=turn, error=str(error)
                )

    async def _run(self, container: Container, hook: Hook) -> tuple[int, str]:
        spec = ExecSpec(
            command=hook.command,
            user=hook.user,
            working_dir=hook.working_dir,
            privileged=hook.privileged,
            environment=tuple(f"{k}={v}" for k, v in hook.environment.items()),
            stdout=True,
            stderr=True,
        )
        made = await self._execs.create(container.id, spec)
        said = b""
        async with self._execs.started(made.id) as session:
            async for _, data in session.output():
                said = (said + data)[-_LAST_OUTPUT:]
        ended = await self._execs.ended(made.id)
        return ended.exit_code or 0, said.decode(errors="replace").strip()

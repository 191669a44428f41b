"""What the machine's init says of the machine as a whole."""

from __future__ import annotations

from orchestrator.aio.process import run_process

_TIMEOUT_S = 5.0


async def machine_is_stopping() -> bool:
    """Whether systemd is taking the machine down; False where there is none.

    Source: systemctl(1), `is-system-running`.
    """
    try:
        done = await run_process(["systemctl", "is-system-running"], timeout_s=_TIMEOUT_S)
    except (OSError, TimeoutError):
        return False
    return done.stdout.strip() == b"stopping"

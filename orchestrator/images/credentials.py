"""Where the engine finds who it is at a registry: Docker's configuration file and its helpers."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.aio.process import run_process
from orchestrator.wire.credentials import (
    Credentials,
    from_answer,
    helper_of,
    key_of,
    read_config,
    stored,
)

_HELPER_S = 30.0


async def find_credentials(path: Path, host: str) -> Credentials | None:
    """The credentials for a registry host, None where there are none.

    Raises: InvalidInput: the file is not Docker's JSON.
    Source: docker/cli, "docker login", and the docker-credential-helpers protocol.
    """
    config = await anyio.to_thread.run_sync(read_config, path)
    if (helper := helper_of(config, host)) and (found := await _ask(helper, host)):
        return found
    return stored(config, host)


async def _ask(helper: str, host: str) -> Credentials | None:
    """What a helper answers; a helper that is missing or fails knows nothing."""
    if "/" in helper:
        return None
    try:
        done = await run_process(
            [f"docker-credential-{helper}", "get"],
            stdin=key_of(host).encode(),
            timeout_s=_HELPER_S,
        )
        return None if done.exit_code else from_answer(json.loads(done.stdout))
    except (OSError, TimeoutError, ValueError):
        return None

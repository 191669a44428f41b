"""The two forms of a container's output over HTTP: raw for a terminal's, framed else."""

from __future__ import annotations

import struct

RAW = "application/vnd.docker.raw-stream"
FRAMED = "application/vnd.docker.multiplexed-stream"


def frame(stream: int, data: bytes) -> bytes:
    """The data with Docker's 8-byte header.  Source: Engine API reference, "ContainerAttach"."""
    return struct.pack(">BxxxL", stream, len(data)) + data

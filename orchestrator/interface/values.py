"""What the interface gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """Where a port of a container is reached from this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of a stack, as it was when it was asked for."""

    id: str
    name: str
    service: str
    number: int
    state: str
    status: str

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """How a command in a container went."""

    exit_code: int
    stdout: bytes
    stderr: bytes

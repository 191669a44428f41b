"""A range of addresses that a network has, as it is wanted and as it is."""

from __future__ import annotations

from orchestrator.model.value import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One more IPv4 subnet of a network: its gateway, and the part that addresses come from."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""

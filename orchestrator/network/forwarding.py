"""Making a router of this host, for containers and for nobody else.

Where forwarding was off and we switch it on, packets between the host's own interfaces would
begin to flow as well. The interfaces that the host had at that moment are remembered until the
next boot; the firewall lets nothing pass between them (see `ruleset`). Interfaces that come later
belong to somebody who knows what they forward.

Source: the kernel's Documentation/networking/ip-sysctl.rst, "ip_forward", "forwarding" and
"accept_ra".
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import Failed

# Names of the bridges that we make, of the ends of their veths, and of parents.
_OURS = ("ps-", "psv", "pe-")
_SWITCH = {4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}


class Forwarding:
    """The two switches; `memory` is a directory that lasts as long as they do: until the boot."""

    def __init__(self, memory: Path, sysctls: Path = Path("/proc/sys/net")) -> None:
        self._memory = memory
        self._sysctls = sysctls

    def switch_on(self, family: int) -> None:
        """Nothing, once packets of the family are forwarded (blocking). Raises: Failed."""
        switch = self._sysctls / _SWITCH[family]
        # Written only where it differs: /proc/sys may be read-only with the right value in it.
        if switch.read_text().strip() != "0":
            return
        self._remember(family, _interfaces())
        if family == 6:
            self._keep_listening_to_routers()
        try:
            switch.write_text("1\n")
        except OSError as error:
            raise Failed(
                f"{switch} cannot be set to 1: {error.strerror}",
                code="forwarding-off",
                about=str(switch),
                hint="set it from outside, or run pystack where /proc/sys can be written",
            ) from error

    def switch_back(self) -> bool:
        """Whether nothing is forwarded on our account any more: what we switched on is off again.
        Where interfaces came since, of somebody who may have found it on, it stays on (blocking).
        """
        known = set(self.apart())
        if known and not known.issuperset(_interfaces()):
            return False
        for family, switch in _SWITCH.items():
            if self._file(family).exists():
                with suppress(OSError):
                    (self._sysctls / switch).write_text("0\n")
                self._file(family).unlink()
        return True

    def apart(self) -> list[str]:
        """The interfaces that the host had when we made a router of it; none where it was one."""
        found: set[str] = set()
        for family in _SWITCH:
            with suppress(OSError):
                found.update(self._file(family).read_text().split())
        return sorted(found)

    def _file(self, family: int) -> Path:
        return self._memory / f"ipv{family}"

    def _remember(self, family: int, names: set[str]) -> None:
        self._memory.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: an engine may be killed in between.
        fresh = self._memory / "new"
        fresh.write_text("\n".join(sorted(names)) + "\n")
        fresh.rename(self._file(family))

    def _keep_listening_to_routers(self) -> None:
        """A router ignores router advertisements, and the host would lose its own way out, unless
        its interfaces are told to listen all the same."""
        for setting in (self._sysctls / "ipv6/conf").glob("*/accept_ra"):
            if setting.parent.name not in ("all", "lo"):
                with suppress(OSError):
                    if setting.read_text().strip() == "1":
                        setting.write_text("2\n")


def _interfaces() -> set[str]:
    """The host's interfaces, without those that are there to be routed: our own bridges."""
    names = {name for _, name in socket.if_nameindex()}
    return {n for n in names if n != "lo" and not n.startswith(_OURS)}

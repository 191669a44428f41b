"""Other people's firewalls, as far as they are in our way.

Every base chain at a hook is asked, and one "drop" is the end of a packet, whatever our own table
says. So a foreign chain that drops what it does not know, by policy or by its last rule, keeps
containers from the outside; the most we do about it is to say so.

Source: nft(8), "hooks and priorities", the meaning of policy and of several chains at one hook.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

OUR_BRIDGES = "ps-*"
"""As nft writes the names of all our bridges."""
LEGACY = "iptables-legacy filter FORWARD"
_LEGACY_TABLES = Path("/proc/net/ip_tables_names")
_REFUSALS = ("drop", "reject")


@dataclass(slots=True)
class _Chain:
    table: str
    name: str
    hook: str = ""
    policy: str = ""
    rules: list[str] = field(default_factory=list)


def dropping_chains(listed: str, ours: str) -> list[str]:
    """The base chains at the forward hook that drop what they do not know, as "ip filter FORWARD",
    in the output of `list ruleset`; those of table `ours` are left out.

    One whose table speaks of our bridges by name is none: the host's owner has opened it.
    """
    chains = list(_chains(listed))
    opened = {c.table for c in chains if any(OUR_BRIDGES in rule for rule in c.rules)}
    return [
        f"{chain.table} {chain.name}"
        for chain in chains
        if chain.hook == "forward" and chain.table not in {ours, *opened} and _drops(chain)
    ]


def legacy_chains() -> list[str]:
    """The same of the kernel's older firewall, which nft does not list (blocking)."""
    try:
        used = "filter" in _LEGACY_TABLES.read_text().split()
    except OSError:
        return []
    program = shutil.which("iptables-legacy")
    if not used or program is None:
        return []
    argv = [program, "-S", "FORWARD"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10).stdout
    return [LEGACY] if drops_by_policy(listed) else []


def drops_by_policy(listed: str) -> bool:
    """Whether `iptables -S FORWARD` says that what is not known is dropped, and not that our
    bridges are let through."""
    lines = listed.splitlines()
    return "-P FORWARD DROP" in lines and not any(" ps-+ " in line for line in lines)


def remedy(chain: str) -> str:
    """The warning about such a chain, with the commands that open it, for the user to read."""
    if chain == LEGACY:
        where = "iptables-legacy -I FORWARD"
        commands = [f"{where} -i ps-+ -j ACCEPT", f"{where} -o ps-+ -j ACCEPT"]
    else:
        where = f"nft insert rule {chain}"
        commands = [f"{where} {way} {OUR_BRIDGES} accept" for way in ("iifname", "oifname")]
    return (
        f"WARNING: the firewall chain {chain} drops what it does not know: containers may not reach"
        " the outside, nor be reached from there; let them through with"
        f" `{commands[0]}` and `{commands[1]}` (lasting rules belong into that firewall's own"
        " settings)"
    )


def _drops(chain: _Chain) -> bool:
    last = chain.rules[-1].split() if chain.rules else []
    return chain.policy == "drop" or (bool(last) and _refuses(last))


def _refuses(words: list[str]) -> bool:
    """Whether a rule without any condition ends in a refusal; counters and logs are none."""
    words = [w for w in words if w not in ("counter", "packets", "bytes") and not w.isdigit()]
    return words[0] in _REFUSALS


def _chains(listed: str) -> Iterator[_Chain]:
    table, chain = "", None
    for line in listed.splitlines():
        match line.split():
            case ["table", family, name, "{"]:
                table = f"{family} {name}"
            case ["chain", name, "{"]:
                chain = _Chain(table, name)
            case ["type", _, "hook", hook, *rest] if chain is not None:
                chain.hook = hook
                chain.policy = "drop" if "drop;" in rest else "accept"
            case ["}"] if chain is not None:
                yield chain
                chain = None
            case [_, *_] if chain is not None:
                chain.rules.append(line.strip())

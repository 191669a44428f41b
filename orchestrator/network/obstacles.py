"""Other people's firewalls, as far as they are in our way. Pure.

Every base chain at a hook is asked, and one "drop" is the end of a packet, whatever our own table
says. So a foreign chain that drops what it does not know, by policy or by its last rule, keeps
containers from the outside; the most we do about it is to say so.

Source: nft(8), "hooks and priorities", the meaning of policy and of several chains at one hook.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

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

    One that lets our bridges through by name is none: the host's owner has opened it.
    """
    return [
        f"{chain.table} {chain.name}"
        for chain in _chains(listed)
        if chain.hook == "forward" and chain.table != ours and _drops(chain)
    ]


def _drops(chain: _Chain) -> bool:
    if any("ps-*" in rule and "accept" in rule for rule in chain.rules):
        return False
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

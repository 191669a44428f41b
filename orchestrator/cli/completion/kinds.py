"""Which kind of thing an argument takes, told from the word that its help has for it. Pure."""

from __future__ import annotations

import argparse

_BY_WORD = {
    "CONTAINER": ("container",),
    "CONTAINER[:ALIAS]": ("container",),
    "NAME[:ALIAS]": ("container",),
    "NAME[:ro]": ("container",),
    "SERVICE": ("service",),
    "SERVICE=N": ("service=",),
    "IMAGE": ("image",),
    "NAME[:TAG]": ("image",),
    "SOURCE[:TAG]": ("image",),
    "TARGET[:TAG]": ("image",),
    "NETWORK": ("network",),
    "VOLUME": ("volume",),
    "NAME|ID": ("container", "image", "network", "volume"),
    "FILE": ("file",),
    "DEST": ("file",),
    "DIR": ("directory",),
    "PATH|URL|-": ("directory",),
    "[CONTAINER:]SRC": ("container:", "file"),
    "[CONTAINER:]DEST": ("container:", "file"),
    "[SERVICE:]PATH": ("service:", "file"),
    "[SOURCE:]TARGET[:ro]": ("volume:", "file"),
    "SIGNAL": ("signal",),
    "TYPE": ("type",),
    "POLICY": ("policy",),
    "BOOL": ("bool",),
    "true|false": ("bool",),
    "OS/ARCH": ("platform",),
}
_BY_OPTION = {
    "--network": ("network",),
    "--net": ("network",),
    "--profile": ("profile",),
    "--project-name": ("stack",),
}
# What these make is new: no name that is there can be meant.
_NEW = {"network create", "volume create"}
# What a command can do something with. The others take every container.
_RUNNING = {"exec", "attach", "top", "stats", "stop", "kill", "pause", "port", "drain"}
_STOPPED = {"start"}

FIXED = {
    "signal": ("HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2"),
    "type": ("container", "image", "network", "volume"),
    "policy": ("no", "always", "on-failure", "unless-stopped"),
    "bool": ("true", "false"),
    "platform": ("linux/amd64", "linux/arm64", "linux/arm/v7"),
}


def kinds_of(command: str, action: argparse.Action) -> tuple[str, ...]:
    """What may be named for an argument of the command; nothing where nobody can know."""
    for option in action.option_strings:
        if option in _BY_OPTION:
            return _BY_OPTION[option]
    kinds = _BY_WORD.get(str(action.metavar), ())
    return () if command in _NEW and not action.option_strings else kinds


def states_of(command: str) -> frozenset[str]:
    """The states of the containers that a command can be about; empty for all of them."""
    verb = command.rpartition(" ")[2]
    if verb in _RUNNING:
        return frozenset(("running", "paused"))
    if verb in _STOPPED:
        return frozenset(("created", "exited", "dead"))
    return frozenset()

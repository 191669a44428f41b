"""The attributes of networks, volumes, configs, secrets and models at the top of the file."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import (
    FLAG,
    TEXT,
    WHOLE,
    FilePath,
    Kind,
    Parsed,
    Reading,
    Text,
    passes,
)
from orchestrator.compose.schema.pending import ONE_IPAM, SWARM
from orchestrator.compose.schema.shapes import OPTIONS, PAIRS, TEXTS, Attribute, ListOf, Struct
from orchestrator.model.value import dataclass


@dataclass(frozen=True, slots=True)
class External(Kind):
    """Whether a thing exists already; the old form is a mapping with its name."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node) or not isinstance(node.value, dict):
            return FLAG.read(node, at, reading)
        return EXTERNAL_NAME.read(node, at, reading)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [FLAG.schema(), EXTERNAL_NAME.schema()]}


EXTERNAL_NAME = Struct("external", {"name": Attribute(TEXT, "Its name on this machine.")})
_NAME = Attribute(TEXT, "Its name on this machine; project_key unless said.")
_IS_EXTERNAL = Attribute(External(), "It exists already: never create or remove it.")
_LABELS = Attribute(PAIRS, "Labels.")

_SUBNET = Parsed(ip_network, "a subnet such as 10.5.0.0/16")
_IPAM_CONFIG = Struct(
    "ipam_config",
    {
        "subnet": Attribute(_SUBNET, "The subnet, as 10.5.0.0/16."),
        "ip_range": Attribute(_SUBNET, "The part of it that containers get addresses from."),
        "gateway": Attribute(Parsed(ip_address, "an IP address"), "The gateway's address."),
        "aux_addresses": Attribute(OPTIONS, "Addresses that are taken."),
    },
)


def _subnet(config: Node) -> object:
    subnet = config.get("subnet")
    return subnet.string if subnet and subnet.string else id(config)


NETWORK = Struct(
    "network",
    {
        "name": _NAME,
        "driver": Attribute(TEXT, "The driver; bridge unless said."),
        "driver_opts": Attribute(OPTIONS, "Options for the driver."),
        "external": _IS_EXTERNAL,
        "internal": Attribute(FLAG, "No way out of this network."),
        "attachable": Attribute(FLAG, "Other containers may join; here they always may."),
        "enable_ipv4": Attribute(FLAG, "IPv4 addresses; true unless said."),
        "enable_ipv6": Attribute(FLAG, "IPv6 addresses."),
        "ipam": Attribute(
            Struct(
                "ipam",
                {
                    "driver": Attribute(TEXT, "The address driver."),
                    "config": Attribute(ListOf(_IPAM_CONFIG, identity=_subnet), "Subnets."),
                    "options": Attribute(OPTIONS, "Options for the driver.", ONE_IPAM),
                },
            ),
            "Addresses.",
        ),
        "labels": _LABELS,
    },
    nullable=True,
)


def _with_absolute_device(volume: Node, reading: Reading) -> Node:
    """A local volume that binds a directory may name it by a relative path."""
    options = volume.get("driver_opts")
    device = volume.get("driver_opts", "device")
    kind = volume.get("driver_opts", "o")
    if not options or not device or not device.string or kind is None:
        return volume
    if "bind" not in kind.string.split(","):
        return volume
    absolute = device.holding(reading.absolute(device.string))
    entries = {**options.entries, "device": absolute}
    return volume.holding({**volume.entries, "driver_opts": options.holding(entries)})


VOLUME = Struct(
    "volume",
    {
        "name": _NAME,
        "driver": Attribute(TEXT, "The driver; local unless said."),
        "driver_opts": Attribute(OPTIONS, "Options for the driver."),
        "external": _IS_EXTERNAL,
        "labels": _LABELS,
    },
    nullable=True,
    finish=_with_absolute_device,
)
_ON_CHANGE = re.compile(r"roll|restart|none|signal:[A-Za-z0-9+]+|exec:.+", re.DOTALL)
_EXTENSION = Attribute(
    Struct(
        "granted_extension",
        {
            "on_change": Attribute(
                Text(_ON_CHANGE, "roll, restart, none, signal:NAME or exec:COMMAND"),
                "What new content does to running containers; roll replaces them.",
            )
        },
    ),
    "pystack's own settings.",
)
SECRET = Struct(
    "secret",
    {
        "x-pystack": _EXTENSION,
        "name": _NAME,
        "file": Attribute(FilePath(), "The file that holds it."),
        "environment": Attribute(TEXT, "The variable that holds it."),
        "external": Attribute(External(), "It exists already."),
        "labels": Attribute(PAIRS, "Labels.", SWARM),
        "driver": Attribute(TEXT, "The driver.", SWARM),
        "driver_opts": Attribute(OPTIONS, "Options for the driver.", SWARM),
        "template_driver": Attribute(TEXT, "The template driver.", SWARM),
    },
)
CONFIG = Struct(
    "config",
    {
        "x-pystack": _EXTENSION,
        "name": _NAME,
        "file": Attribute(FilePath(), "The file that holds it."),
        "content": Attribute(TEXT, "Its own text."),
        "environment": Attribute(TEXT, "The variable that holds it."),
        "external": Attribute(External(), "It exists already."),
        "labels": Attribute(PAIRS, "Labels.", SWARM),
        "template_driver": Attribute(TEXT, "The template driver.", SWARM),
    },
)
MODEL = Struct(
    "model",
    {
        "name": Attribute(TEXT, "A name of its own."),
        "model": Attribute(TEXT, "The model to run.", required=True),
        "context_size": Attribute(WHOLE, "The size of its context."),
        "runtime_flags": Attribute(TEXTS, "Flags for what runs it."),
    },
)

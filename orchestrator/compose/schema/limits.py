"""The attributes that limit a container: ulimits, block I/O, devices reserved."""

from __future__ import annotations

import re

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import SIZE, TEXT, WHOLE, Reading, Scalar, Whole
from orchestrator.compose.schema.shapes import PAIRS, WORDS, Attribute, ListOf, MapOf, Struct

LIMIT = Whole(-1)


def _both(node: Node, at: str, reading: Reading) -> list[Node]:
    limit = LIMIT.read(node, at, reading)
    return [limit if limit.invalid else node.holding({"soft": limit.value, "hard": limit.value})]


ULIMIT = Struct(
    "ulimit",
    {
        "soft": Attribute(LIMIT, "The limit in force.", required=True),
        "hard": Attribute(LIMIT, "How far a process may raise it.", required=True),
    },
    short=_both,
    short_schema={"type": ["integer", "string"]},
    form="a number or a mapping with soft and hard",
)
ULIMITS = MapOf(ULIMIT, key=re.compile(r"[a-z]+"))

_RATE = Struct(
    "blkio_limit",
    {
        "path": Attribute(TEXT, "The device.", required=True),
        "rate": Attribute(SIZE, "Bytes or operations a second.", required=True),
    },
)
_WEIGHT = Struct(
    "blkio_weight",
    {
        "path": Attribute(TEXT, "The device.", required=True),
        "weight": Attribute(Whole(0, 1000), "Its relative weight.", required=True),
    },
)
BLKIO = Struct(
    "blkio_config",
    {
        "weight": Attribute(Whole(0, 1000), "The service's weight among others."),
        "weight_device": Attribute(ListOf(_WEIGHT), "Weights by device."),
        "device_read_bps": Attribute(ListOf(_RATE), "Bytes read a second, by device."),
        "device_read_iops": Attribute(ListOf(_RATE), "Reads a second, by device."),
        "device_write_bps": Attribute(ListOf(_RATE), "Bytes written a second, by device."),
        "device_write_iops": Attribute(ListOf(_RATE), "Writes a second, by device."),
    },
)


def _all_gpus(node: Node, at: str, reading: Reading) -> list[Node]:
    if node.value != "all":
        return [reading.expected(node, at, "all or a list of devices")]
    return [node.holding({"count": "all"})]


def _device_request(*, name: str, capabilities_required: bool) -> Struct:
    return Struct(
        name,
        {
            "capabilities": Attribute(
                WORDS, "What the device must be able to do.", required=capabilities_required
            ),
            "count": Attribute(Scalar(nothing=False), "How many devices, or all."),
            "device_ids": Attribute(WORDS, "Certain devices by their ids."),
            "driver": Attribute(TEXT, "The device driver."),
            "options": Attribute(PAIRS, "Options for the driver."),
        },
        short=None if capabilities_required else _all_gpus,
        short_schema={} if capabilities_required else {"const": "all"},
    )


RESERVED_DEVICE = _device_request(name="device_request", capabilities_required=True)
GPU = _device_request(name="gpu", capabilities_required=False)

GENERIC_RESOURCE = Struct(
    "generic_resource",
    {
        "discrete_resource_spec": Attribute(
            Struct(
                "discrete_resource",
                {
                    "kind": Attribute(TEXT, "The kind of resource."),
                    "value": Attribute(WHOLE, "How many of it."),
                },
            ),
            "A countable resource.",
        )
    },
)

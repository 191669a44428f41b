"""What is: the records of real containers, networks and volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.model.container import ContainerSpec, Mount, PortBinding
from orchestrator.model.subnet import Subnet

Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Health = Literal["none", "starting", "healthy", "unhealthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A container's place on one network: leased addresses (with prefix length left to the
    network), the names it answers to there, and the interface it has inside.

    `slot` is what the host's side of that interface is numbered by: no other endpoint of the
    container ever had it while this one lasts. `aliases` and `links` are as they were wished for;
    prefix lengths and gateways are the network's.
    """

    network_id: str
    network_name: str
    interface: str
    ipv4: str = ""
    ipv6: str = ""
    prefix: int = 0
    ipv6_prefix: int = 0
    gateway: str = ""
    ipv6_gateway: str = ""
    mac: str = ""
    names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    link_local: tuple[str, ...] = ()
    gw_priority: int = 0
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    slot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One health probe: when it began and ended (Unix seconds), its exit code and output."""

    started_at: float
    ended_at: float
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a container is doing. Times are Unix seconds, 0 where the thing has not happened.

    `pid` and `pid_started` (clock ticks since boot, field 22 of /proc/PID/stat) name its first
    process beyond doubt. `stopped_by_user` keeps restart policies off. `volumes_too`: its removal
    has begun, and takes its anonymous volumes with it. `due`: it ended while no engine ran, and its
    policy wants it up, or starting it again failed; the stack that it belongs to starts it in its
    turn.
    `again`: it is being stopped to be started anew. `joined` are the ids of the containers whose
    namespaces it shares since it was started.
    """

    status: Status = "created"
    pid: int = 0
    pid_started: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: float = 0.0
    finished_at: float = 0.0
    restart_count: int = 0
    stopped_by_user: bool = False
    volumes_too: bool = False
    due: bool = False
    again: bool = False
    joined: tuple[str, ...] = ()
    health: Health = "none"
    failing_streak: int = 0
    health_log: tuple[ProbeResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How much of what comes to the ports that a container shares with others is for it: in
    proportion to `weight`; nothing new where it is `drained`, which leaves what it has."""

    weight: int = 1
    drained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container: what it was asked to be, from which image, and how it is doing.

    `mounts` has every volume by its real name; `ports` has every host port chosen.
    """

    id: str
    name: str
    spec: ContainerSpec
    image_id: str
    created_at: float
    state: State = State()
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    mounts: tuple[Mount, ...] = ()
    auto_remove: bool = False
    traffic: Traffic = Traffic()

    @property
    def running(self) -> bool:
        return self.state.status in ("running", "paused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network and the interface that carries it: a bridge, or the parent of macvlan and ipvlan.

    `subnet` and `gateway` are IPv4, "" where none; `more_subnets` come after it. `aux_addresses`
    are used by machines that are no containers: name to address.
    """

    id: str
    name: str
    driver: str
    created_at: float
    bridge: str = ""
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    more_subnets: tuple[Subnet, ...] = ()
    ipv6_subnet: str = ""
    ipv6_gateway: str = ""
    ipv6_range: str = ""
    aux_addresses: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False
    attachable: bool = False
    mtu: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A named volume; `anonymous` ones go with `rm -v`."""

    name: str
    driver: str
    created_at: float
    mountpoint: str
    anonymous: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.name

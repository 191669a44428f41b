"""The attributes of a service: one line each.

Source: compose specification, "Services top-level elements". The order is alphabetical within
what is carried and what is not.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from orchestrator.compose.notation import microseconds
from orchestrator.compose.schema.build import BUILD
from orchestrator.compose.schema.commands import Command, Test
from orchestrator.compose.schema.deploy import DEPLOY
from orchestrator.compose.schema.files import ENV_FILES, EXTENDS
from orchestrator.compose.schema.grants import CONFIG_GRANTS, SECRET_GRANTS
from orchestrator.compose.schema.hosts import Hosts
from orchestrator.compose.schema.kinds import (
    CPUS,
    DURATION,
    FLAG,
    NAME,
    SIZE,
    TEXT,
    Choice,
    FilePath,
    Mode,
    Number,
    Parsed,
    Quantity,
    Scalar,
    Text,
    Whole,
)
from orchestrator.compose.schema.limits import BLKIO, GPU, ULIMITS
from orchestrator.compose.schema.mounts import (
    PROPAGATIONS,
    VOLUME_FORM,
    device_identity,
    long_device,
    long_volume,
    volume_identity,
    with_absolute_source,
)
from orchestrator.compose.schema.pending import GPUS, MODELS, PROVIDERS, WINDOWS
from orchestrator.compose.schema.ports import FORM as PORT_FORM
from orchestrator.compose.schema.ports import PUBLISHED, long_ports, port_identity
from orchestrator.compose.schema.security import SecurityOption
from orchestrator.compose.schema.shapes import (
    DISTINCT,
    OPTIONS,
    PAIRS,
    TEXT_OR_SET,
    TEXT_OR_TEXTS,
    WORDS,
    Attribute,
    ListOf,
    MapOf,
    Struct,
)
from orchestrator.model.quantities import parse_bytes, parse_duration

_SIZE_OR_ALL = Quantity(parse_bytes, 'a size such as "512m", or -1', unlimited=True)
_MICROSECONDS = Quantity(
    lambda value: float(value) if not isinstance(value, str) else _microseconds(value),
    "microseconds or a duration",
    write=microseconds,
)


def _microseconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else parse_duration(text) * 1e6


_DEPENDENCY = Struct(
    "dependency",
    {
        "condition": Attribute(
            Choice(("service_started", "service_healthy", "service_completed_successfully")),
            "What the other service must have reached.",
            required=True,
        ),
        "restart": Attribute(FLAG, "Restart this one when the other is restarted by command."),
        "required": Attribute(FLAG, "false: go on without the other."),
    },
)
HEALTHCHECK = Struct(
    "healthcheck",
    {
        "disable": Attribute(FLAG, "No check, whatever the image says."),
        "test": Attribute(Test(), "The command whose exit code tells."),
        "interval": Attribute(DURATION, "The time between checks; 30s unless said."),
        "timeout": Attribute(DURATION, "How long one may take; 30s unless said."),
        "retries": Attribute(Whole(), "How many failures make it unhealthy; 3 unless said."),
        "start_period": Attribute(DURATION, "How long failures do not count."),
        "start_interval": Attribute(DURATION, "The time between checks in that period."),
    },
)
MAC = Text(re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}"), "a hardware address")
ADDRESS = Parsed(ip_address, "an IP address")
_ATTACHMENT = Struct(
    "attachment",
    {
        "aliases": Attribute(DISTINCT, "More names on this network."),
        "ipv4_address": Attribute(Parsed(IPv4Address, "an IPv4 address"), "A fixed IPv4 address."),
        "ipv6_address": Attribute(Parsed(IPv6Address, "an IPv6 address"), "A fixed IPv6 address."),
        "mac_address": Attribute(MAC, "A fixed hardware address."),
        "priority": Attribute(Number(), "Networks with more are joined first."),
        "gw_priority": Attribute(Number(), "The most gives the default route."),
        "interface_name": Attribute(TEXT, "The interface's name inside."),
        "link_local_ips": Attribute(DISTINCT, "Link-local addresses."),
        "driver_opts": Attribute(OPTIONS, "Options for the driver."),
    },
    nullable=True,
)
PORT = Struct(
    "port",
    {
        "target": Attribute(Whole(1, 65535), "The port in the container.", required=True),
        "published": Attribute(
            Scalar(False, PUBLISHED, "a port or a range of ports"),
            "The port on the host, or a range to choose from.",
        ),
        "host_ip": Attribute(ADDRESS, "The host's address; all of them unless said."),
        "protocol": Attribute(Choice(("tcp", "udp", "sctp")), "tcp unless said."),
        "mode": Attribute(Choice(("ingress", "host")), "Both are the same on one machine."),
        "name": Attribute(TEXT, "A name for people."),
        "app_protocol": Attribute(TEXT, "The protocol within, for tools."),
    },
    short=long_ports,
    short_schema={"type": ["string", "number"]},
    form=PORT_FORM,
)
MOUNT = Struct(
    "mount",
    {
        "type": Attribute(
            Choice(("bind", "volume", "tmpfs", "image", "npipe", "cluster")),
            "What is mounted.",
            required=True,
        ),
        "source": Attribute(TEXT, "A host path, or a volume's key."),
        "target": Attribute(TEXT, "The path in the container.", required=True),
        "read_only": Attribute(FLAG, "No writing."),
        "consistency": Attribute(TEXT, "Of no meaning on Linux."),
        "bind": Attribute(
            Struct(
                "mount_bind",
                {
                    "propagation": Attribute(Choice(PROPAGATIONS), "How mounts below spread."),
                    "create_host_path": Attribute(FLAG, "Create a missing source."),
                    "recursive": Attribute(
                        Choice(("enabled", "disabled", "writable", "readonly")),
                        "Whether mounts below the source come along.",
                    ),
                    "selinux": Attribute(Choice(("z", "Z")), "SELinux labels."),
                },
            ),
            "For a bind mount.",
        ),
        "volume": Attribute(
            Struct(
                "mount_volume",
                {
                    "nocopy": Attribute(FLAG, "Do not fill a new volume from the image."),
                    "subpath": Attribute(TEXT, "A directory in the volume."),
                    "labels": Attribute(PAIRS, "Labels of an anonymous volume."),
                },
            ),
            "For a volume.",
        ),
        "tmpfs": Attribute(
            Struct(
                "mount_tmpfs",
                {
                    "size": Attribute(SIZE, "Its size."),
                    "mode": Attribute(Mode(), "Its permissions."),
                },
            ),
            "For a tmpfs.",
        ),
        "image": Attribute(
            Struct("mount_image", {"subpath": Attribute(TEXT, "A directory in the image.")}),
            "For an image.",
        ),
    },
    short=long_volume,
    short_schema={"type": "string"},
    form=VOLUME_FORM,
    finish=with_absolute_source,
)
_DEVICE = Struct(
    "device",
    {
        "source": Attribute(TEXT, "The device on the host.", required=True),
        "target": Attribute(TEXT, "The device in the container."),
        "permissions": Attribute(TEXT, "Some of r, w and m."),
    },
    short=long_device,
    short_schema={"type": "string"},
    form="a device or a mapping",
)
_HOOK = Struct(
    "hook",
    {
        "command": Attribute(Command(needed=True), "The command.", required=True),
        "user": Attribute(TEXT, "Who runs it."),
        "privileged": Attribute(FLAG, "With every privilege."),
        "working_dir": Attribute(TEXT, "Where it runs."),
        "environment": Attribute(PAIRS, "Its environment."),
    },
)
_WATCH = Struct(
    "watch",
    {
        "path": Attribute(FilePath(), "What is watched.", required=True),
        "action": Attribute(
            Choice(("rebuild", "sync", "restart", "sync+restart", "sync+exec")),
            "What a change does.",
            required=True,
        ),
        "target": Attribute(TEXT, "Where files go."),
        "ignore": Attribute(TEXT_OR_TEXTS, "Files left out."),
        "include": Attribute(TEXT_OR_TEXTS, "Files taken in."),
        "initial_sync": Attribute(FLAG, "Copy everything at the start."),
        "exec": Attribute(_HOOK, "What is run after a sync."),
    },
)
EXPOSED = Scalar(
    False, re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?"), "a port such as 80 or 53/udp"
)
_LOGGING = Struct(
    "logging",
    {
        "driver": Attribute(TEXT, "The log driver."),
        "options": Attribute(MapOf(Scalar()), "Options for the driver."),
    },
    same="driver",
)
_PERIOD = re.compile(r"([0-9]+[wdhms])+")
_PULL = re.compile(
    r"always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+"
)
_RESTART = re.compile(r"|no|always|unless-stopped|on-failure(:[0-9]+)?")

CARRIED = {
    "build": Attribute(BUILD, "How the image is built."),
    "cap_add": Attribute(DISTINCT, "Capabilities to add."),
    "cap_drop": Attribute(DISTINCT, "Capabilities to drop."),
    "command": Attribute(Command(), "The command; the image's unless said."),
    "configs": Attribute(CONFIG_GRANTS, "Configs it may read."),
    "container_name": Attribute(
        Text(re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"), "a container's name"),
        "The name of its only container.",
    ),
    "cpu_period": Attribute(_MICROSECONDS, "The period that cpu_quota is for."),
    "cpu_quota": Attribute(_MICROSECONDS, "CPU time in each period."),
    "cpu_shares": Attribute(Whole(), "Its weight when CPUs are short."),
    "cpus": Attribute(CPUS, "At most this many CPUs."),
    "cpuset": Attribute(TEXT, "Which CPUs, as 0-3 or 0,1."),
    "depends_on": Attribute(
        MapOf(
            _DEPENDENCY,
            key=NAME,
            listed={"condition": "service_started"},
            form="a list of services or a mapping",
        ),
        "Services that come first.",
    ),
    "deploy": Attribute(DEPLOY, "How many containers, and what they may use."),
    "devices": Attribute(ListOf(_DEVICE, identity=device_identity), "Devices of the host."),
    "dns": Attribute(TEXT_OR_SET, "Name servers."),
    "dns_opt": Attribute(DISTINCT, "Options of the resolver."),
    "dns_search": Attribute(TEXT_OR_SET, "Domains to search."),
    "domainname": Attribute(TEXT, "Its domain name."),
    "entrypoint": Attribute(Command(), "The entry point; the image's unless said."),
    "env_file": Attribute(ENV_FILES, "Files of variables."),
    "environment": Attribute(PAIRS, "Variables."),
    "expose": Attribute(
        ListOf(EXPOSED, identity=lambda node: node.string), "Ports for other services."
    ),
    "extends": Attribute(EXTENDS, "The service to start from."),
    "extra_hosts": Attribute(Hosts(), "More host names."),
    "group_add": Attribute(ListOf(Scalar(nothing=False), unique=True), "More groups."),
    "healthcheck": Attribute(HEALTHCHECK, "How its health is checked."),
    "hostname": Attribute(TEXT, "Its host name."),
    "image": Attribute(TEXT, "The image."),
    "init": Attribute(FLAG, "A small init that reaps and forwards signals."),
    "ipc": Attribute(TEXT, "Whose IPC namespace."),
    "label_file": Attribute(
        ListOf(FilePath(to_read=True), single=True, form="a path or a list of paths"),
        "Files of labels.",
    ),
    "labels": Attribute(PAIRS, "Labels."),
    "links": Attribute(DISTINCT, "Services to reach by other names."),
    "logging": Attribute(_LOGGING, "Where its output goes."),
    "mac_address": Attribute(MAC, "Its hardware address."),
    "mem_limit": Attribute(SIZE, "At most this much memory."),
    "mem_reservation": Attribute(SIZE, "Memory that is given up last."),
    "memswap_limit": Attribute(_SIZE_OR_ALL, "Memory and swap together; -1 is without limit."),
    "network_mode": Attribute(
        Text(
            re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*|(service|container):.+"),
            "none, host, bridge, service:NAME or a network's name",
        ),
        "Another way of networking.",
    ),
    "networks": Attribute(
        MapOf(_ATTACHMENT, key=NAME, listed={}, form="a list of networks or a mapping"),
        "The networks it is on.",
    ),
    "pid": Attribute(Scalar(), "Whose process namespace."),
    "pids_limit": Attribute(Whole(-1), "At most this many processes."),
    "ports": Attribute(ListOf(PORT, identity=port_identity), "Ports published on the host."),
    "privileged": Attribute(FLAG, "Every privilege."),
    "profiles": Attribute(WORDS, "When it takes part; always unless said."),
    "pull_policy": Attribute(
        Text(_PULL, "a pull policy", "such as always, missing, never or build"),
        "When to ask the registry.",
    ),
    "read_only": Attribute(FLAG, "No writing to its own files."),
    "restart": Attribute(
        Text(_RESTART, "a restart policy", "one of no, always, on-failure[:N], unless-stopped"),
        "When it is started again.",
    ),
    "scale": Attribute(Whole(), "How many containers."),
    "secrets": Attribute(SECRET_GRANTS, "Secrets it may read."),
    "security_opt": Attribute(ListOf(SecurityOption(), unique=True), "Security options."),
    "shm_size": Attribute(SIZE, "The size of /dev/shm."),
    "stdin_open": Attribute(FLAG, "Keep standard input open."),
    "stop_grace_period": Attribute(DURATION, "The time it has to stop; 10s unless said."),
    "stop_signal": Attribute(TEXT, "The signal that stops it."),
    "sysctls": Attribute(PAIRS, "Kernel parameters."),
    "tmpfs": Attribute(TEXT_OR_SET, "Temporary file systems."),
    "tty": Attribute(FLAG, "A terminal."),
    "ulimits": Attribute(ULIMITS, "Limits of its processes."),
    "user": Attribute(TEXT, "Who runs it."),
    "volumes": Attribute(ListOf(MOUNT, identity=volume_identity), "What is mounted."),
    "working_dir": Attribute(TEXT, "Where it runs."),
}
NOT_CARRIED = {
    "annotations": Attribute(PAIRS, "OCI annotations."),
    "attach": Attribute(FLAG, "Show its output when attached."),
    "blkio_config": Attribute(BLKIO, "Limits on block devices."),
    "cgroup": Attribute(Choice(("host", "private")), "Whose cgroup namespace."),
    "cgroup_parent": Attribute(TEXT, "The parent of its cgroup."),
    "cpu_count": Attribute(Whole(), "How many CPUs.", WINDOWS),
    "cpu_percent": Attribute(Whole(0, 100), "The share of the CPUs.", WINDOWS),
    "cpu_rt_period": Attribute(_MICROSECONDS, "The real-time period."),
    "cpu_rt_runtime": Attribute(_MICROSECONDS, "Real-time in each period."),
    "credential_spec": Attribute(
        Struct(
            "credential_spec",
            {
                "config": Attribute(TEXT, "A config that holds it."),
                "file": Attribute(TEXT, "A file that holds it."),
                "registry": Attribute(TEXT, "A registry key that holds it."),
            },
        ),
        "Credentials of a managed service account: an error, as this is no Windows.",
    ),
    "develop": Attribute(
        Struct("develop", {"watch": Attribute(ListOf(_WATCH), "What is watched.")}, nullable=True),
        "What to do when files change.",
    ),
    "device_cgroup_rules": Attribute(WORDS, "Rules for devices."),
    "external_links": Attribute(WORDS, "Links to containers outside."),
    "gpus": Attribute(ListOf(GPU, single=True, form="all or a list of devices"), "GPUs.", GPUS),
    "isolation": Attribute(TEXT, "The isolation technology.", WINDOWS),
    "mem_swappiness": Attribute(Whole(0, 100), "How readily it swaps."),
    "models": Attribute(
        MapOf(
            Struct(
                "model_grant",
                {
                    "endpoint_var": Attribute(TEXT, "The variable for its address."),
                    "model_var": Attribute(TEXT, "The variable for its name."),
                },
                nullable=True,
            ),
            key=NAME,
            listed={},
        ),
        "Models it uses.",
        MODELS,
    ),
    "oom_kill_disable": Attribute(FLAG, "Never kill it for memory."),
    "oom_score_adj": Attribute(Whole(-1000, 1000), "When it is killed for memory."),
    "platform": Attribute(TEXT, "The platform, as linux/amd64."),
    "post_start": Attribute(ListOf(_HOOK), "What to run after it starts."),
    "pre_stop": Attribute(ListOf(_HOOK), "What to run before it stops."),
    "provider": Attribute(
        Struct(
            "provider",
            {
                "type": Attribute(TEXT, "What provides it.", required=True),
                "options": Attribute(
                    MapOf(ListOf(Scalar(nothing=False), single=True)), "Options for that."
                ),
            },
        ),
        "What runs it instead.",
        PROVIDERS,
    ),
    "pull_refresh_after": Attribute(
        Text(_PERIOD, "a period such as 12h or 1d"), "When to ask the registry again."
    ),
    "runtime": Attribute(TEXT, "The OCI runtime."),
    "storage_opt": Attribute(OPTIONS, "Options of the storage driver."),
    "use_api_socket": Attribute(FLAG, "Mount the engine's socket."),
    "userns_mode": Attribute(TEXT, "Whose user namespace."),
    "uts": Attribute(TEXT, "Whose UTS namespace."),
    "volumes_from": Attribute(WORDS, "Mount what another service mounts."),
}
SERVICE = Struct("service", dict(sorted({**CARRIED, **NOT_CARRIED}.items())))

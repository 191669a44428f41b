"""Whether a container can be what it is asked to be, on this machine. Pure.

What cannot be honoured is refused before anything exists; what is merely left out is a warning.
Source: Docker's reference, "docker container run"; the daemon's messages of the same checks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping

from orchestrator.engine.limit_checks import check_limits, limit_warnings
from orchestrator.errors import InvalidInput
from orchestrator.images.manifest import host_platform
from orchestrator.model.container import ContainerSpec
from orchestrator.model.image import ImageConfig
from orchestrator.model.signals import parse_signal
from orchestrator.runtime.capabilities import effective_capabilities
from orchestrator.runtime.devices import device_rules
from orchestrator.runtime.host import Host
from orchestrator.runtime.limits import rlimits
from orchestrator.supervisor.rotation import rotation_of

_LOG_DRIVERS = ("", "json-file", "local", "none")
_LOG_OPTIONS = (
    "max-size",
    "max-file",
    "max-buffer-size",
    "mode",
    "compress",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
)
_IPC_SYSCTLS = re.compile(r"kernel\.(msg(max|mnb|mni)|sem|shm(all|max|mni)|shm_rmid_forced)")
# By field: the words that it takes besides container:NAME, and whether it takes that.
_MODES = {
    "pid_mode": (("", "private", "host"), True),
    "ipc_mode": (("", "private", "shareable", "host", "none"), True),
    "uts_mode": (("", "private", "host"), False),
    "userns_mode": (("", "host"), False),
    "cgroupns_mode": (("", "private", "host"), False),
}


def admit(
    spec: ContainerSpec,
    image: ImageConfig,
    host: Host,
    *,
    lacking: frozenset[str],
    runtimes: Collection[str],
    auto_remove: bool = False,
) -> tuple[str, ...]:
    """What the container will do without here, as sentences.

    `lacking` are limits that this kernel does not have, `runtimes` the names of those installed.

    Raises: InvalidInput: it asks for what there is not, or for what excludes each other.
    """
    _check_process(spec)
    _check_modes(spec)
    _check_network_mode(spec)
    _check_logging(spec.log_driver, spec.log_options)
    _check_sysctls(spec)
    _check_runtime(spec, runtimes)
    check_limits(spec, host, lacking)
    rlimits(spec.resources.ulimits, host)
    device_rules([], privileged=spec.privileged, more=spec.device_cgroup_rules)
    effective_capabilities(
        spec.cap_add, spec.cap_drop, host.capabilities, privileged=spec.privileged
    )
    if auto_remove and spec.restart.name != "no":
        raise _refused(
            "auto-remove", "a container that is removed at its end cannot be started again",
            "leave --rm or --restart out",
        )  # fmt: skip
    for driver in {spec.volume_driver, *(m.volume_driver for m in spec.mounts)} - {"", "local"}:
        raise _refused(driver, f"no volume driver {driver!r}", "use the driver `local`")
    if spec.storage_options:
        raise _refused(
            "storage-opt",
            "the size of a container's file system cannot be limited here",
            "leave --storage-opt out; a volume or a tmpfs can have a size",
        )
    return tuple(_warnings(spec, image, host, lacking))


def _warnings(
    spec: ContainerSpec, image: ImageConfig, host: Host, lacking: frozenset[str]
) -> Iterator[str]:
    yield from limit_warnings(spec, host, lacking)
    if spec.network_mode == "host" and (spec.ports or spec.publish_all):
        yield "Published ports are discarded when using host network mode"
    architecture = host_platform().architecture
    if not spec.platform and image.architecture not in ("", architecture):
        yield (
            f"The requested image's platform ({image.os}/{image.architecture}) does not match the"
            f" detected host platform (linux/{architecture}) and no specific platform was requested"
        )


def _check_process(spec: ContainerSpec) -> None:
    if spec.stop_signal:
        parse_signal(spec.stop_signal)
    if spec.working_dir and not spec.working_dir.startswith("/"):
        raise _refused(
            spec.working_dir,
            f"the working directory {spec.working_dir!r} is not an absolute path",
            "begin it with /",
        )
    for address in spec.dns:
        if not _is_address(address):
            raise _refused(
                address, f"{address!r} is not the address of a name server", "give an IP"
            )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_modes(spec: ContainerSpec) -> None:
    for field, (words, joins) in _MODES.items():
        mode = getattr(spec, field)
        if mode in words or (joins and mode.removeprefix("container:") not in ("", mode)):
            continue
        option = field.partition("_")[0]
        also = " or container:NAME" if joins else ""
        raise _refused(
            mode, f"--{option}: {mode!r} cannot be had", f"use {', '.join(words[1:])}{also}"
        )
    if spec.uts_mode == "host" and spec.hostname:
        raise _refused("hostname", "a container with the machine's UTS namespace has its name")


def _check_network_mode(spec: ContainerSpec) -> None:
    if not spec.network_mode.startswith("container:"):
        return
    given = {
        "hostname": spec.hostname,
        "ports to publish": spec.ports or spec.publish_all,
        "ports to expose": spec.expose,
        "name servers": spec.dns or spec.dns_search or spec.dns_opt,
        "more hosts": spec.extra_hosts,
    }
    for what, value in given.items():
        if value:
            raise _refused(
                what,
                f"a container in another one's network has no {what} of its own",
                "say it for the container whose network it is",
            )


def _check_logging(driver: str, options: Mapping[str, str]) -> None:
    if driver not in _LOG_DRIVERS:
        raise _refused(
            driver, f"no log driver {driver!r}", "use json-file (the usual one), local or none"
        )
    for name in options:
        if name not in _LOG_OPTIONS:
            raise _refused(
                name, f"the log driver has no option {name!r}", "max-size and max-file are there"
            )
    rotation_of(options, 0)


def _check_sysctls(spec: ContainerSpec) -> None:
    for name in spec.sysctls:
        dotted = name.replace("/", ".") if "." not in name.partition("/")[0] else name
        owner = ""
        if dotted.startswith("net."):
            owner = "network" if spec.network_mode == "host" else ""
        elif dotted.startswith("fs.mqueue.") or _IPC_SYSCTLS.fullmatch(dotted):
            owner = "IPC" if spec.ipc_mode == "host" else ""
        elif dotted == "kernel.domainname":
            owner = "UTS" if spec.uts_mode == "host" else ""
        else:
            raise _refused(
                name, f"sysctl {name} is one for the whole machine",
                "only net.*, fs.mqueue.* and the kernel.* ones of IPC are a container's own",
            )  # fmt: skip
        if owner:
            raise _refused(
                name, f"sysctl {name} would change the machine's {owner} namespace",
                "set it on the machine, or give the container a namespace of its own",
            )  # fmt: skip


def _check_runtime(spec: ContainerSpec, runtimes: Collection[str]) -> None:
    if spec.runtime and spec.runtime not in runtimes:
        raise _refused(
            spec.runtime, f"no runtime {spec.runtime!r}", f"there are {', '.join(sorted(runtimes))}"
        )


def _refused(about: str, problem: str, hint: str = "leave it out") -> InvalidInput:
    return InvalidInput(problem, code="option-refused", about=about, hint=hint)

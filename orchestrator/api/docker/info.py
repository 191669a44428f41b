"""What the engine says about itself and its machine: the bodies of GET /version and GET /info.

Source: the Docker Engine API reference, version 1.45, "SystemVersion" and "SystemInfo" (names and
meanings). What is pystack's own comes after Docker's members.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator import __version__
from orchestrator.api.parts import Parts
from orchestrator.api.versions import API_VERSION, MIN_API_VERSION
from orchestrator.runtime.features import Features, read_features
from orchestrator.runtime.host import read_host, security_options
from orchestrator.wire.times import timestamp

_INDEX = "https://index.docker.io/v1/"
_ENGINE = uuid.UUID("6c3a0b1e-2f0e-5b0e-8f0a-70797374636b")


def version_body(parts: Parts) -> dict[str, Any]:
    """GET /version."""
    machine, kernel, python = architecture(), platform.release(), platform.python_version()
    runtime = parts.runtime
    details = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
        "Arch": machine,
        "KernelVersion": kernel,
        "PythonVersion": python,
        "Experimental": "false",
    }
    return {
        "Platform": {"Name": "pystack"},
        "Components": [
            {"Name": "Engine", "Version": __version__, "Details": details},
            {"Name": runtime.name, "Version": runtime.version, "Details": {"Path": runtime.path}},
        ],
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": machine,
        "KernelVersion": kernel,
        "PythonVersion": python,
    }


async def info_body(parts: Parts) -> dict[str, Any]:
    """GET /info."""
    obstacles = list(await parts.nouns.networks.obstacles())
    features = read_features(parts.cgroup_layout)
    return {
        "ID": _identity(parts),
        **_counted(parts),
        **_drivers(parts),
        **_limits(features),
        **_process(parts),
        **_machine(parts),
        **_registries(parts),
        "ExperimentalBuild": False,
        "ServerVersion": __version__,
        **_runtimes(parts),
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        # Containers outlive the engine, whatever happens to it.
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "SecurityOptions": security_options(read_host()),
        "DefaultAddressPools": [
            {"Base": pool.base, "Size": pool.size} for pool in parts.settings.address_pools
        ],
        "CDISpecDirs": [],
        "Warnings": [*_lacking(features, parts.cgroup_layout), *obstacles] or None,
        **_own(parts),
    }


def architecture() -> str:
    """This machine's processor as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _identity(parts: Parts) -> str:
    """The same for this machine and place as long as both last."""
    machine = platform.node()
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip() or machine
    return str(uuid.uuid5(_ENGINE, f"{machine}:{parts.settings.data_dir}"))


def _counted(parts: Parts) -> dict[str, Any]:
    statuses = [c.state.status for c in parts.nouns.containers.all()]
    running = sum(status in ("running", "restarting") for status in statuses)
    paused = statuses.count("paused")
    return {
        "Containers": len(statuses),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(statuses) - running - paused,
        "Images": len(parts.nouns.images.all()),
    }


def _drivers(parts: Parts) -> dict[str, Any]:
    return {
        "Driver": "overlay2",
        "DriverStatus": [
            ["Backing Filesystem", _filesystem(parts.settings.data_dir)],
            ["Supports d_type", "true"],
            ["Using metacopy", "false"],
            ["Native Overlay Diff", "true"],
            ["userxattr", "false"],
        ],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "none"],
            "Authorization": None,
            "Log": ["json-file", "local", "none"],
        },
    }


def _limits(features: Features) -> dict[str, Any]:
    return {
        "MemoryLimit": features.memory,
        "SwapLimit": features.swap,
        "CpuCfsPeriod": features.cpu_quota,
        "CpuCfsQuota": features.cpu_quota,
        "CPUShares": features.cpu_shares,
        "CPUSet": features.cpuset,
        "PidsLimit": features.pids,
        "OomKillDisable": features.oom_kill_disable,
        "IPv4Forwarding": features.forwarding,
        "BridgeNfIptables": features.bridge_filter,
        "BridgeNfIp6tables": features.bridge_filter6,
    }


def _lacking(features: Features, layout: str) -> list[str]:
    """Docker's sentences about what is missing."""
    lacking = {
        "memory limit": features.memory,
        "swap limit": features.swap,
        "cpu cfs quota": features.cpu_quota,
        "cpu shares": features.cpu_shares,
        "cpuset": features.cpuset,
        "pids limit": features.pids,
        "oom kill disable": features.oom_kill_disable or layout == "v2",
    }
    texts = [f"WARNING: No {name} support" for name, there in lacking.items() if not there]
    if not features.forwarding:
        texts.append("WARNING: IPv4 forwarding is disabled")
    return texts


def _process(parts: Parts) -> dict[str, Any]:
    return {
        "Debug": False,
        "NFd": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "NGoroutines": len(asyncio.all_tasks()),
        "SystemTime": timestamp(time.time()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if parts.cgroup_layout == "v2" else "1",
        "NEventsListener": len(parts.events.live),
    }


def _machine(parts: Parts) -> dict[str, Any]:
    system = _system()
    return {
        "KernelVersion": platform.release(),
        "OperatingSystem": system.get("PRETTY_NAME", "Linux"),
        "OSVersion": system.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "GenericResources": None,
        "DockerRootDir": str(parts.settings.data_dir),
        "HttpProxy": os.environ.get("HTTP_PROXY", ""),
        "HttpsProxy": os.environ.get("HTTPS_PROXY", ""),
        "NoProxy": os.environ.get("NO_PROXY", ""),
        "Name": platform.node(),
        "Labels": [],
    }


def _registries(parts: Parts) -> dict[str, Any]:
    hub = parts.settings.registries.get("docker.io")
    configs = {
        host: {
            "Name": host,
            "Mirrors": list(entry.mirrors),
            "Secure": not entry.insecure,
            "Official": host == "docker.io",
        }
        for host, entry in parts.settings.registries.items()
    }
    configs.setdefault(
        "docker.io", {"Name": "docker.io", "Mirrors": [], "Secure": True, "Official": True}
    )
    return {
        "IndexServerAddress": _INDEX,
        "RegistryConfig": {
            "AllowNondistributableArtifactsCIDRs": [],
            "AllowNondistributableArtifactsHostnames": [],
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "IndexConfigs": configs,
            "Mirrors": list(hub.mirrors) if hub else [],
        },
    }


def _runtimes(parts: Parts) -> dict[str, Any]:
    runtime = parts.runtime
    found = {runtime.name: runtime.path, **runtime.others}
    commit = {"ID": runtime.version, "Expected": runtime.version}
    return {
        "Runtimes": {name: {"path": path} for name, path in found.items()},
        "DefaultRuntime": runtime.name,
        "InitBinary": "docker-init",
        "ContainerdCommit": {"ID": "", "Expected": ""},
        "RuncCommit": commit,
        "InitCommit": {"ID": "", "Expected": ""},
    }


def _own(parts: Parts) -> dict[str, Any]:
    runtime, settings = parts.runtime, parts.settings
    return {
        "Stacks": len(list(parts.controller.records())),
        "RuntimePath": runtime.path,
        "RuntimeVersion": runtime.version,
        "RuntimeReason": runtime.reason,
        "RuntimesRefused": list(runtime.refused),
        "CgroupLayout": parts.cgroup_layout,
        "RunDir": str(settings.run_dir),
        "Socket": str(settings.socket),
        "LogFile": str(settings.log_file),
    }


def _system() -> dict[str, str]:
    with suppress(OSError):
        return platform.freedesktop_os_release()
    return {}


def _filesystem(path: Path) -> str:
    """The type of the file system that has `path`, "" where it cannot be told."""
    best, kind = "", ""
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            place = before.split()[4]
            inside = str(path) == place or str(path).startswith(place.rstrip("/") + "/")
            if inside and len(place) >= len(best):
                best, kind = place, after.split()[0]
    return "extfs" if kind.startswith("ext") else kind

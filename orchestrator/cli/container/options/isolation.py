"""Flags about what the container sees and may do of the machine: rights, devices, namespaces."""

from __future__ import annotations

import argparse
from typing import Any

from orchestrator.cli.container.options.table import Body, Flag, fill, invalid
from orchestrator.cli.container.security import security_options

FLAGS = (
    Flag("--privileged", "switch", "HostConfig.Privileged", "with all rights of root"),
    Flag("--read-only", "switch", "HostConfig.ReadonlyRootfs", "no writing to its root"),
    Flag("--cap-add", "list", "HostConfig.CapAdd", "a capability to add", "CAP"),
    Flag("--cap-drop", "list", "HostConfig.CapDrop", "a capability to drop", "CAP"),
    Flag("--security-opt", "list", "", "seccomp=, apparmor=, no-new-privileges, …", "OPTION"),
    Flag("--device", "list", "", "a device of the machine", "DEVICE[:PATH[:rwm]]"),
    Flag("--device-cgroup-rule", "list", "HostConfig.DeviceCgroupRules", "c 10:* rwm", "RULE"),
    Flag("--gpus", "text", "", "graphics processors", "WHICH"),
    Flag("--sysctl", "pairs", "HostConfig.Sysctls", "a kernel parameter of its own", "NAME=VALUE"),
    Flag("--pid", "text", "HostConfig.PidMode", "host, container:NAME", "MODE"),
    Flag("--ipc", "text", "HostConfig.IpcMode", "host, none, shareable, container:NAME", "MODE"),
    Flag("--uts", "text", "HostConfig.UTSMode", "host", "MODE"),
    Flag("--userns", "text", "HostConfig.UsernsMode", "host", "MODE"),
    Flag("--cgroupns", "text", "HostConfig.CgroupnsMode", "host, private", "MODE"),
    Flag("--cgroup-parent", "text", "HostConfig.CgroupParent", "the cgroup above its own", "PATH"),
)
_RIGHTS = frozenset("rwm")
_OPEN_PATHS = "systempaths=unconfined"


def isolation(body: Body, args: argparse.Namespace) -> None:
    """Put rights, devices and namespaces into the body.

    Raises: InvalidInput: a flag is malformed, or a seccomp profile is none.
    """
    fill(body, args, FLAGS)
    host = body["HostConfig"]
    options = [o for o in args.security_opt if o != _OPEN_PATHS]
    if options:
        host["SecurityOpt"] = security_options(options)
    if len(options) < len(args.security_opt):
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
    if args.device:
        host["Devices"] = [_device(text) for text in args.device]
    if args.gpus is not None:
        host["DeviceRequests"] = [_gpus(args.gpus)]


def _device(text: str) -> dict[str, str]:
    path, *rest = text.split(":")
    access = "rwm"
    if rest and _RIGHTS.issuperset(rest[-1]):
        access = rest.pop()
    inside = rest.pop(0) if rest else path
    if rest or not path.startswith("/") or not inside.startswith("/") or not access:
        raise invalid("--device", text, "malformed", "write HOST_PATH[:CONTAINER_PATH[:rwm]]")
    return {"PathOnHost": path, "PathInContainer": inside, "CgroupPermissions": access}


def _gpus(text: str) -> dict[str, Any]:
    request: dict[str, Any] = {"Driver": "", "Count": 0, "Capabilities": [["gpu"]], "Options": {}}
    for field in text.replace('"', "").split(","):
        name, equals, value = field.partition("=")
        if name == "all" or (name == "count" and value == "all"):
            request["Count"] = -1
        elif name.isdigit() or name == "count":
            request["Count"] = int(value if equals else name)
        elif name == "device":
            request["DeviceIDs"] = [value]
        elif name == "driver":
            request["Driver"] = value
    return request

"""The flags of `run` and `create`, and the body of the request they make. No I/O but --env-file.

Source: Docker's reference, "docker container run"; Docker Engine API 1.45, ContainerCreate.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli.arguments import byte_count
from orchestrator.cli.container.ports import port_bindings
from orchestrator.errors import InvalidInput

_OWN_MODES = ("host", "none", "bridge", "default")


def container_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare everything that says what a container is."""
    add = parser.add_argument
    add("-i", "--interactive", action="store_true", help="keep stdin open")
    add("-t", "--tty", action="store_true", help="give it a terminal")
    add("--rm", action="store_true", help="remove it when it has ended")
    add("--name", default="", metavar="NAME", help="its name")
    add("-e", "--env", action="append", default=[], metavar="NAME[=VALUE]", help="a variable")
    add("--env-file", action="append", default=[], metavar="FILE", help="a file of variables")
    add("-l", "--label", action="append", default=[], metavar="NAME=VALUE", help="a label")
    add("-w", "--workdir", default="", metavar="DIR", help="its working directory")
    add("-u", "--user", default="", metavar="USER[:GROUP]", help="who it runs as")
    add("-h", "--hostname", default="", metavar="NAME", help="its host name")
    add("--entrypoint", default=None, metavar="PROGRAM", help="instead of the image's entrypoint")
    add("--init", action="store_true", help="run it under an init that reaps processes")
    add("--read-only", action="store_true", help="no writing to its root")
    add("--privileged", action="store_true", help="with all rights of root")
    add("--cap-add", action="append", default=[], metavar="CAP", help="a capability to add")
    add("--cap-drop", action="append", default=[], metavar="CAP", help="a capability to drop")
    add("--security-opt", action="append", default=[], metavar="OPTION")
    add("--restart", default="no", metavar="POLICY", help="no, always, on-failure[:N], …")
    add("--stop-signal", default="", metavar="SIGNAL", help="how it is asked to end")
    add("--stop-timeout", type=int, default=None, metavar="SECONDS", help="how long it may take")
    add("--pull", choices=("always", "missing", "never"), default="missing", help="when to pull")
    add("--platform", default="", metavar="OS/ARCH", help="which of the image's platforms")
    _network_arguments(parser)
    _storage_arguments(parser)
    add("image", metavar="IMAGE", help="the image")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND …", help="instead of the image's")


def _network_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-p", "--publish", action="append", default=[], metavar="[HOST:]PORT", help="a port")
    add("--network", "--net", default="", metavar="NAME", help="its network")
    add("--network-alias", action="append", default=[], metavar="NAME", help="a name there")
    add("--ip", default="", metavar="ADDRESS", help="its address there")
    add("--dns", action="append", default=[], metavar="ADDRESS", help="a name server")
    add("--add-host", action="append", default=[], metavar="NAME:ADDRESS", help="for /etc/hosts")


def _storage_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-v", "--volume", action="append", default=[], metavar="[SOURCE:]TARGET[:ro]")
    add("--tmpfs", action="append", default=[], metavar="TARGET", help="a file system in memory")
    add("-m", "--memory", type=byte_count, default=0, metavar="SIZE", help="limit of memory")
    add("--cpus", type=float, default=0.0, metavar="N", help="limit of processor time")
    add("--pids-limit", type=int, default=0, metavar="N", help="limit of processes")
    add("--shm-size", type=byte_count, default=0, metavar="SIZE", help="size of /dev/shm")


def create_body(
    args: argparse.Namespace, environ: Mapping[str, str], *, attached: bool
) -> dict[str, Any]:
    """The body of POST /containers/create.

    Raises: InvalidInput: a flag is malformed. OSError: an --env-file cannot be read.
    """
    binds, anonymous = _volumes(args.volume)
    body: dict[str, Any] = {
        "Image": args.image,
        "Cmd": args.command or None,
        "Env": environment(args, environ),
        "Labels": dict(_pair(text) for text in args.label),
        "WorkingDir": args.workdir,
        "User": args.user,
        "Hostname": args.hostname,
        "Tty": args.tty,
        "OpenStdin": args.interactive,
        "StdinOnce": args.interactive and attached,
        "AttachStdin": args.interactive and attached,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "StopSignal": args.stop_signal,
        "StopTimeout": args.stop_timeout,
        "Volumes": {target: {} for target in anonymous},
        "HostConfig": _host_config(args, binds),
        "NetworkingConfig": _networking(args),
    }
    if args.entrypoint is not None:
        body["Entrypoint"] = [args.entrypoint] if args.entrypoint else [""]
    return body


def _host_config(args: argparse.Namespace, binds: list[str]) -> dict[str, Any]:
    bindings = port_bindings(args.publish)
    return {
        "AutoRemove": args.rm,
        "Binds": binds,
        "PortBindings": bindings,
        "NetworkMode": args.network or "default",
        "RestartPolicy": _restart(args),
        "Init": args.init,
        "ReadonlyRootfs": args.read_only,
        "Privileged": args.privileged,
        "CapAdd": args.cap_add,
        "CapDrop": args.cap_drop,
        "SecurityOpt": args.security_opt,
        "Dns": args.dns,
        "ExtraHosts": args.add_host,
        "Tmpfs": dict(text.partition(":")[::2] for text in args.tmpfs),
        "Memory": args.memory,
        "NanoCpus": round(args.cpus * 1e9),
        "PidsLimit": args.pids_limit or None,
        "ShmSize": args.shm_size,
    }


def _networking(args: argparse.Namespace) -> dict[str, Any]:
    if args.network in ("", *_OWN_MODES) or args.network.startswith("container:"):
        return {}
    endpoint: dict[str, Any] = {"Aliases": args.network_alias}
    if args.ip:
        endpoint["IPAMConfig"] = {"IPv4Address": args.ip}
    return {"EndpointsConfig": {args.network: endpoint}}


def _restart(args: argparse.Namespace) -> dict[str, Any]:
    name, _, count = args.restart.partition(":")
    known = ("no", "always", "on-failure", "unless-stopped")
    if name not in known or (count and (name != "on-failure" or not count.isdigit())):
        raise InvalidInput(
            f"--restart {args.restart}: no such policy",
            code="restart-policy-invalid",
            about=args.restart,
            hint="use no, always, on-failure, on-failure:5 or unless-stopped",
        )
    if args.rm and name != "no":
        raise InvalidInput(
            "--rm and --restart exclude each other",
            code="flags-conflict",
            about="--rm",
            hint="leave one of them out",
        )
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def environment(args: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    """The variables of --env-file and --env, those without a value taken from `environ`."""
    lines = [line for name in args.env_file for line in _env_file(Path(name))]
    found = []
    for text in [*lines, *args.env]:
        name, given, _ = text.partition("=")
        if not name:
            raise InvalidInput(
                f"-e {text}: a variable needs a name",
                code="variable-invalid",
                about=text,
                hint="write it as NAME=VALUE, or NAME to hand on this shell's value",
            )
        if given:
            found.append(text)
        elif name in environ:
            found.append(f"{name}={environ[name]}")
    return found


def _env_file(path: Path) -> Iterable[str]:
    for line in path.read_text().splitlines():
        text = line.lstrip()
        if text and not text.startswith("#"):
            yield text


def _volumes(texts: list[str]) -> tuple[list[str], list[str]]:
    """Docker's Binds, host paths made absolute, and the targets of anonymous volumes."""
    binds, anonymous = [], []
    for text in texts:
        source, found, rest = text.partition(":")
        if not found:
            if not text.startswith("/"):
                raise _bad_volume(text)
            anonymous.append(text)
            continue
        if not source or not rest.startswith("/"):
            raise _bad_volume(text)
        if source.startswith((".", "~", "/")):
            source = str(Path(source).expanduser().absolute())
        binds.append(f"{source}:{rest}")
    return binds, anonymous


def _bad_volume(text: str) -> InvalidInput:
    return InvalidInput(
        f"-v {text}: the target is not an absolute path",
        code="volume-invalid",
        about=text,
        hint="write it as NAME:/path, ./directory:/path or /path",
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value

"""`info`: what the engine is, how it works here, and what it has."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.units import binary_size
from orchestrator.cli.version import client_version

Info = Mapping[str, Any]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--format", default="", metavar="FORMAT", help="json or a Go template"
    )


def _info(session: Session, args: argparse.Namespace) -> int:
    client = client_version() | {"Debug": False, "Plugins": [], "Warnings": None}
    if args.format:
        from orchestrator.cli.format import Format  # noqa: PLC0415

        shape = Format(args.format)
        session.say(shape.line({**session.engine.get("/info"), "ClientInfo": client}))
        return 0
    session.say("Client:")
    session.say(f" Version:    {client['Version']}")
    session.say(f" Context:    {client['Context']}")
    session.say(" Debug Mode: false")
    session.stdout.flush()
    info = session.engine.get("/info")
    session.say()
    session.say("Server:")
    for line in _lines(info):
        session.say(f" {line}".rstrip())
    session.stdout.flush()
    for warning in info.get("Warnings") or ():
        text = str(warning)
        session.note(text if text.startswith("WARNING") else f"WARNING: {text}")
    return 0


def _lines(info: Info) -> Iterator[str]:
    """The lines, in docker info's order."""
    yield f"Containers: {info.get('Containers', 0)}"
    for state in ("Running", "Paused", "Stopped"):
        yield f" {state}: {info.get(f'Containers{state}', 0)}"
    yield f"Images: {info.get('Images', 0)}"
    if "Stacks" in info:
        yield f"Stacks: {info['Stacks']}"
    yield f"Server Version: {info.get('ServerVersion', '')}"
    yield f"Storage Driver: {info.get('Driver', '')}"
    for name, value in info.get("DriverStatus") or ():
        yield f" {name}: {value}"
    yield f"Logging Driver: {info.get('LoggingDriver', '')}"
    yield f"Cgroup Driver: {info.get('CgroupDriver', '')}"
    yield f"Cgroup Version: {info.get('CgroupVersion', '')}"
    if layout := info.get("CgroupLayout"):
        yield f"Cgroup Layout: {layout}"
    yield "Plugins:"
    for kind in ("Volume", "Network", "Log"):
        yield f" {kind}: {' '.join((info.get('Plugins') or {}).get(kind) or ())}"
    yield f"Swarm: {(info.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"
    yield from _runtimes(info)
    yield from _security(info)
    yield from _machine(info)
    yield from _settings(info)


def _runtimes(info: Info) -> Iterator[str]:
    yield f"Runtimes: {' '.join(sorted(info.get('Runtimes') or {}))}"
    yield f"Default Runtime: {info.get('DefaultRuntime', '')}"
    for name, label in (
        ("RuntimePath", "Path"),
        ("RuntimeVersion", "Version"),
        ("RuntimeReason", "Why"),
    ):
        if info.get(name):
            yield f" {label}: {info[name]}"
    for refused in info.get("RuntimesRefused") or ():
        yield f" Refused: {refused}"
    yield f"Init Binary: {info.get('InitBinary', '')}"


def _security(info: Info) -> Iterator[str]:
    options = info.get("SecurityOptions") or ()
    if not options:
        return
    yield "Security Options:"
    for option in options:
        values = dict(part.split("=", 1) for part in str(option).split(",") if "=" in part)
        yield f" {values.pop('name', option)}"
        for name, value in values.items():
            yield f"  {name.capitalize()}: {value}"


def _machine(info: Info) -> Iterator[str]:
    yield f"Kernel Version: {info.get('KernelVersion', '')}"
    yield f"Operating System: {info.get('OperatingSystem', '')}"
    yield f"OSType: {info.get('OSType', '')}"
    yield f"Architecture: {info.get('Architecture', '')}"
    yield f"CPUs: {info.get('NCPU', 0)}"
    yield f"Total Memory: {binary_size(float(info.get('MemTotal') or 0))}"
    yield f"Name: {info.get('Name', '')}"
    yield f"ID: {info.get('ID', '')}"


def _settings(info: Info) -> Iterator[str]:
    yield f"Docker Root Dir: {info.get('DockerRootDir', '')}"
    for name, label in (("RunDir", "Run Dir"), ("Socket", "Socket"), ("LogFile", "Log File")):
        if info.get(name):
            yield f"{label}: {info[name]}"
    yield f"Debug Mode: {str(bool(info.get('Debug'))).lower()}"
    for name, label in (
        ("HttpProxy", "HTTP Proxy"),
        ("HttpsProxy", "HTTPS Proxy"),
        ("NoProxy", "No Proxy"),
    ):
        if info.get(name):
            yield f"{label}: {info[name]}"
    if info.get("Labels"):
        yield "Labels:"
        yield from (f" {label}" for label in info["Labels"])
    yield f"Experimental: {str(bool(info.get('ExperimentalBuild'))).lower()}"
    registries = info.get("RegistryConfig") or {}
    insecure = [
        host
        for host, config in (registries.get("IndexConfigs") or {}).items()
        if not config.get("Secure")
    ]
    yield "Insecure Registries:"
    yield from (f" {each}" for each in [*insecure, *registries.get("InsecureRegistryCIDRs", ())])
    if registries.get("Mirrors"):
        yield "Registry Mirrors:"
        yield from (f" {mirror}" for mirror in registries["Mirrors"])
    if info.get("DefaultAddressPools"):
        yield "Default Address Pools:"
        yield from (
            f"  Base: {pool['Base']}, Size: {pool['Size']}" for pool in info["DefaultAddressPools"]
        )
    yield f"Live Restore Enabled: {str(bool(info.get('LiveRestoreEnabled'))).lower()}"


COMMANDS = {"info": Command(_arguments, _info)}

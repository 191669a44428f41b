"""`pause`, `unpause`, `rename` and `update` of containers."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from orchestrator.cli.arguments import byte_count
from orchestrator.cli.command import Command
from orchestrator.cli.outcome import each
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import InvalidInput

_NANO = 1_000_000_000
_POLICIES = ("no", "always", "on-failure", "unless-stopped")


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help="names or ids")


def _posted(verb: str) -> Callable[[Session, argparse.Namespace], int]:
    def run(session: Session, args: argparse.Namespace) -> int:
        def change(name: str) -> None:
            session.engine.post(f"/containers/{quote(name)}/{verb}")
            session.say(name)

        return each(session, args.containers, change)

    return run


def _rename_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="its name or id")
    parser.add_argument("name", metavar="NEW_NAME", help="the name to have")


def _rename(session: Session, args: argparse.Namespace) -> int:
    session.engine.post(f"/containers/{quote(args.container)}/rename", name=args.name)
    return 0


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-m", "--memory", dest="Memory", type=byte_count, metavar="BYTES", help="512m, 2g")
    add("--memory-reservation", dest="MemoryReservation", type=byte_count, metavar="BYTES",
        help="what it is held to when the machine is short of memory")  # fmt: skip
    add("--memory-swap", dest="MemorySwap", type=_swap, metavar="BYTES",
        help="memory and swap together, -1 for any amount of swap")  # fmt: skip
    add("--cpus", dest="NanoCpus", type=_cpus, metavar="N", help="processors: 1.5")
    add("-c", "--cpu-shares", dest="CpuShares", type=int, metavar="N", help="relative weight")
    add("--cpu-period", dest="CpuPeriod", type=int, metavar="US", help="of the scheduler's quota")
    add("--cpu-quota", dest="CpuQuota", type=int, metavar="US", help="of each period")
    add("--cpu-rt-period", dest="CpuRealtimePeriod", type=int, metavar="US", help="of real time")
    add("--cpu-rt-runtime", dest="CpuRealtimeRuntime", type=int, metavar="US",
        help="of each real-time period")  # fmt: skip
    add("--cpuset-cpus", dest="CpusetCpus", metavar="LIST", help="processors to run on: 0-2,4")
    add("--cpuset-mems", dest="CpusetMems", metavar="LIST", help="memory nodes to use")
    add("--pids-limit", dest="PidsLimit", type=int, metavar="N", help="-1 for any number")
    add("--blkio-weight", dest="BlkioWeight", type=int, metavar="N", help="10 to 1000")
    add("--restart", type=_policy, metavar="POLICY", help="no, always, unless-stopped,"
        " on-failure[:N]")  # fmt: skip
    _names(parser)


def _swap(text: str) -> int:
    return -1 if text == "-1" else byte_count(text)


def _cpus(text: str) -> int:
    try:
        return round(float(text) * _NANO)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processors") from error


def _policy(text: str) -> dict[str, object]:
    name, given, count = text.partition(":")
    if name not in _POLICIES or (given and not count.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(_POLICIES)}")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _update(session: Session, args: argparse.Namespace) -> int:
    body = {
        name: value for name, value in vars(args).items() if name[0].isupper() and value is not None
    }
    if args.restart is not None:
        body["RestartPolicy"] = args.restart
    if not body:
        raise InvalidInput(
            "you must provide one or more flags when using this command",
            code="nothing-to-update",
            about="update",
            hint="--memory, --cpus, --restart …: see `pystack update --help`",
        )

    def update(name: str) -> None:
        answer = session.engine.post(f"/containers/{quote(name)}/update", body)
        for warning in (answer or {}).get("Warnings") or ():
            session.note(f"warning: {warning}")
        session.say(name)

    return each(session, args.containers, update)


COMMANDS = {
    "pause": Command(_names, _posted("pause"), names="containers"),
    "unpause": Command(_names, _posted("unpause"), names="containers"),
    "rename": Command(_rename_arguments, _rename, names="container"),
    "update": Command(_update_arguments, _update, names="containers"),
}

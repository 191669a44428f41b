"""What `build` can be told on the command line, and the texts that some of its flags take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator.cli.arguments import byte_count
from orchestrator.cli.options import UsageError

_PROGRESS = ("auto", "plain", "tty", "rawjson", "quiet", "none")
_KINDS = ("local", "tar", "oci", "docker", "image", "registry", "cacheonly")


class Output(NamedTuple):
    """Where a result goes: `path` is "-" for stdout, "" where the engine keeps it."""

    kind: str
    path: str = ""
    names: tuple[str, ...] = ()
    push: bool = False


def build_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them all.  Source: docker buildx build."""
    add = parser.add_argument
    add("-t", "--tag", action="append", default=[], metavar="NAME[:TAG]", help="a name for it")
    add("-f", "--file", default="", metavar="FILE", help="the Dockerfile (PATH/Dockerfile)")
    add("--target", default="", metavar="STAGE", help="the stage to build")
    add("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="a build argument")
    add(
        "--build-context",
        action="append",
        default=[],
        metavar="NAME=PLACE",
        help="one more context",
    )
    add("--label", action="append", default=[], metavar="NAME=VALUE", help="a label of the image")
    add("--no-cache", action="store_true", help="run every step again")
    add(
        "--no-cache-filter",
        action="append",
        default=[],
        metavar="STAGE",
        help="not this stage's steps",
    )
    add("--pull", action="store_true", help="look for newer base images")
    add("--platform", default="", metavar="OS/ARCH", help="the platform to build for")
    add("--secret", action="append", default=[], metavar="id=ID[,src=FILE|,env=NAME]")
    add("--ssh", action="append", default=[], metavar="ID[=SOCKET|KEY,…]", help="an ssh agent")
    add("--network", default="", metavar="MODE", help="the network of RUN steps")
    add(
        "--add-host",
        action="append",
        default=[],
        metavar="NAME:ADDRESS",
        help="a host for RUN steps",
    )
    add("--allow", action="append", default=[], metavar="WHAT", help="network.host")
    add(
        "--cache-from",
        action="append",
        default=[],
        metavar="PLACE",
        help="where steps may be found",
    )
    add("--cache-to", action="append", default=[], metavar="PLACE", help="where steps are kept")
    add("-o", "--output", action="append", default=[], metavar="DEST", help="where the result goes")
    add("--load", action="store_true", help="keep the image here (it is by default)")
    add("--push", action="store_true", help="push the image to its registry")
    add("--progress", default="", choices=_PROGRESS, help="how progress is shown")
    add("--check", action="store_true", help="check the Dockerfile, and build nothing")
    add("--call", default="", choices=("build", "check"), help=argparse.SUPPRESS)
    add("-q", "--quiet", action="store_true", help="print nothing but the image's id")
    add("--iidfile", default="", metavar="FILE", help="a file for the image's id")
    add("--metadata-file", default="", metavar="FILE", help="a file for what came of it, as JSON")
    add("--shm-size", type=byte_count, default=0, metavar="BYTES", help="/dev/shm in RUN steps")
    add("--ulimit", action="append", default=[], metavar="NAME=SOFT[:HARD]", help="in RUN steps")
    # What Docker's classic builder takes and this one does in any case.
    for name in ("--rm", "--force-rm", "--compress"):
        add(name, nargs="?", const="true", help=argparse.SUPPRESS)
    for name in ("--provenance", "--sbom", "--builder"):
        add(name, nargs="?", const="true", default="", help=argparse.SUPPRESS)
    add("path", nargs="?", default="", metavar="PATH|URL|-", help="the build context")


def check_flags(args: argparse.Namespace) -> None:
    """Nothing.  Raises: UsageError: a flag asks for what no build here does."""
    for name in ("provenance", "sbom"):
        if getattr(args, name) not in ("", "false"):
            raise UsageError(f"--{name}: attestations are not made; leave it out")
    if args.builder not in ("", "default"):
        raise UsageError(f"--builder {args.builder}: there is one builder, the engine")
    for word in args.allow:
        if word != "network.host":
            raise UsageError(f"--allow {word}: builds run confined; leave it out")


def read_secret(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The secret that `id=x,src=FILE` or `id=x,env=NAME` means: its id, and file or value."""
    words = _words(text, "--secret", ("id", "src", "source", "env", "type"))
    source = words.get("src") or words.get("source") or ""
    identifier = words.get("id") or Path(source).name
    if not identifier:
        raise UsageError(f"--secret {text}: an id is missing, as in id=token,src=token.txt")
    variable = words.get("env", "")
    if not variable and words.get("type") == "env":
        variable = source or identifier
        source = ""
    if not source and not variable:
        # The id alone: the variable of that name, else the file.
        variable = identifier if identifier in environ else ""
        source = "" if variable else identifier
    if variable:
        if variable not in environ:
            raise UsageError(f"--secret {text}: {variable} is not set")
        return {"id": identifier, "value": environ[variable]}
    path = Path(source).expanduser().absolute()
    if not path.is_file():
        raise UsageError(f"--secret {text}: there is no file {source}")
    return {"id": identifier, "file": str(path)}


def read_ssh(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The id and the socket or key files that `--ssh ID[=SOCKET|KEY,…]` means."""
    identifier, _, places = text.partition("=")
    if not places:
        places = environ.get("SSH_AUTH_SOCK", "")
        if not places:
            raise UsageError(f"--ssh {text}: no agent runs (SSH_AUTH_SOCK is not set)")
    paths = (str(Path(place).expanduser().absolute()) for place in places.split(","))
    return identifier, ",".join(paths)


def read_output(text: str) -> Output:
    """What `--output` means: a directory, `-`, or `type=…,dest=…`."""
    if "=" not in text:
        return Output("tar", "-") if text == "-" else Output("local", str(Path(text).absolute()))
    known = ("type", "dest", "name", "push", "tar", "compression", "rewrite-timestamp")
    words = _words(text, "--output", known)
    kind = words.get("type", "")
    if kind not in _KINDS:
        raise UsageError(f"--output {text}: type is one of {', '.join(_KINDS)}")
    path = words.get("dest", "")
    if kind == "local" and path in ("", "-"):
        raise UsageError(f"--output {text}: dest=DIRECTORY is missing")
    if not path and kind in ("tar", "oci"):
        path = "-"
    if path and path != "-":
        path = str(Path(path).absolute())
    if kind == "docker" and not path:
        kind = "image"
    names = tuple(name for name in (words.get("name", ""),) if name)
    return Output(kind, path, names, kind == "registry" or words.get("push") == "true")


def read_ulimit(text: str) -> dict[str, object]:
    """The limit that `nofile=1024:2048` means; one number is both."""
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    try:
        return {"name": name.lower(), "soft": int(soft), "hard": int(hard or soft)}
    except ValueError:
        raise UsageError(f"--ulimit {text}: expected NAME=SOFT[:HARD], as nofile=1024") from None


def _words(text: str, flag: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in text.split(","):
        name, given, value = word.partition("=")
        if name and not given and found:
            # A list goes on: name=a,b
            found[next(reversed(found))] += f",{name}"
            continue
        if name not in known:
            raise UsageError(f"{flag} {text}: {name} is not known; {', '.join(known)} are")
        found[name] = value
    return found

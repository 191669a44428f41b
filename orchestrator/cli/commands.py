"""The commands by name, and the one rule that says which of its meanings a name has.

Docker and Compose share names: `ps` lists containers, or the containers of a stack. The rule:

1. After `pystack compose`, or with an option that chooses a stack (`-f`, `-p`, `--profile` … before
   the command; their long names after it), the command is about the stack.
2. A name that only one side has means that.
3. What lists everything that the engine has (`ps`, `images`, `stats`, `events`), and what reaches
   into one container, makes or ends one (`run`, `create`, `exec`, `attach`, `cp`, `port`,
   `commit`, `export`, `wait`, `kill`, `rm`), is Docker's.
4. Every other shared name (`logs stop start restart pause unpause top build pull push diff
   history`) is about the containers, images or paths it is given; a name that no container has is
   looked for among the services of the stack file in scope. Given none, it is about the stack
   whose file is found upwards.

Modules are named here and imported only when their command runs, so that `ps` does not pay for
`up`.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.cli.options import (
    LONG_OPTIONS,
    Parser,
    StackOptions,
    UsageError,
    add_stack_arguments,
    stack_options_of,
)

if TYPE_CHECKING:
    from orchestrator.cli.command import Command


class Entry(NamedTuple):
    """Where a command lives (`module:key` in orchestrator.cli) and what it does in a few words."""

    place: str
    summary: str


STACK: Mapping[str, Entry] = {
    "up": Entry("stack.up:up", "Make the stack run as its file says, and follow its logs"),
    "down": Entry("stack.down:down", "Stop the stack and remove its containers and networks"),
    "plan": Entry("stack.plan:plan", "Show what up would do, and why"),
    "diff": Entry("stack.plan:diff", "Show what is not as it is wanted"),
    "ps": Entry("stack.ps:ps", "List the stack's containers"),
    "logs": Entry("stack.logs:logs", "Show the output of the stack's services"),
    "stop": Entry("stack.lifecycle:stop", "Stop the stack or some of its services"),
    "start": Entry("stack.lifecycle:start", "Start the stack or some of its services again"),
    "restart": Entry("stack.lifecycle:restart", "Restart the stack or some of its services"),
    "create": Entry("stack.lifecycle:create", "Make the stack's containers, and start none"),
    "scale": Entry("stack.lifecycle:scale", "Change how many containers services have"),
    "run": Entry("stack.run:run", "Run a command in a container of its own, as a service has it"),
    "exec": Entry("stack.inside:exec", "Run a command in a running container of a service"),
    "attach": Entry("stack.inside:attach", "Join the streams of a service's container"),
    "cp": Entry("stack.inside:cp", "Copy files to or from a service's container"),
    "port": Entry("stack.inside:port", "Show where a port of a service is published"),
    "commit": Entry("stack.inside:commit", "Make an image of a service's container"),
    "export": Entry("stack.inside:export", "Write the file tree of a service's container"),
    "kill": Entry("stack.together:kill", "Send a signal to the services' containers"),
    "pause": Entry("stack.together:pause", "Freeze the services' containers"),
    "unpause": Entry("stack.together:unpause", "Let the services' containers go on"),
    "rm": Entry("stack.together:rm", "Remove the services' stopped containers"),
    "wait": Entry("stack.together:wait", "Wait for the services' containers to end"),
    "top": Entry("stack.together:top", "Show the processes of the services' containers"),
    "stats": Entry("stack.together:stats", "Show what the services' containers use"),
    "watch": Entry("stack.watch:watch", "Carry changes of the source over to containers"),
    "events": Entry("stack.together:events", "Show what happens to the stack"),
    "volumes": Entry("stack.together:volumes", "List the stack's volumes"),
    "history": Entry("stack.past:history", "Show what was wanted of the stack, and when"),
    "rollback": Entry("stack.past:rollback", "Go back to what was wanted before"),
    "why": Entry("stack.past:why", "Show what happened to a service, and by what cause"),
    "version": Entry("version:version", "Show the versions of the command line and the engine"),
    "build": Entry("stack.images:build", "Build the images of the stack's services"),
    "pull": Entry("stack.images:pull", "Pull the images of the stack's services"),
    "images": Entry("stack.images:images", "List the images of the stack's containers"),
    "push": Entry("stack.images:push", "Push the images that the stack's services build"),
    "config": Entry("stack.config:config", "Check the stack file and print what it means"),
    "convert": Entry("stack.config:config", "The same as config"),
    "ls": Entry("stack.ls:ls", "List the stacks"),
}
DOCKER: Mapping[str, Entry] = {
    "run": Entry("container.run:run", "Create and run a container from an image"),
    "create": Entry("container.run:create", "Create a container from an image"),
    "ps": Entry("container.ps:ps", "List containers"),
    "logs": Entry("container.logs:logs", "Show the output of a container"),
    "exec": Entry("container.exec:exec", "Run a command in a running container"),
    "attach": Entry("container.attach:attach", "Join a running container's streams"),
    "cp": Entry("container.cp:cp", "Copy files between a container and this machine"),
    "diff": Entry("container.diff:diff", "Show what a container changed in its image's files"),
    "export": Entry("container.export:export", "Write a container's files as a tar"),
    "commit": Entry("container.commit:commit", "Make an image of a container"),
    "start": Entry("container.lifecycle:start", "Start containers"),
    "stop": Entry("container.lifecycle:stop", "Stop containers"),
    "restart": Entry("container.lifecycle:restart", "Restart containers"),
    "kill": Entry("container.lifecycle:kill", "Send a signal to containers"),
    "rm": Entry("container.lifecycle:rm", "Remove containers"),
    "wait": Entry("container.lifecycle:wait", "Wait for containers to end, and print exit codes"),
    "pause": Entry("container.change:pause", "Freeze containers"),
    "unpause": Entry("container.change:unpause", "Let frozen containers go on"),
    "rename": Entry("container.change:rename", "Give a container another name"),
    "update": Entry("container.change:update", "Change limits and restart policy of containers"),
    "top": Entry("container.top:top", "Show the processes of a container"),
    "stats": Entry("container.stats:stats", "Show what containers use, as it changes"),
    "port": Entry("container.top:port", "Show where a container's ports are published"),
    "inspect": Entry("inspect:inspect", "Show everything about containers, images, networks …"),
    "pull": Entry("image.pull:pull", "Pull an image from a registry"),
    "push": Entry("image.push:push", "Push an image to a registry"),
    "login": Entry("image.login:login", "Log in to a registry"),
    "logout": Entry("image.login:logout", "Log out from a registry"),
    "search": Entry("image.search:search", "Look for images at a registry"),
    "images": Entry("image.images:images", "List images"),
    "rmi": Entry("image.images:rmi", "Remove images"),
    "build": Entry("build.command:build", "Build an image from a Dockerfile"),
    "tag": Entry("image.images:tag", "Give an image a further name"),
    "history": Entry("image.history:history", "Show the steps that an image was made in"),
    "save": Entry("image.archive:save", "Write images to an archive"),
    "load": Entry("image.archive:load", "Load images from an archive"),
    "import": Entry("image.archive:import", "Make an image from the tar of a file tree"),
    "events": Entry("system:events", "Show what happens, as it happens"),
    "version": Entry("version:version", "Show the versions of the command line and the engine"),
    "info": Entry("info:info", "Show what the engine is and how it works here"),
}
# About the command line itself.
OWN: Mapping[str, Entry] = {
    "completion": Entry("completion.command:completion", "Print a shell's script for completion"),
}
GROUPS: Mapping[str, Mapping[str, Entry]] = {
    "container": {
        **dict.fromkeys(("ls", "list"), DOCKER["ps"]),
        "remove": DOCKER["rm"],
        "inspect": Entry("inspect:container", "Show everything about containers"),
        "prune": Entry("prune:container", "Remove containers that do not run"),
        "publish": Entry("container.publish:publish", "Publish more ports of a container"),
        "unpublish": Entry("container.publish:unpublish", "Publish ports no more"),
        "drain": Entry("container.publish:drain", "Send no new connections to containers"),
        "weight": Entry("container.publish:weight", "Set a container's share of connections"),
        **{
            name: DOCKER[name]
            for name in (
                "run", "create", "ps", "logs", "start", "stop", "restart", "kill", "rm", "wait",
                "exec", "attach", "cp", "diff", "export", "commit", "pause", "unpause", "rename",
                "update", "top", "stats", "port",
            )
        },
    },
    "image": {
        "ls": DOCKER["images"],
        "rm": DOCKER["rmi"],
        **{
            name: DOCKER[name]
            for name in ("pull", "push", "build", "tag", "history", "save", "load", "import")
        },
        "inspect": Entry("image.inspect:inspect", "Show everything about images"),
        "prune": Entry("image.prune:prune", "Remove images that nothing uses"),
        "verify": Entry("image.verify:verify", "Check what images are stored as, and mend it"),
    },
    "builder": {
        "build": DOCKER["build"],
        "prune": Entry("build.storage:prune", "Remove the build cache"),
        "du": Entry("build.storage:du", "Show what the build cache holds"),
    },
    "buildx": {
        "build": DOCKER["build"],
        "prune": Entry("build.storage:prune", "Remove the build cache"),
        "du": Entry("build.storage:du", "Show what the build cache holds"),
    },
    "network": {
        "create": Entry("network.create:create", "Create a network"),
        **dict.fromkeys(("ls", "list"), Entry("network.ls:ls", "List networks")),
        "inspect": Entry("network.inspect:inspect", "Show everything about networks"),
        **dict.fromkeys(("rm", "remove"), Entry("network.remove:rm", "Remove networks")),
        "prune": Entry("network.remove:prune", "Remove all networks that nobody is on"),
        "connect": Entry("network.change:connect", "Connect a container to a network"),
        "disconnect": Entry("network.change:disconnect", "Take a container off a network"),
    },
    "volume": {
        "create": Entry("volume:create", "Make a volume"),
        **dict.fromkeys(("ls", "list"), Entry("volume:ls", "List volumes")),
        "inspect": Entry("volume:inspect", "Show everything about volumes"),
        **dict.fromkeys(("rm", "remove"), Entry("volume:rm", "Remove volumes")),
        "prune": Entry("prune:volume", "Remove volumes that no container uses"),
        "update": Entry("volume:update", "Change a cluster volume, of which there are none here"),
    },
    **{
        kind: {
            "create": Entry(f"grant:{kind}-create", f"Keep a {kind} by name, for stacks"),
            **dict.fromkeys(("ls", "list"), Entry(f"grant:{kind}-ls", f"List {kind}s")),
            "inspect": Entry(f"grant:{kind}-inspect", f"Show everything about {kind}s"),
            **dict.fromkeys(("rm", "remove"), Entry(f"grant:{kind}-rm", f"Remove {kind}s")),
        }
        for kind in ("secret", "config")
    },
    "system": {
        **{name: DOCKER[name] for name in ("events", "info")},
        "df": Entry("disk_usage:df", "Show the room that everything takes"),
        "prune": Entry("prune:system", "Remove what nothing uses"),
    },
    "engine": {
        "start": Entry("engine:start", "Start the engine"),
        "stop": Entry("engine:stop", "Stop the engine; containers go on"),
        "status": Entry("engine:status", "Say whether the engine runs"),
        "logs": Entry("engine:logs", "Show the engine's log"),
        "run": Entry("engine:run", "Be the engine, in the foreground"),
        "units": Entry("engine:units", "Print or install systemd units for starting at boot"),
    },
}  # fmt: skip

# Docker's meaning always, unless the stack is chosen: they list everything, or their arguments
# name what no stack has.
_OWN_OPTIONS = frozenset(("run", "create", "exec"))  # --env-file is one of theirs
_DOCKERS = _OWN_OPTIONS | frozenset(
    ("ps", "images", "stats", "events", "version", "attach", "cp", "port", "commit", "export",
     "wait", "kill", "rm")
)  # fmt: skip


class Chosen(NamedTuple):
    """A command with its arguments parsed, and the options that chose its stack."""

    command: Command
    args: argparse.Namespace
    options: StackOptions


def choose(words: Sequence[str], options: StackOptions, *, compose: bool) -> Chosen:
    """The command that `words` mean.

    Raises: UsageError: there is no such command, or its arguments are wrong.
    """
    name, rest = words[0], list(words[1:])
    if name in GROUPS and not compose and not _is_stacks(name, rest, options):
        return _member(name, rest, options)
    if name in OWN and not compose:
        return _parsed(name, OWN[name], rest, options, about_stack=False)
    if name not in STACK and name not in DOCKER:
        raise UsageError(f"unknown command {name!r}{_nearest(name)}", "pystack --help lists them")
    found = meanings(name, rest, options, compose=compose)
    if not found:
        raise UsageError(f"compose has no command {name!r}{_nearest(name)}")
    if len(found) > 1:
        return _by_its_names(name, rest, options)
    entry = (STACK if found[0] else DOCKER)[name]
    return _parsed(name, entry, rest, options, about_stack=found[0])


def meanings(
    name: str, rest: Sequence[str], options: StackOptions, *, compose: bool
) -> tuple[bool, ...]:
    """Whether the command is about a stack; both where its arguments decide, none where there is
    no such command."""
    about_stack = compose or options.chosen
    if name not in _OWN_OPTIONS:
        about_stack = about_stack or _has_stack_option(name, rest)
    if name in STACK and (about_stack or name not in DOCKER):
        return (True,)
    if compose or name not in DOCKER:
        return ()
    return (False,) if name not in STACK or name in _DOCKERS else (False, True)


def _is_stacks(name: str, rest: Sequence[str], options: StackOptions) -> bool:
    """Whether the name of a group means the stack's command: `config`, without a command of the
    group's after it."""
    return name in STACK and (options.chosen or not rest or rest[0] not in GROUPS[name])


def load(entry: Entry) -> Command:
    """The command itself; imports its module."""
    module, _, key = entry.place.partition(":")
    commands: Mapping[str, Command] = importlib.import_module(f"orchestrator.cli.{module}").COMMANDS
    return commands[key]


def _by_its_names(name: str, rest: list[str], options: StackOptions) -> Chosen:
    """Rule 4: Docker's meaning with names, the stack's without.

    Arguments that only the stack's form has (`logs --no-color`) also speak for the stack.
    """
    try:
        docker = _parsed(name, DOCKER[name], rest, options, about_stack=False)
    except UsageError as error:
        try:
            return _parsed(name, STACK[name], rest, options, about_stack=True)
        except UsageError:
            raise error from None
    if getattr(docker.args, docker.command.names):
        return docker
    return _parsed(name, STACK[name], rest, options, about_stack=True)


def _member(group: str, rest: list[str], options: StackOptions) -> Chosen:
    members = GROUPS[group]
    if rest and rest[0] in members:
        entry = members[rest[0]]
        return _parsed(f"{group} {rest[0]}", entry, rest[1:], options, about_stack=False)
    lines = [f"  {name:<8} {entry.summary}" for name, entry in members.items()]
    parser = Parser(
        prog=f"pystack {group}",
        usage=f"pystack {group} {{{','.join(members)}}} …",
        epilog="\n".join(lines),
        shown_by=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND")
    parser.parse_args(rest[:1])  # ends here when it is --help
    raise UsageError(f"unknown command '{group} {rest[0]}'", parser.format_usage().strip())


def _parsed(
    name: str, entry: Entry, rest: list[str], options: StackOptions, *, about_stack: bool
) -> Chosen:
    command = load(entry)
    args = parser_of(name, entry, about_stack=about_stack).parse_args(rest)
    if about_stack:
        options.add(stack_options_of(args))
    return Chosen(command, args, options)


def parser_of(name: str, entry: Entry, *, about_stack: bool) -> Parser:
    """The parser of what follows the command's name."""
    command = load(entry)
    parser = Parser(
        prog=f"pystack {name}", description=entry.summary, allow_abbrev=False, add_help=False
    )
    command.arguments(parser)
    if about_stack:
        add_stack_arguments(parser, short=command.short_options)
    _add_help(parser)
    return parser


def _add_help(parser: Parser) -> None:
    """Accept --help, and -h where the command has no other use for it (run: the host name)."""
    try:
        parser.add_argument("-h", "--help", action="help", help="show this")
    except argparse.ArgumentError:
        parser.add_argument("--help", action="help", help="show this")


def _has_stack_option(name: str, rest: Sequence[str]) -> bool:
    for word in rest:
        if word == "--":
            return False
        # `build --file` names a Dockerfile, as Docker has it.
        if word.partition("=")[0] in LONG_OPTIONS and (name, word[:6]) != ("build", "--file"):
            return True
    return False


def _nearest(name: str) -> str:
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(name, {*STACK, *DOCKER, *GROUPS, *OWN}, n=1)
    return f": did you mean {near[0]!r}?" if near else ""

"""Flags about the container's process: what it runs, as whom, with what, and how it ends."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.cli.container.options.table import Body, Flag, fill, invalid, pair
from orchestrator.cli.container.options.variables import environment, file_lines
from orchestrator.errors import InvalidInput

FLAGS = (
    Flag("--interactive -i", "switch", "OpenStdin", "keep stdin open"),
    Flag("--tty -t", "switch", "Tty", "give it a terminal"),
    Flag("--rm", "switch", "HostConfig.AutoRemove", "remove it when it has ended"),
    Flag("--env -e", "list", "", "a variable", "NAME[=VALUE]"),
    Flag("--env-file", "list", "", "a file of variables", "FILE"),
    Flag("--label -l", "list", "", "a label", "NAME=VALUE"),
    Flag("--label-file", "list", "", "a file of labels", "FILE"),
    Flag("--annotation", "pairs", "HostConfig.Annotations", "for the OCI runtime", "NAME=VALUE"),
    Flag("--workdir -w", "text", "WorkingDir", "its working directory", "DIR"),
    Flag("--user -u", "text", "User", "who it runs as", "USER[:GROUP]"),
    Flag("--group-add", "list", "HostConfig.GroupAdd", "one more group", "GROUP"),
    Flag("--entrypoint", "text", "", "instead of the image's entrypoint", "PROGRAM"),
    Flag("--init", "switch", "HostConfig.Init", "run it under an init that reaps processes"),
    Flag("--restart", "text", "", "no, always, on-failure[:N], unless-stopped", "POLICY"),
    Flag("--stop-signal", "text", "StopSignal", "how it is asked to end", "SIGNAL"),
    Flag("--stop-timeout", "number", "StopTimeout", "how long it may take", "SECONDS"),
    Flag("--log-driver", "text", "HostConfig.LogConfig.Type", "json-file, local, none", "DRIVER"),
    Flag("--log-opt", "pairs", "HostConfig.LogConfig.Config", "max-size, max-file", "NAME=VALUE"),
    Flag("--runtime", "text", "HostConfig.Runtime", "crun or runc", "NAME"),
    Flag("--isolation", "text", "", "default", "KIND"),
    Flag("--attach -a", "list", "", "what to attach", "STREAM"),
)
_POLICIES = ("no", "always", "on-failure", "unless-stopped")
_STREAMS = ("stdin", "stdout", "stderr")
_LABEL = re.compile(r"[^=\s][^=]*(=.*)?", re.DOTALL)


def process(
    body: Body, args: argparse.Namespace, environ: Mapping[str, str], *, attached: bool
) -> None:
    """Put what the flags say of the process into the body.

    Raises: InvalidInput: a flag is malformed, or a file cannot be read.
    """
    fill(body, args, FLAGS)
    host = body["HostConfig"]
    body["Env"] = environment(args.env_file, args.env, environ)
    labels = [line for name in args.label_file for line in file_lines(name)]
    body["Labels"] = dict(_label(text) for text in (*labels, *args.label))
    if args.entrypoint is not None:
        # An empty word, which a client cannot mean, stands for no entrypoint at all.
        body["Entrypoint"] = [args.entrypoint]
    host["RestartPolicy"] = _restart(args)
    if args.isolation not in (None, "", "default"):
        raise invalid("--isolation", args.isolation, "there is only `default`", "leave it out")
    streams = attached_streams(args, attached=attached)
    for name in _STREAMS:
        body[f"Attach{name.capitalize()}"] = name in streams
    body["StdinOnce"] = args.interactive and "stdin" in streams


def attached_streams(args: argparse.Namespace, *, attached: bool) -> tuple[str, ...]:
    """The streams that the client attaches to: those of -a, else all that are open.

    Raises: InvalidInput: there is no such stream.
    """
    for name in args.attach:
        if name.lower() not in _STREAMS:
            raise invalid(
                "-a", name, "no such stream", "write stdin, stdout or stderr", "attach-invalid"
            )
    if args.attach:
        return tuple(dict.fromkeys(name.lower() for name in args.attach))
    if not attached:
        return ()
    return _STREAMS if args.interactive else _STREAMS[1:]


def _label(text: str) -> tuple[str, str]:
    if not _LABEL.fullmatch(text):
        raise invalid("--label", text, "it needs a name", "write it as NAME=VALUE")
    return pair(text, "--label")


def _restart(args: argparse.Namespace) -> dict[str, Any]:
    policy = args.restart or "no"
    name, _, count = policy.partition(":")
    if name not in _POLICIES or (count and (name != "on-failure" or not count.isdigit())):
        raise invalid(
            "--restart",
            policy,
            "no such policy",
            "use no, always, on-failure, on-failure:5 or unless-stopped",
            "restart-policy-invalid",
        )
    if args.rm and name != "no":
        raise InvalidInput(
            "--rm and --restart exclude each other",
            code="flags-conflict",
            about="--rm",
            hint="leave one of them out",
        )
    return {"Name": name, "MaximumRetryCount": int(count or 0)}

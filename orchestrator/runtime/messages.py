"""What an OCI runtime's message means. Pure."""

from __future__ import annotations

import json
import re

from orchestrator.errors import Failed, Unavailable

_NOT_FOUND = re.compile(
    r"executable file .*not found|no such file or directory.*exec|exec.*no such file or directory"
    r"|stat .*: no such file",
    re.I | re.S,
)
_NOT_EXECUTABLE = re.compile(
    r"exec.*(permission denied|exec format error|is a directory)|open executable"
    r"|exists but it is not executable|the path .* is not a regular file",
    re.I | re.S,
)

# The steps that may wait for files of the image, and so for its disk.
STARTING = frozenset({"create", "start", "exec"})


def failure(text: str, about: str, step: str) -> Failed:
    """The error for the runtime's output at `step` (create, start, …) of the container `about`.

    Codes command-not-found and command-not-executable say that the command is to blame, others
    are `<step>-failed`.
    """
    message = runtime_message(text) or "the runtime gave no reason"
    if _NOT_FOUND.search(message):
        return Failed(
            message,
            code="command-not-found",
            about=about,
            hint="check the command and the entrypoint against what the image holds",
        )
    if _NOT_EXECUTABLE.search(message):
        return Failed(
            message,
            code="command-not-executable",
            about=about,
            hint="the command must be an executable file for this machine's architecture",
        )
    return Failed(
        message,
        code=f"{step}-failed",
        about=about,
        hint="the message is the OCI runtime's own",
    )


def unanswered(program: str, step: str, about: str, timeout_s: float) -> Unavailable:
    """The error of a runtime that did not end in its time, and was ended."""
    name = program.rpartition("/")[2]
    setting = "runtime_start_timeout_s" if step in STARTING else "runtime_timeout_s"
    return Unavailable(
        f"{name} {step} did not answer within {timeout_s:g} s and was ended",
        code="runtime-timeout",
        about=about,
        hint="look at the kernel's log and for processes in state D (`ps -eo stat,pid,args`);"
        f" a machine that is only slow needs a larger {setting} in the settings",
    )


def runtime_message(text: str) -> str:
    """The runtime's last error without its time stamps and levels."""
    lines = [line for line in (_plain(raw) for raw in text.strip().splitlines()) if line]
    return lines[-1] if lines else ""


def _plain(line: str) -> str:
    line = line.strip()
    if line.startswith("{"):
        try:
            return str(json.loads(line).get("msg", line))
        except ValueError:
            return line
    if found := re.search(r'\bmsg="((?:[^"\\]|\\.)*)"', line):
        line = found[1].replace('\\"', '"').replace("\\\\", "\\")
    # crun begins with the time in ISO form, both may begin with a level.
    line = re.sub(r"^\d{4}-\d\d-\d\dT\S+?Z?:\s+", "", line)
    return re.sub(r"^(ERRO\[\d+\]|error:)\s*", "", line, flags=re.I)

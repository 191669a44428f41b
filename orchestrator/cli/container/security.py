"""`--security-opt`: a seccomp profile is read here and sent whole, because the engine may be unable
to see the caller's files.  Source: Docker's `docker run --security-opt`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from orchestrator.errors import InvalidInput

_NO_FILE = ("unconfined", "builtin", "")


def security_options(given: Iterable[str]) -> list[str]:
    """The options as the engine takes them.

    Raises: InvalidInput: no such file, or not JSON.
    """
    return [_with_profile(option) for option in given]


def _with_profile(option: str) -> str:
    name, separator, value = option.partition("=" if "=" in option else ":")
    if name != "seccomp" or not separator or value in _NO_FILE or value.lstrip().startswith("{"):
        return option
    try:
        with open(os.path.expanduser(value)) as file:
            profile = json.load(file)
    except OSError as error:
        raise InvalidInput(
            f"the seccomp profile {value} cannot be read: {error.strerror}",
            code="seccomp-profile-unreadable",
            about=value,
            hint="write seccomp=FILE, or seccomp=unconfined",
        ) from None
    except ValueError as error:
        raise InvalidInput(
            f"the seccomp profile {value} is not JSON: {error}",
            code="seccomp-invalid",
            about=value,
            hint="its form is Docker's: docs.docker.com/engine/security/seccomp",
        ) from None
    return f"seccomp={json.dumps(profile, separators=(',', ':'))}"

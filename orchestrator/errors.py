"""What can go wrong, by what the caller can do about it.

Every error carries a stable kebab-case `code`, the thing it is `about` and a `hint` that says
what to do next. HTTP statuses and exit codes are not here: the API and the command line have one
table each.
"""

from __future__ import annotations


class PystackError(Exception):
    """The base of every error a user may see; never raised itself."""

    def __init__(self, message: str, *, code: str, about: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.about = about
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class InvalidInput(PystackError):
    """The caller asked for something malformed: mend the request, then ask again."""


class NotFound(PystackError):
    """The thing named does not exist here or at the registry."""


class Conflict(PystackError):
    """The thing is in a state, or the name or port in a use, that forbids the request."""


class Denied(PystackError):
    """Credentials or privileges are missing."""


class Unavailable(PystackError):
    """Something outside pystack does not answer or is not installed: retry or install it."""


class Failed(PystackError):
    """An operation was tried and did not succeed: a build step, a container start, a mount."""


class Unsupported(PystackError):
    """What is asked for is known and not done here, now or later: ask for something else."""

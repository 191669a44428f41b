"""`--cidfile`: a file that takes the id of the container that is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestrator.errors import Conflict, InvalidInput


@contextmanager
def id_file(name: str) -> Iterator[Callable[[str], None]]:
    """A function that writes the id into the file, which is made now; "" names none.

    The file is removed again where no id was written: nothing was made then.

    Raises: Conflict: there is such a file; InvalidInput: it cannot be made.
    Source: Docker's reference, "docker container run", --cidfile.
    """
    if not name:
        yield lambda _: None
        return
    try:
        file = open(name, "x", encoding="utf-8")  # noqa: SIM115  (closed below)
    except FileExistsError:
        raise Conflict(
            f"the container id file {name} exists already",
            code="cidfile-exists",
            about=name,
            hint="see that its container does not run any more, and remove the file",
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"the container id file {name} cannot be made: {error.strerror}",
            code="cidfile-not-made",
            about=name,
            hint="name a file in a directory that exists and may be written",
        ) from None
    written = False

    def write(identifier: str) -> None:
        nonlocal written
        file.write(identifier)
        written = True

    try:
        with file:
            yield write
    finally:
        if not written:
            with suppress(FileNotFoundError):
                os.unlink(name)

"""Variables and labels from flags and files. Reads the files.

Source: Docker's reference, "docker container run", --env and --env-file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from orchestrator.errors import InvalidInput


def environment(
    files: Iterable[str], given: Iterable[str], environ: Mapping[str, str]
) -> list[str]:
    """The variables as `NAME=value`, those of files first.

    A name alone takes its value from `environ`. One that is not there either is left out where a
    file says it; where a flag does, the bare name stays: the container is not to have it.

    Raises: InvalidInput: malformed, or a file cannot be read.
    """
    found = []
    for file in files:
        for line in file_lines(file):
            name, equals, _ = line.partition("=")
            if not name or any(c.isspace() for c in name):
                raise _invalid(line, f"the variable's name in {file} is empty or has a space in it")
            if equals or name in environ:
                found.append(line if equals else f"{name}={environ[name]}")
    for text in given:
        name, equals, _ = text.partition("=")
        if not name:
            raise _invalid(text, "a variable needs a name")
        found.append(text if equals or name not in environ else f"{name}={environ[name]}")
    return found


def file_lines(name: str) -> Iterator[str]:
    """The lines of a file of variables or labels, without comments and empty ones.

    Raises: InvalidInput: it cannot be read, or is not UTF-8.
    """
    try:
        with open(name, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise InvalidInput(
            f"{name} is not a text file in UTF-8",
            code="file-not-text",
            about=name,
            hint="write one NAME=VALUE on each line",
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"{name}: {error.strerror}",
            code="file-unreadable",
            about=name,
            hint="check the name, and that the file may be read",
        ) from None
    for line in text.splitlines():
        if (stripped := line.lstrip()) and not stripped.startswith("#"):
            yield stripped


def _invalid(text: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f"-e {text}: {problem}",
        code="variable-invalid",
        about=text,
        hint="write it as NAME=VALUE, or NAME to hand on this shell's value",
    )

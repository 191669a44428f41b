"""What can be wrong with a template; both say where."""

from __future__ import annotations

from orchestrator.errors import InvalidInput

EXIT_UNREADABLE = 64
_HINT = "see `--format` in the command's --help; {{json .}} shows what there is"


class TemplateError(InvalidInput):
    """A template that cannot be read, or that asks for what is not there.

    `exit_code` is what the command line ends with: Docker's 64 for one that cannot be read.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message, code="template-invalid", about="--format", hint=_HINT)
        self.exit_code = exit_code


def unreadable(text: str, position: int, problem: str) -> TemplateError:
    """The error of a template whose text is wrong at `position`."""
    return TemplateError(
        f"template parsing error: {place(text, position)}: {problem}", exit_code=EXIT_UNREADABLE
    )


def place(text: str, position: int) -> str:
    """Line and column of a position, as Go's messages begin with: `template: :1:7`."""
    before = text[:position]
    line = before.count("\n") + 1
    return f"template: :{line}:{position - (before.rfind(chr(10)) + 1)}"

"""Problems in a Dockerfile: every one names its file and line, and shows the instruction."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.errors import InvalidInput, PystackError

_SHOWN_LINES = 6
_SHOWN_COLUMNS = 160


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a Dockerfile; the line counts from 1. `source` is the instruction as written,
    continuations and here-documents included."""

    file: str
    line: int
    source: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def excerpt(self) -> str:
        """The instruction with its line numbers, as text below a message; "" where unknown."""
        if not self.source:
            return ""
        lines = self.source.split("\n")
        shown = [
            f"\n  {self.line + number:>4} | {line[:_SHOWN_COLUMNS]}"
            for number, line in enumerate(lines[:_SHOWN_LINES])
        ]
        return "".join(shown) + ("\n       | …" if len(lines) > _SHOWN_LINES else "")

    def invalid(self, problem: str, hint: str = "") -> InvalidInput:
        """The error to raise for a mistake at this place."""
        return InvalidInput(
            f"{self}: {problem}{self.excerpt()}",
            code="dockerfile-invalid",
            about=str(self),
            hint=hint or f"mend line {self.line} of {self.file}",
        )

    def failed(self, error: PystackError) -> PystackError:
        """The error of a step at this place, told with the place."""
        return type(error)(
            f"{self}: {error.message}{self.excerpt()}",
            code=error.code,
            about=error.about,
            hint=error.hint,
        )

    def unsupported(self, what: str, hint: str) -> InvalidInput:
        """The error to raise for something right in itself that pystack does not build."""
        return InvalidInput(
            f"{self}: {what} is not supported{self.excerpt()}",
            code="dockerfile-unsupported",
            about=str(self),
            hint=hint,
        )

"""Problems in a Dockerfile: every one names its file and line."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a Dockerfile; the line counts from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def invalid(self, problem: str, hint: str = "") -> InvalidInput:
        """The error to raise for a mistake at this place."""
        return InvalidInput(
            f"{self}: {problem}",
            code="dockerfile-invalid",
            about=str(self),
            hint=hint or f"mend line {self.line} of {self.file}",
        )

    def unsupported(self, what: str, hint: str) -> InvalidInput:
        """The error to raise for something right in itself that pystack cannot build yet."""
        return InvalidInput(
            f"{self}: {what} is not supported",
            code="dockerfile-unsupported",
            about=str(self),
            hint=hint,
        )

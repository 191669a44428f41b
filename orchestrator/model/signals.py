"""Signals by name or number.  Source: signal(7)."""

from __future__ import annotations

import re
import signal

from orchestrator.errors import InvalidInput

_REAL_TIME = re.compile(r"RT(MIN|MAX)([+-]\d+)")
_HIGHEST = 64


def parse_signal(name: str) -> int:
    """The number of a signal given as `TERM`, `SIGTERM`, `RTMIN+3` or `15`.

    Raises: InvalidInput: there is no such signal.
    """
    text = name.upper().removeprefix("SIG")
    number = 0
    if text.isascii() and text.isdigit():
        number = int(text)
    elif found := _REAL_TIME.fullmatch(text):
        number = signal.Signals[f"SIGRT{found[1]}"].value + int(found[2])
    elif f"SIG{text}" in signal.Signals.__members__:
        number = signal.Signals[f"SIG{text}"].value
    if not 0 < number <= _HIGHEST:
        raise InvalidInput(
            f"no such signal: {name}",
            code="no-such-signal",
            about=name,
            hint="`kill -l` lists the signals",
        )
    return number

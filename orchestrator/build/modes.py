"""`--chmod`: an octal mode, or chmod(1)'s symbolic ones, which change a file's own. Pure."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass

_OCTAL = re.compile(r"[0-7]{1,5}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*|[-+=][ugo])+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


class BadModeError(ValueError):
    """Text that is no mode."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What becomes of a file's mode."""

    text: str

    def of(self, mode: int, *, directory: bool) -> int:
        """The permission bits of a file that had `mode`."""
        if _OCTAL.fullmatch(self.text):
            return int(self.text, 8)
        bits = stat.S_IMODE(mode)
        for clause in self.text.split(","):
            match = _CLAUSE.fullmatch(clause)
            assert match is not None
            for sign, what in _ACTION.findall(match[2]):
                bits = _changed(bits, match[1] or "a", sign, what, directory)
        return bits


def read_mode(text: str) -> Mode:
    """The mode that text means.

    Raises: BadModeError.  Source: chmod(1); Dockerfile reference, "COPY --chmod".
    """
    clauses = text.split(",")
    if not _OCTAL.fullmatch(text) and not all(_CLAUSE.fullmatch(clause) for clause in clauses):
        raise BadModeError(f"expected a mode like 755 or u=rwX,go=rX, not {text}")
    return Mode(text)


def _changed(bits: int, classes: str, sign: str, what: str, directory: bool) -> int:
    who = "ugo" if "a" in classes else classes
    asked = _given(bits, what, directory)
    for one in dict.fromkeys(who):
        shift = _SHIFTS[one]
        given = asked << shift
        if sign == "=":
            bits = (bits & ~(7 << shift)) | given
        elif sign == "+":
            bits |= given
        else:
            bits &= ~given
    special = _special(what, who)
    return bits & ~special if sign == "-" else bits | special


def _given(bits: int, what: str, directory: bool) -> int:
    if what in _SHIFTS:
        return (bits >> _SHIFTS[what]) & 7
    found = 0
    for letter in what:
        if letter == "X":
            found |= 1 if directory or bits & 0o111 else 0
        else:
            found |= _BITS.get(letter, 0)
    return found


def _special(what: str, who: str) -> int:
    found = stat.S_ISVTX if "t" in what else 0
    if "s" in what:
        found |= (stat.S_ISUID if "u" in who else 0) | (stat.S_ISGID if "g" in who else 0)
    return found

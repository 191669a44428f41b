"""The keys that take a client off a terminal and leave the container running. Pure."""

from __future__ import annotations

from orchestrator.errors import InvalidInput

DEFAULT = "ctrl-p,ctrl-q"
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def key_bytes(text: str) -> bytes:
    """The bytes that a terminal sends for keys given as `ctrl-p,ctrl-q` or `ctrl-@,x`.

    Raises: InvalidInput: no such key.  Source: Docker's reference, "docker attach", --detach-keys.
    """
    return bytes(_key(word, text) for word in text.split(",")) if text else b""


def _key(word: str, text: str) -> int:
    name = word.lower().removeprefix("ctrl-") if word.lower().startswith("ctrl-") else ""
    if name in _CONTROL:
        return _CONTROL[name]
    if len(name) == 1 and "a" <= name <= "z":
        return ord(name) - ord("a") + 1
    if word.upper() == "DEL":
        return 127
    if not name and len(word) == 1 and word.isascii():
        return ord(word)
    raise InvalidInput(
        f"invalid detach keys {text!r}: there is no key {word!r}",
        code="detach-keys-invalid",
        about=text,
        hint="join keys with commas: a letter, or ctrl- and one of a-z @ [ \\ ] ^ _",
    )


class DetachKeys:
    """Finds the keys in what is typed, however it comes in pieces."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._met = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to hand on, and whether the keys are complete: then nothing after them counts.

        The beginning of the keys is kept back until it is clear that something else follows.
        """
        keys = self._keys
        if not keys or (not self._met and keys[0] not in data):
            return data, False
        passed = bytearray()
        for byte in data:
            if byte != keys[self._met]:
                passed += keys[: self._met]
                self._met = 0
            if byte != keys[self._met]:
                passed.append(byte)
                continue
            self._met += 1
            if self._met == len(keys):
                return bytes(passed), True
        return bytes(passed), False

    def rest(self) -> bytes:
        """What was kept back, now that nothing follows."""
        kept, self._met = self._keys[: self._met], 0
        return kept

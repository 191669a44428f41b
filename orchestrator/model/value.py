"""Frozen dataclasses that are quick to declare, for the modules that a command line imports.

`dataclasses.dataclass` writes five methods for each class as source and compiles them, 0.4 ms a
class; the sixty of a stack took 29 ms of every `up`. Those made here share one set of methods that
go by the fields. They are dataclasses in all else (`fields`, `replace`, `asdict`, type checkers),
and somewhat slower to make an instance of: what is made by the thousand stays with the others.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen, slots, kw_only=False):
        """The decorator of the same name, for frozen classes with slots."""
        if not (frozen and slots):
            raise TypeError("only frozen classes with slots are made here")

        def made(cls):
            for name, method in _METHODS.items():
                setattr(cls, name, method)
            return dataclasses.dataclass(
                cls, init=False, repr=False, eq=False, slots=True, kw_only=kw_only
            )

        return made


__all__ = ["dataclass"]


def _init(self: Any, *args: Any, **given: Any) -> None:
    fields = type(self).__dataclass_fields__
    if args:
        given |= zip(_positional(self, args, given), args, strict=False)
    for name, field in fields.items():
        if name in given:
            value = given.pop(name)
        elif field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        else:
            raise TypeError(f"{type(self).__name__}: missing argument {name!r}")
        object.__setattr__(self, name, value)
    if given:
        raise TypeError(f"{type(self).__name__}: unexpected argument {next(iter(given))!r}")


def _positional(self: Any, args: tuple[Any, ...], given: dict[str, Any]) -> list[str]:
    names = [name for name, f in type(self).__dataclass_fields__.items() if not f.kw_only]
    if len(args) > len(names):
        raise TypeError(f"{type(self).__name__}: takes at most {len(names)} positional arguments")
    if twice := given.keys() & names[: len(args)]:
        raise TypeError(f"{type(self).__name__}: argument {min(twice)!r} is given twice")
    return names


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in type(self).__dataclass_fields__)


def _repr(self: Any) -> str:
    shown = (f.name for f in type(self).__dataclass_fields__.values() if f.repr)
    inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{type(self).__qualname__}({inside})"


def _eq(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _refuse(self: Any, name: str, *_value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"{name!r} of a frozen {type(self).__name__}")


_METHODS = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}

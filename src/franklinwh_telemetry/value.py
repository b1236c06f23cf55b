"""
The base of our immutable values; a dataclass would cost every command half a millisecond at import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn


class Value:
    """An immutable value: its fields are its slots, set once, compared together."""

    __slots__ = ()

    def __init__(self, *fields: object) -> None:
        for name, field in zip(self._names(), fields, strict=True):
            object.__setattr__(self, name, field)

    def _names(self) -> tuple[str, ...]:
        return self.__slots__

    if not TYPE_CHECKING:  # to a type checker, a class with this method has every attribute there could be

        def __setattr__(self, name: str, _: object) -> NoReturn:
            msg = f"{type(self).__name__}.{name} cannot be changed"
            raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self._names())

    def __hash__(self) -> int:
        return hash((type(self).__name__, *(getattr(self, name) for name in self._names())))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names())
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> NoReturn:
        msg = f"{type(self).__name__} is made by its own module only, never copied or unpickled"
        raise TypeError(msg)

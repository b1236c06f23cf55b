"""
The bases of our immutable values: what dataclasses and enums are, without their cost to every command at import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

__all__ = ["Choice", "Value"]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import Enum as Choice
else:

    class _ChoiceType(type):
        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, object]) -> type:
            members = {key: body.pop(key) for key in tuple(body) if key.isupper()}
            return super().__new__(cls, name, bases, {**body, "_values": members, "_made": {}})

        def __getattr__(cls, name: str) -> Choice:
            if name not in cls._values:
                msg = f"{cls.__name__} has no member {name!r}"
                raise AttributeError(msg)
            member = object.__new__(cls)
            object.__setattr__(member, "name", name)
            object.__setattr__(member, "value", cls._values[name])
            member = cls._made.setdefault(name, member)  # of two threads one makes it
            type.__setattr__(cls, name, member)
            return member

        def __iter__(cls) -> Iterator[Choice]:
            return iter([getattr(cls, name) for name in cls._values])

        def __setattr__(cls, name: str, _: object) -> NoReturn:
            msg = f"{cls.__name__}.{name} cannot be changed"
            raise AttributeError(msg)

    class Choice(metaclass=_ChoiceType):
        """
        One of a few named values: to the type checker an `Enum`, and used as one, by its members alone.

        `Enum` itself takes about 80 us a member; here each is made where it is first asked for, and a command that is
        recorded asks for none. There is no look-up by a name or a value.
        """

        __slots__ = ("name", "value")

        def __init__(self, *_: object) -> NoReturn:
            msg = f"{type(self).__name__} has only the members that it lists"
            raise TypeError(msg)

        def __setattr__(self, name: str, _: object) -> NoReturn:
            msg = f"{self!r}.{name} cannot be changed"
            raise AttributeError(msg)

        def __repr__(self) -> str:
            return f"{type(self).__name__}.{self.name}"

        def __reduce__(self) -> tuple[object, ...]:
            return getattr, (type(self), self.name)


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

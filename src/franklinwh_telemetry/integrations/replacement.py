"""
Names of another package that are replaced for a while, each of which gets back exactly what it had.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


@final
class Replacements:
    """What has been replaced so far; `undo` takes it back, the last one first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def attribute(self, owner: object, name: str, new: object) -> None:
        """Let *owner* have *new* as *name*, which may be inherited. What others put over it later is left alone."""
        own = name in vars(owner)
        old = vars(owner).get(name)
        setattr(owner, name, new)

        def undo() -> None:
            if vars(owner).get(name) is not new:
                return
            if own:
                setattr(owner, name, old)
            else:
                delattr(owner, name)

        self._undo.append(undo)

    def everywhere(self, package: str, name: str, old: object, new: object) -> None:
        """Replace *old* by *new* in each module of *package* that has it as *name*, also in those loaded meanwhile."""
        _swap(package, name, old, new)
        self._undo.append(lambda: _swap(package, name, new, old))

    def undo(self) -> None:
        """Give everything back."""
        while self._undo:
            self._undo.pop()()


def _swap(package: str, name: str, old: object, new: object) -> None:
    for module in _modules(package):
        if vars(module).get(name) is old:
            setattr(module, name, new)


def _modules(package: str) -> Iterator[ModuleType]:
    """The package's modules that are loaded: each may have imported a name that is replaced."""
    for name, module in tuple(sys.modules.items()):
        if module is not None and (name == package or name.startswith(package + ".")):
            yield module

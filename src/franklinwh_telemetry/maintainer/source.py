"""
Which files a report is read from: those that are named, those in a folder, or what the sender has kept here.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.backlog import existing_applications, existing_spools
from franklinwh_telemetry.statefolder import check_folder, state_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_IN_A_FOLDER: Final = re.compile(r"\.(?:jsonl|json|ndjson)(?:\.[0-9]+)?(?:\.gz)?\Z")
"""What the Collector and the sender call their files, rotated ones too, and what either may have been packed into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The files to read, in the order of their paths, their size, and what is left out of them and why."""

    paths: tuple[str, ...]
    size_bytes: int
    unreadable: tuple[tuple[str, str], ...] = ()


def find(named: Sequence[str]) -> Source | str:
    """The files that are named, and those below a folder that is; a text that says which of the names is none."""
    found: dict[str, None] = {}
    for name in named:
        path = os.path.abspath(name)
        try:
            kind = os.stat(path).st_mode
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}; name a file of OTLP JSON lines, or a folder of them"
        if stat.S_ISDIR(kind):
            below = list(_below(path))
            if not below:
                return f"{name} holds no file called *.jsonl, *.jsonl.N or *.jsonl.gz; name the files themselves"
            found.update(dict.fromkeys(below))
        elif stat.S_ISREG(kind):
            found[path] = None
        else:
            return f"{name} is neither a file nor a folder; write what it gives into a file first"
    return _of(found)


def own(environ: Mapping[str, str], application: str | None = None) -> Source | str:
    """What the sender has kept on this machine, for *application* or for all; a text where there is nothing."""
    root = state_root(environ)
    if not isinstance(root, str):
        return f"there is no state folder here: {root.value}"
    names = [application] if application is not None else existing_applications(root)
    spools = [spool for name in names for spool in existing_spools(root, name)]
    found = [path for spool in spools if check_folder(spool.folder) is True for path in _below(spool.folder)]
    if not found:
        return (
            f"no event is kept in a file below {root}; "
            "name the files or the folder of a Collector's `file` backend, such as /var/lib/otelcol/spans"
        )
    return _of(found)


def _below(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            if _IN_A_FOLDER.search(name) and os.path.isfile(path):
                yield path


def _of(found: Iterable[str]) -> Source:
    paths, size_bytes, unreadable = [], 0, []
    for path in found:
        try:
            with open(path, "rb") as file:
                size_bytes += os.fstat(file.fileno()).st_size
        except OSError as error:
            unreadable.append((path, error.strerror or type(error).__name__))
        else:
            paths.append(path)
    return Source(paths=tuple(paths), size_bytes=size_bytes, unreadable=tuple(unreadable))

"""
Editing `franklinwh.ini`: one section's keys change, and no other byte, nor mode or owner, moves.
"""

from __future__ import annotations

import os
from configparser import RawConfigParser
from typing import TYPE_CHECKING, final

from franklinwh_telemetry import system
from franklinwh_telemetry.inifile import (
    BOM,
    IniProblem,
    ProblemKind,
    decode,
    irregularity,
    is_telemetry,
    load,
    words_of,
)
from franklinwh_telemetry.inisyntax import snapshot, split_lines
from franklinwh_telemetry.iniwrite import EditRefusal, create, replace
from franklinwh_telemetry.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from franklinwh_telemetry.inifile import Snapshot

    _Changes = Mapping[str, str | None]


@final
class Edited(Value):
    """The file now says what was asked for; `changed` is False where it said so before."""

    __slots__ = ("path", "changed")  # noqa: RUF023 - the order of the fields
    path: str
    changed: bool

    def __init__(self, path: str, changed: bool) -> None:  # noqa: FBT001 - a field
        super().__init__(path, changed)


@final
class EditRefused(Value):
    """Nothing was changed: `lines` are to be written by hand, and the keys in `remove` to be taken out."""

    __slots__ = ("reason", "path", "detail", "lines", "remove")  # noqa: RUF023 - the order of the fields
    reason: EditRefusal
    path: str
    detail: str
    lines: tuple[str, ...]
    remove: tuple[str, ...]

    def __init__(self, reason: EditRefusal, path: str, detail: str, section: str, changes: _Changes) -> None:
        written = tuple(f"{key} = {value}" for key, value in changes.items() if value is not None)
        removed = tuple(key for key, value in changes.items() if value is None)
        super().__init__(reason, path, detail, (f"[{section}]", *written) if written else (), removed)


def edit(path: str, section: str, changes: Mapping[str, str | None]) -> Edited | EditRefused:
    """
    Set the keys in *changes* within one telemetry section, and take out those given as None.

    The section, and the file (mode 0600), are made where they are missing; every other byte, the mode and the owner
    stay. Works on the real path and atomically, or changes nothing and says what to write by hand.
    Raises ValueError for a section, key or value that an ini file of ours cannot hold.
    """
    _check(section, changes)
    real = os.path.realpath(path)

    outcome: bool | tuple[EditRefusal, str]
    try:
        status, data = load(real, irregularity, system.OURS)
    except FileNotFoundError:
        outcome = _make(real, section, changes)
    except NotADirectoryError:
        outcome = EditRefusal.NO_FOLDER, ""
    except OSError as error:
        outcome = EditRefusal.FAILED, words_of(error)
    else:
        outcome = _change(real, status, data, section, changes)
    if isinstance(outcome, bool):
        return Edited(real, changed=outcome)
    reason, detail = outcome
    return EditRefused(reason, real, detail, section, changes)


def _make(path: str, section: str, changes: _Changes) -> bool | tuple[EditRefusal, str]:
    """Write a file that was missing; whether there was anything to write, or why that was refused."""
    text = _edited("", section, changes)
    return (create(path, text.encode()) or True) if text else False


def _change(
    path: str,
    status: os.stat_result,
    data: bytes | IniProblem,
    section: str,
    changes: _Changes,
) -> bool | tuple[EditRefusal, str]:
    """Change a file that is there; whether it had to be, or why that was refused."""
    if isinstance(data, IniProblem):
        irregular = data.kind is ProblemKind.NOT_REGULAR
        return EditRefusal.NOT_REGULAR if irregular else EditRefusal.FAILED, data.detail
    text = decode(data)
    before = snapshot(text)
    if isinstance(before, str):
        return EditRefusal.MALFORMED, before
    changed = _edited(text, section, changes)
    if changed == text:
        return False
    if snapshot(changed) != _expected(before, section, changes):
        return EditRefusal.MALFORMED, "its layout would be read differently afterwards"
    if status.st_nlink > 1:
        return EditRefusal.HARD_LINK, ""
    bom = BOM if data.startswith(BOM) else b""
    return replace(path, status, bom + changed.encode("utf-8", "surrogateescape")) or True


def _check(section: str, changes: _Changes) -> None:
    words = (section, *changes, *(value for value in changes.values() if value is not None))
    if not all(word.isascii() and word.isprintable() and word == word.strip() for word in words):
        msg = "an ini section, key or value of ours is printable ASCII without spaces around it"
        raise ValueError(msg)
    if not is_telemetry(section) or "]" in section:
        msg = "only telemetry sections are ever edited"
        raise ValueError(msg)
    if not all(key.isidentifier() and key == key.lower() for key in changes):
        msg = "a key is lower-case letters, digits and underscores"
        raise ValueError(msg)


def _expected(before: Snapshot, section: str, changes: _Changes) -> Snapshot:
    after = {name: dict(keys) for name, keys in before.items()}
    keys = after.setdefault(section, {})
    for key, value in changes.items():
        if value is None:
            keys.pop(key, None)
        else:
            keys[key] = value
    return after


def _edited(text: str, section: str, changes: _Changes) -> str:
    """The text with the changes made."""
    lines = split_lines(text)
    ending = (_ending(lines[0]) if lines else "") or "\n"
    wanted = dict(changes)
    anchor, indent, below_header = -1, "", False
    for index, current, option, column, value_at in _outline(lines):
        line = lines[index]
        if current != section:
            if below_header:
                indent = line[:column]  # an empty section: what is added must not make this header a continuation
            below_header = False
            continue
        anchor, below_header = index, option is None
        if option is None:
            continue
        if value_at is None:
            lines[index] = "" if option in changes else line
            continue
        indent = line[:column]
        if option in wanted:
            value = wanted.pop(option)
            lines[index] = "" if value is None else _with_value(line, value_at, value)
    rows = "".join(f"{indent}{key} = {value}{ending}" for key, value in wanted.items() if value is not None)
    if not rows:
        return "".join(lines)
    if anchor < 0:
        gap = ending if lines and lines[-1].strip() else ""
        anchor, rows = len(lines) - 1, f"{gap}[{section}]{ending}{rows}"
    head, tail = "".join(lines[: anchor + 1]), "".join(lines[anchor + 1 :])
    return f"{head}{ending if head and not _ending(head) else ''}{rows}{tail}"


def _outline(lines: Sequence[str]) -> Iterator[tuple[int, str | None, str | None, int, int | None]]:
    """
    What each line that is neither blank nor a comment means to `configparser`, by its own two patterns.

    Its number, section, key (None for the header of a section) and indentation, and where its value begins
    (None where the line continues the value above).
    """
    section: str | None = None
    option: str | None = None
    depth = 0
    for index, line in enumerate(lines):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        column = len(line) - len(line.lstrip())
        if option is not None and column > depth:
            yield index, section, option, column, None
            continue
        depth = column
        header = RawConfigParser.SECTCRE.match(stripped)
        if header:
            section, option = header.group("header"), None
            yield index, section, None, column, None
            continue
        key = RawConfigParser.OPTCRE.match(stripped)
        if key:
            option = key.group("option").rstrip().lower()
            yield index, section, option, column, column + key.start("value")


def _ending(line: str) -> str:
    if line.endswith("\r\n"):
        return "\r\n"
    return line[-1] if line.endswith(("\r", "\n")) else ""


def _with_value(line: str, start: int, value: str) -> str:
    ending = _ending(line)
    body = line.removesuffix(ending)
    old = body[start:].strip()
    if old == value:
        return line
    gap = "" if old or body[start - 1].isspace() else " "
    return f"{body[:start]}{gap}{value}{ending}"

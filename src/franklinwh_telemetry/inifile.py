"""
The user's `franklinwh.ini`: its telemetry sections read with suspicion.

The same file holds the account's password, so nothing but the telemetry sections outlives the parsing,
and no message repeats a line of it.
"""

from __future__ import annotations

import os
import stat
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import system
from franklinwh_telemetry.value import Choice, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_INI_BYTES: Final = 1024 * 1024
"""A configuration file is a few hundred bytes; one larger than this is taken for something else."""

_OWN_SECTION: Final = "telemetry"
BOM: Final = b"\xef\xbb\xbf"
_MAX_CACHED: Final = 64


class ProblemKind(Choice):
    """Why a file that is there cannot be believed."""

    UNREADABLE = "it cannot be read"
    NOT_REGULAR = "it is not a regular file"
    TOO_LARGE = "it is larger than 1 MiB"
    WORLD_WRITABLE = "everybody on this machine can write to it"
    FOREIGN_OWNER = "it belongs to another user"
    MALFORMED = "it is not a well-formed ini file"


@final
class IniProblem(Value):
    """A file that is there but cannot be believed; `detail` says what is wrong and repeats none of its text."""

    __slots__ = ("kind", "path", "detail")  # noqa: RUF023 - the order of the fields
    kind: ProblemKind
    path: str
    detail: str

    def __init__(self, kind: ProblemKind, path: str, detail: str) -> None:
        super().__init__(kind, path, detail)


@final
class Ini(Value):
    """
    The telemetry sections of one file, and the real path they were read from.

    `inherited_enabled` is the `enabled` of a `[DEFAULT]` section, which Python's ini files lend to every section;
    nothing else is taken over from there.
    """

    __slots__ = ("path", "sections", "inherited_enabled")  # noqa: RUF023 - the order of the fields
    path: str
    sections: Mapping[str, Mapping[str, str]]
    inherited_enabled: str | None

    def __init__(self, path: str, sections: Mapping[str, Mapping[str, str]], inherited_enabled: str | None) -> None:
        frozen = MappingProxyType({name: MappingProxyType(dict(keys)) for name, keys in sections.items()})
        super().__init__(path, frozen, inherited_enabled)

    def __repr__(self) -> str:
        return f"Ini(path={self.path!r}, sections={sorted(self.sections)!r})"


if TYPE_CHECKING:
    _Identity = tuple[int, int, int, int, int, int, int, int]
    Snapshot = dict[str, dict[str, str]]

_cache: Final[dict[tuple[str, bool], tuple[_Identity, Ini | IniProblem]]] = {}


def section_name(application: str) -> str:
    """The section that speaks for *application*: `telemetry` is franklinwh-cloud's, any other carries its name."""
    return _OWN_SECTION if application == "franklinwh-cloud" else f"{_OWN_SECTION} {application}"


def is_telemetry(section: str) -> bool:
    """Whether *section* is one that this package reads."""
    return section == _OWN_SECTION or section.startswith(f"{_OWN_SECTION} ")


def read(path: str, *, explicit: bool) -> Ini | IniProblem | None:
    """
    The telemetry sections of the file at *path*, what is wrong with it, or None where there is no such file.

    *explicit* says that the user named this file, which may then belong to another user.
    Costs one `stat` while the file stays the same, and a parse when it changed.
    """
    try:
        status = system.uninterrupted(os.stat, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return IniProblem(ProblemKind.UNREADABLE, path, words_of(error))
    known = _cache.get((path, explicit))
    if known is not None and known[0] == identity(status):
        return known[1]
    irregular = irregularity(status, path)
    if irregular is not None:
        return irregular  # merely opening a pipe or a device can do something
    try:
        status, data = load(path, lambda status, path: _problem(status, path, explicit=explicit))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return IniProblem(ProblemKind.UNREADABLE, path, words_of(error))
    result = data if isinstance(data, IniProblem) else _parse(data, path)
    _remember((path, explicit), status, result)
    return result


def _remember(key: tuple[str, bool], status: os.stat_result, result: Ini | IniProblem) -> None:
    # A clock ticks in steps: what changes again within the same step looks unchanged, so a file that
    # changed a moment ago is read once more. Whole seconds are the mark of a file system with long steps.
    step_ns = 2_000_000_000 if status.st_mtime_ns % 1_000_000_000 == 0 else 100_000_000
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < step_ns:
        _cache.pop(key, None)
        return
    if len(_cache) >= _MAX_CACHED:
        _cache.clear()
    _cache[key] = (identity(status), result)


def identity(status: os.stat_result) -> _Identity:
    """What tells one state of a file from another."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
        status.st_uid,
        -1 if system.effective_uid is None else system.effective_uid(),
    )


def irregularity(status: os.stat_result, path: str) -> IniProblem | None:
    """Why a file that is no regular one, or too large, is not read."""
    if stat.S_ISREG(status.st_mode):
        return None
    return IniProblem(ProblemKind.NOT_REGULAR, path, "it is a folder, a pipe, a socket or a device")


def _problem(status: os.stat_result, path: str, *, explicit: bool) -> IniProblem | None:
    irregular = irregularity(status, path)
    if irregular is not None:
        return irregular
    if status.st_size > MAX_INI_BYTES:
        return IniProblem(ProblemKind.TOO_LARGE, path, f"it has {status.st_size} bytes")
    if system.effective_uid is None:
        return None
    if status.st_mode & stat.S_IWOTH:
        return IniProblem(ProblemKind.WORLD_WRITABLE, path, f"its mode is {stat.S_IMODE(status.st_mode):04o}")
    uid = system.effective_uid()
    if not explicit and uid != 0 and status.st_uid not in (uid, 0):
        return IniProblem(ProblemKind.FOREIGN_OWNER, path, f"it belongs to uid {status.st_uid}, this process to {uid}")
    return None


def load(
    path: str,
    refuse: Callable[[os.stat_result, str], IniProblem | None],
    flags: int = 0,
) -> tuple[os.stat_result, bytes | IniProblem]:
    """Open, judge and read a file whose state is the one returned."""
    descriptor = os.open(path, os.O_RDONLY | system.BYTES | system.NO_WAITING | flags)
    try:
        status = os.fstat(descriptor)
        problem = refuse(status, path)
        if problem is not None:
            return status, problem
        data = b""
        while len(data) <= MAX_INI_BYTES and (chunk := os.read(descriptor, 65536)):
            data += chunk
    finally:
        system.close(descriptor)
    if len(data) > MAX_INI_BYTES:
        return status, IniProblem(ProblemKind.TOO_LARGE, path, "it grew while it was read")
    return status, data


def _parse(data: bytes, path: str) -> Ini | IniProblem:
    text = decode(data)
    found: Snapshot | str | None = plain_snapshot(text)
    if found is None:
        from franklinwh_telemetry.inisyntax import snapshot  # noqa: PLC0415 - seldom needed

        found = snapshot(text)
    if isinstance(found, str):
        return IniProblem(ProblemKind.MALFORMED, path, found)
    try:
        real = os.path.realpath(path)
    except OSError as error:
        return IniProblem(ProblemKind.UNREADABLE, path, words_of(error))
    inherited = found.pop("DEFAULT").get("enabled")
    sections = {name: keys for name, keys in found.items() if is_telemetry(name)}
    return Ini(real, sections, inherited)


def decode(data: bytes) -> str:
    """The text of an ini, without a byte order mark; any byte survives the way back."""
    return data.removeprefix(BOM).decode("utf-8", "surrogateescape")


def plain_snapshot(text: str) -> Snapshot | None:
    """
    What `inisyntax.snapshot` finds in a text that has plain lines alone; None for any other.

    It spares most commands `configparser`, which takes a millisecond to load and a sixth of one for its first file.
    Plain are, each from the first column on: a comment, a `[section]`, and a key of ASCII letters, digits and
    underscores with its value. Nothing may be there twice, and lines end in a line feed.
    """
    if "\r" in text or "\0" in text:
        return None
    found: Snapshot = {"DEFAULT": {}}
    keys: dict[str, str] | None = None
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or line[0] in "#;":
            continue
        if line[0] == "[":
            name = stripped[1:-1]
            if stripped[-1] != "]" or not name or "[" in name or "]" in name or name in found:
                return None
            keys = found[name] = {}
            continue
        given = stripped.partition("=")[0].partition(":")[0].rstrip()
        key, rest = given.lower(), stripped[len(given) :].lstrip()
        if keys is None or not rest or line[0].isspace() or key in keys or not (key.isascii() and key.isidentifier()):
            return None
        keys[key] = rest[1:].strip()
    return found


def words_of(error: OSError | ValueError) -> str:
    """What an error says, without anything of the file."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__

"""
The user's `franklinwh.ini`: its telemetry sections read with suspicion, and edited so that no other byte moves.

The same file holds the account's password, so nothing but the telemetry sections outlives the parsing,
and no message repeats a line of it.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn, cast, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MAX_INI_BYTES: Final = 1024 * 1024
"""A configuration file is a few hundred bytes; one larger than this is taken for something else."""

_OWN_SECTION: Final = "telemetry"
_BOM: Final = b"\xef\xbb\xbf"
_MAX_CACHED: Final = 64
_OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO put in the file's place must not hang the command
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NEW_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_effective_uid: Callable[[], int] | None = getattr(os, "geteuid", None)
"""None where files have no POSIX owner and mode (Windows): those two are not looked at there."""


class Value:
    """An immutable value: its fields are its slots, set once, compared together."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *fields: object) -> None:
        for name, field in zip(self.__slots__, fields, strict=True):
            object.__setattr__(self, name, field)

    def __setattr__(self, name: str, _: object) -> NoReturn:
        msg = f"{type(self).__name__}.{name} cannot be changed"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((type(self).__name__, *(getattr(self, name) for name in self.__slots__)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> NoReturn:
        msg = f"{type(self).__name__} is made by its own module only, never copied or unpickled"
        raise TypeError(msg)


class ProblemKind(Enum):
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


class EditRefusal(Enum):
    """Why a file was left exactly as it was."""

    BIND_MOUNTED = "it is mounted into place by itself, so it cannot be replaced"
    READ_ONLY = "its file system is read-only"
    HARD_LINK = "it has a second name (a hard link) that would keep the old text"
    NOT_WRITABLE = "it or its folder cannot be written to"
    NO_FOLDER = "its folder does not exist"
    OWNER = "its owner, group or mode could not be kept"
    MALFORMED = "it is not a well-formed ini file, or not one that can be edited safely"
    NOT_REGULAR = "it is not a regular file"
    CHANGED = "somebody else changed it at the same moment"
    FAILED = "it could not be read or written"


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


if TYPE_CHECKING:
    _Changes = Mapping[str, str | None]
    _Identity = tuple[int, int, int, int, int, int, int, int]
    _Snapshot = dict[str, dict[str, str]]

_cache: Final[dict[tuple[str, bool], tuple[_Identity, Ini | IniProblem]]] = {}


def section_name(application: str) -> str:
    """The section that speaks for *application*: `telemetry` is franklinwh-cloud's, any other carries its name."""
    return _OWN_SECTION if application == "franklinwh-cloud" else f"{_OWN_SECTION} {application}"


def _is_telemetry(section: str) -> bool:
    return section == _OWN_SECTION or section.startswith(f"{_OWN_SECTION} ")


# --- reading


def read(path: str, *, explicit: bool) -> Ini | IniProblem | None:
    """
    The telemetry sections of the file at *path*, what is wrong with it, or None where there is no such file.

    *explicit* says that the user named this file, which may then belong to another user.
    Costs one `stat` while the file stays the same, and a parse when it changed.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return IniProblem(ProblemKind.UNREADABLE, path, _words(error))
    known = _cache.get((path, explicit))
    if known is not None and known[0] == _identity(status):
        return known[1]
    irregular = _irregular(status, path)
    if irregular is not None:
        return irregular  # merely opening a pipe or a device can do something
    try:
        status, data = _load(path, lambda status, path: _problem(status, path, explicit=explicit))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return IniProblem(ProblemKind.UNREADABLE, path, _words(error))
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
    _cache[key] = (_identity(status), result)


def _identity(status: os.stat_result) -> _Identity:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
        status.st_uid,
        -1 if _effective_uid is None else _effective_uid(),
    )


def _irregular(status: os.stat_result, path: str) -> IniProblem | None:
    if stat.S_ISREG(status.st_mode):
        return None
    return IniProblem(ProblemKind.NOT_REGULAR, path, "it is a folder, a pipe, a socket or a device")


def _problem(status: os.stat_result, path: str, *, explicit: bool) -> IniProblem | None:
    irregular = _irregular(status, path)
    if irregular is not None:
        return irregular
    if status.st_size > MAX_INI_BYTES:
        return IniProblem(ProblemKind.TOO_LARGE, path, f"it has {status.st_size} bytes")
    if _effective_uid is None:
        return None
    if status.st_mode & stat.S_IWOTH:
        return IniProblem(ProblemKind.WORLD_WRITABLE, path, f"its mode is {stat.S_IMODE(status.st_mode):04o}")
    uid = _effective_uid()
    if not explicit and uid != 0 and status.st_uid not in (uid, 0):
        return IniProblem(ProblemKind.FOREIGN_OWNER, path, f"it belongs to uid {status.st_uid}, this process to {uid}")
    return None


def _load(
    path: str,
    refuse: Callable[[os.stat_result, str], IniProblem | None],
    flags: int = 0,
) -> tuple[os.stat_result, bytes | IniProblem]:
    descriptor = os.open(path, _OPEN_FLAGS | flags)
    try:
        status = os.fstat(descriptor)
        problem = refuse(status, path)
        if problem is not None:
            return status, problem
        data = b""
        while len(data) <= MAX_INI_BYTES and (chunk := os.read(descriptor, 65536)):
            data += chunk
    finally:
        os.close(descriptor)
    if len(data) > MAX_INI_BYTES:
        return status, IniProblem(ProblemKind.TOO_LARGE, path, "it grew while it was read")
    return status, data


def _parse(data: bytes, path: str) -> Ini | IniProblem:
    snapshot = _snapshot(_decode(data))
    if isinstance(snapshot, str):
        return IniProblem(ProblemKind.MALFORMED, path, snapshot)
    inherited = snapshot.pop("DEFAULT").get("enabled")
    sections = {name: keys for name, keys in snapshot.items() if _is_telemetry(name)}
    return Ini(os.path.realpath(path), sections, inherited)


def _decode(data: bytes) -> str:
    return data.removeprefix(_BOM).decode("utf-8", "surrogateescape")


def _lines(text: str) -> list[str]:
    import io  # noqa: PLC0415 - nothing of this is needed while there is no file

    return list(io.StringIO(text, newline=""))


def _snapshot(text: str) -> _Snapshot | str:
    """Every section with its own keys, `DEFAULT` among them and never lent; or what makes the text malformed."""
    import configparser  # noqa: PLC0415 - costs milliseconds where the host has not loaded it

    if "\0" in text:
        return "it holds NUL bytes: save it as UTF-8 text"
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        parser.read_file(_lines(text))
    except configparser.DuplicateSectionError as error:
        return f"line {error.lineno} opens a section for the second time"
    except configparser.DuplicateOptionError as error:
        return f"line {error.lineno} gives a key for the second time"
    except configparser.MissingSectionHeaderError as error:
        return f"line {error.lineno} stands before any [section]"
    except configparser.Error as error:
        errors = getattr(error, "errors", None)
        line = errors[0][0] if errors else "?"
        return f"line {line} is neither a [section] nor a key with a value"
    lent = cast("dict[str, str]", parser.defaults())
    defaults = dict(lent)
    lent.clear()
    return {"DEFAULT": defaults, **{name: dict(parser.items(name)) for name in parser.sections()}}


def _words(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


# --- editing


def edit(path: str, section: str, changes: Mapping[str, str | None]) -> Edited | EditRefused:
    """
    Set the keys in *changes* within one telemetry section, and take out those given as None.

    The section, and the file (mode 0600), are made where they are missing; every other byte, the mode and the owner
    stay. Works on the real path and atomically, or changes nothing and says what to write by hand.
    Raises ValueError for a section, key or value that an ini file of ours cannot hold.
    """
    _check(section, changes)
    real = os.path.realpath(path)

    def refused(reason: EditRefusal, detail: str = "") -> EditRefused:
        return EditRefused(reason, real, detail, section, changes)

    try:
        status, data = _load(real, _irregular, getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        text = _edited("", section, changes)
        if not text:
            return Edited(real, changed=False)
        failure = _create(real, text.encode())
        return Edited(real, changed=True) if failure is None else refused(*failure)
    except NotADirectoryError:
        return refused(EditRefusal.NO_FOLDER)
    except OSError as error:
        return refused(EditRefusal.FAILED, _words(error))
    if isinstance(data, IniProblem):
        return refused(
            EditRefusal.NOT_REGULAR if data.kind is ProblemKind.NOT_REGULAR else EditRefusal.FAILED,
            data.detail,
        )
    text = _decode(data)
    before = _snapshot(text)
    if isinstance(before, str):
        return refused(EditRefusal.MALFORMED, before)
    changed = _edited(text, section, changes)
    if changed == text:
        return Edited(real, changed=False)
    if _snapshot(changed) != _expected(before, section, changes):
        return refused(EditRefusal.MALFORMED, "its layout would be read differently afterwards")
    if status.st_nlink > 1:
        return refused(EditRefusal.HARD_LINK)
    bom = _BOM if data.startswith(_BOM) else b""
    failure = _replace(real, status, bom + changed.encode("utf-8", "surrogateescape"))
    return Edited(real, changed=True) if failure is None else refused(*failure)


def _check(section: str, changes: _Changes) -> None:
    words = (section, *changes, *(value for value in changes.values() if value is not None))
    if not all(word.isascii() and word.isprintable() and word == word.strip() for word in words):
        msg = "an ini section, key or value of ours is printable ASCII without spaces around it"
        raise ValueError(msg)
    if not _is_telemetry(section) or "]" in section:
        msg = "only telemetry sections are ever edited"
        raise ValueError(msg)
    if not all(key.isidentifier() and key == key.lower() for key in changes):
        msg = "a key is lower-case letters, digits and underscores"
        raise ValueError(msg)


def _expected(before: _Snapshot, section: str, changes: _Changes) -> _Snapshot:
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
    lines = _lines(text)
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
    from configparser import RawConfigParser  # noqa: PLC0415 - only an edit needs it

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


def _create(path: str, data: bytes) -> tuple[EditRefusal, str] | None:
    try:
        descriptor = os.open(path, _NEW_FLAGS, 0o600)
    except FileNotFoundError:
        return EditRefusal.NO_FOLDER, ""
    except FileExistsError:
        return EditRefusal.CHANGED, ""
    except OSError as error:
        return _classify(error)
    try:
        _fill(descriptor, data)
    except OSError as error:
        _discard(path)
        return _classify(error)
    finally:
        os.close(descriptor)
    _sync_folder(os.path.dirname(path))
    return None


def _replace(path: str, status: os.stat_result, data: bytes) -> tuple[EditRefusal, str] | None:
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".franklinwh-telemetry-{os.urandom(8).hex()}.tmp")
    try:
        descriptor = os.open(temporary, _NEW_FLAGS, 0o600)
    except OSError as error:
        return _classify(error)
    try:
        try:
            if not _take_over(descriptor, path, status):
                return EditRefusal.OWNER, ""
            _fill(descriptor, data)
        finally:
            os.close(descriptor)
        if _identity(os.stat(path, follow_symlinks=False)) != _identity(status):
            return EditRefusal.CHANGED, ""
        os.replace(temporary, path)
    except FileNotFoundError:
        return EditRefusal.CHANGED, "it was removed"
    except OSError as error:
        return _classify(error)
    finally:
        _discard(temporary)
    _sync_folder(folder)
    return None


def _take_over(descriptor: int, path: str, status: os.stat_result) -> bool:
    """Give the new file the old one's owner, group, mode and extended attributes (access control lists are some)."""
    if _effective_uid is None:
        return True
    try:
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        if sys.platform == "linux":
            for name in os.listxattr(path):
                if not name.startswith("security."):  # labels come from the folder, by the system's own rules
                    os.setxattr(descriptor, name, os.getxattr(path, name))
    except OSError as error:
        return error.errno == errno.ENOTSUP  # no extended attributes there: the rest has been done
    return True


def _fill(descriptor: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
    os.fsync(descriptor)


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _sync_folder(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return  # Windows opens no folders
    try:
        os.fsync(descriptor)
    except OSError:
        return  # some file systems cannot; the file itself is safe
    finally:
        os.close(descriptor)


def _classify(error: OSError) -> tuple[EditRefusal, str]:
    reasons = {
        errno.EBUSY: EditRefusal.BIND_MOUNTED,
        errno.EROFS: EditRefusal.READ_ONLY,
        errno.EACCES: EditRefusal.NOT_WRITABLE,
        errno.EPERM: EditRefusal.NOT_WRITABLE,
    }
    return reasons.get(error.errno or 0, EditRefusal.FAILED), _words(error)

"""
The syntax of an ini file, as Python's configparser has it, by which the program itself reads the user's.

Loaded for an ini that has more than plain lines, and to edit one: configparser costs milliseconds.
"""

from __future__ import annotations

import configparser
import io
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from franklinwh_telemetry.inifile import Snapshot

_MAX_BLANK_PAIRS: Final = 10_000_000
"""configparser looks at each two blanks of a key: with some thousand of them its patience would be the user's."""


def split_lines(text: str) -> list[str]:
    """The lines with their ends, split where configparser splits them."""
    return list(io.StringIO(text, newline=""))


def snapshot(text: str) -> Snapshot | str:
    """Every section with its own keys, `DEFAULT` among them and never lent; or what makes the text malformed."""
    if "\0" in text:
        return "it holds NUL bytes: save it as UTF-8 text"
    lines = split_lines(text)
    if sum(blanks * blanks for blanks in map(_blanks_in_key, lines)) > _MAX_BLANK_PAIRS:
        return "it holds far more blanks than keys have"
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        parser.read_file(lines)
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


def _blanks_in_key(line: str) -> int:
    line = line.strip()
    key = "" if line[:1] in ("#", ";") else line.partition("=")[0].partition(":")[0].rstrip()
    return len(key) - sum(map(len, key.split()))

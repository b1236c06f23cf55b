"""
An argparse program's vocabulary and grammar, from its own parser.

argparse has no public way to look into a parser: the attributes with an underscore used here are the same from
CPython 3.10 on.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from franklinwh_telemetry.grammar import PARSER, Grammar
from franklinwh_telemetry.integrations.defaults import trimmed, vocabulary_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from franklinwh_telemetry.vocabulary import Vocabulary

_INDENT = "    "
_LINE_CHARS = 95


def vocabulary_of(
    parser: argparse.ArgumentParser,
    commands: Iterable[str] | None = None,
    *,
    until_interrupted: Iterable[str] = (),
    **program: Any,
) -> Vocabulary:
    """
    The vocabulary of the program: *commands*, or else the default list of its grammar.

    *program* are `hoisted_flags`, `hoisted_options` and `value_aliases` of `Grammar`, which no parser can tell.
    """
    return vocabulary_by(grammar_data(parser), commands, until_interrupted=until_interrupted, **program)


def grammar_of(parser: argparse.ArgumentParser, **program: Any) -> Grammar:
    """The grammar of everything the parser accepts, *program* as in `vocabulary_of`."""
    return Grammar.from_data({**grammar_data(parser), **program})


def grammar_data(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The parser as plain data, in the form that `Grammar.from_data` reads; what is the default is left out."""
    keys: dict[int, str] = {}
    subcommands: dict[str, Any] = {}
    options: list[tuple[Any, ...]] = []
    positionals: list[tuple[Any, ...]] = []
    required: list[tuple[str, ...]] = []
    for action in parser._actions:  # noqa: SLF001 - see the module's docstring
        if action.option_strings:
            keys[id(action)] = action.option_strings[0]
            options += _option_rows(action)
            required += [(action.option_strings[0],)] if action.required else []
            continue
        keys[id(action)] = f"<{len(positionals)}>"
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            positionals.append((PARSER,))
            subcommands = {"subcommands": _subcommands(action)}
            subcommands |= {"subcommand_required": True} if action.required else {}
        else:
            positionals.append(trimmed(action.nargs, _choices(action), _kind(action)))
    groups = [
        (group.required, tuple(keys[id(action)] for action in group._group_actions))  # noqa: SLF001
        for group in parser._mutually_exclusive_groups  # noqa: SLF001
    ]
    required += [members for must, members in groups if must]
    found: dict[str, Any] = {
        "options": tuple(options),
        "positionals": tuple(positionals),
        "required": tuple(required),
        "exclusive": tuple(members for _, members in groups if len(members) > 1),
        "file_prefixes": parser.fromfile_prefix_chars,
    }
    found |= {} if parser.prefix_chars == "-" else {"prefixes": parser.prefix_chars}
    data = {key: value for key, value in found.items() if value}
    data |= {} if parser.allow_abbrev else {"abbreviates": False}
    return data | subcommands


def grammar_source(data: Mapping[str, Any]) -> str:
    """The data as a Python literal to be reviewed and kept, one row a line; `ruff format` leaves it as it is."""
    return _source(data, "")


def _subcommands(action: argparse._SubParsersAction[Any]) -> dict[str, Any]:
    names: dict[int, list[str]] = {}
    parsers: dict[int, argparse.ArgumentParser] = {}
    for name, parser in action.choices.items():
        names.setdefault(id(parser), []).append(name)
        parsers[id(parser)] = parser
    return {" ".join(names[key]): grammar_data(parser) for key, parser in parsers.items()}


def _option_rows(action: argparse.Action) -> list[tuple[Any, ...]]:
    """One row an option, but two where one action has a yes and a no (`--color`, `--no-color`)."""
    informs = isinstance(action, (argparse._HelpAction, argparse._VersionAction))  # noqa: SLF001
    if isinstance(action, argparse.BooleanOptionalAction):
        negative = [name for name in action.option_strings if name.startswith("--no-")]
        positive = [name for name in action.option_strings if name not in negative]
        meanings = [names for names in (positive, negative) if names]
    else:
        meanings = [list(action.option_strings)]
    key = action.option_strings[0]
    return [
        trimmed(
            " ".join(names),
            0 if action.nargs == argparse.SUPPRESS else action.nargs,
            _choices(action),
            _kind(action),
            informs,
            "" if key == names[0] else key,
        )
        for names in meanings
    ]


def _choices(action: argparse.Action) -> tuple[str, ...]:
    """The choices as texts; none where the program converts the value first by rules of its own."""
    expected = str if action.type is None else action.type
    if action.choices is None or expected not in (str, int, float):
        return ()
    choices = tuple(action.choices)
    return tuple(map(str, choices)) if all(isinstance(choice, expected) for choice in choices) else ()


def _kind(action: argparse.Action) -> str:
    return "int" if action.type is int else "float" if action.type is float else ""


def _source(value: Any, indent: str) -> str:
    """On one line where that fits, else one item a line."""
    if isinstance(value, dict):
        ends = "{}"
        items = [f"{_quoted(key)}: {_source(item, indent + _INDENT)}" for key, item in value.items()]
    elif isinstance(value, tuple):
        ends = "()"
        items = [_source(item, indent + _INDENT) for item in value]
    else:
        return _quoted(value)
    comma = "," if isinstance(value, tuple) and len(items) == 1 else ""
    line = ends[0] + ", ".join(items) + comma + ends[1]
    if len(indent) + len(line) <= _LINE_CHARS and "\n" not in line:
        return line
    return ends[0] + "\n" + "".join(f"{indent}{_INDENT}{item},\n" for item in items) + indent + ends[1]


def _quoted(value: Any) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else repr(value)

"""
The vocabulary of a program that is known by its grammar, as plain data: what a developer starts from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from franklinwh_telemetry.entry import ROOT
from franklinwh_telemetry.grammar import Grammar
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def vocabulary_by(
    data: Mapping[str, Any],
    commands: Iterable[str] | None,
    *,
    until_interrupted: Iterable[str] = (),
    **program: Any,
) -> Vocabulary:
    """The vocabulary of *commands*, or of the default list, by the grammar of these data and of *program*."""
    grammar = Grammar.from_data({**data, **program})
    return Vocabulary(
        default_commands(grammar) if commands is None else commands,
        grammar=grammar,
        until_interrupted=until_interrupted,
    )


def default_commands(grammar: Grammar) -> tuple[str, ...]:
    """
    Each subcommand path, and each with one flag of its own, in the order of their declaration.

    A program without subcommands has one command, `main`. Options that take values are left to the developer,
    who has to know that their presence answers a question.
    """
    if grammar.subcommands:
        return tuple(_commands_below(grammar, ""))
    return tuple(_with_flags(grammar, ROOT))


def _commands_below(grammar: Grammar, path: str) -> Iterator[str]:
    for name in grammar.subcommands:
        subcommand = grammar.subcommand(name)
        if subcommand is not None:
            yield from _with_flags(subcommand, path + name)
            yield from _commands_below(subcommand, f"{path}{name} ")


def _with_flags(grammar: Grammar, path: str) -> Iterator[str]:
    yield path
    for option in grammar.options:
        if option.nargs == 0 and not option.informs:
            long = (name for name in option.names if len(name) > 1 and name[1] in grammar.prefixes)
            yield f"{path} {next(long, option.names[0])}"


def trimmed(*row: Any) -> tuple[Any, ...]:
    """A row of plain data without the defaults at its end."""
    values = list(row)
    while values and (values[-1] is None or values[-1] is False or values[-1] in ("", ())):
        values.pop()
    return tuple(values)

"""
A click or typer program's vocabulary and grammar, from its own commands.

Nothing is imported from click: newer typers carry a click of their own, and both are looked at alike. What their
parsers take is read off the parsers that they make, whose attributes with an underscore are the same from click 8.0 on.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from franklinwh_telemetry.grammar import CLICK, PARSER
from franklinwh_telemetry.integrations.defaults import trimmed, vocabulary_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from franklinwh_telemetry.vocabulary import Vocabulary

_KINDS = {"IntParamType": "int", "FloatParamType": "float"}

_COMPLETING = frozenset({"--install-completion", "--show-completion"})
"""What typer adds to every program, and what ends it like help."""


def vocabulary_of(
    program: Any,
    commands: Iterable[str] | None = None,
    *,
    until_interrupted: Iterable[str] = (),
    **rest: Any,
) -> Vocabulary:
    """
    The vocabulary of a `click.Command` or a `typer.Typer`: *commands*, or else the default list of its grammar.

    *rest* is `value_aliases` of `Grammar`, which no command can tell. Names and values that a `token_normalize_func`
    makes alike are told apart; other spellings than the declared ones are `other`.
    """
    return vocabulary_by(grammar_data(program), commands, until_interrupted=until_interrupted, **rest)


def grammar_data(program: Any) -> dict[str, Any]:
    """The program as plain data, in the form that `Grammar.from_data` reads; what is the default is left out."""
    if hasattr(program, "add_typer"):
        program = sys.modules["typer"].main.get_command(program)
    return _level(program, None, {}) | {"reads_like": CLICK}


def _level(command: Any, parent: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """One command, and everything below it."""
    settings = {**command.context_settings, **settings}
    context = command.context_class(command, info_name=command.name, parent=parent, **settings)
    parser = command.make_parser(context)
    positionals = [_positional(argument) for argument in parser._args]  # noqa: SLF001 - see the module's docstring
    data: dict[str, Any] = {
        "options": tuple(_options(command, context, parser)),
        "interspersed": parser.allow_interspersed_args,
        "ignores_unknown": parser.ignore_unknown_options,
        "informs_when_empty": bool(command.no_args_is_help),
        "prefixes": "".join(sorted({prefix[0] for prefix in parser._opt_prefixes})),  # noqa: SLF001
    }
    if hasattr(command, "list_commands"):
        positionals.append((PARSER,))
        data["subcommands"] = _subcommands(command, context)
        data["subcommand_required"] = not command.invoke_without_command
    data["positionals"] = tuple(positionals)
    usual = {"interspersed": True, "prefixes": "-"}
    return {key: value for key, value in data.items() if value != usual.get(key, False) and value != ()}


def _subcommands(group: Any, context: Any) -> dict[str, Any]:
    """The subcommands by their names; one that is registered twice is one with an alias."""
    # A chain's commands leave what follows their own arguments to the next one.
    settings = {"allow_interspersed_args": False, "allow_extra_args": True} if getattr(group, "chain", False) else {}
    declared = [name for name in getattr(group, "commands", ()) if isinstance(name, str)]
    names: dict[int, list[str]] = {}
    commands: dict[int, Any] = {}
    for name in dict.fromkeys([*declared, *group.list_commands(context)]):
        command = group.get_command(context, name)
        if command is not None:
            names.setdefault(id(command), []).append(name)
            commands[id(command)] = command
    return {" ".join(names[key]): _level(command, context, settings) for key, command in commands.items()}


def _options(command: Any, context: Any, parser: Any) -> Iterable[tuple[Any, ...]]:
    """One row an option, but two where one has a yes and a no (`--color/--no-color`)."""
    names: dict[int, list[str]] = {}
    options: dict[int, Any] = {}
    for name, option in {**parser._long_opt, **parser._short_opt}.items():  # noqa: SLF001
        names.setdefault(id(option), []).append(name)
        options[id(option)] = option
    informing = _COMPLETING.union(command.get_help_option_names(context))
    parameters = command.get_params(context)
    for key in sorted(options, key=lambda key: parameters.index(options[key].obj)):
        option, parameter = options[key], options[key].obj
        is_eager_flag = not option.takes_value and parameter.is_eager and not parameter.expose_value
        informs = is_eager_flag or not informing.isdisjoint(names[key])
        first = next(iter(names[key] for key in options if options[key].obj is parameter))[0]
        row = [" ".join(names[key]), _nargs(option), _choices(parameter), _kind(parameter), informs]
        yield trimmed(*row, "" if first == names[key][0] else first)


def _nargs(option: Any) -> int | str | None:
    if not option.takes_value:
        return 0
    if getattr(option.obj, "_flag_needs_value", False):
        return "?"
    return None if option.nargs == 1 else int(option.nargs)


def _positional(argument: Any) -> tuple[Any, ...]:
    parameter = argument.obj
    if argument.nargs == 1:
        nargs: int | str | None = None if parameter.required else "?"
    elif argument.nargs < 0:
        nargs = "+" if parameter.required else "*"
    else:
        nargs = argument.nargs
    return trimmed(nargs, _choices(parameter), _kind(parameter))


def _choices(parameter: Any) -> tuple[str, ...]:
    """The choices as texts; none where other spellings of them are taken too."""
    kind: Any = getattr(parameter, "type", None)
    if type(kind).__name__ != "Choice" or not kind.case_sensitive:
        return ()
    choices = tuple(kind.choices)
    return choices if all(isinstance(choice, str) for choice in choices) else ()


def _kind(parameter: Any) -> str:
    return _KINDS.get(type(getattr(parameter, "type", None)).__name__, "")

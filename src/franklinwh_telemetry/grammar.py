"""
A program's command line as plain data: its options with their arity, its positionals, its subcommands.

Nothing here imports argparse or runs the program; `reading` reads lines by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Data = Mapping[str, Any]
    Nargs = int | str | None
    Interpretation = tuple["Option", str, str, str | None]

REMAINDER: Final = "..."
PARSER: Final = "A..."

ARGPARSE: Final = "argparse"
CLICK: Final = "click"


class Option:
    """
    One option: its names, how many values it takes, and which.

    `nargs` is argparse's, 0 for a flag; `kind` is `int`, `float` or empty for any text; `informs` marks help and
    version; options that share a `key` are one to argparse (`--color` and `--no-color`), the first name unless given.
    """

    __slots__ = ("choices", "informs", "key", "kind", "names", "nargs")

    def __init__(
        self,
        names: Sequence[str],
        nargs: Nargs = None,
        choices: Sequence[str] = (),
        kind: str = "",
        informs: bool = False,  # noqa: FBT001, FBT002 - positional so that a row of plain data is an option
        key: str = "",
    ) -> None:
        self.names = tuple(names)
        self.nargs = nargs
        self.choices = choices
        self.kind = kind
        self.informs = informs
        self.key = key or self.names[0]


class Positional:
    """One positional argument; `nargs` is argparse's, and `A...` is where the subcommand stands."""

    __slots__ = ("choices", "kind", "nargs")

    def __init__(self, nargs: Nargs = None, choices: Sequence[str] = (), kind: str = "") -> None:
        self.nargs = nargs
        self.choices = choices
        self.kind = kind


class Grammar:
    """
    The options, positionals and subcommands of a program, or of one of its subcommands.

    `required` are groups of option keys of which one must be given, `exclusive` groups of which one may be; a
    positional stands in them by its place, `<0>`. `aliases` lead from a subcommand's other names to its first.
    On the outermost grammar only: `hoisted_flags` and `hoisted_options` are the words which the program itself
    moves in front of its subcommand before argparse sees them (the latter with the word that follows), and
    `value_aliases` the spellings of a value by subcommands and option: `{"mode --set": {"2": "self_consumption"}}`.

    `reads_like` says whose rules the line is read by, `argparse` or `click`. For click only: whether options may
    stand behind the first positional (`interspersed`), whether unknown ones are passed on as words
    (`ignores_unknown`), and whether nothing at all asks for help (`informs_when_empty`).
    """

    __slots__ = (
        "_by_name",
        "_negative_options",
        "_subcommands",
        "abbreviates",
        "aliases",
        "exclusive",
        "file_prefixes",
        "hoisted_flags",
        "hoisted_options",
        "ignores_unknown",
        "informs_when_empty",
        "interspersed",
        "options",
        "positionals",
        "prefixes",
        "reads_like",
        "required",
        "subcommand_required",
        "value_aliases",
    )

    def __init__(
        self,
        *,
        options: Iterable[Option] = (),
        positionals: Iterable[Positional] = (),
        subcommands: Mapping[str, Grammar | Data] | None = None,
        aliases: Mapping[str, str] | None = None,
        subcommand_required: bool = False,
        required: Sequence[Sequence[str]] = (),
        exclusive: Sequence[Sequence[str]] = (),
        prefixes: str = "-",
        file_prefixes: str = "",
        abbreviates: bool = True,
        hoisted_flags: Iterable[str] = (),
        hoisted_options: Iterable[str] = (),
        value_aliases: Mapping[str, Mapping[str, str]] | None = None,
        reads_like: str = ARGPARSE,
        interspersed: bool = True,
        ignores_unknown: bool = False,
        informs_when_empty: bool = False,
    ) -> None:
        self.options = tuple(options)
        self.positionals = tuple(positionals)
        self._subcommands = dict(subcommands or ())
        self.aliases = aliases or {}
        self.subcommand_required = subcommand_required
        self.required = required
        self.exclusive = exclusive
        self.prefixes = prefixes
        self.file_prefixes = file_prefixes
        self.abbreviates = abbreviates
        self.hoisted_flags = frozenset(hoisted_flags)
        self.hoisted_options = frozenset(hoisted_options)
        self.value_aliases = value_aliases or {}
        self.reads_like = reads_like
        self.interspersed = interspersed
        self.ignores_unknown = ignores_unknown
        self.informs_when_empty = informs_when_empty
        self._by_name = {name: option for option in self.options for name in option.names}
        self._negative_options = any(map(_like_a_negative_number, self._by_name))

    @classmethod
    def from_data(cls, data: Data) -> Grammar:
        """
        A grammar from nested dicts and rows of texts and numbers, as JSON or a Python literal can hold them.

        An option is the row `[names separated by spaces, nargs, choices, kind, informs, key]`, a positional
        `[nargs, choices, kind]`, both as short as the defaults allow; a subcommand's key is its name and its
        aliases, separated by spaces, and its data are turned into a grammar when it is first asked for. All other
        keys are the arguments of `Grammar`.
        """
        fields = dict(data)
        options = [Option(names.split(" "), *rest) for names, *rest in fields.pop("options", ())]
        positionals = [Positional(*row) for row in fields.pop("positionals", ())]
        subcommands: dict[str, Data] = {}
        aliases: dict[str, str] = {}
        for names, level in fields.pop("subcommands", {}).items():
            name, *others = names.split(" ")
            subcommands[name] = level
            for other in others:
                aliases[other] = name
        return cls(options=options, positionals=positionals, subcommands=subcommands, aliases=aliases, **fields)

    @property
    def subcommands(self) -> tuple[str, ...]:
        """The first names of the subcommands, in the order of their declaration."""
        return tuple(self._subcommands)

    def subcommand(self, name: str) -> Grammar | None:
        """The grammar of the subcommand with this first name, if there is one."""
        level = self._subcommands.get(name)
        if level is not None and not isinstance(level, Grammar):
            level = self._subcommands[name] = Grammar.from_data(level)
        return level

    def option(self, name: str) -> Option | None:
        """The option of this very name, if there is one on this level."""
        return self._by_name.get(name)

    def interpretations(self, word: str) -> list[Interpretation] | None:
        """
        The options that *word* can mean, each with the name, the separator and the value found in it.

        None where it is a positional, nothing where it is an option that does not exist, several where it is ambiguous.
        """
        if not word or word[0] not in self.prefixes:
            return None
        option = self._by_name.get(word)
        if option is not None:
            return [(option, word, "", None)]
        if len(word) == 1:
            return None
        name, equals, value = word.partition("=")
        if equals and name in self._by_name:
            return [(self._by_name[name], name, equals, value)]
        found = self._abbreviated(word, name, equals, value if equals else None)
        if not found and ((_like_a_negative_number(word) and not self._negative_options) or " " in word):
            return None
        return found

    def _abbreviated(self, word: str, start: str, equals: str, value: str | None) -> list[Interpretation]:
        if word[1] in self.prefixes:
            if not self.abbreviates:
                return []
            return [(option, name, equals, value) for name, option in self._by_name.items() if name.startswith(start)]
        found: list[Interpretation] = []
        for name, option in self._by_name.items():
            if name == word[:2]:
                found.append((option, name, "", word[2:]))
            elif self.abbreviates and name.startswith(start):
                found.append((option, name, equals, value))
        return found


def acceptable(value: str, choices: Sequence[str], kind: str) -> bool:
    """Whether an option or positional of these *choices* and this *kind* takes the value."""
    if kind:
        try:
            value = str(int(value) if kind == "int" else float(value))
        except ValueError:
            return False
    return not choices or value in choices


def all_acceptable(values: Sequence[str], argument: Option | Positional) -> bool:
    """Whether the argument takes each of the values."""
    return all(acceptable(value, argument.choices, argument.kind) for value in values)


def _like_a_negative_number(word: str) -> bool:
    if word[:1] != "-":
        return False
    whole, point, fraction = word[1:].removesuffix("\n").partition(".")
    return (fraction.isdecimal() and (not whole or whole.isdecimal())) if point else whole.isdecimal()

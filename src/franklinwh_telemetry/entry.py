"""
One entry of a vocabulary, taken apart: what a line must have to be this command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.grammar import PARSER, acceptable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from franklinwh_telemetry.grammar import Grammar, Option
    from franklinwh_telemetry.reading import Reading

ROOT: Final = "main"
"""The first word of the commands of a program that has no subcommands."""

_NO_SPELLINGS: Final[Mapping[str, str]] = {}


def candidates(texts: Iterable[str], reading: Reading, grammar: Grammar) -> Iterator[str]:
    """Those of a subcommand's entries whose options the line has all given; the others need not be taken apart."""
    level = grammar
    for name in reading.path:
        level = level.subcommand(name) or level
    for text in texts:
        if all(token in reading.given for token in text.split(" ") if token[0] in level.prefixes):
            yield text


def entries_by_word(texts: Iterable[str], grammar: Grammar) -> dict[str, dict[tuple[str, ...], list[Entry]]]:
    """As `entries_by_path`, for each first word."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text.partition(" ")[0], []).append(text)
    return {word: entries_by_path(group, grammar) for word, group in groups.items()}


def entries_by_path(texts: Iterable[str], grammar: Grammar) -> dict[tuple[str, ...], list[Entry]]:
    """
    The entries of each subcommand, those that ask for the most first, else in the order of the list.

    Raises ValueError, in one line, for a text that the grammar cannot produce and for two that are the same command.
    """
    by_path: dict[tuple[str, ...], list[Entry]] = {}
    texts_seen: dict[tuple[object, ...], str] = {}
    for text in texts:
        entry = Entry(text, grammar)
        first = texts_seen.setdefault(entry.identity(), text)
        if first is not text:
            raise ValueError(f"{text!r} is the same command as {first!r}")
        by_path.setdefault(entry.path, []).append(entry)
    for entries in by_path.values():
        entries.sort(key=Entry.rank)
    return by_path


def check_texts(texts: Iterable[object], max_chars: int) -> None:
    """Raise ValueError, in one line, for the first that is no text of a command, whatever the grammar is."""
    for text in texts:
        _check_text(text, max_chars)


def _check_text(text: object, max_chars: int) -> None:
    if not isinstance(text, str) or not text:
        message = "a command is a text and not empty"
    elif len(text) > max_chars:
        message = f"{text[:40]!r}... is longer than {max_chars} characters"
    elif any(_is_control(character) for character in text):
        message = f"{text!r} has control characters"
    elif text[0] == " " or text[-1] == " " or "  " in text:
        message = f"{text!r} has surplus spaces"
    else:
        return
    raise ValueError(message)


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff"


class Entry:
    """
    What a line must have to be the command of this text.

    `options` holds for each option, by its first name, the name used here and the value, if one is listed; `words`
    the place and the value of each listed positional.
    """

    __slots__ = ("_keys", "_spellings", "options", "path", "text", "words")

    def __init__(self, text: str, grammar: Grammar) -> None:
        self.text = text
        self.options: dict[str, tuple[str, str | None]] = {}
        self.words: list[tuple[int, str]] = []
        self._keys: set[str] = set()
        self._spellings: dict[str, Mapping[str, str]] = {}
        tokens = text.split(" ")
        levels = [grammar]
        depth = 0
        while levels[-1].subcommands and depth < len(tokens) and tokens[depth][0] not in levels[-1].prefixes:
            levels.append(self._subcommand(levels[-1], tokens[depth]))
            depth += 1
        if not depth:
            if grammar.subcommands or tokens[0] != ROOT:
                raise self._refusal("does not begin with a subcommand" if grammar.subcommands else f"is not {ROOT!r}")
            depth = 1
        self.path = tuple(tokens[:depth]) if grammar.subcommands else ()
        while depth < len(tokens):
            depth = self._argument(levels, tokens, depth)
        if any(len(self._keys.intersection(group)) > 1 for level in levels for group in level.exclusive):
            raise self._refusal("combines arguments that exclude each other")

    def rank(self) -> int:
        """Sorts the entry that asks for the most first."""
        values = [value for _, value in self.options.values() if value is not None]
        return -(len(self.options) + len(values) + len(self.words))

    def identity(self) -> tuple[object, ...]:
        """Equal for two entries that no line could tell apart."""
        return self.path, frozenset([(name, value) for name, (_, value) in self.options.items()]), tuple(self.words)

    def is_in(self, reading: Reading) -> bool:
        """Whether the line has all that this entry asks for."""
        for name, value in self.options.values():
            given = reading.given.get(name)
            if given is None or (value is not None and not _has(given, value, self._spellings[name])):
                return False
        return all(_has(reading.words.get(place, ()), value, _NO_SPELLINGS) for place, value in self.words)

    def _subcommand(self, level: Grammar, name: str) -> Grammar:
        if name in level.aliases:
            raise self._refusal(f"uses an alias, list {level.aliases[name]!r}")
        subcommand = level.subcommand(name)
        if subcommand is None:
            raise self._refusal(f"has no subcommand {name!r}")
        return subcommand

    def _argument(self, levels: list[Grammar], tokens: list[str], at: int) -> int:
        """Take the option, with its value, or the positional at this place; the place after it."""
        token = tokens[at]
        if token[0] not in levels[-1].prefixes:
            place = len(self.words)
            if place >= len(levels[-1].positionals) or levels[-1].positionals[place].nargs == PARSER:
                raise self._refusal(f"has no place for {token!r}")
            positional = levels[-1].positionals[place]
            if not acceptable(token, positional.choices, positional.kind):
                raise self._refusal(f"cannot have the value {token!r}")
            self.words.append((place, _canonical(token, _NO_SPELLINGS)))
            self._keys.add(f"<{place}>")
            return at + 1
        option = self._option(levels, token)
        value = tokens[at + 1] if option.nargs != 0 and at + 1 < len(tokens) else None
        if value is None or value[0] in levels[-1].prefixes:
            self.options[option.names[0]] = (token, None)
            return at + 1
        if not acceptable(value, option.choices, option.kind):
            raise self._refusal(f"cannot have the value {value!r}")
        spellings = levels[0].value_aliases.get(" ".join((*self.path, token)), _NO_SPELLINGS)
        self._spellings[token] = spellings
        self.options[option.names[0]] = (token, _canonical(value, spellings))
        return at + 2

    def _option(self, levels: list[Grammar], name: str) -> Option:
        option = None
        for level in reversed(levels):
            option = option or level.option(name)
        if option is None:
            raise self._refusal(f"has no option {name!r}")
        if option.informs:
            raise self._refusal("asks for help or version, which is never recorded")
        if option.names[0] in self.options:
            raise self._refusal(f"has {name!r} twice")
        self._keys.add(option.key)
        return option

    def _refusal(self, reason: str) -> ValueError:
        return ValueError(f"{self.text!r} {reason}")


def _has(given: Iterable[str], value: str, spellings: Mapping[str, str]) -> bool:
    """Whether one of the given values is this one, in any of its spellings."""
    return any(_canonical(text, spellings) == value for text in given)


def _canonical(value: str, spellings: Mapping[str, str]) -> str:
    """One form for the spellings of a value that a program takes for the same."""
    plain = value.casefold().replace("-", "_").replace(" ", "_")
    return spellings.get(plain, plain)

"""
How click, and typer with it, would read a line, by a `Grammar` and without click.

Unlike argparse, click takes the word behind an option for its value whatever it looks like, knows no abbreviations,
and reads a group's options only in front of its subcommand. What it would find out after parsing, such as a missing
argument, is not looked for: it cannot change which command it is. Of a chain of commands the first one counts.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from franklinwh_telemetry.grammar import PARSER, all_acceptable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from franklinwh_telemetry.grammar import Grammar, Option, Positional
    from franklinwh_telemetry.reading import Reading

_REST = -1


def read_all(grammar: Grammar, words: Sequence[str], reading: Reading) -> bool:
    """Fill in the *reading*; whether click would get as far as a command, without an error or a help text."""
    while True:
        left = _Level(grammar, words).read(reading)
        if left is None or not grammar.subcommands:
            return left is not None
        if not left:
            return not grammar.subcommand_required
        name = grammar.aliases.get(left[0], left[0])
        subcommand = grammar.subcommand(name)
        if subcommand is None:
            if not left[0][:1].isalnum():
                _Level(grammar, left).read(reading)  # click, too, looks whether it is an option after all
            return False
        reading.path += (name,)
        reading.words.clear()
        grammar, words = subcommand, left[1:]


class _Level:
    """The words of one command, or of one group and everything below it."""

    __slots__ = ("_grammar", "_long", "_marks", "_rest", "_short", "_taken")

    def __init__(self, grammar: Grammar, words: Sequence[str]) -> None:
        self._grammar = grammar
        self._rest = deque(words)
        self._long: dict[str, Option] = {}
        self._short: dict[str, Option] = {}
        self._marks = {"--"}
        self._taken: list[tuple[Option, list[str]]] = []
        for option in grammar.options:
            for name in option.names:
                mark = name[:2] if name[1:2] == name[:1] else name[:1]
                self._marks.add(mark)
                (self._short if len(mark) == 1 and len(name) == 2 else self._long)[name] = option  # noqa: PLR2004

    def read(self, reading: Reading) -> list[str] | None:
        """Note all that is given here; the words that are left, or None where click ends with an error or a help."""
        if self._grammar.informs_when_empty and not self._rest:
            reading.informed = True
            return None
        left = self._take_options()
        for option, values in self._taken:
            for name in option.names:
                reading.given.setdefault(name, []).extend(values)
        if left is not None and any(option.informs for option, _ in self._taken):
            reading.informed = True
            return None
        if left is None or not all(all_acceptable(values, option) for option, values in self._taken):
            return None
        return self._fill(left, reading.words)

    def _take_options(self) -> list[str] | None:
        """Take them with their values; the words that are left, or None for an unknown one or a missing value."""
        left: list[str] = []
        while self._rest:
            word = self._rest.popleft()
            if word == "--":
                break
            if len(word) > 1 and word[0] in self._grammar.prefixes:
                if not self._take(word, left):
                    return None
            elif self._grammar.interspersed:
                left.append(word)
            else:
                self._rest.appendleft(word)
                break
        return left + list(self._rest)

    def _fill(self, left: list[str], words: dict[int, list[str]]) -> list[str] | None:
        """Give the words to the positionals, note them by place, and return those that nobody takes."""
        positionals = [positional for positional in self._grammar.positionals if positional.nargs != PARSER]
        shares, surplus = _distributed(left, [_count(positional) for positional in positionals])
        for place, values in enumerate(shares):
            if not all_acceptable(values, positionals[place]):
                return None
            if values:
                words[place] = values
        return surplus

    def _take(self, word: str, left: list[str]) -> bool:
        """Take the option or the bundle of options that a word is, with what belongs to it."""
        name, equals, value = word.partition("=")
        option = self._long.get(name)
        if option is not None:
            if equals and option.nargs == 0:
                return False
            if equals:
                self._rest.appendleft(value)
            return self._note(option)
        if word[:2] in self._marks:
            left.append(word)
            return self._grammar.ignores_unknown
        return self._take_bundle(word, left)

    def _take_bundle(self, word: str, left: list[str]) -> bool:
        unknown = ""
        for index, letter in enumerate(word[1:], 2):
            option = self._short.get(word[0] + letter)
            if option is None:
                if not self._grammar.ignores_unknown:
                    return False
                unknown += letter
                continue
            takes_rest = option.nargs != 0 and index < len(word)
            if takes_rest:
                self._rest.appendleft(word[index:])
            if not self._note(option):
                return False
            if takes_rest:
                break
        if unknown:
            left.append(word[0] + unknown)
        return True

    def _note(self, option: Option) -> bool:
        """Note an option with its values, the next words; whether there are enough."""
        count = _count(option) if option.nargs != 0 else 0
        if option.nargs == "?" and (not self._rest or self._looks_like_option(self._rest[0])):
            count = 0
        if len(self._rest) < count:
            return False
        self._taken.append((option, [self._rest.popleft() for _ in range(count)]))
        return True

    def _looks_like_option(self, word: str) -> bool:
        return len(word) > 1 and word[0] in self._grammar.prefixes


def _count(argument: Option | Positional) -> int:
    """How many words it takes; -1 for all that are left."""
    if isinstance(argument.nargs, int):
        return argument.nargs
    return _REST if argument.nargs in ("*", "+") else 1


def _distributed(words: list[str], counts: list[int]) -> tuple[list[list[str]], list[str]]:
    """What each positional gets, and the surplus; those behind one that takes all are given theirs from the back."""
    whole = counts.index(_REST) if _REST in counts else len(counts)
    shares: list[list[str]] = []
    start, stop = 0, len(words)
    for count in counts[:whole]:
        shares.append(words[start : start + count])
        start = min(start + count, stop)
    if whole == len(counts):
        return shares, words[start:]
    behind: list[list[str]] = []
    for count in reversed(counts[whole + 1 :]):
        behind.insert(0, words[max(start, stop - count) : stop])
        stop = max(start, stop - count)
    return [*shares, words[start:stop], *behind], []

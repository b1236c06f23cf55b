"""
How argparse would read a line, by a `Grammar` and without argparse; click's rules are in `clickreading`.

It follows argparse's own algorithm, and its newest releases where they differ: an abbreviation that fits two options
is refused where it is used, and a `--` in front of a subcommand is passed over. More lenient on purpose: words that
nothing asks for are passed over, as they cannot change which command it is, and only conversions to `int` and `float`
can fail. It never raises: what argparse would refuse is a `Reading` that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.grammar import CLICK, PARSER, REMAINDER, all_acceptable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from franklinwh_telemetry.grammar import Grammar, Interpretation, Nargs, Option, Positional

_LEAST: Final = {None: 1, "?": 0, "*": 0, "+": 1, REMAINDER: 0, PARSER: 1}


class Reading:
    """
    What one line says.

    `path` are the subcommands by their first names, `given` the values by every name of each option that was
    given on any level, `words` the values of the innermost subcommand's positionals by their place.
    `rejected` where argparse would end with an error, `informed` where it would first print help or a version;
    the rest then tells what was read until there.
    """

    __slots__ = ("given", "informed", "path", "rejected", "words")

    def __init__(self) -> None:
        self.path: tuple[str, ...] = ()
        self.given: dict[str, list[str]] = {}
        self.words: dict[int, list[str]] = {}
        self.rejected = False
        self.informed = False


def read(grammar: Grammar, argv: Sequence[str]) -> Reading:
    """Read the words of a line, without the program's own name, as the program would."""
    reading = Reading()
    words = _hoist(grammar, argv) if grammar.hoisted_flags or grammar.hoisted_options else argv
    if grammar.reads_like == CLICK:
        from franklinwh_telemetry.clickreading import read_all  # noqa: PLC0415 - only for click's programs

        is_complete = read_all(grammar, words, reading)
    else:
        is_complete = _Level(grammar, words, reading).read()
    if not is_complete:
        reading.rejected = not reading.informed
    return reading


def _hoist(grammar: Grammar, argv: Sequence[str]) -> list[str]:
    """
    Move what the program lifts in front of its subcommand.

    The first word that does not begin with a dash counts as the subcommand, even where it is a value.
    """
    lifted: list[str] = []
    kept: list[str] = []
    subcommand_seen = False
    index = 0
    while index < len(argv):
        word = argv[index]
        index += 1
        if not subcommand_seen:
            kept.append(word)
            subcommand_seen = not word.startswith("-")
        elif word in grammar.hoisted_flags:
            lifted.append(word)
        elif word in grammar.hoisted_options and index < len(argv):
            lifted += (word, argv[index])
            index += 1
        else:
            kept.append(word)
    return lifted + kept


class _Level:
    """One parser at work on its words: argparse's loop, in which positionals and options take turns."""

    __slots__ = ("found", "grammar", "keys", "pattern", "reading", "taken", "unknown", "words")

    def __init__(self, grammar: Grammar, words: Sequence[str], reading: Reading) -> None:
        self.grammar = grammar
        self.words = words
        self.reading = reading
        self.keys: set[str] = set()
        self.taken = 0
        self.unknown = False
        self.found: dict[int, list[Interpretation]] = {}
        pattern = ""
        for index, word in enumerate(words):
            if word == "--":
                pattern += "-" + "A" * (len(words) - index - 1)
                break
            found = grammar.interpretations(word)
            pattern += "A" if found is None else "O"
            if found is not None:
                self.found[index] = found
        self.pattern = pattern

    def read(self) -> bool:
        """Whether argparse would get to the end of the words without an error or a help text."""
        if self.grammar.file_prefixes and any(word[:1] in self.grammar.file_prefixes for word in self.words if word):
            return False
        index = 0
        for option_at in self.found:
            while index < option_at:
                after = self._take_positionals(index)
                if after is None:
                    return False
                if after == index:
                    self._pass_over(index, option_at)
                    after = option_at
                index = after
            if index == option_at:
                after = self._take_option(index)
                if after is None:
                    return False
                index = after
        after = self._take_positionals(index)
        if after is None:
            return False
        self._pass_over(after, len(self.words))
        return self._complete()

    def _pass_over(self, start: int, stop: int) -> None:
        """Leave out words that nothing asks for; one that begins like an option counts as an unknown one."""
        # argparse takes it for a word where it holds a space or is a number: a value would decide what the line is.
        dash = self.pattern.find("-", start)
        surplus = self.words[start : stop if dash < 0 else min(stop, dash)]
        self.unknown |= any(len(word) > 1 and word[0] in self.grammar.prefixes for word in surplus)

    def _complete(self) -> bool:
        for positional in self.grammar.positionals[self.taken :]:
            if positional.nargs == PARSER:
                if self.grammar.subcommand_required:
                    return False
            elif positional.nargs not in ("?", "*", REMAINDER):
                return False
        return not self.unknown and not any(self.keys.isdisjoint(group) for group in self.grammar.required)

    def _take_positionals(self, index: int) -> int | None:
        """Give the words from *index* on to as many positionals as they suffice for; the index after them."""
        pending = self.grammar.positionals[self.taken :]
        lengths: list[int] = []
        for count in range(len(pending), 0, -1):
            fitted = _fit(pending[:count], self.pattern, index)
            if fitted is not None:
                lengths = fitted
                break
        if self.pattern[index + sum(lengths) :][:1] == "O":
            while lengths and not lengths[-1]:
                lengths.pop()
        for positional, length in zip(pending, lengths, strict=False):
            if not self._take_positional(positional, index, index + length):
                return None
            index += length
        return index

    def _take_positional(self, positional: Positional, start: int, stop: int) -> bool:
        place = self.taken
        self.taken += 1
        values = list(self.words[start:stop])
        dash = self.pattern.find("-", start, stop)
        if dash == start or (dash > start and positional.nargs not in (PARSER, REMAINDER)):
            del values[dash - start]
        if positional.nargs == PARSER:
            return self._take_subcommand(values)
        if positional.nargs != REMAINDER and not all_acceptable(values, positional):
            return False
        if not values:
            return True
        self.reading.words[place] = values
        return self._note(f"<{place}>")

    def _take_subcommand(self, values: list[str]) -> bool:
        name = self.grammar.aliases.get(values[0], values[0])
        subcommand = self.grammar.subcommand(name)
        if subcommand is None:
            return False
        self.reading.path += (name,)
        self.reading.words = {}
        return _Level(subcommand, values[1:], self.reading).read()

    def _take_option(self, index: int) -> int | None:
        """Take the option at *index* with its values, or a bundle of flags; the index after them."""
        found = self.found[index]
        if len(found) != 1:
            self.unknown = True
            return None if found else index + 1
        option, name, separator, value = found[0]
        bundle: list[Option] = []
        values: Sequence[str] = ()
        stop = index + 1
        while value is not None:
            if option.nargs != 0:
                if isinstance(option.nargs, int) and option.nargs != 1:
                    return None
                values = (value,)
                break
            if name[1] in self.grammar.prefixes or not value or separator or value[0] in self.grammar.prefixes:
                return None
            bundle.append(option)
            name = name[0] + value[0]
            following = self.grammar.option(name)
            if following is None:
                self.unknown = True
                return stop if self._take_flags(bundle) else None
            option, value, separator = following, value[1:] or None, ""
            if value is not None and value[0] == "=":
                value, separator = value[1:], "="
        else:
            length = _option_length(option.nargs, self.pattern, stop)
            if length is None:
                return None
            values = self.words[stop : stop + length]
            stop += length
        return stop if self._take_flags(bundle) and self._take(option, values) else None

    def _take_flags(self, flags: list[Option]) -> bool:
        return all(self._take(flag, ()) for flag in flags)

    def _take(self, option: Option, values: Sequence[str]) -> bool:
        if option.nargs != REMAINDER and not all_acceptable(values, option):
            return False
        if not self._note(option.key):
            return False
        if option.informs:
            self.reading.informed = True
            return False
        for name in option.names:
            self.reading.given.setdefault(name, []).extend(values)
        return True

    def _note(self, key: str) -> bool:
        """Whether nothing that excludes it was given before."""
        self.keys.add(key)
        return not any(key in group and len(self.keys.intersection(group)) > 1 for group in self.grammar.exclusive)


def _fit(positionals: Sequence[Positional], pattern: str, start: int) -> list[int] | None:
    """How many words each positional takes from *start* on, the earlier ones as many as they can."""
    if not positionals:
        return []
    extent = _extent(positionals[0].nargs, pattern, start)
    if extent is None:
        return None
    for length in range(extent[1], extent[0] - 1, -1):
        rest = _fit(positionals[1:], pattern, start + length)
        if rest is not None:
            return [length, *rest]
    return None


def _extent(nargs: Nargs, pattern: str, start: int) -> tuple[int, int] | None:
    """The fewest and the most words, dashes included, that a positional takes from *start* on."""
    rest = len(pattern) - start
    if nargs == REMAINDER:
        return 0, rest
    least = nargs if isinstance(nargs, int) else _LEAST[nargs]
    most = nargs if isinstance(nargs, int) else 1 if nargs in (None, "?") else rest
    shortest = None if least else 0
    values = length = 0
    for mark in pattern[start:]:
        if mark == "O" or (mark == "A" and values == most):
            break
        length += 1
        if mark == "A":
            values += 1
            if values == least:
                shortest = length
    if shortest is None:
        return None
    return shortest, rest if nargs == PARSER else length


def _option_length(nargs: Nargs, pattern: str, start: int) -> int | None:
    """How many of the words from *start* on are the option's values; a `--` never is, and it ends them."""
    following = pattern[start:].partition("-")[0]
    values = len(following.partition("O")[0])
    if isinstance(nargs, int):
        return nargs if values >= nargs else None
    if values < _LEAST[nargs]:
        return None
    if nargs in (REMAINDER, PARSER):
        return len(following)
    return min(values, 1) if nargs in (None, "?") else values

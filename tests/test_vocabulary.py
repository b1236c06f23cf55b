from __future__ import annotations

import argparse
import copy
import json
import pickle
from collections import UserList
from enum import Enum
from math import log2
from pathlib import Path
from string import ascii_lowercase

import click
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

import support
from franklinwh_telemetry import entry
from franklinwh_telemetry.grammar import Grammar
from franklinwh_telemetry.vocabularies import franklinwh_cloud
from franklinwh_telemetry.vocabulary import OTHER, Command, Vocabulary

CONTRACT = sorted((Path(__file__).parent / "contract" / "vocabulary").glob("*.json"))

GRAMMAR = Grammar.from_data(
    {
        "options": [["-h --help", 0, [], "", True], ["--json -j", 0], ["--config -c"]],
        "positionals": [["A..."]],
        "subcommands": {
            "show s": {"options": [["--all -a", 0], ["--as", None, ["csv", "json"]], ["--set"]]},
            "move": {
                "options": [["--fast", 0], ["--slow", 0], ["--by", None, [], "int"]],
                "positionals": [[None, ["up", "down"]]],
                "exclusive": [["--fast", "--slow"]],
            },
            "net": {"positionals": [["A..."]], "subcommands": {"scan": {}}},
            "pick": {"options": [["--any", 0]], "positionals": [["?"]], "exclusive": [["--any", "<0>"]]},
        },
        "value_aliases": {"show --set": {"1": "one", "uno": "one"}},
    },
)

OWN_PREFIXES = Grammar.from_data(
    {
        "options": [["-j", 0]],
        "positionals": [["A..."]],
        "subcommands": {
            "net": {
                "prefixes": "+",
                "options": [["+f", 0]],
                "positionals": [["A..."]],
                "subcommands": {"scan": {"prefixes": "/", "options": [["/set"], ["/all", 0]]}},
            },
        },
    },
)
"""Each level has options that begin otherwise."""


def _vocabulary(*commands, **rest):
    return Vocabulary(commands, grammar=GRAMMAR, **rest)


def _contract_cases():
    for path in CONTRACT:
        contract = json.loads(path.read_text(encoding="utf-8"))
        described = contract["vocabulary"]
        if described.get("name") == franklinwh_cloud.APPLICATION:
            vocabulary = franklinwh_cloud.vocabulary()
        else:
            grammar = Grammar.from_data(described["grammar"]) if "grammar" in described else None
            vocabulary = Vocabulary(described["commands"], grammar=grammar)
        for case in contract["cases"]:
            line = case["argv"] if "argv" in case else case["text"]
            yield pytest.param(vocabulary, line, case, id=f"{path.stem}: {line}")


class TestContract:
    @pytest.mark.parametrize(("vocabulary", "line", "case"), list(_contract_cases()))
    def test_case(self, vocabulary, line, case):
        """A line of the shared contract is the command it says, informational or not, with the options it says."""
        options = case.get("options", {})

        assert (
            str(vocabulary.parse(line)),
            vocabulary.is_informational(line),
            {name: vocabulary.option_value(line, name) for name in options},
        ) == (case["command"], case.get("informational", False), options)
        assert str(vocabulary.execution(line)) == ("None" if case.get("informational", False) else case["command"])

    def test_files(self):
        """The contract is there and every case is of one of the two kinds."""
        cases = [case for path in CONTRACT for case in json.loads(path.read_text(encoding="utf-8"))["cases"]]

        assert len(cases) > 150
        assert all(("argv" in case) != ("text" in case) for case in cases)


class TestCommand:
    def test_made_by_vocabulary_only(self):
        """Nobody else makes a Command, with or without something in place of the seal."""
        for arguments in ((), ("status",), ("status", None), ("status", object())):
            with pytest.raises(
                TypeError, match=r"^a Command is made by Vocabulary\.parse\(\) or Vocabulary\.member\(\) only$"
            ):
                Command(*arguments)

    def test_final(self):
        """Nothing can be derived from Command."""
        with pytest.raises(TypeError, match=r"^Command is final$"):
            type("Forged", (Command,), {})

    def test_immutable(self):
        """A Command's text can neither be changed nor deleted, and nothing can be added."""
        command = Vocabulary(["status"]).parse("status")

        for name in ("text", "surprise"):
            with pytest.raises(AttributeError, match=r"^a Command cannot change$"):
                setattr(command, name, "surprise")
        with pytest.raises(AttributeError, match=r"^a Command cannot change$"):
            del command.text
        assert command.text == "status"

    def test_equality(self):
        """Commands are equal where their text is, whichever vocabulary made them, and never equal to a text."""
        status, other = Vocabulary(["status"]).parse("status"), Vocabulary(["a", "status"]).parse("status")

        assert (status == other, hash(status) == hash(other)) == (True, True)
        assert status != Vocabulary(["status"]).other
        assert status != "status"
        assert len({status, other}) == 1

    def test_text(self):
        """Its text is what it prints as, and its repr says what it is."""
        status = Vocabulary(["status"]).parse("status")

        assert (str(status), repr(status)) == ("status", "<Command 'status'>")

    def test_copies(self):
        """A copy of a Command is itself, and pickle cannot bring one in from outside."""
        status = Vocabulary(["status"]).parse("status")

        assert copy.copy(status) is copy.deepcopy(status) is status
        with pytest.raises(TypeError):
            pickle.loads(pickle.dumps(status))  # noqa: S301 - it is what is refused


class TestList:
    def test_commands(self):
        """The list is what was given, in its order and without `other`."""
        assert _vocabulary("show", "move up", "net scan").commands == ("show", "move up", "net scan")

    def test_member(self):
        """Only a listed text or `other` is a member, exactly as written."""
        vocabulary = _vocabulary("show", "show --all")

        assert [str(vocabulary.member(text)) for text in ("show", "show --all", OTHER)] == ["show", "show --all", OTHER]
        assert [vocabulary.member(text) for text in ("s", "show ", "SHOW", "", "show -a", None, 1, ["show"])] == [
            None
        ] * 8

    def test_member_by_its_characters_alone(self):
        """A text that says it is a listed one is none; one of another class is known by what it holds."""

        class Posing(str):
            __slots__ = ()

            def __eq__(self, other):
                return other == "show"

            def __hash__(self):
                return hash("show")

        class Named(str, Enum):
            SHOW = "show"

        vocabulary = _vocabulary("show")

        assert [vocabulary.member(Posing("surprise")), str(vocabulary.parse(Posing("surprise")))] == [None, OTHER]
        assert [type(vocabulary.member(text).text) for text in (Named.SHOW, Posing("show"))] == [str, str]

    def test_same_object(self):
        """The same command is made once."""
        vocabulary = _vocabulary("show")

        assert vocabulary.parse(["s"]) is vocabulary.member("show")
        assert vocabulary.parse(["bogus"]) is vocabulary.other is vocabulary.member(OTHER)

    def test_capacity(self):
        """An event carries which of the commands, `other` included, and one bit for success."""
        assert _vocabulary("show", "move", "net").capacity_bits() == log2(4) + 1
        assert Vocabulary([]).capacity_bits() == 1

    def test_until_interrupted(self):
        """Only a command that is marked as such runs until it is interrupted."""
        vocabulary = _vocabulary("show", "show --all", until_interrupted=["show --all"])

        assert [vocabulary.is_until_interrupted(vocabulary.parse(line)) for line in ("show -a", "show", "x")] == [
            True,
            False,
            False,
        ]

    def test_until_interrupted_is_listed(self):
        """A mark for a command that is not listed is a mistake."""
        with pytest.raises(ValueError, match=r"^'move up' is marked as running until interrupted, but is not listed$"):
            _vocabulary("show", until_interrupted=["move up"])
        # Of several it is always the same one that is named.
        with pytest.raises(ValueError, match=r"^'a' is marked"):
            _vocabulary("show", until_interrupted=[*reversed(ascii_lowercase)])
        with pytest.raises(ValueError, match=r"^'other' is marked"):
            _vocabulary("show", until_interrupted=["show", OTHER])

    @pytest.mark.parametrize(
        ("commands", "reason"),
        [
            ([""], "not empty"),
            ([None], "is a text"),
            ([7], "is a text"),
            (["show", None], "is a text"),
            ([OTHER], "^'other' is what is not listed$"),
            (["show", OTHER], "^'other' is what is not listed$"),
            (["show", "show"], "^'show' is listed twice$"),
            (["move", "show", "show"], "^'show' is listed twice$"),
            (["a\tb"], "control"),
            (["a\nb"], "control"),
            (["a\x7f"], "control"),
            (["a\x85"], "control"),
            (["a\x9f"], "control"),
            (["a\ud800"], "control"),
            (["a" + chr(0xDFFF)], "control"),
            ([" show"], "surplus spaces"),
            (["show "], "surplus spaces"),
            (["show  --all"], "surplus spaces"),
            (["x" * 201], "^'x{40}'... is longer than 200 characters$"),
            (["show", "x" * 201], "longer than 200 characters"),
        ],
    )
    def test_refused(self, commands, reason):
        """What cannot be a command is refused in one line, with or without a grammar."""
        with pytest.raises(ValueError, match=reason) as refusal:
            Vocabulary(commands)
        assert "\n" not in str(refusal.value)

    def test_texts_under_a_late_grammar(self):
        """They are looked at in `check()`, with what the grammar makes of them, and not at every command."""
        vocabulary = Vocabulary(["show  --all"], grammar=lambda: GRAMMAR)
        with pytest.raises(ValueError, match="surplus spaces"):
            vocabulary.check()

    @pytest.mark.parametrize(
        ("commands", "reason"),
        [
            (["bogus"], "has no subcommand 'bogus'"),
            (["s"], "alias, list 'show'"),
            (["--json"], "does not begin with a subcommand"),
            (["net bogus"], "no subcommand 'bogus'"),
            (["show --bogus"], "no option '--bogus'"),
            (["show --al"], "no option '--al'"),
            (["net --all"], "no option '--all'"),
            (["show --help"], "help or version"),
            (["show --all -a"], "'-a' twice"),
            (["show all"], "no place for 'all'"),
            (["show --all csv"], "no place for 'csv'"),
            (["show --as xml"], "cannot have the value 'xml'"),
            (["move left"], "cannot have the value 'left'"),
            (["move up down"], "no place for 'down'"),
            (["move --by far"], "cannot have the value 'far'"),
            (["net --json scan"], "no place for 'scan'"),
            (["move --fast --slow"], "exclude each other"),
            (["pick --any one"], "exclude each other"),
            (["show --all", "show -a"], "'show -a' is the same command as 'show --all'"),
            (["show --all --as csv", "show --as csv -a"], "is the same command"),
            (["show --set one", "show --set UNO"], "is the same command"),
        ],
    )
    def test_refused_by_grammar(self, commands, reason):
        """An entry that no line could be, or that two would share, is refused in one line."""
        with pytest.raises(ValueError, match=reason) as refusal:
            _vocabulary(*commands)
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("text", ["x" * 200, "\u00ad" * 200, "\xa0", "\u00ad", "~", "\ud7ff", "\ue000"])
    def test_longest_and_strangest(self, text):
        """Two hundred characters are a command, and so is whatever is no control character."""
        assert Vocabulary([text]).commands == (text,)

    def test_main_is_of_programs_without_subcommands(self):
        """Nothing else is called so, not even where `m` begins an option."""
        grammar = Grammar.from_data({"prefixes": "m", "positionals": [["A..."]], "subcommands": {"show": {}}})

        with pytest.raises(ValueError, match=r"^'main' does not begin with a subcommand$"):
            Vocabulary(["main"], grammar=grammar)

    def test_check_without_grammar(self):
        """A mere list has nothing more to be checked."""
        vocabulary = Vocabulary(["show --bogus"])

        vocabulary.check()
        assert str(vocabulary.parse("show --bogus")) == "show --bogus"

    def test_checked_list_is_taken_apart_once(self, monkeypatch):
        """What `check` has made of the entries is what the lines are compared with."""
        vocabulary = _vocabulary("show", "show --all", "net scan")
        monkeypatch.setattr(entry, "Entry", None)

        assert [str(vocabulary.parse(line)) for line in (["show"], ["s", "-a"], ["net", "scan"], ["move", "up"])] == [
            "show",
            "show --all",
            "net scan",
            OTHER,
        ]

    def test_late_grammar(self):
        """A grammar given as a function is made when a line needs it and checked when asked."""
        made = []

        def make():
            made.append(True)
            return GRAMMAR

        vocabulary = Vocabulary(["show", "show --bogus"], grammar=make)
        assert (str(vocabulary.parse("show")), vocabulary.member("move"), made) == ("show", None, [])
        assert str(vocabulary.parse(["net", "scan"])) == OTHER
        assert made == [True]
        with pytest.raises(ValueError, match="no option '--bogus'"):
            vocabulary.check()

    def test_late_grammar_is_made_once_and_only_for_need(self):
        """A line that is a finished command word for word is known without it; what is no such line needs it once."""
        made = []

        def make():
            made.append(True)
            return GRAMMAR

        vocabulary = Vocabulary(["show", "show --all", "net scan", "bogus"], grammar=make, unfinished=())

        assert [str(vocabulary.parse(line)) for line in (["show"], ["show", "--all"], ["net", "scan"])] == [
            "show",
            "show --all",
            "net scan",
        ]
        assert made == []
        # An entry that the grammar cannot produce is not looked at for the lines of other subcommands.
        assert [str(vocabulary.parse(line)) for line in (["net scan"], ["s"], ["s", "-a"])] == [
            OTHER,
            "show",
            "show --all",
        ]
        assert made == [True]

    @pytest.mark.parametrize("wrong", ["show all", "show -a"])
    def test_late_grammar_that_the_list_does_not_fit(self, wrong):
        """What `check` would refuse makes the lines that it may be `other`, and never raises."""
        vocabulary = Vocabulary(["show", "show --all", wrong, "net scan"], grammar=lambda: GRAMMAR)

        assert [str(vocabulary.execution(line)) for line in (["show", "-a"], ["net", "scan"])] == [OTHER, "net scan"]
        with pytest.raises(ValueError, match=f"^'{wrong}' "):
            vocabulary.check()

    def test_late_grammar_comes_before_the_words(self):
        """Words that only together read like a listed command are none, also where the grammar is not made yet."""
        assert str(Vocabulary(["show", "show --all"], grammar=lambda: GRAMMAR).parse(["show --all"])) == OTHER

    def test_late_grammar_is_the_same(self):
        """A grammar given as a function leads to the same commands."""
        commands = ("show", "show --all", "move up", "net scan")
        early, late = _vocabulary(*commands), Vocabulary(commands, grammar=lambda: GRAMMAR)

        for line in (
            ["s", "-a"],
            ["move", "up"],
            ["move", "down"],
            ["net", "scan"],
            ["net"],
            ["-j", "show"],
            ["show all"],
        ):
            assert early.parse(line) == late.parse(line)


class TestFromParser:
    def test_argparse(self):
        """A parser gives the default list and the grammar, or takes a list of one's own."""
        parser = argparse.ArgumentParser()
        parser.add_subparsers().add_parser("go").add_argument("--fast", action="store_true")

        assert Vocabulary.from_parser(parser).commands == ("go", "go --fast")
        own = Vocabulary.from_parser(parser, ["go"], until_interrupted=["go"])
        assert (own.commands, str(own.parse("go --fast"))) == (("go",), "go")
        assert own.is_until_interrupted(own.parse("go"))

    def test_click_and_typer(self):
        """So do a click command and a typer program."""

        @click.group()
        def group() -> None: ...

        @group.command()
        @click.option("--fast", is_flag=True)
        def go(*, fast: bool) -> None: ...

        application = typer.Typer()

        @application.command()
        def stop() -> None: ...

        @application.command()
        def wait() -> None: ...

        assert Vocabulary.from_parser(group).commands == ("go", "go --fast")
        assert Vocabulary.from_parser(application).commands == ("stop", "wait")


class TestParse:
    @pytest.mark.parametrize(
        ("line", "command"),
        [
            (["show", "--all", "--as", "csv"], "show --all --as csv"),
            (["show", "--all", "--as", "json"], "show --as"),
            (["show", "-a"], "show --all"),
            (["show", "--as", "csv"], "show --as"),
            (["show"], "show"),
            (["--json", "show"], "show"),
            (["-j", "s", "-a"], "show --all"),
            (["move", "up"], OTHER),
            (["net", "scan"], "net scan"),
            (["net"], OTHER),
        ],
    )
    def test_most_options(self, line, command):
        """Of the listed commands that a line has all of, the one that names the most wins, the earlier on a tie."""
        vocabulary = _vocabulary("show", "show --as", "show --all", "show --all --as csv", "net scan")

        assert str(vocabulary.parse(line)) == command

    def test_unlisted_path(self):
        """Where neither a combination nor the bare subcommand is listed, it is `other`."""
        vocabulary = _vocabulary("show --all", "net scan")

        assert [str(vocabulary.parse(line)) for line in ("show", "show -a", "net scan")] == [
            OTHER,
            "show --all",
            "net scan",
        ]

    @pytest.mark.parametrize(
        ("line", "command"),
        [
            (["net"], "net"),
            (["net", "+f"], "net +f"),
            (["net", "scan"], "net scan"),
            (["net", "scan", "/set", "1"], "net scan"),
            (["net", "scan", "/set", "1", "/all"], "net scan /set /all"),
        ],
    )
    def test_prefixes_of_each_level(self, line, command):
        """What begins an option is what the subcommand says, for the list as for the line."""
        listed = ("net", "net +f", "net scan", "net scan /set /all")

        assert str(Vocabulary(listed, grammar=OWN_PREFIXES).parse(line)) == command
        assert str(Vocabulary(listed, grammar=lambda: OWN_PREFIXES).parse(line)) == command

    @pytest.mark.parametrize(
        ("line", "wrong"),
        [
            (["net"], "net +x"),
            (["net", "+f"], "net +x"),
            (["net", "scan"], "net scan /x"),
            (["net", "scan", "/set", "1", "/all"], "net scan /set /x"),
        ],
    )
    def test_wrong_entry_with_an_option_that_is_not_given(self, line, wrong):
        """It does no harm to a line: it is not looked at."""
        listed = ("net", "net +f", "net scan", "net scan /set /all")

        assert str(Vocabulary((*listed, wrong), grammar=lambda: OWN_PREFIXES).parse(line)) != OTHER

    @pytest.mark.parametrize("value", ["one", "ONE", "uno", "Uno", "1"])
    def test_spellings(self, value):
        """A value is found under each of its spellings, in upper and lower case."""
        assert str(_vocabulary("show", "show --set one").parse(["show", "--set", value])) == "show --set one"

    def test_root_option(self):
        """An option of the whole program can be listed with a subcommand."""
        vocabulary = _vocabulary("show", "show --json")

        assert [str(vocabulary.parse(line)) for line in ("-j show", "show", "show -j")] == [
            "show --json",
            "show",
            OTHER,
        ]

    def test_no_subcommands(self):
        """A program without subcommands has the one command `main`, with its options."""
        grammar = Grammar.from_data({"options": [["--dry -n", 0], ["--to"]], "positionals": [["*"]]})
        vocabulary = Vocabulary(["main", "main --dry"], grammar=grammar)

        assert [str(vocabulary.parse(line)) for line in ([], ["-n", "main"], ["--to", "-n"], ["x"])] == [
            "main",
            "main --dry",
            OTHER,
            "main",
        ]
        assert not vocabulary.is_informational([])
        with pytest.raises(ValueError, match="is not 'main'"):
            Vocabulary(["go"], grammar=grammar)

    def test_files_of_arguments(self):
        """A line that names a file of further arguments is `other`: the file is not read."""
        vocabulary = Vocabulary(
            ["go"],
            grammar=Grammar.from_data(
                {
                    "positionals": [["A..."]],
                    "subcommands": {"go": {}},
                    "file_prefixes": "@",
                }
            ),
        )

        assert [str(vocabulary.parse(line)) for line in (["go"], ["@file"], ["go", "@file"])] == ["go", OTHER, OTHER]

    @pytest.mark.parametrize("line", [None, 1, b"show", [b"show"], ["show", None], {"show": 1}, object(), ["show", 1]])
    def test_not_a_line(self, line):
        """What is no command line at all is `other`, nothing is asked for, and no option is read."""
        vocabulary = _vocabulary("show")

        assert (str(vocabulary.parse(line)), vocabulary.is_informational(line)) == (OTHER, False)
        assert vocabulary.option_value(line, "--config") is None

    @pytest.mark.parametrize("line", ["s '-a'", 's "-a"', "s \\-a", "s\t-a", "s\n-a", "s\r-a", "  s   -a  "])
    def test_text_is_split_as_a_shell_does(self, line):
        """Quotes, a backslash and every kind of blank between words are those of a shell."""
        assert str(_vocabulary("show", "show --all").parse(line)) == "show --all"

    @pytest.mark.parametrize("line", ["s '-a", 's -a"', "s\u00a0-a", "s\u2028-a", "s\x0b-a"])
    def test_text_that_a_shell_would_not_split_so(self, line):
        """A quote without its end is no line, and other blanks belong to the word."""
        assert str(_vocabulary("show", "show --all").parse(line)) == OTHER

    @pytest.mark.parametrize("line", ["net  scan", " net scan", "net scan\n", "net\tscan", "net\r\nscan"])
    def test_blanks_of_a_text_that_is_listed(self, line):
        """More blanks, or others, between the words of a listed command change nothing, with a grammar or without."""
        for vocabulary in (_vocabulary("net scan"), Vocabulary(["net scan"])):
            assert str(vocabulary.parse(line)) == "net scan"

    @pytest.mark.parametrize("line", ["net\xa0scan", "net\u2028scan", "net\x0bscan", "net scan\x1f", "\u3000net scan"])
    def test_blanks_that_belong_to_the_word(self, line):
        """What only Python takes for a blank makes another word of it."""
        for vocabulary in (_vocabulary("net scan"), Vocabulary(["net scan"])):
            assert str(vocabulary.parse(line)) == OTHER

    def test_any_sequence(self):
        """A line is any sequence of texts."""
        assert str(_vocabulary("show").parse(UserList(["show"]))) == "show"

    @given(st.one_of(st.text(), st.lists(st.text())))
    def test_total(self, line):
        """Any text and any list of texts is a member of any vocabulary, and nothing raises."""
        for vocabulary in (_vocabulary("show", "show --all", "move up"), Vocabulary(["show", "show --all"])):
            assert vocabulary.parse(line).text in (*vocabulary.commands, OTHER)
            assert vocabulary.is_informational(line) in (True, False)

    def test_a_listed_text_is_never_informational(self):
        """The text of a listed command is that command, though the line alone would only be answered with help."""
        net = {"positionals": [["A..."]], "informs_when_empty": True, "subcommands": {"scan": {}}}
        grammar = {"reads_like": "click", "positionals": [["A..."]], "subcommands": {"net": net}}
        vocabulary = Vocabulary(["net", "net scan"], grammar=Grammar.from_data(grammar))

        assert (str(vocabulary.execution("net")), vocabulary.is_informational("net")) == ("net", False)
        assert (vocabulary.execution(["net"]), vocabulary.is_informational(["net"])) == (None, True)

    def test_never_informational_without_grammar(self):
        """Without a grammar nothing is known about help or version, nor about options."""
        vocabulary = Vocabulary(["show", "show --as csv"])

        assert not any(vocabulary.is_informational(line) for line in ("", "--help", "show --help", ["-h"]))
        assert vocabulary.option_value("show --as csv", "--as") is None


def test_a_mere_list_needs_nothing_that_reads_lines():
    """Words and texts are looked up by this module alone, listed or not, where one blank stands between words."""
    ran = support.run_python(
        "import sys\n"
        "from franklinwh_telemetry import Vocabulary\n"
        "words = Vocabulary(['net scan', 'set-mode'])\n"
        "words.check()\n"
        "print(*map(words.parse, ('net scan', 'set_mode', 'set-mode', ['net', 'scan'], ['x'], None)), sep=', ')\n"
        "print({'entry', 'grammar', 'lines', 'reading'} & {name.rpartition('.')[2] for name in sys.modules})\n"
    )

    assert (ran.stdout, ran.stderr) == ("net scan, other, set-mode, net scan, other, other\nset()\n", "")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["--flag", "main"], "main main --flag"),
        (["main", "--flag"], "main main --flag"),
        (["--flag"], "main --flag"),
    ],
)
def test_a_line_with_the_words_of_an_entry_may_be_another(words: list[str], command: str) -> None:
    """`main` stands for a program without subcommands, and may be a value of its line as well."""
    grammar = Grammar.from_data({"options": (("--flag", 0),), "positionals": (("?",),)})
    assert Vocabulary(["main --flag", "main main --flag"], grammar=grammar).parse(words).text == command


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["run", "--rest", "--flag"], "run --rest"),
        (["run", "--flag", "--rest"], "run --rest --flag"),
        (["run", "--rest", "--flag", "--flag"], "run --rest"),
        (["run", "--rest --flag"], OTHER),
        (["run", "--set", "1 --flag"], OTHER),
    ],
)
def test_words_of_an_entry_that_are_values_are_none_of_its_options(words: list[str], command: str) -> None:
    """What an option takes for its value is not given, though the line then reads like a listed command."""
    options = (("--rest", "..."), ("--flag", 0), ("--set",))
    grammar = Grammar.from_data({"positionals": (("A...",),), "subcommands": {"run": {"options": options}}})
    listed = ["run --rest", "run --rest --flag", "run --set 1", "run --set 1 --flag"]
    assert Vocabulary(listed, grammar=grammar).parse(words).text == command


def test_what_is_unfinished_must_be_called_so() -> None:
    """A listed command that lacks a value, and is to be known without the grammar, is refused by `check`."""
    options = (("--flag", 0), ("--set",))
    grammar = Grammar.from_data({"positionals": (("A...",),), "subcommands": {"run": {"options": options}}})
    listed = ["run", "run --flag", "run --set"]

    assert Vocabulary(listed, grammar=grammar, unfinished=["run --set"]).parse(["run", "--set"]).text == OTHER
    with pytest.raises(ValueError, match="'run --set' is unfinished"):
        Vocabulary(listed, grammar=grammar, unfinished=())


def test_a_word_of_that_name_is_not_what_no_command_matches() -> None:
    """`other` is in no list, so that a line of this one word is read by the grammar like any other."""
    grammar = Grammar.from_data({"positionals": (("?",),)})
    assert Vocabulary(["main"], grammar=grammar, unfinished=()).parse(["other"]).text == "main"

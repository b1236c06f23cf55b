from __future__ import annotations

import argparse
import contextlib
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from franklinwh_telemetry.grammar import Grammar
from franklinwh_telemetry.integrations.argparse import (
    grammar_data,
    grammar_of,
    grammar_source,
    vocabulary_of,
)
from franklinwh_telemetry.integrations.defaults import default_commands
from franklinwh_telemetry.reading import read
from franklinwh_telemetry.vocabulary import OTHER, Vocabulary


def _zoo():
    """A parser with every arity, nesting, aliases, groups, shared parents and other prefixes."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--shared", dest="shared")
    parser = argparse.ArgumentParser(prog="zoo", parents=[shared])
    parser.add_argument("--version", action="version", version="1")
    parser.add_argument("-a", "--alpha", action="store_true")
    parser.add_argument("-n", "--count", type=int)
    parser.add_argument("--gamma", nargs="?", choices=["red", "blue"])
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-x", action="store_true")
    group.add_argument("-y", action="store_true")
    subcommands = parser.add_subparsers(dest="command")
    one = subcommands.add_parser("one", aliases=["uno", "1"], parents=[shared])
    one.add_argument("color", choices=["red", "blue"])
    one.add_argument("extra", nargs="?")
    one.add_argument("-m", action=argparse.BooleanOptionalAction)
    one.add_argument("--with-color", action=argparse.BooleanOptionalAction)
    two = subcommands.add_parser("two", prefix_chars="-+")
    two.add_argument("names", nargs="+")
    two.add_argument("+f", "++force", action="count")
    two.add_argument("--pair", nargs=2)
    two.add_argument("--many", nargs="*", type=float)
    deep = subcommands.add_parser("deep", allow_abbrev=False).add_subparsers(dest="deeper", required=True)
    inner = deep.add_parser("inner")
    inner.add_argument("-3", dest="three")
    must = inner.add_mutually_exclusive_group(required=True)
    must.add_argument("--left", action="store_true")
    must.add_argument("--right")
    deep.add_parser("outer").add_argument("--need", required=True, nargs="+")
    tail = subcommands.add_parser("tail")
    tail.add_argument("rest", nargs=argparse.REMAINDER)
    tail.add_argument("--level", type=int, choices=[1, 2, 3])
    return parser


ZOO = _zoo()
GRAMMAR = grammar_of(ZOO)
TOKENS = (
    *(
        "one",
        "uno",
        "1",
        "two",
        "deep",
        "inner",
        "outer",
        "tail",
        "red",
        "blue",
        "word",
        "",
        "-",
        "a b",
        "-5",
        "-.5",
        "2",
    ),
    *(
        "-a",
        "--alpha",
        "--al",
        "-n",
        "--count",
        "--count=2",
        "-n2",
        "-an",
        "-xy",
        "-x",
        "-y",
        "-aa",
        "--gamma",
        "--gam",
    ),
    *("--gamma=red", "--shared", "--sh", "--shared=two", "--version", "-h", "--help", "--bogus", "-z", "-a b"),
    *("-m", "--with-color", "--no-with-color", "--no", "--with", "+f", "++force", "+ff", "++fo", "--pair", "--many"),
    *("-3", "-3x", "--left", "--right", "--lef", "--need", "--level", "--level=4", "--level=1", "--"),
)


def _argparse_reads(parser, argv):
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            return parser.parse_args(argv), ""
    except SystemExit as end:
        return None, "informed" if not end.code else silent.getvalue()


def _path(namespace):
    aliases = {"uno": "one", "1": "one"}
    names = (namespace.command, vars(namespace).get("deeper"))
    return tuple(aliases.get(name, name) for name in names if name is not None)


class TestAgainstArgparse:
    @settings(max_examples=1500, deadline=None)
    @given(st.lists(st.sampled_from(TOKENS), max_size=7))
    def test_reads_as_argparse_does(self, argv):
        """Ours accepts what argparse accepts, with its subcommands, and refuses or informs where argparse does."""
        namespace, refusal = _argparse_reads(ZOO, argv)
        reading = read(GRAMMAR, argv)

        if namespace is not None:
            assert (reading.rejected, reading.informed, reading.path) == (False, False, _path(namespace))
            assert ("--alpha" in reading.given, "-x" in reading.given) == (namespace.alpha, namespace.x)
            assert reading.given.get("--count", [None])[-1] in (None, str(namespace.count))
            assert reading.given.get("--pair", [])[-2:] == (vars(namespace).get("pair") or [])
        elif refusal == "informed":
            assert (reading.rejected, reading.informed) == (False, True)
        elif "ignored explicit" in refusal:
            # Newer releases go on past an unknown letter of a bundle, and may then come to a --help.
            assert reading.rejected or reading.informed
        elif "--" not in argv and "unrecognized" not in refusal and "ambiguous" not in refusal:
            assert (reading.rejected, reading.informed) == (True, False)

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.sampled_from([token for token in TOKENS if token not in ("--", "-a b", "-5", "-.5")]), max_size=5)
    )
    def test_unknown_options_are_refused(self, argv):
        """What argparse refuses for an option it does not know, ours refuses; surplus words alone it does not."""
        _, refusal = _argparse_reads(ZOO, argv)

        if "unrecognized arguments: " in refusal:
            surplus = refusal.partition("unrecognized arguments: ")[2].rstrip("\n").split(" ")
            unknown = any(word[:1] in ("-", "+") and word not in ("-", "+") for word in surplus)
            assert read(GRAMMAR, argv).rejected == unknown

    def test_namespace_keeps_nothing_else(self):
        """A reading holds the names of the grammar, and the values apart from them."""
        reading = read(GRAMMAR, ["--shared", "one", "uno", "red", "surprise"])

        assert reading.path == ("one",)
        assert reading.given == {"--shared": ["one"]}
        assert reading.words == {0: ["red"], 1: ["surprise"]}


class TestGrammar:
    def test_data(self):
        """The data of a parser are its levels, options, positionals and groups, defaults left out."""
        help_row = ("-h --help", 0, (), "", True)
        data = grammar_data(ZOO)

        assert data["options"] == (
            help_row,
            ("--shared",),
            ("--version", 0, (), "", True),
            ("-a --alpha", 0),
            ("-n --count", None, (), "int"),
            ("--gamma", "?", ("red", "blue")),
            ("-x", 0),
            ("-y", 0),
        )
        assert (data["positionals"], data["exclusive"]) == ((("A...",),), (("-x", "-y"),))
        assert list(data["subcommands"]) == ["one uno 1", "two", "deep", "tail"]
        assert data["subcommands"]["two"] == {
            "options": (help_row, ("+f ++force", 0), ("--pair", 2), ("--many", "*", (), "float")),
            "positionals": (("+",),),
            "prefixes": "-+",
        }
        assert data["subcommands"]["deep"] == {
            "options": (help_row,),
            "positionals": (("A...",),),
            "abbreviates": False,
            "subcommands": {
                "inner": {
                    "options": (help_row, ("-3",), ("--left", 0), ("--right",)),
                    "required": (("--left", "--right"),),
                    "exclusive": (("--left", "--right"),),
                },
                "outer": {"options": (help_row, ("--need", "+")), "required": (("--need",),)},
            },
            "subcommand_required": True,
        }
        assert data["subcommands"]["tail"]["options"][1] == ("--level", None, ("1", "2", "3"), "int")

    def test_yes_and_no(self):
        """An option with a yes and a no is two options that argparse takes for one."""
        rows = grammar_data(ZOO)["subcommands"]["one uno 1"]["options"]

        assert ("--with-color", 0) in rows
        assert ("--no-with-color", 0, (), "", False, "--with-color") in rows

    def test_choices_of_other_types(self):
        """Choices that are not texts or numbers are not compared, since what they equal is the program's own."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--color", type=bytes.fromhex, choices=[b"a"])
        parser.add_argument("--by", type=str.lower, choices=["a"])

        assert grammar_data(parser)["options"][1:] == (("--color",), ("--by",))

    def test_source(self):
        """The source of the data is a literal of the same data, whatever the words are."""
        parser = _zoo()
        parser.add_argument('--quo"te\\', help="unusual")
        data = grammar_data(parser)

        assert eval(grammar_source(data)) == data  # noqa: S307 - it is what is shown
        assert max(map(len, grammar_source(data).splitlines())) <= 120

    def test_from_data_reads_json(self):
        """Rows may be lists, as JSON has them."""
        grammar = Grammar.from_data({"options": [["--one -o", 0]], "positionals": [[None, ["a"]]]})

        assert not read(grammar, ["-o", "a"]).rejected
        assert read(grammar, ["-o", "b"]).rejected

    def test_files_of_arguments(self):
        """A parser that reads arguments from files says so."""
        assert grammar_data(argparse.ArgumentParser(fromfile_prefix_chars="@"))["file_prefixes"] == "@"


class TestVocabulary:
    def test_default_commands(self):
        """The default list has each subcommand path, and each with one flag of its own, in their order."""
        assert default_commands(GRAMMAR) == (
            "one",
            "one -m",
            "one --with-color",
            "one --no-with-color",
            "two",
            "two ++force",
            "deep",
            "deep inner",
            "deep inner --left",
            "deep outer",
            "tail",
        )

    def test_from_parser(self):
        """A vocabulary from a parser has the default list and the parser's grammar."""
        vocabulary = Vocabulary.from_parser(ZOO)

        assert vocabulary.commands == default_commands(GRAMMAR)
        assert [str(vocabulary.parse(line)) for line in ("uno red", "two x +f", "deep inner --le", "three")] == [
            "one",
            "two ++force",
            "deep inner --left",
            OTHER,
        ]

    def test_from_parser_edited(self):
        """A developer's own list and marks are kept."""
        vocabulary = Vocabulary.from_parser(ZOO, ["one red", "tail"], until_interrupted=["tail"])

        assert vocabulary.commands == ("one red", "tail")
        assert vocabulary.is_until_interrupted(vocabulary.parse("tail"))

    def test_hoisted(self):
        """What no parser can tell is passed on to the grammar."""
        vocabulary = vocabulary_of(ZOO, ["tail", "one"], hoisted_flags=["-a"], hoisted_options=["--count"])

        assert str(vocabulary.parse(["one", "red", "--count", "2", "-a"])) == "one"
        assert vocabulary.option_value(["one", "red", "--count", "2"], "-n") == "2"

    def test_program_without_subcommands(self):
        """A program without subcommands has the command `main`, alone and with each flag."""
        parser = argparse.ArgumentParser(prog="surprise")
        parser.add_argument("file")
        parser.add_argument("-n", "--dry-run", action="store_true")
        vocabulary = Vocabulary.from_parser(parser)

        assert vocabulary.commands == ("main", "main --dry-run")
        assert [str(vocabulary.parse(line)) for line in ([], ["x"], ["-n", "x"], ["--dry", "x"])] == [
            OTHER,
            "main",
            "main --dry-run",
            "main --dry-run",
        ]

"""click's and typer's programs: their own parsers find the same subcommand."""

from __future__ import annotations

import contextlib
import enum
import io
from typing import Annotated

import click
import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from franklinwh_telemetry.grammar import Grammar
from franklinwh_telemetry.integrations.click_grammar import grammar_data
from franklinwh_telemetry.reading import read
from franklinwh_telemetry.vocabulary import OTHER, Vocabulary


class Found(Exception):  # noqa: N818 - it is what was looked for
    """Raised by every command of the zoos with the subcommands that their parser has found, and its parameters."""

    def __init__(self, context):
        super().__init__()
        self.path = tuple(context.command_path.split(" ")[1:])
        self.parameters = context.params


def found(**_parameters):
    raise Found(click.get_current_context())


def _click_zoo():
    """A program with nested groups, a group with an argument, an alias, bundles, every arity and other prefixes."""

    @click.group()
    @click.version_option("1")
    @click.option("-a", "--alpha", is_flag=True)
    @click.option("-n", "--count", type=int)
    @click.option("--color/--no-color", "-c/-C", default=None)
    def zoo(**_parameters):
        pass

    one = click.Command(
        "one",
        callback=found,
        params=[
            click.Argument(["color"], type=click.Choice(["red", "blue"])),
            click.Argument(["extra"], required=False),
            click.Option(["-v", "--verbose"], count=True),
            click.Option(["--by"], type=click.Choice(["Day", "Hour"], case_sensitive=False)),
            click.Option(["--mode"], is_flag=False, flag_value="fast"),
            click.Option(["-o", "--output"]),
        ],
    )
    zoo.add_command(one)
    zoo.add_command(one, "uno")
    two = click.Command(
        "two",
        callback=found,
        params=[
            click.Argument(["source"]),
            click.Argument(["names"], nargs=-1),
            click.Argument(["last"], nargs=2),
            click.Option(["--pair"], nargs=2, type=float),
            click.Option(["-m", "--many"], multiple=True),
            click.Option(["/d", "/debug"], is_flag=True),
            click.Option(["-long"], is_flag=True),
        ],
    )
    zoo.add_command(two)
    deep = click.Group("deep", params=[click.Argument(["site"]), click.Option(["-x"], is_flag=True)])
    deep.add_command(click.Command("inner", callback=found, params=[click.Option(["-x", "--extra"], is_flag=True)]))
    outer = click.Group("outer", invoke_without_command=True, callback=found, no_args_is_help=False)
    outer.add_command(click.Command("most", callback=found))
    deep.add_command(outer)
    zoo.add_command(deep)
    loose = {"ignore_unknown_options": True, "allow_extra_args": True}
    tail = [click.Argument(["rest"], nargs=-1), click.Option(["-t"], is_flag=True)]
    zoo.add_command(click.Command("tail", callback=found, params=tail, context_settings=loose))
    return zoo


class Color(str, enum.Enum):
    """The values of an option of typer's zoo."""

    red = "red"
    blue = "blue"


def _typer_zoo():
    zoo = typer.Typer()

    def finding(context: typer.Context):
        error = Found.__new__(Found)
        error.path, error.parameters = tuple(context.command_path.split(" ")[1:]), context.params
        raise error

    @zoo.callback()
    def main(alpha: Annotated[bool, typer.Option("-a", "--alpha")] = False):
        pass

    @zoo.command()
    def one(
        context: typer.Context,
        color: Color,
        extra: Annotated[str, typer.Argument()] = "",
        verbose: Annotated[int, typer.Option("-v", "--verbose", count=True)] = 0,
        output: Annotated[str, typer.Option("-o", "--output")] = "",
        pair: Annotated[tuple[float, float], typer.Option("--pair")] = (0, 0),
        color_it: Annotated[bool, typer.Option("--color/--no-color", "-c/-C")] = True,
    ):
        finding(context)

    deep = typer.Typer()

    @deep.command()
    def inner(context: typer.Context, names: list[str], extra: Annotated[bool, typer.Option("-x")] = False):
        finding(context)

    @deep.command()
    def outer(context: typer.Context):
        finding(context)

    zoo.add_typer(deep, name="deep")
    return zoo


ZOOS = {"click": _click_zoo(), "typer": typer.main.get_command(_typer_zoo())}
PROGRAMS = {"click": ZOOS["click"], "typer": _typer_zoo()}
GRAMMARS = {name: Grammar.from_data(grammar_data(program)) for name, program in PROGRAMS.items()}
LISTS = {name: Vocabulary.from_parser(program) for name, program in PROGRAMS.items()}

TOKENS = (
    *("one", "uno", "two", "deep", "inner", "outer", "most", "tail", "red", "blue", "day", "word", "", "-", "--", "5"),
    *("-a", "--alpha", "--alp", "-n", "--count", "--count=2", "-n2", "-an", "-ac", "--color", "--no-color", "-C"),
    *("-v", "-vv", "--by", "--by=DAY", "--mode", "--mode=slow", "-o", "-ored", "--output=two", "-vo", "--pair", "1.5"),
    *(
        "--many",
        "-mone",
        "/d",
        "/debug",
        "-long",
        "-lon",
        "-x",
        "--extra",
        "-t",
        "-zt",
        "--bogus",
        "--help",
        "--version",
    ),
    *("-z", "-1", "--alpha=1", "--=x", "-="),
)


def _really_read(program, argv):
    """The subcommands that the program's own parser finds, and its parameters; how it ended where it finds none."""
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            ended = program.main(list(argv), prog_name="zoo", standalone_mode=False)
    except Found as end:
        return end.path, end.parameters
    except SystemExit as end:
        return None, f"status {end.code}"
    except Exception as error:  # noqa: BLE001 - click's and typer's usage errors have no class in common
        return None, type(error).__name__
    return None, f"status {ended}"


def _first_names(name, path):
    aliases = GRAMMARS[name].aliases
    return tuple(aliases.get(word, word) for word in path)


@pytest.mark.parametrize("name", ["click", "typer"])
class TestAgainstTheirParsers:
    @settings(max_examples=1500, deadline=None)
    @given(argv=st.lists(st.sampled_from(TOKENS), max_size=7))
    @example(argv=["one", "red", "-o", "two"])
    @example(argv=["deep", "inner", "one", "--", "-x"])
    def test_finds_the_subcommand_that_the_program_finds(self, name, argv):
        """What the program accepts is its subcommand with its flags; help, and what is no option, are not commands."""
        path, parameters = _really_read(ZOOS[name], argv)
        reading = read(GRAMMARS[name], argv)

        if path is not None:
            assert (reading.rejected, reading.informed, reading.path) == (False, False, _first_names(name, path))
            assert bool(parameters.get("verbose")) == ("--verbose" in reading.given)
            assert str(parameters.get("output") or "") == _last(reading)
        elif parameters == "status 0":
            assert reading.informed
        elif parameters in ("NoSuchOption", "BadOptionUsage"):
            assert reading.rejected

    @settings(max_examples=500, deadline=None)
    @given(argv=st.lists(st.sampled_from(TOKENS) | st.text(max_size=6), max_size=7))
    def test_any_line_is_a_member(self, name, argv):
        """Whatever the line is, its command is on the list, or `other`."""
        assert LISTS[name].parse(argv).text in {*LISTS[name].commands, OTHER}

    @settings(max_examples=300, deadline=None)
    @given(value=st.sampled_from(["two", "uno", "deep", "inner", "--help", "-a", "one --verbose", "x"]))
    def test_a_value_is_never_a_command(self, name, value):
        """Words of the vocabulary, as values of an option or as positionals, change nothing."""
        assert str(LISTS[name].parse(["one", "red", "-o", value])) == "one"
        assert str(LISTS[name].parse(["one", "red", f"--output={value}"])) == "one"
        assert str(LISTS[name].parse(["one", "--", "red", value])) == "one"


def _last(reading):
    return (reading.given.get("--output") or [""])[-1]


def test_the_grammar_of_a_click_program():
    """The data of a program are its levels, options and arguments; aliases share one, defaults are left out."""
    data = grammar_data(PROGRAMS["click"])

    assert list(data["subcommands"]) == ["one uno", "two", "deep", "tail"]
    assert data["options"][:2] == (("--version", 0, (), "", True), ("--alpha -a", 0))
    assert ("--no-color -C", 0, (), "", False, "--color") in data["options"]
    assert data["subcommands"]["one uno"]["positionals"] == ((None, ("red", "blue")), ("?",))
    assert data["subcommands"]["two"]["prefixes"] == "-/"
    assert data["subcommands"]["deep"]["subcommands"]["outer"].get("subcommand_required") is None
    assert data["subcommands"]["tail"]["ignores_unknown"] is True


@pytest.mark.parametrize(
    ("name", "first"), [("click", ["one", "one --verbose", "two", "two /debug"]), ("typer", ["one", "one --verbose"])]
)
def test_the_default_list(name, first):
    """Each subcommand path, and each with one flag of its own, in the order of their declaration."""
    assert list(LISTS[name].commands[: len(first)]) == first


def test_a_listed_value_is_told_apart():
    """Values are told where they are listed one by one, in whatever case the program takes them."""
    vocabulary = Vocabulary.from_parser(PROGRAMS["click"], ["one", "one --by day", "one red"])

    assert [str(vocabulary.parse(line)) for line in ("one blue --by=DAY", "one red", "one blue --by hour")] == [
        "one --by day",
        "one red",
        "one",
    ]
    assert str(vocabulary.parse("one green")) == OTHER


def test_of_a_chain_the_first_command_counts():
    """A line of several commands is one execution, of the first, whatever the others are given."""
    chain = click.Group("chain", chain=True)
    for name in ("build", "test"):
        chain.add_command(click.Command(name, params=[click.Option(["--fast"], is_flag=True)]))
    vocabulary = Vocabulary.from_parser(chain)

    assert str(vocabulary.parse("build test --fast")) == "build"
    assert str(vocabulary.parse("build --fast test")) == "build --fast"


def test_what_completes_and_helps_is_no_command():
    """Typer's own options and help are told from commands."""
    vocabulary = LISTS["typer"]

    assert all(vocabulary.is_informational(line) for line in ("--install-completion", "--help", "one --help"))
    assert not vocabulary.is_informational("one red")

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import subprocess
import sys

import pytest
from franklinwh_cloud import cli
from franklinwh_cloud.const import DISPATCH_CODES
from hypothesis import given, settings
from hypothesis import strategies as st

from franklinwh_telemetry.integrations.argparse import grammar_data, grammar_source
from franklinwh_telemetry.vocabularies import franklinwh_cloud, franklinwh_cloud_words
from franklinwh_telemetry.vocabularies.franklinwh_cloud_grammar import GRAMMAR
from franklinwh_telemetry.vocabulary import OTHER, Vocabulary

PARSER = cli.build_parser()
VOCABULARY = franklinwh_cloud.vocabulary()


def _literals_of(function):
    """The sets of texts that the function assigns to a name."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(inspect.getsource(function)))
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Set)
    }


def _hoisting():
    """The program's own code that reorders its arguments, as a function of them."""
    lines = inspect.getsource(cli.async_main).splitlines()
    start = next(at for at, line in enumerate(lines) if line.strip().startswith("_GLOBAL_FLAGS ="))
    stop = next(at for at, line in enumerate(lines) if line.strip() == "argv = before + rest")
    body = "\n".join(lines[start : stop + 1]).replace("sys.argv[1:]", "given")
    scope: dict[str, object] = {}
    exec(f"def hoist(given):\n{body}\n    return argv\n", scope)  # noqa: S102 - the text is the program under test
    return scope["hoist"]


HOIST = _hoisting()


def _program_reads(argv):
    """What the real program makes of the line: its namespace, or how it would have ended."""
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            return PARSER.parse_args(HOIST(argv)), ""
    except SystemExit as end:
        return None, "informed" if not end.code else silent.getvalue()


def _subcommands_of(action_choices):
    names: dict[int, str] = {}
    return {name: names.setdefault(id(parser), name) for name, parser in action_choices.items()}


def _path(namespace):
    if namespace.command is None:
        return ""
    choices = next(action for action in PARSER._actions if action.dest == "command").choices
    nested = getattr(namespace, "network_action", None) if "network_action" in vars(namespace) else None
    return " ".join(filter(None, (_subcommands_of(choices)[namespace.command], nested)))


def _names(parser):
    for action in parser._actions:
        yield from action.option_strings
        if action.choices and isinstance(action.choices, dict):
            yield from action.choices
            for below in action.choices.values():
                yield from _names(below)
        elif action.choices:
            yield from action.choices


WORDS = sorted({*_names(PARSER), *(word for command in VOCABULARY.commands for word in command.split(" "))})
SUBCOMMANDS = sorted({*next(action for action in PARSER._actions if action.dest == "command").choices})
VALUES = st.one_of(
    st.sampled_from(
        [*WORDS, "1", "-1", "0.5", "a b", "-a b", "", "-", "--set=self", "--period=day", "-pmode", "--jso"]
    ),
    st.text(max_size=5),
)


def _options_of(subcommand):
    parsers = [PARSER, next(action for action in PARSER._actions if action.dest == "command").choices[subcommand]]
    return [(name, action) for parser in parsers for action in parser._actions for name in action.option_strings]


@st.composite
def likely_lines(draw):
    """Lines that the program mostly accepts: options with values that fit, before and after the subcommand."""
    subcommand = draw(st.sampled_from(SUBCOMMANDS))
    options = [(name, action) for name, action in _options_of(subcommand) if action.dest not in ("help", "version")]
    words: list[str] = []
    for name, action in draw(st.lists(st.sampled_from(options), max_size=4)) if options else []:
        words.append(name)
        if action.nargs is None or (action.nargs in ("?", "*") and draw(st.booleans())):
            if action.choices:
                words.append(draw(st.sampled_from(sorted(action.choices))))
            elif action.type is int:
                words.append(str(draw(st.integers(-3, 99))))
            else:
                words.append(draw(VALUES))
    before = draw(st.sampled_from([[], ["-v"], ["-p", "mode"], ["--config", "tou"], ["-jc", "x"], ["--em", "status"]]))
    needed = {"fetch": [draw(st.sampled_from(["GET", "get", "POST"])), draw(st.sampled_from(["/x", "status"]))]}
    after = draw(st.sampled_from([[], ["scan", "--all"], ["set-wifi", "--ssid", "mode"], ["x"], ["--", "--json"]]))
    return [*before, subcommand, *needed.get(subcommand, []), *words, *after]


LINES = st.one_of(
    likely_lines(),
    st.lists(VALUES, max_size=6),
    st.builds(
        lambda subcommand, words: [subcommand, *words], st.sampled_from(SUBCOMMANDS), st.lists(VALUES, max_size=5)
    ),
)

UNCHECKED = Vocabulary(
    franklinwh_cloud.COMMANDS, grammar=franklinwh_cloud.grammar, unfinished=franklinwh_cloud._UNFINISHED
)
CHECKED = Vocabulary(franklinwh_cloud.COMMANDS, grammar=franklinwh_cloud.grammar())


class TestData:
    def test_grammar_is_the_programs(self):
        """The grammar that ships is the one of the installed franklinwh-cloud."""
        assert grammar_data(PARSER) == GRAMMAR

    def test_grammar_source(self):
        """The file that ships is what regenerating it prints."""
        source = inspect.getsource(sys.modules[GRAMMAR_MODULE])

        assert source.partition("Mapping[str, Any]] = ")[2] == grammar_source(grammar_data(PARSER)) + "\n"

    def test_hoisted_words_are_the_programs(self):
        """The words that are moved are those of the installed franklinwh-cloud."""
        literals = _literals_of(cli.async_main)

        assert literals["_GLOBAL_FLAGS"] == set(franklinwh_cloud_words.HOISTED_FLAGS)
        assert literals["_GLOBAL_OPTS_WITH_VALUE"] == set(franklinwh_cloud_words.HOISTED_OPTIONS)

    def test_spellings_are_the_programs(self):
        """Each spelling of a dispatch is one for the program too, and leads to a listed name of the same code."""
        codes = {"B": 2, "D": 6, "E": 3, "F": 1, "G": 8, "H": 7, **DISPATCH_CODES}
        spellings = franklinwh_cloud_words.VALUE_ALIASES["tou --set"]
        names = {name for name in codes if isinstance(name, str)}

        assert {name: codes[name.upper()] for name in spellings} == {
            name: codes[target.upper()] for name, target in spellings.items()
        }
        assert all(str(VOCABULARY.parse(["tou", "--set", name])) != "tou --set" for name in names)

    @pytest.mark.parametrize("flag", ["set", "resume-mode"])
    def test_modes_are_the_programs(self, flag):
        """Each spelling of an operating mode stands in the program's own code."""
        from franklinwh_cloud.cli_commands import mode

        source = inspect.getsource(mode.run)
        spellings = franklinwh_cloud_words.VALUE_ALIASES["mode --set"]

        assert flag.replace("-", "_").split("_")[0] in source
        assert all(f'"{name}"' in source for name in {*spellings, *spellings.values()})

    def test_size(self):
        """The list has between 60 and 250 commands."""
        assert 60 <= len(VOCABULARY.commands) <= 250

    def test_every_entry_can_be_produced(self):
        """The grammar can produce every entry, and no two are the same command."""
        VOCABULARY.check()

    def test_unfinished_are_those_alone_that_no_line_is(self):
        """What is called unfinished is no line of the program; `check` has found that every other command is one."""
        by_grammar = Vocabulary(VOCABULARY.commands, grammar=franklinwh_cloud.grammar)
        words = [text.split(" ") for text in franklinwh_cloud._UNFINISHED]

        assert {by_grammar.parse(line).text for line in words} == {OTHER}

    def test_a_line_word_for_word_needs_no_grammar(self):
        """Only other spellings, values and what is not listed are read by it."""
        known = Vocabulary(
            franklinwh_cloud.COMMANDS,
            grammar=lambda: pytest.fail("the grammar was made"),
            unfinished=franklinwh_cloud._UNFINISHED,
        )

        assert known.parse(["energy", "--describe"]).text == "energy --describe"
        assert not known.is_informational(["energy", "--describe"])
        with pytest.raises(pytest.fail.Exception):
            known.parse(["energy", "--descr"])
        with pytest.raises(pytest.fail.Exception):
            known.parse(["energy --describe"])

    @given(st.lists(st.sampled_from(sorted({w for text in VOCABULARY.commands for w in text.split(" ")})), max_size=6))
    def test_a_line_is_the_same_by_all_of_the_list(self, words):
        """What is known without the grammar, or from a few entries, is what the whole checked list says."""
        assert UNCHECKED.parse(words) == CHECKED.parse(words)
        assert UNCHECKED.is_informational(words) == CHECKED.is_informational(words)

    @pytest.mark.parametrize("text", VOCABULARY.commands)
    def test_an_entry_is_the_same_by_all_of_the_list(self, text):
        """Also with a value after it, which most of the unfinished want, and with a global option before it."""
        for line in (text, f"{text} 5", f"--json {text}", f"{text} --no-color"):
            assert UNCHECKED.parse(line.split(" ")) == CHECKED.parse(line.split(" "))

    def test_every_subcommand_is_listed(self):
        """Every subcommand of the program can be named."""
        paths = set(_subcommands_of(next(a for a in PARSER._actions if a.dest == "command").choices).values())

        assert paths <= set(VOCABULARY.commands)

    def test_nothing_identifying(self):
        """No entry names an option that says whose account, gateway, network or file it is."""
        words = {word for command in VOCABULARY.commands for word in command.split(" ")}

        assert not words & {
            "--email",
            "-e",
            "--password",
            "-p",
            "--gateway",
            "-g",
            "--config",
            "-c",
            "--ssid",
            "--label",
        }

    def test_values_are_fixed(self):
        """Each word of an entry is a name or a fixed value of the program, or one of its documented modes."""
        modes = {"time_of_use", "self_consumption", "emergency_backup"}
        dispatches = {"GRID_CHARGE", "GRID_EXPORT", "SELF", "HOME", "STANDBY", "SOLAR", "CUSTOM"}
        words = {word for command in VOCABULARY.commands for word in command.split(" ")}

        assert words <= {*_names(PARSER), *modes, *dispatches}

    def test_every_block_says_why(self):
        """In the source, each subcommand's first entry stands below a comment."""
        lines = inspect.getsource(franklinwh_cloud).splitlines()
        commented = [lines[at + 1].strip() for at, line in enumerate(lines[:-1]) if line.strip().startswith("# ")]

        assert len(commented) > 20
        assert all(entry.startswith(('"', "#")) for entry in commented)

    def test_import_is_cheap(self):
        """Importing the vocabulary imports neither the program, argparse nor any grammar."""
        code = (
            "import sys; from franklinwh_telemetry.vocabularies.franklinwh_cloud import vocabulary; vocabulary();"
            "print([name for name in sys.modules if name.split('.')[0] in ('franklinwh_cloud', 'argparse')"
            " or name.endswith(('_grammar', '.grammar', '.reading', '.entry', '.lines'))])"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert result.stdout == "[]\n"

    def test_cached(self):
        """The vocabulary is made once."""
        assert franklinwh_cloud.vocabulary() is VOCABULARY


GRAMMAR_MODULE = "franklinwh_telemetry.vocabularies.franklinwh_cloud_grammar"


class TestAgainstTheProgram:
    @settings(max_examples=400, deadline=None)
    @given(LINES)
    def test_reads_as_the_program_does(self, argv):
        """Where the program accepts a line, ours has its subcommand; where it refuses one, ours is `other`."""
        namespace, refusal = _program_reads(argv)
        command = str(VOCABULARY.parse(argv))

        if namespace is not None:
            path = _path(namespace)
            assert command.split(" --", maxsplit=1)[0].removesuffix(" GET").removesuffix(" POST") == (path or OTHER)
            assert VOCABULARY.is_informational(argv) == (not path)
        elif refusal == "informed":
            assert (command, VOCABULARY.is_informational(argv)) == (OTHER, True)
        elif "ignored explicit" in refusal:
            # Newer releases of argparse go on past an unknown letter of a bundle, and may then come to a --help.
            assert command == OTHER
        elif "--" not in argv and "unrecognized" not in refusal and "ambiguous" not in refusal:
            assert (command, VOCABULARY.is_informational(argv)) == (OTHER, False)

    @settings(max_examples=200, deadline=None)
    @given(LINES)
    def test_reads_the_options_values(self, argv):
        """Where the program accepts a line, the values of its options are those that the program reads."""
        namespace, _ = _program_reads(argv)

        if namespace is not None and namespace.command != "network":
            for name in ("--config", "--email", "--gateway", "--trace", "--log-file"):
                dest = name.removeprefix("--").replace("-", "_")
                assert VOCABULARY.option_value(argv, name) == getattr(namespace, dest)

    @settings(max_examples=300, deadline=None)
    @given(st.one_of(LINES, st.text()))
    def test_only_members(self, line):
        """Whatever the line, the answer is in the list or `other`."""
        assert UNCHECKED.parse(line).text in {*VOCABULARY.commands, OTHER}

    @settings(max_examples=200, deadline=None)
    @given(
        st.sampled_from(["-p", "-e", "-g", "-c", "--trace", "--log-file"]),
        st.sampled_from([word for word in WORDS if not word.startswith("-")]),
        st.sampled_from(
            [["tou", "--extended"], ["support", "-r"], ["net", "scan"], ["mode", "--set", "2"], ["disc", "-v"]]
        ),
        st.booleans(),
    )
    def test_values_never_become_commands(self, option, value, line, first):
        """A value that is itself a word of the vocabulary changes nothing, before or after the subcommand."""
        extended = [option, value, *line] if first else [*line, option, value]

        assert VOCABULARY.parse(extended) == VOCABULARY.parse(line) != VOCABULARY.other

    @settings(max_examples=100, deadline=None)
    @given(likely_lines(), st.sampled_from(["SELF", "self", "GRID_CHARGE", "custom", "surprise", "status"]))
    def test_wait_is_until_interrupted(self, line, mode):
        """However a dispatch is waited for, Ctrl-C ends it well."""
        argv = ["tou", "--set", mode, *line[1:], "--wait"] if line[0] == "tou" else ["tou", "--set", mode, "--wait"]
        command = VOCABULARY.parse(argv)

        assert command == VOCABULARY.other or VOCABULARY.is_until_interrupted(command)

    def test_until_interrupted(self):
        """The commands that end by Ctrl-C are the dashboard, the views that repeat, and a dispatch that waits."""
        marked = [text for text in VOCABULARY.commands if VOCABULARY.is_until_interrupted(VOCABULARY.parse(text))]

        assert {text for text in VOCABULARY.commands if text.startswith("monitor") or "--wait" in text} == {
            text for text in marked if text not in ("network status --watch", "support --nettest --interval")
        }

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from doubles.collector import CALLER
from support import posix_only

if TYPE_CHECKING:
    from pathlib import Path

SMALL = '''
"""A small module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT: Final = 3
"""As many."""


def allowed(number: int, word: str = "") -> bool:
    """Whether it is."""
    if number < 0 or not word:
        return False
    return number <= LIMIT
'''

TESTS = """
import os
import subprocess
import sys

from franklinwh_telemetry.small import allowed


def test_numbers():
    assert allowed(3, "a")
    assert not allowed(4, "a")
    assert not allowed(-1, "a")


def test_words_in_a_process_of_its_own():
    code = "from franklinwh_telemetry.small import allowed; raise SystemExit(allowed(1, '') or allowed(1))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
"""

SMALL_GO = """package small

const limit = 3

// Allowed says whether.
func Allowed(number int, word string) bool {
	if number < 0 || word == "" {
		return false
	}
	return number <= limit
}
"""

TESTS_GO = """package small

import "testing"

func TestNumbers(t *testing.T) {
	if !Allowed(3, "a") || Allowed(4, "a") || Allowed(-1, "a") || Allowed(1, "") {
		t.Fail()
	}
}
"""


@pytest.fixture(autouse=True)
def tools(source_root, monkeypatch):
    monkeypatch.syspath_prepend(str(source_root / "tools"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of one small module."""
    package = tmp_path / "src" / "franklinwh_telemetry"
    for folder in (package, tmp_path / "tests" / "proof", tmp_path / "docs", tmp_path / "collector"):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "small.py").write_text(SMALL)
    (tmp_path / "tests" / "test_small.py").write_text(TESTS)
    (tmp_path / "collector" / "small.go").write_text(SMALL_GO)
    (tmp_path / "collector" / "small_test.go").write_text(TESTS_GO)
    (tmp_path / "collector" / "go.mod").write_text("module example.com/small\n\ngo 1.24\n")
    (tmp_path / "docs" / "mutation.md").write_text("# Before\n<!-- results: begin -->\n<!-- results: end -->\nafter\n")
    return tmp_path


def told(source):
    from mutants import mutants

    return [(mutant.line, mutant.what, mutant.becomes) for mutant in mutants(textwrap.dedent(source))]


def test_each_place_of_a_module_is_changed_once():
    """Constants, defaults, conditions, operands, comparisons and results; no docstring, annotation or import."""
    condition = "if number < 0 or not word:"
    assert told(SMALL) == [
        ("LIMIT: Final = 3", "3", "4"),
        ("LIMIT: Final = 3", "3", "2"),
        ('def allowed(number: int, word: str = "") -> bool:', "''", "'surprise'"),
        (condition, "number < 0 or not word", "True"),
        (condition, "number < 0", "left out of or"),
        (condition, "not word", "left out of or"),
        (condition, "number < 0", "number <= 0"),
        (condition, "number < 0", "number >= 0"),
        (condition, "0", "1"),
        (condition, "not word", "word"),
        ("return False", "return False", "return None"),
        ("return False", "False", "True"),
        ("return number <= LIMIT", "return number <= LIMIT", "return None"),
        ("return number <= LIMIT", "number <= LIMIT", "number < LIMIT"),
        ("return number <= LIMIT", "number <= LIMIT", "number > LIMIT"),
    ]


@pytest.mark.parametrize(
    ("source", "becomes"),
    [
        ("x = a and b", ["left out of and", "left out of and"]),
        ("x = a and b or c", ["left out of or", "left out of or", "left out of and", "left out of and"]),
        ("x = a if b else c", ["True", "False"]),
        ("x = [a for a in b if a]", ["True"]),
        ("x = a in b", ["a not in b"]),
        ("x = a < b < c", ["a <= b < c", "a >= b < c", "a < b <= c", "a < b >= c"]),
        ("x = a << 1", ["a >> 1", "2", "0"]),
        ("x = -a", ["a"]),
        ("x = a.strip()", ["a"]),
        ("x = a.partition(b)", ["a.rpartition(b)"]),
        ("x = max(a, b)", ["min(a, b)"]),
        ("x = f'{a:02x}'", ["'surprise'", "f'{a}'"]),
        ("x = b'a'", ["b'surprise'"]),
        ("x = 0.5", ["1.5", "-0.5"]),
        ("a.b = c", ["pass"]),
        ("a()", ["pass"]),
        ("a += b", ["pass"]),
        ("del a", ["pass"]),
        ("raise a", ["pass"]),
        ("while a: break", ["False", "continue"]),
        ("for a in b: continue", ["break"]),
        ("try: a = b\nexcept (A, B): raise", ["except (B,): raise", "except (A,): raise", "pass"]),
        ("@final\nclass A:\n  b: int", []),
        ("def a(b: 'c' | None) -> 'd': ...", []),
        ("if TYPE_CHECKING:\n  a = 1\nelse:\n  b = 2", ["3", "1"]),
        ("if not TYPE_CHECKING: b = 2", ["3", "1"]),
    ],
)
def test_what_a_place_becomes(source, becomes):
    """Each kind of place becomes what tests should tell from it."""
    assert [new for _, _, new in told(source)] == becomes


def test_a_survivor_is_known_without_its_number():
    """It is known by its line and what changed there; the second of two that read alike is numbered."""
    import survivors

    keys = survivors.keys([("a.py", "x = 1  # why", "1", "2"), ("a.py", "x = 1  # why", "1", "2")])

    assert keys == ["a.py: x = 1  # why: 1 -> 2", "a.py: x = 1  # why: 1 -> 2 (2)"]
    text = survivors.written({keys[0]: "it is # never read"}, [survivors.Result("a.py", 2, tuple(keys))], ["a.py"])
    assert text.endswith(f"{keys[1]}  # UNEXPLAINED\n")
    assert survivors.listed(text) == {keys[0]: "it is # never read", keys[1]: "UNEXPLAINED"}
    assert survivors.reasons(survivors.listed(text)) == {keys[0]: "it is # never read"}
    # Another module's run keeps both; once it is killed the one without a reason goes by itself.
    other = survivors.written(survivors.listed(text), [survivors.Result("b.py", 1, ())], ["a.py"])
    assert other == text
    killed = survivors.written(survivors.listed(text), [survivors.Result("a.py", 2, ())], ["a.py"])
    assert survivors.listed(killed) == {keys[0]: "it is # never read"}


def test_a_run_fails_for_what_is_not_explained_and_what_is_no_more():
    """A survivor without a reason is a fault, and a reason without its survivor; other modules' are not looked at."""
    import survivors

    result = survivors.Result("a.py", 3, ("a.py: x: 1 -> 2", "a.py: y: 1 -> 2"))
    reasons = {"a.py: x: 1 -> 2": "same", "a.py: gone: 1 -> 2": "same", "b.py: z: 1 -> 2": "same"}

    assert survivors.faults({**reasons, "a.py: y: 1 -> 2": "same"}, []) == []
    assert survivors.faults(reasons, [result]) == [
        "survived, and no test or reason says why: a.py: y: 1 -> 2",
        "is killed now, or is not there: take the line out: a.py: gone: 1 -> 2",
    ]


def test_the_table_keeps_the_rows_of_modules_that_were_not_tried():
    """Each run replaces its own rows, in the order of the modules, and the sum is of all."""
    import survivors

    page = f"before\n{survivors.BEGIN}{survivors.END}after\n"
    first = survivors.table(page, [survivors.Result("b.go", 5, ("x",))], ["a.py", "b.go"])
    second = survivors.table(first, [survivors.Result("a.py", 7, ())], ["a.py", "b.go"])

    assert second == (
        f"before\n{survivors.BEGIN}"
        "| module | mutants | killed | survivors |\n|---|---|---|---|\n"
        "| `a.py` | 7 | 7 | 0 |\n| `b.go` | 5 | 4 | 1 |\n| all | 12 | 11 | 1 |\n"
        f"{survivors.END}after\n"
    )


@posix_only
def test_a_module_is_tried_in_a_copy(tree, capfd):
    """What the tests do not show survives, what a program that they start shows does not; the tree stays as it was."""
    import mutate

    (result,) = mutate.run([mutate.python("small.py", "small")], tree, ["small.py"])

    assert (result.module, result.mutants, result.killed) == ("small.py", 15, 12)
    assert result.survivors == (
        "small.py: if number < 0 or not word:: number < 0 -> number <= 0",
        "small.py: if number < 0 or not word:: 0 -> 1",
        "small.py: return False: return False -> return None",
    )
    assert mutate.listed(tree) == dict.fromkeys(result.survivors, "UNEXPLAINED")
    assert "| `small.py` | 15 | 12 | 3 |" in (tree / "docs" / "mutation.md").read_text()
    assert (tree / "src" / "franklinwh_telemetry" / "small.py").read_text() == SMALL
    # What has survived can be tried again by itself, once there is a test for it.
    (tree / "tests" / "test_more.py").write_text(
        "from franklinwh_telemetry.small import allowed\ndef test_a(): assert allowed(0, 'a')"
    )
    (again,) = mutate.run([mutate.python("small.py", "small", "more")], tree, ["small.py"], again=True)
    assert (again.mutants, again.survivors) == (15, result.survivors[2:])
    assert "survived: small.py: return False: return False -> return None" in capfd.readouterr().out


@posix_only
def test_tests_that_fail_anyway_prove_nothing(tree):
    """Where the tests fail without a mutant, the run ends and says so."""
    import mutate

    (tree / "tests" / "test_small.py").write_text("def test_a(): assert False")

    with pytest.raises(SystemExit, match=r"the tests of small\.py fail without a mutant"):
        mutate.run([mutate.python("small.py", "small")], tree, ["small.py"])


@posix_only
def test_a_mutant_that_does_not_end_is_killed(tree, monkeypatch):
    """A time limit ends what a mutant has made endless, with the processes that it has started."""
    import mutate

    monkeypatch.setattr(mutate, "LIMIT_FACTOR", 0)
    monkeypatch.setattr(mutate, "LIMIT_MORE_S", 5)
    package = tree / "src" / "franklinwh_telemetry"
    (package / "small.py").write_text("def small(number):\n    while number:\n        number -= 1\n    return True\n")
    (tree / "tests" / "test_small.py").write_text(
        "import franklinwh_telemetry.small as s\ndef test_a(): assert s.small(1)"
    )

    (result,) = mutate.run([mutate.python("small.py", "small")], tree, ["small.py"])

    assert "small.py: number -= 1: number -= 1 -> pass" not in result.survivors
    assert result.survivors == ("small.py: while number:: number -> False",)


@pytest.fixture
def go_cache(monkeypatch):
    """Where Go keeps what it has compiled once."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        if name in CALLER:
            monkeypatch.setenv(name, CALLER[name])


@posix_only
@pytest.mark.usefixtures("go_cache")
def test_a_go_file_is_tried_as_well(tree):
    """Mutants of Go are compiled in place of the file; those that do not compile do not count."""
    import mutate

    (result,) = mutate.run([mutate.Subject("collector/small.go")], tree, ["collector/small.go"])

    assert result.survivors == (
        'collector/small.go: if number < 0 || word == "" {: number < 0 -> number <= 0',
        'collector/small.go: if number < 0 || word == "" {: 0 -> 1',
    )
    assert (result.mutants, result.stillborn) == (14, 0)
    assert (tree / "collector" / "small.go").read_text() == SMALL_GO


@posix_only
@pytest.mark.usefixtures("go_cache")
def test_a_go_mutant_that_does_not_end_is_killed(tree, monkeypatch):
    """Not even one that is endless before the tests begin; one that only vet would refuse counts."""
    import mutate

    monkeypatch.setattr(mutate, "GO_TEST_LIMIT_S", 5)
    monkeypatch.setattr(mutate, "LIMIT_MORE_S", 0)
    (tree / "collector" / "small.go").write_text(
        'package small\n\nimport "fmt"\n\n'
        "var three = func() (n int) {\n\tfor n != 3 {\n\t\tn++\n\t}\n\treturn n\n}()\n\n"
        'func text() string {\n\treturn fmt.Sprintf("%d", three)\n}\n'
    )
    (tree / "collector" / "small_test.go").write_text(
        'package small\n\nimport "testing"\n\n'
        'func TestText(t *testing.T) {\n\tif text() != "3" {\n\t\tt.Fail()\n\t}\n}\n'
    )

    (result,) = mutate.run([mutate.Subject("collector/small.go")], tree, ["collector/small.go"])

    assert result.survivors == ()
    assert (result.mutants, result.stillborn) == (6, 0)


def test_only_what_is_mutated_can_be_asked_for(source_root):
    """A name that is none is refused in a line that names those there are, and each of these is a file."""
    import mutate

    done = subprocess.run(
        [sys.executable, str(source_root / "tools" / "mutate.py"), "surprise.py"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "mutate.py: error: surprise.py is not mutated; name one of: event.py,"
    )
    assert [subject.path for subject in mutate.SUBJECTS if not (source_root / subject.path).is_file()] == []
    missing = [test for subject in mutate.SUBJECTS for test in subject.tests if not (source_root / test).is_file()]
    assert missing == []
